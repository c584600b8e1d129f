/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame pool. A split block belongs to one owner; its bitmap lies in a frame of its own, so
 * that metadata costs eight bytes a block and nothing has to be allocated to split one.
 */
#include "kernel/mm/pool.h"

#include "kernel/base/assert.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/mm/pool_priv.h"

enum block_state {
	BLOCK_NONE,  /* not memory, or reserved */
	BLOCK_FREE,
	BLOCK_WHOLE, /* allocated as 2 MiB */
	BLOCK_SPLIT, /* all of it was free once */
	BLOCK_MIXED, /* split for ever: parts are reserved */
};

#define BLOCKS_PER_GIB (SIZE_1G / POOL_BLOCK)

/* At the start of the first usable frame of a split block; that frame is never handed out. */
struct split {
	u64 free[BITMAP_WORDS];	 /* 1: free */
	u64 valid[BITMAP_WORDS]; /* 1: a frame that can be handed out */
};

/* ---- split blocks --------------------------------------------------------------------------- */

static u32 first_valid(const u64 *map)
{
	u32 i = 0;

	while (i < POOL_FRAMES && !pool_bit_get(map, i))
		i++;
	return i;
}

static struct split *split_of(const struct pool *p, u64 b)
{
	return p->env.map(p->env.ctx, b * POOL_BLOCK + p->block[b].header * PAGE_SIZE);
}

static bool is_split(const struct pool_block *k)
{
	return k->state == BLOCK_SPLIT || k->state == BLOCK_MIXED;
}

/* Make block b hand out the frames of 'map'; its first one becomes the header. */
static void split_begin(struct pool *p, u64 b, const u64 *map, enum block_state state)
{
	struct pool_block *k = &p->block[b];
	struct split *s;

	k->state = (u8)state;
	k->header = (u16)first_valid(map);
	s = split_of(p, b);
	memcpy(s->valid, map, sizeof(s->valid));
	pool_bits_put(s->valid, k->header, 1, false);
	memcpy(s->free, s->valid, sizeof(s->free));
	k->capacity = (u16)pool_bits_count(s->valid);
	k->free = k->capacity;
	p->overhead += PAGE_SIZE;
}

/* First of n adjacent free frames, or POOL_FRAMES. */
static u32 split_find(const struct split *s, u32 n)
{
	u32 run = 0;

	for (u32 i = 0; i < POOL_FRAMES; i++) {
		if (i % 64 == 0 && s->free[i / 64] == 0) {
			run = 0;
			i += 63;
			continue;
		}
		run = pool_bit_get(s->free, i) ? run + 1 : 0;
		if (run == n)
			return i + 1 - n;
	}
	return POOL_FRAMES;
}

/* ---- accounts ------------------------------------------------------------------------ */

static bool owner_ok(const struct pool *p, const struct pool_owner *o)
{
	return o->id > 0 && o->id < POOL_OWNERS && p->owner[o->id] == o;
}

static bool quota_allows(const struct pool_owner *o, u64 bytes)
{
	return bytes <= o->quota && o->used <= o->quota - bytes;
}

static void charge(struct pool *p, struct pool_owner *o, u64 bytes)
{
	o->used += bytes;
	o->peak = max_u64(o->peak, o->used);
	p->free -= bytes;
}

static void credit(struct pool *p, struct pool_owner *o, u64 bytes)
{
	o->used -= bytes;
	p->free += bytes;
}

int pool_owner_add(struct pool *p, struct pool_owner *o, const char *name, u64 quota)
{
	for (u32 id = 1; id < POOL_OWNERS; id++) {
		if (p->owner[id])
			continue;
		*o = (struct pool_owner){ .quota = quota, .id = id };
		/* A longer name is cut: it is for people only. */
		(void)str_copy(o->name, sizeof(o->name), name);
		p->owner[id] = o;
		return 0;
	}
	return -ENOSPC;
}

int pool_owner_remove(struct pool *p, struct pool_owner *o)
{
	if (!owner_ok(p, o) || o->used)
		return -EBUSY;
	p->owner[o->id] = NULL;
	o->id = 0;
	return 0;
}

/* ---- initialisation ------------------------------------------------------------------ */

static void init_block(struct pool *p, const struct pool_layout *l, const struct pool_range *u,
		       u64 b)
{
	u64 map[BITMAP_WORDS];
	u32 n;

	if (pool_layout_plain(l, u, b * POOL_BLOCK)) {
		n = POOL_FRAMES;
	} else {
		pool_layout_bitmap(l, b * POOL_BLOCK, map);
		n = pool_bits_count(map);
	}
	p->total += n * PAGE_SIZE;
	if (n == POOL_FRAMES) {
		p->block[b].state = BLOCK_FREE;
		p->free += POOL_BLOCK;
	} else if (n > 0) {
		split_begin(p, b, map, BLOCK_MIXED);
		p->free += (n - 1) * PAGE_SIZE;
	}
}

int pool_init(struct pool *p, const struct pool_env *env, const struct pool_layout *l, void *meta,
	      size_t meta_bytes)
{
	size_t need = pool_meta_bytes(l);

	if (meta_bytes < need)
		return -EINVAL;
	*p = (struct pool){ .env = *env,
			    .block = meta,
			    .blocks = need / sizeof(struct pool_block) };
	(void)pool_layout_top(l, &p->ignored);
	memset(meta, 0, need);
	for (size_t i = 0; i < l->nusable; i++) {
		const struct pool_range *u = &l->usable[i];
		struct pool_range r;

		if (!pool_layout_clip(u, &r))
			continue;
		for (u64 b = r.base / POOL_BLOCK; b * POOL_BLOCK < r.base + r.len; b++)
			if (p->block[b].state == BLOCK_NONE)
				init_block(p, l, u, b);
	}
	return p->free ? 0 : -ENOMEM;
}

/* ---- blocks -------------------------------------------------------------------------- */

struct run {
	u64 first, n;
};

/* Part of run r from its first block that is GiB-aligned on; empty when it holds no such GiB. */
static struct run gib_part(struct run r)
{
	u64 first = align_up(r.first, BLOCKS_PER_GIB);
	u64 skip = first - r.first;

	if (r.n < skip || r.n - skip < BLOCKS_PER_GIB)
		return (struct run){ 0 };
	return (struct run){ .first = first, .n = BLOCKS_PER_GIB };
}

/*
 * The run of free blocks to take 'want' from: the smallest that has them all, else the largest
 * there is. gib: only naturally aligned GiBs count.
 */
static struct run find_run(const struct pool *p, u64 want, bool gib)
{
	struct run best = { 0 };
	u64 best_size = 0, b = 0;

	while (b < p->blocks) {
		struct run r = { .first = b }, use;
		bool better;

		while (b < p->blocks && p->block[b].state == BLOCK_FREE) {
			b++;
			r.n++;
		}
		if (r.n == 0) {
			b++;
			continue;
		}
		use = gib ? gib_part(r) : r;
		if (use.n == 0)
			continue;
		if (best_size >= want)
			better = r.n >= want && r.n < best_size;
		else
			better = r.n > best_size;
		if (better) {
			best = use;
			best_size = r.n;
		}
	}
	best.n = min_u64(best.n, want);
	return best;
}

static void take_run(struct pool *p, const struct pool_owner *o, struct run r, hpa_t *out)
{
	for (u64 i = 0; i < r.n; i++) {
		p->block[r.first + i].state = BLOCK_WHOLE;
		p->block[r.first + i].owner = (u8)o->id;
		out[i] = (r.first + i) * POOL_BLOCK;
	}
}

static u64 free_blocks(const struct pool *p)
{
	u64 n = 0;

	for (u64 b = 0; b < p->blocks; b++)
		n += p->block[b].state == BLOCK_FREE;
	return n;
}

int pool_alloc_blocks(struct pool *p, struct pool_owner *o, u64 n, hpa_t *out)
{
	u64 done = 0;

	ASSERT(owner_ok(p, o));
	if (n > free_blocks(p) || !quota_allows(o, n * POOL_BLOCK))
		return -ENOMEM;
	while (done < n) {
		struct run r = { 0 };

		if (done % BLOCKS_PER_GIB == 0 && n - done >= BLOCKS_PER_GIB)
			r = find_run(p, BLOCKS_PER_GIB, true);
		if (r.n == 0)
			r = find_run(p, n - done, false);
		ASSERT(r.n > 0);
		take_run(p, o, r, &out[done]);
		done += r.n;
	}
	charge(p, o, n * POOL_BLOCK);
	return 0;
}

int pool_free_block(struct pool *p, struct pool_owner *o, hpa_t hpa)
{
	u64 b = hpa / POOL_BLOCK;

	ASSERT(owner_ok(p, o));
	if (!is_aligned(hpa, POOL_BLOCK) || b >= p->blocks || p->block[b].state != BLOCK_WHOLE ||
	    p->block[b].owner != o->id)
		return -EINVAL;
	p->block[b] = (struct pool_block){ .state = BLOCK_FREE };
	credit(p, o, POOL_BLOCK);
	return 0;
}

/* ---- frames -------------------------------------------------------------------------- */

/* A block in which o has, or may take, n adjacent frames; p->blocks: none. */
static u64 frames_in_split(const struct pool *p, const struct pool_owner *o, u32 n, u32 *frame)
{
	bool unclaimed_only = o->loose == 0;

	for (u64 i = 0; i < p->blocks; i++) {
		/* From the block that worked last, once around. */
		u64 b = (o->hint + i) % p->blocks;
		const struct pool_block *k = &p->block[b];

		if (!is_split(k) || k->free < n ||
		    (k->owner && (k->owner != o->id || unclaimed_only)))
			continue;
		*frame = split_find(split_of(p, b), n);
		if (*frame < POOL_FRAMES)
			return b;
	}
	return p->blocks;
}

/* Split a free block for o; p->blocks: no block is free. */
static u64 split_new(struct pool *p, u32 *frame)
{
	struct run r = find_run(p, 1, false);
	u64 map[BITMAP_WORDS];

	if (r.n == 0)
		return p->blocks;
	memset(map, 0xff, sizeof(map));
	split_begin(p, r.first, map, BLOCK_SPLIT);
	p->free -= PAGE_SIZE;
	*frame = 1;
	return r.first;
}

static void frames_take(struct pool *p, struct pool_owner *o, u64 b, u32 frame, u32 n)
{
	struct pool_block *k = &p->block[b];

	if (k->owner == 0) {
		k->owner = (u8)o->id;
		o->loose++;
	}
	pool_bits_put(split_of(p, b)->free, frame, n, false);
	k->free = (u16)(k->free - n);
	if (k->free == 0)
		o->loose--;
	o->hint = (u32)b;
	charge(p, o, n * PAGE_SIZE);
}

int pool_alloc_frames(struct pool *p, struct pool_owner *o, u32 n, hpa_t *out)
{
	u32 frame = 0;
	hpa_t hpa;
	u64 b;

	ASSERT(owner_ok(p, o));
	if (n == 0 || n > POOL_FRAMES)
		return -EINVAL;
	if (n == POOL_FRAMES) {
		int err = pool_alloc_blocks(p, o, 1, &hpa);

		if (err)
			return err;
	} else {
		if (!quota_allows(o, n * PAGE_SIZE))
			return -ENOMEM;
		b = frames_in_split(p, o, n, &frame);
		if (b == p->blocks)
			b = split_new(p, &frame);
		if (b == p->blocks)
			return -ENOMEM;
		frames_take(p, o, b, frame, n);
		hpa = b * POOL_BLOCK + frame * PAGE_SIZE;
	}
	memset(p->env.map(p->env.ctx, hpa), 0, n * PAGE_SIZE);
	*out = hpa;
	return 0;
}

/* After frames came back: what is wholly free belongs to nobody, and merges if it can. */
static void split_settle(struct pool *p, struct pool_owner *o, u64 b)
{
	struct pool_block *k = &p->block[b];

	if (k->free < k->capacity)
		return;
	o->loose--;
	k->owner = 0;
	if (k->state == BLOCK_MIXED)
		return;
	*k = (struct pool_block){ .state = BLOCK_FREE };
	p->overhead -= PAGE_SIZE;
	p->free += PAGE_SIZE;
}

int pool_free_frames(struct pool *p, struct pool_owner *o, hpa_t hpa, u32 n)
{
	u64 b = hpa / POOL_BLOCK;
	u32 frame = (u32)(hpa % POOL_BLOCK / PAGE_SIZE);
	struct pool_block *k;
	struct split *s;

	ASSERT(owner_ok(p, o));
	if (n == POOL_FRAMES)
		return pool_free_block(p, o, hpa);
	if (!is_aligned(hpa, PAGE_SIZE) || b >= p->blocks || n == 0 || n > POOL_FRAMES - frame)
		return -EINVAL;
	k = &p->block[b];
	if (!is_split(k) || k->owner != o->id)
		return -EINVAL;
	s = split_of(p, b);
	for (u32 i = frame; i < frame + n; i++)
		if (pool_bit_get(s->free, i) || !pool_bit_get(s->valid, i))
			return -EINVAL;
	if (k->free == 0)
		o->loose++;
	pool_bits_put(s->free, frame, n, true);
	k->free = (u16)(k->free + n);
	credit(p, o, n * PAGE_SIZE);
	split_settle(p, o, b);
	return 0;
}

/* ---- figures ------------------------------------------------------------------------- */

void pool_stats(const struct pool *p, struct pool_stats *out)
{
	struct pool_stats s = { .total = p->total, .free = p->free, .overhead = p->overhead,
				.ignored = p->ignored };

	s.largest_run = find_run(p, ~0ull, false).n * POOL_BLOCK;
	for (u64 b = 0; b < p->blocks; b++) {
		s.free_blocks += p->block[b].state == BLOCK_FREE;
		s.split_blocks += is_split(&p->block[b]);
	}
	for (u32 i = 1; i < POOL_OWNERS; i++)
		if (p->owner[i]) {
			s.used += p->owner[i]->used;
			s.owners++;
		}
	*out = s;
}

bool pool_audit(const struct pool *p)
{
	u32 used[POOL_OWNERS] = { 0 }; /* frames */
	u64 free = 0, overhead = 0, all = 0;

	for (u64 b = 0; b < p->blocks; b++) {
		const struct pool_block *k = &p->block[b];

		if (k->state == BLOCK_FREE) {
			free += POOL_FRAMES;
		} else if (k->state == BLOCK_WHOLE) {
			used[k->owner] += POOL_FRAMES;
		} else if (is_split(k)) {
			if (pool_bits_count(split_of(p, b)->free) != k->free ||
			    k->free > k->capacity)
				return false;
			overhead++;
			free += k->free;
			used[k->owner] += (u32)(k->capacity - k->free);
		}
	}
	if (used[0])
		return false;
	for (u32 i = 1; i < POOL_OWNERS; i++) {
		all += used[i];
		if (used[i] * PAGE_SIZE != (p->owner[i] ? p->owner[i]->used : 0))
			return false;
	}
	return free * PAGE_SIZE == p->free && overhead * PAGE_SIZE == p->overhead &&
	       (all + free + overhead) * PAGE_SIZE == p->total;
}
