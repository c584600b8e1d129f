/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI IVRS table: AMD-Vi units, the requester ids they serve, reserved memory.
 * Pure: the table comes as bytes.
 */
#ifndef IOMMU_AMDVI_IVRS_H
#define IOMMU_AMDVI_IVRS_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define IVRS_UNITS    32
#define IVRS_DEVICES  1024
#define IVRS_SPECIALS 64
#define IVRS_MEMORIES 64

/* Settings of a device entry, as they go into its device table entry. */
#define IVRS_DTE_INIT	 0x01
#define IVRS_DTE_EXTINT	 0x02
#define IVRS_DTE_NMI	 0x04
#define IVRS_DTE_SYSMGT	 0x30 /* two bits */
#define IVRS_DTE_LINT0	 0x40
#define IVRS_DTE_LINT1	 0x80

/* IVHD flags (types 11h and 40h: those from bit 4 on). */
#define IVRS_UNIT_IOTLB	   0x10
#define IVRS_UNIT_COHERENT 0x20

struct ivrs_unit {
	u16 bdf;     /* PCI function of the unit */
	u16 segment;
	u16 cap;     /* offset of its capability */
	u8 type;     /* of the block that was used: 10h, 11h or 40h, the highest there is */
	u8 flags;
	hpa_t mmio;
	u64 efr; /* extended feature register as firmware reports it; 0 with type 10h */
	u16 first_device, devices; /* of struct ivrs.device */
};

/* Requester ids first..last. */
struct ivrs_device {
	u16 first, last;
	u16 alias;
	bool aliased; /* all of them use the tables of id alias, else each its own */
	u8 settings;  /* IVRS_DTE_* */
};

enum ivrs_variety { IVRS_IOAPIC = 1, IVRS_HPET = 2 };

struct ivrs_special {
	u8 variety; /* enum ivrs_variety */
	u8 handle;  /* I/O APIC id as the MADT has it, or HPET number */
	u16 bdf;    /* requester id of its interrupts */
	u8 unit;
	u8 settings;
};

struct ivrs_memory {
	hpa_t base;
	u64 len;
	u16 first, last; /* requester ids */
	bool read, write;
	bool exclusion; /* not translated at all; else mapped one to one */
};

struct ivrs {
	u8 pa_bits, va_bits;
	struct ivrs_unit unit[IVRS_UNITS];
	struct ivrs_device device[IVRS_DEVICES];
	struct ivrs_special special[IVRS_SPECIALS];
	struct ivrs_memory memory[IVRS_MEMORIES];
	u32 units, devices, specials, memories;
	u32 ignored; /* blocks and entries of kinds that are not used here */
};

/**
 * ivrs_parse() - t: the whole table, length and checksum verified. Returns 0; -EPROTO when
 * something is malformed, -ENOSPC when a limit above is exceeded (nothing may be left out); why
 * says what and at which offset. Manual: AMD I/O virtualization specification §5.2.
 */
int MUST_CHECK ivrs_parse(const u8 *t, size_t len, struct ivrs *out, char *why, size_t why_size);

/**
 * ivrs_unit_of() - the unit that serves requester id bdf, and as which id it uses the unit's
 * tables. Returns the unit's index, or -ENODEV. *settings: IVRS_DTE_*.
 */
int MUST_CHECK ivrs_unit_of(const struct ivrs *v, u16 segment, u16 bdf, u16 *alias, u8 *settings);

/** ivrs_special() - entry of an I/O APIC or HPET, NULL: no unit remaps its interrupts. */
const struct ivrs_special *ivrs_special(const struct ivrs *v, enum ivrs_variety variety, u8 handle);

#endif
