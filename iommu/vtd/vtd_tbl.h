/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VT-d's table entries: root, context and interrupt remapping. Pure: values in, values out.
 */
#ifndef IOMMU_VTD_VTD_TBL_H
#define IOMMU_VTD_VTD_TBL_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* All entries have 128 bits. */
struct vtd_entry {
	u64 lo, hi;
};

/** vtd_root() - entry of a bus that points to its context table (VT-d §9.1). */
struct vtd_entry vtd_root(hpa_t context_table);

/** vtd_root_table() - the context table a root entry points to, 0: none. */
hpa_t vtd_root_table(struct vtd_entry e);

/**
 * vtd_context() - entry of a function that translates through the second-level table at root with 3
 * or 4 levels; requests that are translated already (ATS) are blocked (§9.3).
 */
struct vtd_entry vtd_context(hpa_t root, u32 levels, u16 domain);

static inline bool vtd_context_present(struct vtd_entry e)
{
	return (e.lo & 1) != 0;
}

/** vtd_context_domain() - domain id of a present context entry. */
u16 vtd_context_domain(struct vtd_entry e);

/* Where an interrupt goes. */
struct vtd_irq {
	u8 vector;
	u32 dest;    /* APIC id */
	bool level;
	bool x2apic; /* the table is in extended mode: 32-bit destinations */
	u16 source;  /* only this requester may use the entry */
};

/** vtd_irte() - fixed delivery, physical destination, source id verified whole (§9.10). */
struct vtd_entry vtd_irte(const struct vtd_irq *q);

/**
 * vtd_msi_address(), vtd_msi_data() - remappable format of interrupt sub of a block at index
 * (§5.1.2.2).
 */
u32 vtd_msi_address(u16 index);
u32 vtd_msi_data(u16 sub);

/** vtd_rte() - I/O APIC entry in remappable format; vector as in the IRTE, for EOI (§5.1.5.1). */
u64 vtd_rte(u16 index, u8 vector, bool level, bool active_low);

/* What a unit can do, out of its capability registers (§11.4.2, §11.4.3). */
struct vtd_caps {
	u32 domains;
	u8 addr_bits;	/* MGAW */
	bool levels3, levels4; /* second-level tables */
	u64 max_leaf;	/* bytes: 4 KiB, 2 MiB or 1 GiB */
	bool caching;	/* not-present entries are cached too */
	bool write_flush; /* needs a write-buffer flush */
	bool protected_memory; /* has the protected memory registers */
	bool page_flush; /* page-selective invalidation, of at most 2^flush_order pages */
	u8 flush_order;
	bool drain_read, drain_write;
	u32 fault_offset, faults; /* fault recording registers */
	bool coherent, queued, irq_remap, x2apic;
	u32 iotlb_offset;
};

/** vtd_caps() - decode CAP and ECAP. */
struct vtd_caps vtd_caps(u64 cap, u64 ecap);

/* A fault recording register. */
struct vtd_fault {
	u16 source;
	u8 reason;
	bool read; /* else write; of a DMA */
	bool irq;  /* of an interrupt: addr is its index */
	u64 addr;
};

/** vtd_fault() - decode one; false: it holds none (§11.4.14). */
bool vtd_fault(struct vtd_entry e, struct vtd_fault *out);

/** vtd_fault_text() - what a fault reason means (§7.1.3). */
const char *vtd_fault_text(u8 reason);

#endif
