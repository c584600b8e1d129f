/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bit fields, rounding and overflow-checked arithmetic.
 */
#ifndef KERNEL_BASE_BITS_H
#define KERNEL_BASE_BITS_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define BIT(n) (1ull << (n))

/* Mask of bits hi..lo, both included; 63 >= hi >= lo. */
#define MASK(hi, lo) ((~0ull >> (63 - (hi))) & (~0ull << (lo)))

/** field_get() - bits hi..lo of v, shifted down. */
static inline u64 field_get(u64 v, unsigned hi, unsigned lo)
{
	return (v & MASK(hi, lo)) >> lo;
}

/** field_set() - v with bits hi..lo replaced by x (excess bits of x dropped). */
static inline u64 field_set(u64 v, unsigned hi, unsigned lo, u64 x)
{
	return (v & ~MASK(hi, lo)) | ((x << lo) & MASK(hi, lo));
}

/* a: power of two */
static inline u64 align_down(u64 v, u64 a)
{
	return v & ~(a - 1);
}

/* Wraps to 0 when v lies in the last a-1 bytes of the 64-bit space: check first. */
static inline u64 align_up(u64 v, u64 a)
{
	return (v + a - 1) & ~(a - 1);
}

static inline bool is_aligned(u64 v, u64 a)
{
	return (v & (a - 1)) == 0;
}

/** checked_add() - *out = a + b; false (and *out untouched) on overflow. */
static inline MUST_CHECK bool checked_add(u64 a, u64 b, u64 *out)
{
	u64 r;

	if (__builtin_add_overflow(a, b, &r))
		return false;
	*out = r;
	return true;
}

/** checked_mul() - *out = a * b; false (and *out untouched) on overflow. */
static inline MUST_CHECK bool checked_mul(u64 a, u64 b, u64 *out)
{
	u64 r;

	if (__builtin_mul_overflow(a, b, &r))
		return false;
	*out = r;
	return true;
}

/** range_within() - is [a, a+len) inside [base, base+size), without wrap? */
static inline bool range_within(u64 a, u64 len, u64 base, u64 size)
{
	return a >= base && a - base <= size && len <= size - (a - base);
}

/** ranges_overlap() - do [a, a+alen) and [b, b+blen) share a byte? Neither may wrap. */
static inline bool ranges_overlap(u64 a, u64 alen, u64 b, u64 blen)
{
	return alen && blen && a < b + blen && b < a + alen;
}

/** size_mask() - mask covering an access of 1, 2, 4 or 8 bytes. */
static inline u64 size_mask(unsigned bytes)
{
	return bytes >= 8 ? ~0ull : (1ull << (bytes * 8)) - 1;
}

/* How many bits of v are set; the compiler's own would need its library. */
static inline u32 bits_count(u64 v)
{
	u32 n = 0;

	for (; v; v &= v - 1)
		n++;
	return n;
}

static inline u64 min_u64(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 max_u64(u64 a, u64 b)
{
	return a > b ? a : b;
}

#endif
