/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compressed blocks of a connection, from a host that sends anything, in pieces of any size: no
 * more is written than there is room for. What pack_write() makes of the same bytes comes back.
 */
#include "guest/image/courier/courier.h"
#include "tests/fuzz/stream.h"

#define WIRE_MAX (2u << 20)

struct conn {
	const u8 *in; /* what has not been read, `arrived` bytes of it at once */
	size_t left;
	u32 arrived, out_room, written;
	bool failed;
	u8 wire[WIRE_MAX];
};

static struct conn c;
static u32 rng;

static u32 next(u32 below)
{
	rng = rng * 1664525u + 1013904223u;
	return (rng >> 8) % below;
}

u32 conn_read(struct conn *conn, void *buf, u32 n)
{
	FUZZ_CHECK(n > 0 && n <= PACK_MAX);
	n = n < conn->arrived ? n : conn->arrived;
	n = n < conn->left ? n : (u32)conn->left;
	if (conn->failed || !n)
		return 0;
	memcpy(buf, conn->in, n);
	conn->in += n;
	conn->left -= n;
	conn->arrived -= n;
	return n;
}

u32 conn_room(struct conn *conn)
{
	return conn->out_room;
}

void conn_write(struct conn *conn, const void *data, u32 n)
{
	FUZZ_CHECK(n <= conn->out_room && n <= WIRE_MAX - conn->written);
	memcpy(conn->wire + conn->written, data, n);
	conn->written += n;
	conn->out_room -= n;
}

void conn_fail(struct conn *conn, const char *why)
{
	FUZZ_CHECK(why && *why);
	conn->failed = true;
}

/* One call, into memory of just that size. */
static u32 read_block(struct pack *p, u8 *to, u32 room)
{
	u8 *out = malloc(room ? room : 1);
	bool failed = c.failed;
	u32 n = pack_read(p, &c, out, room);

	FUZZ_CHECK(n <= room && n <= PACK_MAX && p->have <= sizeof(p->buf));
	FUZZ_CHECK(!n || !failed);
	if (to)
		memcpy(to, out, n);
	free(out);
	return n;
}

/* All that comes, until no more does: bytes that it stands for, the first `max` of them in `to`. */
static u64 read_all(const u8 *data, size_t size, u8 *to, size_t max)
{
	struct pack *p = calloc(1, sizeof(*p));
	bool last;
	u64 sum = 0;
	u32 n;

	c.in = data;
	c.left = size;
	c.failed = false;
	do {
		last = !c.left;
		c.arrived = 1 + next(next(2) ? 8 : 2 * PACK_MAX);
		n = read_block(p, to && sum + PACK_MAX <= max ? to + sum : NULL,
			       last || next(2) ? PACK_MAX : next(PACK_MAX));
		sum += n;
	} while (n || (!last && !c.failed));
	free(p);
	return sum;
}

static void there_and_back(const u8 *data, size_t size)
{
	struct pack *p = calloc(1, sizeof(*p));
	u8 *back = calloc(1, size + PACK_MAX);

	c.written = 0;
	for (size_t at = 0; at < size;) {
		u32 left = (u32)(size - at), n;

		c.out_room = next(2) ? PACK_HEAD + PACK_MAX : next(PACK_HEAD + PACK_MAX);
		n = pack_write(p, &c, data + at, left);
		FUZZ_CHECK(n <= left);
		at += n;
	}
	FUZZ_CHECK(p->wire == c.written);
	FUZZ_CHECK(read_all(c.wire, c.written, back, size + PACK_MAX) == size && !c.failed);
	FUZZ_CHECK(memcmp(back, data, size) == 0);
	free(back);
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream s = { data, size };

	rng = take32(&s);
	if (s.left > WIRE_MAX / 2)
		return 0;
	(void)read_all(s.p, s.left, NULL, 0);
	there_and_back(s.p, s.left);
	return 0;
}
