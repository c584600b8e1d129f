/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the IOMMU layer and its two drivers: what a driver does, and what it gets to do it.
 * All operations run under the IOMMU's lock; they never call upward but by 'report'.
 */
#ifndef IOMMU_DRIVER_H
#define IOMMU_DRIVER_H

#include "iommu/iommu.h"
#include "iommu/resv.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/log.h"
#include "kernel/mm/pgtable.h"

#define IOMMU_UNITS 32

/* Longest wait for a unit's answer. */
#define IOMMU_WAIT_US 100000

struct iommu_unit {
	hpa_t mmio;
	volatile u8 *regs;
	bool broken; /* a wait ended without answer: nothing it does can be relied upon */
	bool irqs;   /* remaps interrupts */
	u8 bits;     /* widest device address */
	u64 flushes, faults;
	u64 window_ns, window_faults; /* when and at how many faults this window began */
	struct log_limit limit;
};

/* What all units have in common, and the layer arranges itself by. */
struct iommu_common {
	const struct pgfmt *fmt;
	u64 max_leaf;	/* bytes */
	u8 bits;	/* of device addresses */
	u32 domain_ids; /* ids 1 .. domain_ids - 1 can be used */
	bool coherent;	/* units see what is in caches */
	bool flush_added; /* a new translation needs a flush too */
	bool irqs;
	u32 units;
};

/* What a domain is to a driver. */
struct iommu_table {
	u16 id;
	hpa_t root;
};

/* An interrupt line of the I/O APIC. */
struct iommu_line {
	u8 vector;
	u32 dest;
	bool level, active_low;
};

struct iommu_driver {
	const char *name;

	/*
	 * probe() - read the tables, map registers, build tables in which everything is blocked;
	 * reserved memory goes to resv. Nothing is switched on.
	 */
	int (*probe)(const struct acpi_info *a, struct iommu_common *c,
		     struct resv *resv) MUST_CHECK;
	/*
	 * enable() - translation, then interrupt remapping, on all units. blocked: an empty domain.
	 */
	int (*enable)(const struct iommu_table *blocked) MUST_CHECK;
	struct iommu_unit *(*unit)(u32 i);
	/*
	 * unit_of() - which one serves bdf, and as which requester id. -ENODEV; -ENOTSUP:
	 * interrupts of an I/O APIC or HPET have its id.
	 */
	int (*unit_of)(u16 bdf, u16 *alias) MUST_CHECK;

	/*
	 * set() - bdf translates through t, or is blocked (t NULL); the unit has forgotten what it
	 * knew before (domain id old) on return. -ENOMEM (unchanged), -ETIMEDOUT (changed in
	 * memory).
	 */
	int (*set)(u32 unit, u16 bdf, const struct iommu_table *t, u16 old) MUST_CHECK;
	/* flush() - forget translations of a domain. -ETIMEDOUT. */
	int (*flush)(u32 unit, u16 domain, u64 first, u64 last) MUST_CHECK;

	/*
	 * irq_reserve() - count consecutive entries for requester bdf, all blocked; the first's
	 * index.
	 */
	int (*irq_reserve)(u32 unit, u16 bdf, u16 count) MUST_CHECK;
	/* irq_set() - vector 0 blocks. */
	int (*irq_set)(u32 unit, u16 bdf, u16 index, u8 vector, u32 dest) MUST_CHECK;
	void (*irq_release)(u32 unit, u16 bdf, u16 index, u16 count);
	/* irq_drop() - block and release all of bdf. */
	void (*irq_drop)(u32 unit, u16 bdf);
	/* irq_message() - of interrupt i of the block at first. */
	struct iommu_msi (*irq_message)(u16 first, u16 i);
	/* irq_dest_max() - highest APIC id that can be a destination. */
	u32 (*irq_dest_max)(void);

	/*
	 * ioapic() - redirection entry for an input of the I/O APIC with that id. -ENODEV, -ENOSPC.
	 */
	int (*ioapic)(u8 id, u32 pin, const struct iommu_line *l, u64 *rte) MUST_CHECK;

	/* fault_irq() - let the unit announce faults by this vector. */
	int (*fault_irq)(u32 unit, u8 vector, u32 dest) MUST_CHECK;
	/* poll() - next fault recorded, and forget it; false: none. */
	bool (*poll)(u32 unit, struct iommu_fault *out);
};

extern const struct iommu_driver vtd_driver;
extern const struct iommu_driver amdvi_driver;

/** iommu_wait() - poll done(ctx) for at most IOMMU_WAIT_US. -ETIMEDOUT. */
int MUST_CHECK iommu_wait(bool (*done)(void *ctx), void *ctx);

/**
 * iommu_writeback() - what the CPU wrote to [p, p+len) is in memory; for units that do not snoop.
 */
void iommu_writeback(const void *p, size_t len);

#endif
