/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The migration stream and its field tables: what goes in comes out, in whatever pieces; any other
 * byte is refused.
 */
#include "guest/migrate/stream.h"
#include "guest/migrate/vmstate.h"
#include "kernel/base/crc32c.h"
#include "kernel/base/err.h"
#include "unit.h"

static u8 stream[4096], buf[MIG_RECORD_BUF];
static u32 stream_len;
static char why[160];
static bool forged; /* the payload is not what make() put there */

static const u8 nonce[MIG_NONCE_LEN] = "the receiver's";

/* Header, records of 0, 1 and 1000 bytes, end. */
static void make(void)
{
	static u8 rec[MIG_RECORD_BUF];
	struct mig_sum s;
	static const u32 len[] = { 0, 1, 1000 };

	mig_header_make(&s, nonce, stream);
	stream_len = MIG_HEADER_LEN;
	for (u32 i = 0; i < 3; i++) {
		u32 n;

		for (u32 k = 0; k < len[i]; k++)
			rec[MIG_RECORD_HEAD + k] = (u8)(k * 7 + i);
		n = mig_record_seal(&s, 40 + i, rec, len[i]);
		memcpy(stream + stream_len, rec, n);
		stream_len += n;
	}
	CHECK_EQ(mig_end_make(&s, rec), MIG_RECORD_HEAD + 8);
	memcpy(stream + stream_len, rec, MIG_RECORD_HEAD + 8);
	stream_len += MIG_RECORD_HEAD + 8;
	CHECK_EQ(s.bytes, stream_len);
	CHECK_EQ(s.records, 5);
}

/* Feed the stream in pieces of at most 'piece'; the number of records, or the error. */
static int feed(u32 piece, const u8 *n)
{
	struct mig_parser p;
	struct mig_record r;
	u32 at = 0, space;
	int records = 0, rc;

	mig_parse_start(&p, buf, n);
	while (at < stream_len) {
		u8 *to = mig_parse_space(&p, &space);

		CHECK(space);
		if (space > piece)
			space = piece;
		if (space > stream_len - at)
			space = stream_len - at;
		memcpy(to, stream + at, space);
		at += space;
		rc = mig_parse_got(&p, space, &r, why, sizeof(why));
		if (rc < 0)
			return rc;
		if (rc && r.type != MIG_END) {
			CHECK_EQ(r.type, 40 + (u32)records);
			for (u32 k = 0; k < r.len && !forged; k++)
				CHECK_EQ(r.data[k], (u8)(k * 7 + (u32)records));
		}
		records += rc;
	}
	return records;
}

TEST(pieces)
{
	make();
	for (u32 piece = 1; piece < 40; piece++)
		CHECK_EQ(feed(piece, nonce), 4);
	CHECK_EQ(feed(100000, nonce), 4);
}

TEST(every_byte_counts)
{
	make();
	for (u32 i = 0; i < stream_len; i++) {
		stream[i] ^= 0x10;
		/* A length may have become larger than what comes. */
		CHECK(feed(100000, nonce) < 4);
		stream[i] ^= 0x10;
	}
	stream[8]++;
	CHECK_EQ(feed(100000, nonce), -EPROTO);
	CHECK_STR(why, "stream of version 2, this host reads 1");
	stream[8]--;
	CHECK_EQ(feed(100000, NULL), -EPROTO);
	CHECK_STR(why, "the stream was made for another receiver or at another time");
}

/* Each record is right in itself, but one is not there, or there twice. */
TEST(order)
{
	u32 first = MIG_HEADER_LEN + MIG_RECORD_HEAD;

	make();
	memmove(stream + MIG_HEADER_LEN, stream + first, stream_len - first);
	stream_len -= MIG_RECORD_HEAD;
	CHECK_EQ(feed(7, nonce), -EPROTO);
	CHECK_STR(why, "record 2 comes where 1 should");
}

/* A record exchanged for another that is as right: only the digest tells. */
TEST(digest)
{
	u8 *rec = stream + MIG_HEADER_LEN + MIG_RECORD_HEAD;

	make();
	rec[MIG_RECORD_HEAD] ^= 1;
	put_le32(rec + 12, crc32c(crc32c(0, rec, 12), rec + MIG_RECORD_HEAD, 1));
	forged = true;
	CHECK_EQ(feed(7, nonce), -EPROTO);
	CHECK_STR(why, "what came is not what was sent: the digests differ");
}

TEST(once_wrong_always_wrong)
{
	struct mig_parser p;
	struct mig_record r;
	u32 n;

	make();
	mig_parse_start(&p, buf, nonce);
	memset(mig_parse_space(&p, &n), 0, MIG_HEADER_LEN);
	CHECK_EQ(mig_parse_got(&p, n, &r, why, sizeof(why)), -EPROTO);
	(void)mig_parse_space(&p, &n);
	CHECK_EQ(mig_parse_got(&p, n, &r, why, sizeof(why)), -EPROTO);
}

/* ---- fields ---------------------------------------------------------------------------- */

struct thing {
	u8 a;
	u16 hole;
	u32 b[3];
	bool c;
	u64 d;
};

static const struct vmstate_field fields[] = {
	VMSTATE(struct thing, a, VMS_U8),
	VMSTATE_ARRAY(struct thing, b, VMS_U32),
	VMSTATE(struct thing, c, VMS_BOOL),
	VMSTATE(struct thing, d, VMS_U64),
};

static const struct thing one = { 1, 2, { 3, 4, 5 }, true, 6 };
static u8 saved[200];

static int load(const u8 *from, u32 len, struct thing *to, u32 n)
{
	struct reader r = reader_make(from, len);

	return vmstate_load(&r, to, fields, n, why, sizeof(why));
}

TEST(fields_come_back)
{
	struct thing t = { .hole = 9 };
	u32 n = vmstate_save(saved, sizeof(saved), &one, fields, 4);

	CHECK_EQ(n, 2 + 4 * 7 + 1 + 12 + 1 + 8);
	CHECK_EQ(load(saved, n, &t, 4), 0);
	CHECK(t.a == 1 && t.b[2] == 5 && t.c && t.d == 6 && t.hole == 9);
	CHECK_EQ(vmstate_save(saved, n - 1, &one, fields, 4), n);
}

TEST(fields_refused)
{
	struct thing t = { 0 };
	u32 n = vmstate_save(saved, sizeof(saved), &one, fields, 4);

	for (u32 i = 0; i < n; i++)
		CHECK_EQ(load(saved, i, &t, 4), -EPROTO);
	CHECK_EQ(load(saved, n, &t, 3), -EPROTO);
	CHECK_STR(why, "field d is not known here");
	n = vmstate_save(saved, sizeof(saved), &one, fields, 3);
	CHECK_EQ(load(saved, n, &t, 4), -EPROTO);
	CHECK_STR(why, "field d is missing");
	saved[n - 1] = 2;
	CHECK_EQ(load(saved, n, &t, 3), -EPROTO);
	CHECK_STR(why, "field c is 2, should be 0 or 1");
	saved[n - 1] = 1;
	saved[3] = 'b';
	CHECK_EQ(load(saved, n, &t, 3), -EPROTO);
	CHECK_STR(why, "field b is 1 x 1 bytes, should be 3 x 4");
	saved[3] = '\n';
	CHECK_EQ(load(saved, n, &t, 3), -EPROTO);
	CHECK(t.a == 0 && t.b[0] == 0 && !t.c);
}

/* A newer sender may add what an older receiver can do without. */
TEST(fields_skipped)
{
	struct thing t = { 0 };
	u32 n = vmstate_save(saved, sizeof(saved), &one, fields, 4);

	saved[n - 13] |= VMSTATE_MAY_SKIP;
	CHECK_EQ(load(saved, n, &t, 3), 0);
	CHECK_EQ(t.b[0], 3);
	CHECK_EQ(t.d, 0);
	CHECK_EQ(load(saved, n, &t, 4), 0);
	CHECK_EQ(t.d, 6);
}

UNIT_MAIN({ "pieces", pieces }, { "every_byte_counts", every_byte_counts }, { "order", order },
	  { "digest", digest }, { "once_wrong_always_wrong", once_wrong_always_wrong },
	  { "fields_come_back", fields_come_back }, { "fields_refused", fields_refused },
	  { "fields_skipped", fields_skipped })
