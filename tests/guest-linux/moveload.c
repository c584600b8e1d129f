/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic and load for a guest that is moved, checked byte by byte:
 *   moveload serve KIB_PER_S   answer on port 9000 (TCP) and 9001 (UDP); rewrite memory at that
 *                              rate, check it and the clock
 *   moveload drive ADDRESS     one connection and numbered datagrams to such a guest, to the end
 * Each writes what it has seen to /tmp/moveload, several times a second, in one line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TCP_PORT  9000
#define UDP_PORT  9001
#define TICK_MS	  20
#define IN_FLIGHT (64u << 10) /* bytes of the connection that have not come back */
#define AREA	  (2u << 20)   /* bytes of memory that are rewritten */
#define PAGE	  4096u
#define SEQ_MAX	  (1u << 20)
#define WAITING	  (8 << 20) /* bytes of datagrams, while the program has no time for them */

static unsigned char buf[16384];

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct sockaddr_in at(const char *address, in_port_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (address)
		inet_pton(AF_INET, address, &a.sin_addr);
	return a;
}

static void report(const char *text)
{
	FILE *f = fopen("/tmp/moveload.new", "w");

	if (!f)
		exit(1);
	fputs(text, f);
	fclose(f);
	rename("/tmp/moveload.new", "/tmp/moveload");
}

/* What is missing is to be the network's fault. */
static void keep_datagrams(int s)
{
	const int bytes = WAITING;

	if (setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes))) {
		perror("moveload");
		exit(1);
	}
}

/* ---- the guest that moves ------------------------------------------------------------------ */

static uint64_t *area, backward, wrong;

/* The next pages: each holds what was written there last, then gets new contents. */
static void rewrite(unsigned pages)
{
	static uint64_t round = 1;
	static unsigned next;

	for (; pages; pages--) {
		uint64_t *p = area + next * (PAGE / 8);

		for (unsigned i = 0; i < PAGE / 8; i++) {
			if (p[i] != (round == 1 ? 0 : (round - 1) * 0x9e3779b97f4a7c15u + next + i))
				wrong++;
			p[i] = round * 0x9e3779b97f4a7c15u + next + i;
		}
		next = (next + 1) % (AREA / PAGE);
		round += next == 0;
	}
}

static void echo_tcp(int *s)
{
	ssize_t n = recv(*s, buf, sizeof(buf), 0);

	for (ssize_t done = 0, w; n > 0 && done < n; done += w) {
		w = send(*s, buf + done, (size_t)(n - done), MSG_NOSIGNAL);
		if (w <= 0)
			n = -1;
	}
	if (n > 0)
		return;
	close(*s);
	*s = -1;
}

/* All that waits: rewriting memory takes its time while the guest is copied. */
static void echo_udp(int s)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n;

	while ((n = recvfrom(s, buf, sizeof(buf), MSG_DONTWAIT, (void *)&from, &len)) > 0)
		sendto(s, buf, (size_t)n, 0, (void *)&from, len);
}

static void serve(unsigned kib_per_s)
{
	struct sockaddr_in t = at(NULL, TCP_PORT), u = at(NULL, UDP_PORT);
	struct pollfd p[3] = { { socket(AF_INET, SOCK_STREAM, 0), POLLIN, 0 },
			       { socket(AF_INET, SOCK_DGRAM, 0), POLLIN, 0 }, { -1, POLLIN, 0 } };
	uint64_t last = now_ns(), due = last, now, pages = 0;
	char text[160];

	area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (area == MAP_FAILED || bind(p[0].fd, (void *)&t, sizeof(t)) || listen(p[0].fd, 1) ||
	    bind(p[1].fd, (void *)&u, sizeof(u)))
		exit(1);
	keep_datagrams(p[1].fd);
	for (;;) {
		poll(p, 3, TICK_MS);
		if (p[0].revents)
			p[2].fd = accept(p[0].fd, NULL, NULL);
		if (p[1].revents)
			echo_udp(p[1].fd);
		if (p[2].revents)
			echo_tcp(&p[2].fd);
		now = now_ns();
		backward += now < last;
		last = now;
		if (now < due)
			continue;
		due = now + TICK_MS * 1000000u;
		rewrite(kib_per_s * TICK_MS / 1000 / (PAGE / 1024));
		pages += kib_per_s * TICK_MS / 1000 / (PAGE / 1024);
		snprintf(text, sizeof(text), "pages %llu wrong %llu backward %llu\n",
			 (unsigned long long)pages, (unsigned long long)wrong,
			 (unsigned long long)backward);
		report(text);
	}
}

/* ---- the one that stays ---------------------------------------------------------------------- */

static unsigned char pattern(uint64_t offset)
{
	return (unsigned char)((offset * 0x9e3779b97f4a7c15u) >> 56);
}

static uint64_t sent, back, differ, broken, seq_sent, seq_back, seq_end, seq_twice;
static unsigned char seen[SEQ_MAX / 8];

static void send_more(int s)
{
	ssize_t n;

	if (sent - back >= IN_FLIGHT)
		return;
	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = pattern(sent + i);
	n = send(s, buf, sizeof(buf), MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		sent += (uint64_t)n;
	else
		broken += n < 0 && errno != EAGAIN;
}

static void take_back(int s)
{
	ssize_t n = recv(s, buf, sizeof(buf), MSG_DONTWAIT);

	broken += n == 0 || (n < 0 && errno != EAGAIN);
	for (ssize_t i = 0; i < n; i++, back++)
		differ += buf[i] != pattern(back);
}

static void take_number(int s)
{
	uint32_t number;

	while (recv(s, &number, sizeof(number), MSG_DONTWAIT) == sizeof(number)) {
		if (number >= seq_sent)
			continue;
		if (seen[number / 8] & 1u << number % 8)
			seq_twice++;
		else
			seq_back++;
		seen[number / 8] |= (unsigned char)(1u << number % 8);
		if (number >= seq_end)
			seq_end = number + 1;
	}
}

static int connect_to(int type, const char *address, in_port_t port)
{
	struct sockaddr_in a = at(address, port);
	int s = socket(AF_INET, type, 0);

	if (connect(s, (void *)&a, sizeof(a))) {
		perror("moveload");
		exit(1);
	}
	return s;
}

static void drive(const char *address)
{
	struct pollfd p[2] = { { connect_to(SOCK_STREAM, address, TCP_PORT), POLLIN, 0 },
			       { connect_to(SOCK_DGRAM, address, UDP_PORT), POLLIN, 0 } };
	uint64_t due = 0;
	char text[240];

	keep_datagrams(p[1].fd);
	while (!broken) {
		poll(p, 2, TICK_MS);
		take_back(p[0].fd);
		take_number(p[1].fd);
		if (now_ns() < due)
			continue;
		due = now_ns() + TICK_MS * 1000000u;
		send_more(p[0].fd);
		if (seq_sent < SEQ_MAX) {
			uint32_t number = (uint32_t)seq_sent++;

			(void)!send(p[1].fd, &number, sizeof(number), MSG_DONTWAIT);
		}
		snprintf(text, sizeof(text),
			 "sent %llu back %llu differ %llu broken %llu seq %llu missing %llu "
			 "twice %llu\n",
			 (unsigned long long)sent, (unsigned long long)back,
			 (unsigned long long)differ, (unsigned long long)broken,
			 (unsigned long long)seq_end, (unsigned long long)(seq_end - seq_back),
			 (unsigned long long)seq_twice);
		report(text);
	}
	report("the connection broke\n");
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve((unsigned)atoi(argv[2]));
	else if (argc == 3 && !strcmp(argv[1], "drive"))
		drive(argv[2]);
	return 2;
}
