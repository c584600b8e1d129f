/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksums against a plain sum, byte by byte; segments put together again give what was sent.
 */
#include "unit.h"

#include "devices/net/offload.h"

static u8 body[70000], whole[70000], got[70000];
static u32 got_len, parts, seed = 7;
static u16 first_id;

static u32 rnd(u32 n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static u32 plain_sum(const u8 *p, u32 n)
{
	u32 s = 0;

	for (u32 i = 0; i < n; i++)
		s += i & 1 ? p[i] : p[i] << 8;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

TEST(sums)
{
	for (u32 i = 0; i < sizeof(body); i++)
		body[i] = (u8)rnd(256);
	memset(body + 1000, 0xff, 3000);
	for (u32 i = 0; i < 3000; i++) {
		u32 at = rnd(4000), n = rnd(3000), cut = n ? rnd(n) : 0;
		u32 s = offload_sum(0, body + at, cut, 0);

		s = offload_sum(s, body + at + cut, n - cut, cut);
		while (s >> 16)
			s = (s & 0xffff) + (s >> 16);
		/* 0 and FFFFh are the same number. */
		CHECK_EQ(s % 0xffff, plain_sum(body + at, n) % 0xffff);
	}
}

static u16 be16(const u8 *p)
{
	return (u16)(p[0] << 8 | p[1]);
}

static u32 be32(const u8 *p)
{
	return (u32)be16(p) << 16 | be16(p + 2);
}

static void set16(u8 *p, u32 v)
{
	p[0] = (u8)(v >> 8);
	p[1] = (u8)v;
}

/* Sum over pseudo header and all: FFFFh when the checksum is right. */
static u32 l4_sum(const u8 *p, u32 len, u32 l4, bool v6, u32 proto)
{
	u8 t[70000];

	memset(t, 0, 40);
	if (v6)
		memcpy(t, p + 22, 32);
	else
		memcpy(t, p + 26, 8);
	set16(t + 34, len - l4);
	set16(t + 38, proto);
	memcpy(t + 40, p + l4, len - l4);
	return plain_sum(t, 40 + len - l4);
}

struct shape {
	bool v6, udp;
	u32 options, head, payload, mss;
};

static struct virtq_seg segs[64];
static struct frame f;
static struct shape sh;
static u32 l4, hdr;

/* whole[]: headers with the pseudo header's sum, and payload; f: a head and random segments. */
static void build(const struct shape *s)
{
	u32 len, at, n = 0;
	u8 *ip = whole + 14;

	sh = *s;
	l4 = 14 + (s->v6 ? 40 : 20 + (s->options & 4));
	hdr = l4 + (s->udp ? 8 : 20 + s->options);
	len = hdr + s->payload;
	for (u32 i = 0; i < len; i++)
		whole[i] = (u8)rnd(256);
	set16(whole + 12, s->v6 ? 0x86dd : 0x0800);
	ip[0] = s->v6 ? 0x60 : (u8)(0x40 | (l4 - 14) / 4);
	ip[s->v6 ? 6 : 9] = s->udp ? 17 : 6;
	if (!s->udp) {
		whole[l4 + 12] = (u8)((20 + s->options) / 4 << 4);
		whole[l4 + 13] = 0x80 | 0x10 | 0x08 | 0x01; /* CWR ACK PSH FIN */
	}
	memset(&f, 0, sizeof(f));
	f.flags = FRAME_CSUM;
	f.gso = s->udp ? FRAME_UDP : s->v6 ? FRAME_TCP6 : FRAME_TCP4;
	f.gso_size = (u16)s->mss;
	f.csum_start = (u16)l4;
	f.csum_offset = s->udp ? 6 : 16;
	f.head_len = len < s->head ? len : s->head;
	memcpy(f.head, whole, f.head_len);
	/* The body begins somewhere inside the first segment. */
	f.body_off = rnd(10);
	f.body_len = len - f.head_len;
	memcpy(body + f.body_off, whole + f.head_len, f.body_len);
	for (at = 0; at < f.body_off + f.body_len && n < 64; n++) {
		u32 left = f.body_off + f.body_len - at;
		u32 part = n == 63 || left < 1200 ? left : 1 + rnd(2500) % left;

		segs[n] = (struct virtq_seg){ body + at, 0, part };
		at += part;
	}
	f.seg = segs;
	f.nseg = n;
}

static void collect(void *ctx, const struct frame *p)
{
	u8 b[70000];
	u32 len = frame_len(p), n;
	const u8 *ip = b + 14;

	(void)ctx;
	CHECK_EQ(frame_read(p, 0, b, sizeof(b)), len);
	CHECK(!p->gso && !(p->flags & FRAME_CSUM));
	n = len - hdr;
	CHECK(n <= sh.mss);
	CHECK_EQ(l4_sum(b, len, l4, sh.v6, sh.udp ? 17 : 6), 0xffff);
	if (sh.v6) {
		CHECK_EQ(be16(ip + 4), len - 54);
	} else {
		CHECK_EQ(be16(ip + 2), len - 14);
		CHECK_EQ(plain_sum(ip, l4 - 14), 0xffff);
		if (!parts)
			first_id = be16(ip + 4);
		CHECK_EQ(be16(ip + 4), (u16)(first_id + parts));
	}
	if (sh.udp) {
		CHECK_EQ(be16(b + l4 + 4), n + 8);
	} else {
		bool last = got_len + n == sh.payload;

		CHECK_EQ(be32(b + l4 + 4), be32(whole + l4 + 4) + got_len);
		CHECK_EQ(b[l4 + 13], (parts ? 0 : 0x80) | 0x10 | (last ? 0x09 : 0));
	}
	CHECK(!memcmp(b, whole, 14));
	memcpy(got + got_len, b + hdr, n);
	got_len += n;
	parts++;
}

TEST(segments)
{
	for (u32 i = 0; i < 400; i++) {
		struct shape s = { .v6 = rnd(2), .udp = rnd(2), .options = rnd(3) * 4,
				   .head = 100 + rnd(FRAME_HEAD_IN - 99),
				   .payload = 1 + rnd(i % 4 ? 6000 : 65000),
				   .mss = OFFLOAD_MIN_SEGMENT + rnd(1500) };

		build(&s);
		CHECK(offload_check(&f));
		got_len = parts = 0;
		CHECK(offload_segment(&f, collect, NULL));
		CHECK_EQ(got_len, s.payload);
		CHECK_EQ(parts, (s.payload + s.mss - 1) / s.mss);
		CHECK(!memcmp(got, whole + hdr, got_len));
	}
}

TEST(checksum_only)
{
	for (u32 i = 0; i < 400; i++) {
		struct shape s = { .v6 = rnd(2), .udp = rnd(2), .head = 80 + rnd(80),
				   .payload = rnd(1500), .mss = 1000 };
		u8 b[2000];
		u32 len, sum;

		build(&s);
		f.gso = FRAME_NO_GSO;
		len = frame_len(&f);
		/* As a driver does: the pseudo header's sum in the field. */
		memset(b, 0, 40);
		memcpy(b, whole + (s.v6 ? 22 : 26), s.v6 ? 32 : 8);
		set16(b + 34, len - l4);
		set16(b + 38, s.udp ? 17 : 6);
		sum = plain_sum(b, 40);
		set16(f.head + l4 + f.csum_offset, sum);
		CHECK(offload_check(&f));
		offload_checksum(&f);
		CHECK_EQ(frame_read(&f, 0, b, sizeof(b)), len);
		CHECK_EQ(l4_sum(b, len, l4, s.v6, s.udp ? 17 : 6), 0xffff);
		CHECK(be16(b + l4 + f.csum_offset) != 0);
	}
}

static void never(void *ctx, const struct frame *p)
{
	(void)ctx, (void)p;
	CHECK(0);
}

TEST(refuses)
{
	const struct shape s = { .head = 120, .payload = 3000, .mss = 1000 };
	struct frame ok;

	build(&s);
	ok = f;
	f.csum_start = FRAME_HEAD - 2;
	CHECK(!offload_check(&f));
	f = ok;
	f.csum_offset = 0xffff;
	CHECK(!offload_check(&f));
	f = ok;
	f.gso_size = 0;
	CHECK(!offload_check(&f));
	f = ok;
	f.flags = 0;
	CHECK(!offload_check(&f));
	f = ok;
	f.gso = FRAME_TCP6;
	CHECK(!offload_segment(&f, never, NULL));
	f = ok;
	f.csum_start += 4;
	CHECK(!offload_segment(&f, never, NULL));
	f = ok;
	f.head[14] = 0x4f;
	CHECK(!offload_segment(&f, never, NULL));
	f = ok;
	f.head[l4 + 12] = 0xf0; /* a TCP header longer than what was copied */
	f.head_len = 80;
	CHECK(!offload_segment(&f, never, NULL));
	f = ok;
	f.head[l4 + 12] = 0x40;
	CHECK(!offload_segment(&f, never, NULL));
	f = ok;
	f.head[23] = 17;
	CHECK(!offload_segment(&f, never, NULL));
	f = ok;
	f.head[12] = 0;
	CHECK(!offload_segment(&f, never, NULL));
}

UNIT_MAIN({ "sums", sums }, { "segments", segments }, { "checksum_only", checksum_only },
	  { "refuses", refuses })
