/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD-Vi's commands and the arithmetic of its command buffer and event log. Pure.
 */
#ifndef IOMMU_AMDVI_AMDVI_CMD_H
#define IOMMU_AMDVI_AMDVI_CMD_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* Command buffer and event log are one page each, of 128-bit entries; head and tail count bytes. */
#define AMDVI_RING_ENTRIES 256u
#define AMDVI_RING_LENGTH  8ull /* as the base registers have it: log2 */

struct amdvi_cmd {
	u64 lo, hi;
};

/** amdvi_cmd_wait() - write value to store (8-byte aligned) when all before is done (§2.4.1). */
struct amdvi_cmd amdvi_cmd_wait(hpa_t store, u64 value);

/** amdvi_cmd_device() - forget the device table entry of a requester id (§2.4.2). */
struct amdvi_cmd amdvi_cmd_device(u16 source);

/**
 * amdvi_cmd_pages() - forget translations of first..last (device addresses) of a domain, and of the
 * tables above them: one naturally aligned power of two of pages that covers it (§2.4.3).
 */
struct amdvi_cmd amdvi_cmd_pages(u16 domain, u64 first, u64 last);

/** amdvi_cmd_domain() - forget all translations of a domain. */
struct amdvi_cmd amdvi_cmd_domain(u16 domain);

/** amdvi_cmd_irqs() - forget the interrupt entries of a requester id (§2.4.5). */
struct amdvi_cmd amdvi_cmd_irqs(u16 source);

/** amdvi_cmd_all() - forget everything; only where the unit offers it (§2.4.8). */
struct amdvi_cmd amdvi_cmd_all(void);

/** amdvi_ring_space() - entries that fit between tail and head, as indices; one stays free. */
static inline u32 amdvi_ring_space(u32 head, u32 tail)
{
	return (head - tail - 1) & (AMDVI_RING_ENTRIES - 1);
}

/** amdvi_ring_next() - index behind i. */
static inline u32 amdvi_ring_next(u32 i)
{
	return (i + 1) & (AMDVI_RING_ENTRIES - 1);
}

#endif
