/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic between two Linux guests, told in packets and nanoseconds of the guest's clock:
 *   netbench serve                       answer on port 5001 (UDP echo), take 5002 (UDP, TCP)
 *   netbench pingpong ADDRESS N          N times 64 bytes there and back
 *   netbench datagrams ADDRESS N         N datagrams of 1500 bytes, one way
 *   netbench stream ADDRESS KIB          one TCP connection
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ECHO_PORT 5001
#define SINK_PORT 5002
#define PING	  22   /* with UDP, IPv4 and Ethernet headers 64 bytes */
#define DATAGRAM  1472 /* a packet of 1500 bytes */

static char buf[65536];

static int udp_at(in_port_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int s = socket(AF_INET, SOCK_DGRAM, 0);

	if (bind(s, (struct sockaddr *)&a, sizeof(a)))
		exit(1);
	return s;
}

static int connected(int type, const char *address, in_port_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int s = socket(AF_INET, type, 0);

	inet_pton(AF_INET, address, &a.sin_addr);
	if (connect(s, (struct sockaddr *)&a, sizeof(a))) {
		perror("netbench");
		exit(1);
	}
	return s;
}

static void serve(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(SINK_PORT) };
	struct pollfd p[4] = { { udp_at(ECHO_PORT), POLLIN, 0 }, { udp_at(SINK_PORT), POLLIN, 0 },
			       { socket(AF_INET, SOCK_STREAM, 0), POLLIN, 0 }, { -1, POLLIN, 0 } };

	if (bind(p[2].fd, (struct sockaddr *)&a, sizeof(a)) || listen(p[2].fd, 1))
		exit(1);
	while (poll(p, 4, -1) > 0) {
		struct sockaddr_in from;
		socklen_t len = sizeof(from);
		ssize_t n;

		if (p[0].revents) {
			n = recvfrom(p[0].fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &len);
			if (n > 0)
				sendto(p[0].fd, buf, (size_t)n, 0, (struct sockaddr *)&from, len);
		}
		if (p[1].revents)
			while (recv(p[1].fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
				;
		if (p[2].revents)
			p[3].fd = accept(p[2].fd, NULL, NULL);
		if (p[3].revents && recv(p[3].fd, buf, sizeof(buf), 0) <= 0) {
			close(p[3].fd);
			p[3].fd = -1;
		}
	}
}

static unsigned long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (unsigned long long)t.tv_sec * 1000000000ull + (unsigned long long)t.tv_nsec;
}

static long pingpong(const char *address, long n)
{
	int s = connected(SOCK_DGRAM, address, ECHO_PORT);
	struct timeval limit = { 1, 0 };

	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	for (long i = 0; i < n; i++)
		if (send(s, buf, PING, 0) != PING || recv(s, buf, sizeof(buf), 0) != PING)
			exit(1);
	return 2 * n;
}

static long datagrams(const char *address, long n)
{
	int s = connected(SOCK_DGRAM, address, SINK_PORT);

	for (long i = 0; i < n; i++)
		if (send(s, buf, DATAGRAM, 0) != DATAGRAM)
			exit(1);
	return n;
}

/* Until the other side has seen the end. */
static long stream(const char *address, long kib)
{
	int s = connected(SOCK_STREAM, address, SINK_PORT);

	for (long i = 0; i < kib / 64; i++)
		for (size_t at = 0; at < sizeof(buf);) {
			ssize_t n = send(s, buf + at, sizeof(buf) - at, 0);

			if (n <= 0)
				exit(1);
			at += (size_t)n;
		}
	shutdown(s, SHUT_WR);
	if (recv(s, buf, 1, 0) != 0)
		exit(1);
	return kib * 1024 / 1448;
}

int main(int argc, char **argv)
{
	unsigned long long start;
	long n = argc == 4 ? atol(argv[3]) : 0, packets;

	if (argc == 2 && !strcmp(argv[1], "serve")) {
		serve();
		return 1;
	}
	if (n <= 0)
		return 2;
	start = now();
	if (!strcmp(argv[1], "pingpong"))
		packets = pingpong(argv[2], n);
	else if (!strcmp(argv[1], "datagrams"))
		packets = datagrams(argv[2], n);
	else if (!strcmp(argv[1], "stream"))
		packets = stream(argv[2], n);
	else
		return 2;
	printf("netbench %s packets %ld ns %llu\n", argv[1], packets, now() - start);
	return 0;
}
