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
 * kalloc() - zeroed memory, page-aligned when bytes >= 4096, else 64-byte aligned, on owner's
 * account. NULL: no memory or quota. bytes <= 2 MiB.
 */
void *kalloc(struct pool_owner *owner, size_t bytes) MUST_CHECK;
/** kfree() - bytes as given to kalloc(); p may be NULL. */
void kfree(struct pool_owner *owner, void *p, size_t bytes);

#endif
