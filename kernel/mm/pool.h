/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of physical memory: 2 MiB blocks for guests, 4 KiB frames carved out of split blocks,
 * every byte on somebody's account. Pure; the caller holds one lock around all of it.
 */
#ifndef KERNEL_MM_POOL_H
#define KERNEL_MM_POOL_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define POOL_MAX_BYTES	 (1ull << 40) /* memory above is left alone and counted as ignored */
#define POOL_OWNERS	 128
#define POOL_NO_QUOTA	 (~0ull)
#define POOL_BLOCK	 SIZE_2M
#define POOL_FRAMES	 512u /* in a block */

struct pool_range {
	hpa_t base;
	u64 len;
};

struct pool_env {
	void *ctx;
	/* map() - address at which a block's or frame's memory is reached; never fails for RAM. */
	void *(*map)(void *ctx, hpa_t hpa);
};

/* An account. Fields are the pool's own; readers may look at the first four. */
struct pool_owner {
	char name[32];
	u64 quota; /* bytes */
	u64 used;  /* bytes */
	u64 peak;  /* largest 'used' so far */
	u32 id;	   /* 1..POOL_OWNERS-1; 0: not registered */
	u32 hint;  /* block that gave the last frame */
	u32 loose; /* split blocks of this owner that have a free frame */
};

struct pool_block {
	u8 state;     /* enum block_state, pool.c */
	u8 owner;     /* id, 0: nobody */
	u16 free;     /* frames free, when split */
	u16 capacity; /* frames that can be handed out, when split */
	u16 header;   /* frame that holds the bitmap, when split */
};

struct pool {
	struct pool_env env;
	struct pool_block *block; /* of address i * 2 MiB */
	u64 blocks;
	u64 total;    /* bytes under management, overhead included */
	u64 free;     /* bytes */
	u64 overhead; /* bytes: one frame in each split block holds its bitmap */
	u64 ignored;  /* bytes of usable memory beyond POOL_MAX_BYTES */
	struct pool_owner *owner[POOL_OWNERS];
};

struct pool_stats {
	u64 total, free, used, overhead, ignored; /* bytes; total = free + used + overhead */
	u64 largest_run;			  /* bytes of adjacent free blocks */
	u32 free_blocks, split_blocks, owners;
};

/* The memory map, as the caller gathered it; ranges may overlap, be unsorted and unaligned. */
struct pool_layout {
	const struct pool_range *usable;
	size_t nusable;
	const struct pool_range
		*reserved; /* wins over usable: image, modules, firmware, metadata */
	size_t nreserved;
};

/** pool_meta_bytes() - size of the metadata that pool_init() needs for this layout. */
size_t pool_meta_bytes(const struct pool_layout *l);

/**
 * pool_find_space() - the lowest place of 'bytes' (page-aligned, in usable and not in reserved
 * memory, at or above 'from') before there is a pool: for its metadata. Returns 0; -ENOMEM.
 */
int MUST_CHECK pool_find_space(const struct pool_layout *l, u64 bytes, hpa_t from, hpa_t *out);

/**
 * pool_init() - take over what is usable and not reserved; frame 0 is never used. meta:
 * pool_meta_bytes() of memory that is reserved in the layout, 8-byte aligned. Writes into one
 * frame of each 2 MiB block that is partly reserved. Returns 0, else p must not be used: -EINVAL
 * (meta too small); -ENOMEM (nothing usable).
 */
int MUST_CHECK pool_init(struct pool *p, const struct pool_env *env, const struct pool_layout *l,
			 void *meta, size_t meta_bytes);

/**
 * pool_owner_add() - open an account of at most quota bytes (POOL_NO_QUOTA). -ENOSPC: POOL_OWNERS.
 */
int MUST_CHECK pool_owner_add(struct pool *p, struct pool_owner *o, const char *name, u64 quota);

/** pool_owner_remove() - close it. -EBUSY: o->used is not 0. */
int MUST_CHECK pool_owner_remove(struct pool *p, struct pool_owner *o);

/**
 * pool_alloc_frames() - n (1..512) adjacent 4 KiB frames, zeroed. Returns 0; -EINVAL (n);
 * -ENOMEM (none, or o's quota).
 */
int MUST_CHECK pool_alloc_frames(struct pool *p, struct pool_owner *o, u32 n, hpa_t *out);

/**
 * pool_free_frames() - give back n frames as they were allocated, or parts of it. Returns 0;
 * -EINVAL: a frame there is free already, not o's, or no frame (nothing was freed).
 */
int MUST_CHECK pool_free_frames(struct pool *p, struct pool_owner *o, hpa_t hpa, u32 n);

/**
 * pool_alloc_blocks() - n blocks of 2 MiB, contents undefined, addresses into out[n]: each 512
 * of them one naturally aligned GiB where memory allows, the rest as adjacent as possible.
 * Returns 0; -ENOMEM (too few, or o's quota), then none is taken.
 */
int MUST_CHECK pool_alloc_blocks(struct pool *p, struct pool_owner *o, u64 n, hpa_t *out);

/** pool_free_block() - give one block back. -EINVAL: free already, not o's, or no block. */
int MUST_CHECK pool_free_block(struct pool *p, struct pool_owner *o, hpa_t hpa);

/** pool_stats() - figures; walks the metadata. */
void pool_stats(const struct pool *p, struct pool_stats *out);

/**
 * pool_audit() - does every sum agree with the metadata, to the page? For tests and the mem verb.
 */
bool pool_audit(const struct pool *p);

#endif
