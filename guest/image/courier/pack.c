/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks of a connection that is compressed: a head of two u16, bytes that follow and bytes they
 * stand for, and an LZ4 block; where both are equal, the bytes themselves.
 */
#include "guest/image/courier/courier.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/str.h"
#include "lz4_port.h"

#define SMALL 64u /* not worth it */

u32 pack_write(struct pack *p, struct conn *c, const u8 *data, u32 n)
{
	static u8 block[PACK_HEAD + PACK_MAX];
	static union {
		LZ4_stream_t lz4;
		u64 align;
	} state;
	u32 room = conn_room(c), len = 0;

	/* Large blocks compress better: what does not fit waits until the most does. */
	if (!n || room <= PACK_HEAD || (n > room - PACK_HEAD && room < PACK_HEAD + PACK_MAX))
		return 0;
	n = (u32)min_u64(n, PACK_MAX);
	if (n > SMALL)
		len = (u32)LZ4_compress_fast_extState(&state, (const char *)data,
						      (char *)block + PACK_HEAD, (int)n,
						      (int)n - 1, 1);
	if (!len)
		memcpy(block + PACK_HEAD, data, n);
	len = len ? len : n;
	put_le16(block, (u16)len);
	put_le16(block + 2, (u16)n);
	conn_write(c, block, PACK_HEAD + len);
	p->wire += PACK_HEAD + len;
	return n;
}

u32 pack_read(struct pack *p, struct conn *c, u8 *out, u32 room)
{
	u32 want = PACK_HEAD, len = 0, raw = 0, n;

	for (;;) {
		if (p->have >= PACK_HEAD) {
			len = get_le16(p->buf);
			raw = get_le16(p->buf + 2);
			if (!len || len > raw || raw > PACK_MAX)
				break;
			want = PACK_HEAD + len;
		}
		if (p->have == want) {
			if (raw > room)
				return 0;
			p->have = 0;
			if (len == raw)
				memcpy(out, p->buf + PACK_HEAD, raw);
			else if (LZ4_decompress_safe((const char *)p->buf + PACK_HEAD, (char *)out,
						     (int)len, (int)raw) != (int)raw)
				break;
			return raw;
		}
		n = conn_read(c, p->buf + p->have, want - p->have);
		if (!n)
			return 0;
		p->have += n;
	}
	conn_fail(c, "what came is no compressed block");
	return 0;
}
