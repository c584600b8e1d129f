/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the pool: bitmaps of a block's frames, and the reading of the layout.
 */
#ifndef KERNEL_MM_POOL_PRIV_H
#define KERNEL_MM_POOL_PRIV_H

#include "kernel/base/bits.h"
#include "kernel/mm/pool.h"

#define BITMAP_WORDS (POOL_FRAMES / 64)

static inline bool pool_bit_get(const u64 *map, u32 i)
{
	return (map[i / 64] >> (i % 64)) & 1;
}

static inline void pool_bits_put(u64 *map, u32 first, u32 n, bool v)
{
	for (u32 i = first; i < first + n; i++) {
		if (v)
			map[i / 64] |= BIT(i % 64);
		else
			map[i / 64] &= ~BIT(i % 64);
	}
}

static inline u32 pool_bits_count(const u64 *map)
{
	u32 n = 0;

	/* Written out: without a population count instruction the builtin wants a library. */
	for (u32 i = 0; i < POOL_FRAMES; i++)
		n += pool_bit_get(map, i);
	return n;
}

/** pool_layout_bitmap() - which frames of the block at base may be used: one bit each. */
void pool_layout_bitmap(const struct pool_layout *l, hpa_t base, u64 *map);

/** pool_layout_plain() - is the block at base inside usable range u and clear of all reserved? */
bool pool_layout_plain(const struct pool_layout *l, const struct pool_range *u, hpa_t base);

/** pool_layout_top() - end of the memory to manage; adds what lies above the limit to *ignored. */
u64 pool_layout_top(const struct pool_layout *l, u64 *ignored);

/** pool_layout_clip() - whole frames of r below POOL_MAX_BYTES; false: none. */
bool pool_layout_clip(const struct pool_range *r, struct pool_range *out);

#endif
