/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD-Vi's table entries: device table, interrupt tables, event log. Pure: values in, values out.
 */
#ifndef IOMMU_AMDVI_AMDVI_TBL_H
#define IOMMU_AMDVI_AMDVI_TBL_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* A device table entry (§2.2.2.1). */
struct amdvi_dte {
	u64 q[4];
};

#define AMDVI_DTES 65536u /* one for each requester id */

/* What a function may do; 0 as a table means that all of that kind is blocked. */
struct amdvi_device {
	hpa_t root;  /* of a four-level table; also blocking needs one, an empty one */
	u16 domain;
	hpa_t irqs;  /* interrupt table, 128-byte aligned */
	u8 irq_order; /* it has 2^order entries, at most 11 */
	u8 settings; /* IVRS_DTE_* bits: special interrupts that pass by the table */
};

/**
 * amdvi_dte() - valid entry with translation; interrupts remapped through the table, or blocked.
 */
struct amdvi_dte amdvi_dte(const struct amdvi_device *d);

/* An interrupt entry: lo alone in the 32-bit format. */
struct amdvi_irte {
	u64 lo, hi;
};

/** amdvi_irte32() - fixed, physical destination of 8 bits (§2.2.5.2). */
u32 amdvi_irte32(u8 vector, u32 dest);

/** amdvi_irte128() - fixed, physical destination of 32 bits (§2.2.5.3). */
struct amdvi_irte amdvi_irte128(u8 vector, u32 dest);

/* The message that selects entry i is this address and i as data. */
#define AMDVI_MSI_ADDRESS 0xfee00000u

/** amdvi_rte() - I/O APIC entry that selects interrupt entry index, below 2048. */
u64 amdvi_rte(u16 index, bool level, bool active_low);

struct amdvi_caps {
	bool x2apic;	  /* XTSup: 32-bit destinations */
	bool wide_irq;	  /* GASup: 128-bit interrupt entries */
	bool invalidate_all; /* IASup */
	u8 levels;	  /* of the deepest page table */
};

/** amdvi_caps() - decode the extended feature register (§3.4.3). */
struct amdvi_caps amdvi_caps(u64 efr);

/* An event log record. */
struct amdvi_event {
	u8 code;
	u16 source;
	u16 domain;
	u64 addr;
	bool write, irq, present;
	bool fault; /* a device was blocked; else the unit itself complains */
	const char *text;
};

/** amdvi_event() - decode one; false: it is not written yet (§2.5). */
bool amdvi_event(u64 lo, u64 hi, struct amdvi_event *out);

#endif
