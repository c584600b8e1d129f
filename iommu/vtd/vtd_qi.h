/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VT-d's invalidation queue: descriptors and the arithmetic of its ring. Pure.
 */
#ifndef IOMMU_VTD_VTD_QI_H
#define IOMMU_VTD_VTD_QI_H

#include "iommu/vtd/vtd_tbl.h"

/* One page of 128-bit descriptors (IQA.QS 0). */
#define VTD_QI_ENTRIES 256u
#define VTD_QI_SHIFT   4 /* of the head and tail registers */

/** vtd_qi_context_all() - forget all context entries (VT-d §6.5.2.1). */
struct vtd_entry vtd_qi_context_all(void);

/** vtd_qi_context_device() - forget the context entry of one function of a domain. */
struct vtd_entry vtd_qi_context_device(u16 domain, u16 source);

/**
 * vtd_qi_iotlb_all(), vtd_qi_iotlb_domain() - forget translations; reads and writes are drained
 * (§6.5.2.3).
 */
struct vtd_entry vtd_qi_iotlb_all(const struct vtd_caps *c);
struct vtd_entry vtd_qi_iotlb_domain(const struct vtd_caps *c, u16 domain);

/**
 * vtd_qi_iotlb_range() - forget what lies in first..last (device addresses) of a domain: one
 * naturally aligned power of two of pages that covers it, or the domain when the unit cannot.
 */
struct vtd_entry vtd_qi_iotlb_range(const struct vtd_caps *c, u16 domain, u64 first, u64 last);

/**
 * vtd_qi_irq_all(), vtd_qi_irq() - forget interrupt entries: all, or 2^order from index (§6.5.2.7).
 */
struct vtd_entry vtd_qi_irq_all(void);
struct vtd_entry vtd_qi_irq(u16 index, u8 order);

/** vtd_qi_wait() - write value to status (4-byte aligned) when all before is done (§6.5.2.8). */
struct vtd_entry vtd_qi_wait(hpa_t status, u32 value);

/** vtd_qi_space() - descriptors that fit between tail and head, as indices; one stays free. */
static inline u32 vtd_qi_space(u32 head, u32 tail)
{
	return (head - tail - 1) & (VTD_QI_ENTRIES - 1);
}

/** vtd_qi_next() - index behind i. */
static inline u32 vtd_qi_next(u32 i)
{
	return (i + 1) & (VTD_QI_ENTRIES - 1);
}

#endif
