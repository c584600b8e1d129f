/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that firmware wants functions to reach at all times (RMRR, IVMD), one to one. Pure.
 */
#ifndef IOMMU_RESV_H
#define IOMMU_RESV_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define RESV_REGIONS 128

/* Interrupt messages go here; it is never memory. */
#define RESV_MSI_BASE 0xfee00000ull
#define RESV_MSI_SIZE 0x00100000ull

struct resv_region {
	hpa_t base;
	u64 len;   /* multiples of 4 KiB */
	u64 rights; /* PG_R, PG_R | PG_W */
	u16 first, last; /* requester ids */
};

struct resv {
	struct resv_region region[RESV_REGIONS];
	u32 count;
};

/**
 * resv_add() - one more. Returns 0; -EINVAL (unaligned, empty, wraps, ids backwards, in the
 * interrupt range), -ENOSPC (more than RESV_REGIONS). A region equal but for its ids is
 * joined when the ids continue.
 */
int MUST_CHECK resv_add(struct resv *r, const struct resv_region *n);

/**
 * resv_next() - the first region of bdf at index *at or above, and *at behind it; NULL: no more.
 */
const struct resv_region *resv_next(const struct resv *r, u16 bdf, u32 *at);

/** resv_has() - does firmware keep memory for bdf? */
bool resv_has(const struct resv *r, u16 bdf);

#endif
