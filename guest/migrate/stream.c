/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads, CRCs and digest of the migration stream; reading it in whatever pieces it comes.
 */
#include "guest/migrate/stream.h"

#include "kernel/base/assert.h"
#include "kernel/base/bytes.h"
#include "kernel/base/crc32c.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

#define OFF_VERSION 8
#define OFF_NONCE   12
#define OFF_CRC	    28

/* Of a record's head. */
#define REC_TYPE 0
#define REC_LEN	 4
#define REC_SEQ	 8
#define REC_CRC	 12

#define DIGEST_MUL 0x9e3779b97f4a7c15ull

static const u8 magic[OFF_VERSION] = { 'G', 'O', 'D', 'W', 'I', 'T', 'V', 'M' };

static void sum_add(struct mig_sum *s, u32 crc, u32 len)
{
	u64 d = (s->digest ^ ((u64)len << 32 | crc)) * DIGEST_MUL;

	s->digest = d ^ d >> 29;
	s->bytes += len;
	s->records++;
}

void mig_header_make(struct mig_sum *sum, const u8 nonce[MIG_NONCE_LEN], u8 *out)
{
	u32 crc;

	memcpy(out, magic, sizeof(magic));
	put_le32(out + OFF_VERSION, MIG_VERSION);
	memset(out + OFF_NONCE, 0, MIG_NONCE_LEN);
	if (nonce)
		memcpy(out + OFF_NONCE, nonce, MIG_NONCE_LEN);
	crc = crc32c(0, out, OFF_CRC);
	put_le32(out + OFF_CRC, crc);
	*sum = (struct mig_sum){ 0 };
	sum_add(sum, crc, MIG_HEADER_LEN);
}

static u32 record_crc(const u8 *buf, u32 len)
{
	return crc32c(crc32c(0, buf, REC_CRC), buf + MIG_RECORD_HEAD, len);
}

u32 mig_record_seal(struct mig_sum *sum, u32 type, u8 *buf, u32 len)
{
	u32 crc;

	ASSERT(len <= MIG_RECORD_MAX);
	put_le32(buf + REC_TYPE, type);
	put_le32(buf + REC_LEN, len);
	put_le32(buf + REC_SEQ, sum->records);
	crc = record_crc(buf, len);
	put_le32(buf + REC_CRC, crc);
	sum_add(sum, crc, MIG_RECORD_HEAD + len);
	return MIG_RECORD_HEAD + len;
}

u32 mig_end_make(struct mig_sum *sum, u8 *buf)
{
	put_le64(buf + MIG_RECORD_HEAD, sum->digest);
	return mig_record_seal(sum, MIG_END, buf, sizeof(u64));
}

/* ---- reading --------------------------------------------------------------------------- */

void mig_parse_start(struct mig_parser *p, u8 *buf, const u8 nonce[MIG_NONCE_LEN])
{
	*p = (struct mig_parser){ .buf = buf, .want = MIG_HEADER_LEN };
	if (nonce)
		memcpy(p->nonce, nonce, MIG_NONCE_LEN);
}

u8 *mig_parse_space(struct mig_parser *p, u32 *n)
{
	if (p->done) {
		p->done = false;
		p->have = 0;
		p->want = MIG_RECORD_HEAD;
	}
	*n = p->want - p->have;
	return p->buf + p->have;
}

static int header(struct mig_parser *p, struct text *why)
{
	u32 crc = get_le32(p->buf + OFF_CRC), version = get_le32(p->buf + OFF_VERSION);

	if (memcmp(p->buf, magic, sizeof(magic)) != 0)
		text_add(why, "this is no stream of a VM");
	else if (version != MIG_VERSION)
		text_add(why, "stream of version %u, this host reads %u", version, MIG_VERSION);
	else if (crc != crc32c(0, p->buf, OFF_CRC))
		text_add(why, "the stream's header is damaged");
	else if (memcmp(p->buf + OFF_NONCE, p->nonce, MIG_NONCE_LEN) != 0)
		text_add(why, "the stream was made for another receiver or at another time");
	else {
		sum_add(&p->sum, crc, MIG_HEADER_LEN);
		p->begun = true;
		p->have = 0;
		p->want = MIG_RECORD_HEAD;
		return 0;
	}
	return -EPROTO;
}

/* The head is there: how long is the record? */
static int head(struct mig_parser *p, struct text *why)
{
	u32 len = get_le32(p->buf + REC_LEN), seq = get_le32(p->buf + REC_SEQ);

	if (seq != p->sum.records)
		text_add(why, "record %u comes where %u should", seq, p->sum.records);
	else if (len > MIG_RECORD_MAX)
		text_add(why, "record %u: %u bytes, at most %u are allowed", seq, len,
			 MIG_RECORD_MAX);
	else {
		p->want = MIG_RECORD_HEAD + len;
		return 0;
	}
	return -EPROTO;
}

static int record(struct mig_parser *p, struct mig_record *r, struct text *why)
{
	u32 type = get_le32(p->buf + REC_TYPE), len = p->want - MIG_RECORD_HEAD;
	u32 crc = get_le32(p->buf + REC_CRC);
	const u8 *data = p->buf + MIG_RECORD_HEAD;

	if (crc != record_crc(p->buf, len)) {
		text_add(why, "record %u is damaged", p->sum.records);
		return -EPROTO;
	}
	if (type == MIG_END && (len != sizeof(u64) || get_le64(data) != p->sum.digest)) {
		text_add(why, "what came is not what was sent: the digests differ");
		return -EPROTO;
	}
	sum_add(&p->sum, crc, p->want);
	p->done = true;
	*r = (struct mig_record){ type, len, data };
	return 1;
}

int mig_parse_got(struct mig_parser *p, u32 n, struct mig_record *r, char *why, size_t why_size)
{
	struct text t = text_make(why, why_size);
	int rc = p->error;

	ASSERT(n <= p->want - p->have);
	p->have += n;
	if (rc)
		text_add(&t, "the stream was damaged before");
	else if (p->have < p->want)
		return 0;
	else if (!p->begun)
		rc = header(p, &t);
	else {
		if (p->want == MIG_RECORD_HEAD)
			rc = head(p, &t);
		if (!rc && p->have == p->want)
			rc = record(p, r, &t);
	}
	if (rc < 0)
		p->error = rc;
	return rc;
}
