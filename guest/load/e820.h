/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory map that a guest is told, made from its RAM size. Pure; docs/boot.md shows
 * the same as a table.
 */
#ifndef GUEST_LOAD_E820_H
#define GUEST_LOAD_E820_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define E820_MAX 16

/* Types as INT 15h E820h reports them (ACPI 6.4 §15). */
enum e820_type { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };

/* Below 1 MiB: RAM, the hole of a VGA card, then what is a PC's firmware. */
#define E820_LOW_END 0x9fc00ull
#define E820_BIOS_BASE 0xc0000ull
#define E820_RSDP 0xf0000ull /* on a 16-byte boundary of e0000..fffff (ACPI 6.4 §5.2.5.1) */
#define E820_BIOS_END 0x100000ull

/* The end of the RAM below the PCI hole: ACPI tables, then one page that holds the FACS. */
#define E820_ACPI_LEN 0xf000ull
#define E820_NVS_LEN 0x1000ull

struct e820_entry {
	gpa_t base;
	u64 len;
	u32 type; /* enum e820_type */
};

struct e820_map {
	struct e820_entry entry[E820_MAX]; /* ascending, no overlap */
	u32 count;
	gpa_t usable_end; /* RAM of [1 MiB, usable_end) is in one piece and free */
	gpa_t acpi;       /* E820_ACPI_LEN bytes */
	gpa_t facs;       /* E820_NVS_LEN bytes */
};

/**
 * e820_build() - map of a VM with ram bytes, a multiple of 2 MiB and not 0. Every byte it calls RAM
 * or ACPI is backed (guest/mem/gmap.h). Returns 0, or -EINVAL (ram as above).
 */
int MUST_CHECK e820_build(u64 ram, struct e820_map *out);

#endif
