/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI DMAR table: VT-d units, which devices they serve, reserved memory.
 * Pure: the table comes as bytes, bridges' bus numbers by a callback.
 */
#ifndef IOMMU_VTD_DMAR_H
#define IOMMU_VTD_DMAR_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define DMAR_UNITS  32
#define DMAR_RMRRS  64
#define DMAR_ATSRS  16
#define DMAR_RHSAS  32
#define DMAR_SCOPES 512
#define DMAR_HOPS   8

enum dmar_scope_type {
	DMAR_SCOPE_ENDPOINT = 1,
	DMAR_SCOPE_BRIDGE = 2, /* and all behind it */
	DMAR_SCOPE_IOAPIC = 3,
	DMAR_SCOPE_HPET = 4,
	DMAR_SCOPE_ACPI = 5,
};

struct dmar_scope {
	u8 type;    /* enum dmar_scope_type; other values are kept and match nothing */
	u8 enum_id; /* of an I/O APIC as the MADT has it, of an HPET block */
	u8 bus;	    /* where the path starts */
	u8 hops;
	u8 path[DMAR_HOPS]; /* device << 3 | function: bridges, then the device */
};

/* Scopes first .. first + count - 1 of struct dmar. */
struct dmar_scopes {
	u16 first, count;
};

struct dmar_unit {
	hpa_t mmio;
	u32 mmio_len;
	u16 segment;
	bool all; /* INCLUDE_PCI_ALL: every device of the segment that no other unit names */
	struct dmar_scopes scopes;
};

struct dmar_rmrr {
	hpa_t base;
	u64 len;
	u16 segment;
	struct dmar_scopes scopes;
};

struct dmar_atsr {
	u16 segment;
	bool all_ports;
	struct dmar_scopes scopes;
};

struct dmar_rhsa {
	hpa_t mmio; /* of the unit */
	u32 node;
};

struct dmar {
	u8 addr_bits; /* widest DMA address of the platform */
	bool intr_remap;
	bool x2apic_opt_out; /* firmware asks not to use x2APIC destinations */
	struct dmar_unit unit[DMAR_UNITS];
	struct dmar_rmrr rmrr[DMAR_RMRRS];
	struct dmar_atsr atsr[DMAR_ATSRS];
	struct dmar_rhsa rhsa[DMAR_RHSAS];
	struct dmar_scope scope[DMAR_SCOPES];
	u32 units, rmrrs, atsrs, rhsas, scopes;
	u32 ignored; /* structures of types that are not used here */
};

/* The bus topology as it is now. */
struct dmar_topology {
	void *ctx;
	/* bridge() - buses behind the bridge at bdf of segment 0; false: no bridge is there. */
	bool (*bridge)(void *ctx, u16 bdf, u8 *secondary, u8 *subordinate);
};

/**
 * dmar_parse() - t: the whole table, length and checksum verified. Returns 0; -EPROTO when
 * something is malformed, -ENOSPC when a limit above is exceeded: a unit or a reserved region that
 * is left out would be a hole, so there is no record then. why says what and at which
 * offset. Manual: VT-d 4.1 §8.
 */
int MUST_CHECK dmar_parse(const u8 *t, size_t len, struct dmar *out, char *why, size_t why_size);

/** dmar_scope_bdf() - the function that a scope's path ends at. -ENODEV: a bridge is missing. */
int MUST_CHECK dmar_scope_bdf(const struct dmar_scope *s, const struct dmar_topology *topo,
			      u16 *bdf);

/** dmar_scopes_match() - does one of the scopes name the function, or a bridge above it? */
bool dmar_scopes_match(const struct dmar *d, struct dmar_scopes scopes,
		       const struct dmar_topology *topo, u16 bdf);

/** dmar_unit_of() - index of the unit that serves a PCI function, -ENODEV when none does. */
int MUST_CHECK dmar_unit_of(const struct dmar *d, const struct dmar_topology *topo, u16 segment,
			    u16 bdf);

/**
 * dmar_special() - the unit that remaps interrupts of I/O APIC or HPET block enum_id, and the
 * source id it sends them with. Returns the unit's index, or -ENODEV.
 */
int MUST_CHECK dmar_special(const struct dmar *d, const struct dmar_topology *topo,
			    enum dmar_scope_type type, u8 enum_id, u16 *source);

#endif
