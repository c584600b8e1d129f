/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a memory map of any shape to frames that the pool may use.
 */
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/mm/pool_priv.h"

/* The part of a range that lies in whole frames of [base, base+len); false: none. */
static bool clip(const struct pool_range *r, bool outward, hpa_t base, u64 len,
		 struct pool_range *out)
{
	u64 end, first = r->base, max = base + len;

	if (!checked_add(r->base, r->len, &end))
		end = ~0ull;
	if (end <= base || first >= max || end <= first || first > ~0ull - PAGE_SIZE)
		return false;
	first = max_u64(first, base);
	end = min_u64(end, max);
	first = outward ? align_down(first, PAGE_SIZE) : align_up(first, PAGE_SIZE);
	end = outward ? align_up(end, PAGE_SIZE) : align_down(end, PAGE_SIZE);
	if (end <= first)
		return false;
	*out = (struct pool_range){ .base = first, .len = end - first };
	return true;
}

void pool_layout_bitmap(const struct pool_layout *l, hpa_t base, u64 *map)
{
	struct pool_range r;

	memset(map, 0, BITMAP_WORDS * sizeof(*map));
	for (size_t i = 0; i < l->nusable; i++)
		if (clip(&l->usable[i], false, base, POOL_BLOCK, &r))
			pool_bits_put(map, (u32)((r.base - base) / PAGE_SIZE),
				      (u32)(r.len / PAGE_SIZE), true);
	for (size_t i = 0; i < l->nreserved; i++)
		if (clip(&l->reserved[i], true, base, POOL_BLOCK, &r))
			pool_bits_put(map, (u32)((r.base - base) / PAGE_SIZE),
				      (u32)(r.len / PAGE_SIZE), false);
	if (base == 0)
		map[0] &= ~1ull;
}

bool pool_layout_plain(const struct pool_layout *l, const struct pool_range *u, hpa_t base)
{
	struct pool_range r;

	if (base == 0 || !range_within(base, POOL_BLOCK, u->base, u->len))
		return false;
	for (size_t i = 0; i < l->nreserved; i++)
		if (clip(&l->reserved[i], true, base, POOL_BLOCK, &r))
			return false;
	return true;
}

u64 pool_layout_top(const struct pool_layout *l, u64 *ignored)
{
	u64 top = 0;

	for (size_t i = 0; i < l->nusable; i++) {
		struct pool_range r;

		if (clip(&l->usable[i], false, 0, POOL_MAX_BYTES, &r))
			top = max_u64(top, r.base + r.len);
		if (clip(&l->usable[i], false, POOL_MAX_BYTES, ~0ull - POOL_MAX_BYTES, &r))
			*ignored += r.len;
	}
	return top;
}

size_t pool_meta_bytes(const struct pool_layout *l)
{
	u64 ignored = 0;

	return (size_t)(align_up(pool_layout_top(l, &ignored), POOL_BLOCK) / POOL_BLOCK *
			sizeof(struct pool_block));
}

/* First address at or after pos where [pos, pos+bytes) meets nothing reserved. */
static u64 skip_reserved(const struct pool_layout *l, u64 pos, u64 bytes)
{
	/* Each round leaves at least one reserved range behind for good. */
	for (size_t round = 0; round <= l->nreserved; round++) {
		bool moved = false;

		for (size_t i = 0; i < l->nreserved; i++) {
			struct pool_range r;

			if (!clip(&l->reserved[i], true, pos, bytes, &r))
				continue;
			if (!checked_add(l->reserved[i].base, l->reserved[i].len, &pos))
				return ~0ull;
			if (pos > POOL_MAX_BYTES)
				return ~0ull;
			pos = align_up(pos, PAGE_SIZE);
			moved = true;
		}
		if (!moved)
			return pos;
	}
	return ~0ull;
}

int pool_find_space(const struct pool_layout *l, u64 bytes, hpa_t from, hpa_t *out)
{
	u64 best = ~0ull;

	bytes = align_up(bytes, PAGE_SIZE);
	from = align_up(max_u64(from, PAGE_SIZE), PAGE_SIZE);
	for (size_t i = 0; i < l->nusable; i++) {
		struct pool_range r;
		u64 pos;

		if (from >= POOL_MAX_BYTES ||
		    !clip(&l->usable[i], false, from, POOL_MAX_BYTES - from, &r) || r.len < bytes)
			continue;
		pos = skip_reserved(l, r.base, bytes);
		if (pos != ~0ull && range_within(pos, bytes, r.base, r.len))
			best = min_u64(best, pos);
	}
	if (best == ~0ull)
		return -ENOMEM;
	*out = best;
	return 0;
}

bool pool_layout_clip(const struct pool_range *r, struct pool_range *out)
{
	return clip(r, false, 0, POOL_MAX_BYTES, out);
}
