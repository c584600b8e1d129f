/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's frame pool and the direct map: kernel/mm/pool with a lock around it.
 */
#ifndef KERNEL_CORE_FRAMES_H
#define KERNEL_CORE_FRAMES_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/mm/pool.h"

/* All RAM is mapped here, read-write and no-execute (the image's own text read-only). */
#define DMAP_BASE 0xffff800000000000ull

static inline void *phys_to_virt(hpa_t pa)
{
	return (void *)(uintptr_t)(DMAP_BASE + pa);
}

/** virt_to_phys() - of an address in the direct map or in the image. */
hpa_t virt_to_phys(const void *va);

/** hv_owner() - the hypervisor's own account. */
struct pool_owner *hv_owner(void);

/** frame_alloc() - one zeroed 4 KiB frame on owner's account; *out = its address. -ENOMEM. */
int MUST_CHECK frame_alloc(struct pool_owner *owner, hpa_t *out);
void frame_free(struct pool_owner *owner, hpa_t pa);

/** block_alloc() - one 2 MiB block, contents undefined: the caller clears what a guest will see. */
int MUST_CHECK block_alloc(struct pool_owner *owner, hpa_t *out);
void block_free(struct pool_owner *owner, hpa_t pa);

/**
 * blocks_alloc() - n 2 MiB blocks into out[n], all or none, in runs of 1 GiB where it can. -ENOMEM.
 */
int MUST_CHECK blocks_alloc(struct pool_owner *owner, u64 n, hpa_t *out);

/** owner_add(), owner_remove() - pool_owner_add() and pool_owner_remove() under the pool's lock. */
int MUST_CHECK owner_add(struct pool_owner *o, const char *name, u64 quota);
int MUST_CHECK owner_remove(struct pool_owner *o);

/* An account, copied for printing. */
struct pool_owner_info {
	char name[32];
	u64 quota, used, peak; /* bytes */
};

/** owner_list() - copy at most max accounts; returns how many. */
u32 owner_list(struct pool_owner_info *out, u32 max);

/** frames_stats(), frames_audit() - pool_stats() and pool_audit() under the pool's lock. */
void frames_stats(struct pool_stats *out);
bool frames_audit(void);

/** frames_fail() - for tests: the *n-th allocation from now on fails, 0: none; NULL: as before.
 * Returns how many were still to come before one would have, 0: it has, or none was to. */
u64 frames_fail(const u64 *n);

/**
 * frames_early() - before the pool: frame_alloc() hands out [start, end), which the boot map
 * reaches. frames_early_used() - end of what it has handed out, for good; reserve it from the pool.
 */
void frames_early(hpa_t start, hpa_t end);
hpa_t frames_early_used(void);

/** frames_init() - open the pool; its metadata at meta (reserved in l). Errors of pool_init(). */
int MUST_CHECK frames_init(const struct pool_layout *l, hpa_t meta);

/**
 * kalloc() - zeroed memory, page-aligned when bytes >= 4096, else 64-byte aligned, on owner's
 * account. NULL: no memory or quota. bytes <= 2 MiB.
 */
void *kalloc(struct pool_owner *owner, size_t bytes) MUST_CHECK;
/** kfree() - bytes as given to kalloc(); p may be NULL. */
void kfree(struct pool_owner *owner, void *p, size_t bytes);

#endif
