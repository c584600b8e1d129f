/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Little-endian loads and stores at any alignment, and a bounded reader.
 * Every parser of foreign bytes goes through these.
 */
#ifndef KERNEL_BASE_BYTES_H
#define KERNEL_BASE_BYTES_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

static inline u16 get_le16(const void *p)
{
	u16 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline u32 get_le32(const void *p)
{
	u32 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline u64 get_le64(const void *p)
{
	u64 v;

	__builtin_memcpy(&v, p, sizeof(v));
	return v;
}

static inline void put_le16(void *p, u16 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void put_le32(void *p, u32 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void put_le64(void *p, u64 v)
{
	__builtin_memcpy(p, &v, sizeof(v));
}

/* A view of foreign bytes. Reads past the end return 0 and set 'overrun'. */
struct reader {
	const u8 *base;
	size_t len;
	size_t pos;
	bool overrun;
};

static inline struct reader reader_make(const void *p, size_t len)
{
	return (struct reader){ .base = p, .len = len };
}

static inline size_t reader_left(const struct reader *r)
{
	return r->len - r->pos;
}

/** reader_bytes() - the next n bytes, or NULL (and overrun set) when fewer are left. */
static inline const u8 *reader_bytes(struct reader *r, size_t n)
{
	const u8 *p = r->base + r->pos;

	if (n > r->len - r->pos) {
		r->overrun = true;
		r->pos = r->len;
		return NULL;
	}
	r->pos += n;
	return p;
}

static inline u8 reader_u8(struct reader *r)
{
	const u8 *p = reader_bytes(r, 1);

	return p ? *p : 0;
}

static inline u16 reader_u16(struct reader *r)
{
	const u8 *p = reader_bytes(r, 2);

	return p ? get_le16(p) : 0;
}

static inline u32 reader_u32(struct reader *r)
{
	const u8 *p = reader_bytes(r, 4);

	return p ? get_le32(p) : 0;
}

static inline u64 reader_u64(struct reader *r)
{
	const u8 *p = reader_bytes(r, 8);

	return p ? get_le64(p) : 0;
}

#endif
