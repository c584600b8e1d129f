/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the hypervisor wants of the firmware's ACPI tables, as one bounded record.
 * Pure: physical memory is reached by a callback; every length and checksum is verified.
 */
#ifndef KERNEL_CORE_ACPI_H
#define KERNEL_CORE_ACPI_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/acpi_s5.h"
#include "kernel/core/multiboot.h"

#define ACPI_CPUS      256
#define ACPI_IOAPICS   16
#define ACPI_OVERRIDES 32
#define ACPI_LINT_NMIS 64
#define ACPI_SEGMENTS  8
#define ACPI_NOTES     512

#define ACPI_TABLE_MAX (16u << 20) /* bytes of one table */
#define ACPI_ROOT_MAX  512	   /* tables that the XSDT or RSDT may list */

#define ACPI_HEADER_LEN 36

/* A table that was found with a good length and checksum; pa 0: there is none. */
struct acpi_table {
	hpa_t pa;
	u32 len;
};

/* Generic address structure, spaces that occur here (ACPI 6.4 §5.2.3.2). */
enum acpi_space { ACPI_SPACE_MEMORY = 0, ACPI_SPACE_IO = 1, ACPI_SPACE_PCI = 2 };

struct acpi_gas {
	u8 space; /* enum acpi_space; other values are possible */
	u8 bits;  /* register width */
	u8 shift; /* first bit */
	u8 access; /* 0 undefined, 1 byte, 2 word, 3 dword, 4 qword */
	u64 addr; /* 0: not there */
};

struct acpi_cpu {
	u32 apic_id;
	u32 uid;
	bool enabled; /* else only capable of being brought online: not to be started */
};

struct acpi_ioapic {
	u8 id;
	hpa_t mmio;
	u32 gsi_base;
};

/* An ISA interrupt that is not wired to the global interrupt of its number as edge, high. */
struct acpi_override {
	u8 isa;
	u32 gsi;
	bool level, active_low;
};

#define ACPI_UID_ALL 0xffffffffu

struct acpi_lint_nmi {
	u32 uid; /* processor, or ACPI_UID_ALL */
	u8 lint; /* 0 or 1 */
	bool active_low, level;
};

struct acpi_segment {
	hpa_t base; /* of bus 0 of the segment, which may lie before the first decoded byte */
	u16 segment;
	u8 first, last; /* buses */
};

/* FADT flags that matter to a hypervisor. */
#define ACPI_FADT_TMR_VAL_EXT	(1u << 8)  /* the PM timer has 32 bits, else 24 */
#define ACPI_FADT_RESET_REG_SUP (1u << 10)
#define ACPI_FADT_HW_REDUCED	(1u << 20)

struct acpi_fadt {
	bool present;
	u32 flags;
	u16 boot_arch; /* IA-PC boot architecture flags */
	u16 sci_int;   /* an ISA interrupt when the machine has 8259s: see acpi_sci() */
	u16 smi_cmd;   /* 0: there is no legacy mode to leave */
	u8 acpi_enable;
	struct acpi_gas pm1a_event, pm1b_event, pm1a_control, pm1b_control, pm_timer;
	struct acpi_gas reset; /* with ACPI_FADT_RESET_REG_SUP */
	u8 reset_value;
	bool has_s5;
	struct acpi_s5 s5; /* sleep types of soft-off, from the DSDT */
};

struct acpi_hpet {
	hpa_t mmio; /* 0: none */
	u8 number;
};

struct acpi_info {
	hpa_t rsdp; /* where it was found, 0: the loader's copy */
	u8 revision;
	bool xsdt;
	u32 tables; /* listed by the XSDT or RSDT */

	hpa_t lapic_mmio;
	bool has_8259;
	struct acpi_cpu cpu[ACPI_CPUS];
	u32 cpus;
	struct acpi_ioapic ioapic[ACPI_IOAPICS];
	u32 ioapics;
	struct acpi_override override[ACPI_OVERRIDES];
	u32 overrides;
	struct acpi_lint_nmi nmi[ACPI_LINT_NMIS];
	u32 nmis;
	struct acpi_segment segment[ACPI_SEGMENTS];
	u32 segments;

	struct acpi_fadt fadt;
	struct acpi_hpet hpet;
	struct acpi_table dsdt, dmar, ivrs;
	bool dmar_bad, ivrs_bad; /* there is one, but damaged: this is not "no IOMMU" */

	/* Entries beyond a limit above, by kind. */
	u32 cpus_dropped, ioapics_dropped, overrides_dropped, nmis_dropped, segments_dropped,
		tables_dropped;
	/*
	 * What was wrong with tables that can be done without, "; " between; "" when nothing was.
	 */
	char notes[ACPI_NOTES];
};

/**
 * acpi_parse() - fill *out from the RSDP's copy (rsdp_len bytes, 0: look for it in the extended
 * BIOS data area and in e0000h-fffffh). env->phys() has to give any whole table. XSDT or RSDT and
 * MADT must be good; other tables that are damaged are named in out->notes and left out.
 * Returns 0; -ENOENT when there is no RSDP or MADT, -EFAULT when phys() does not reach,
 * -EPROTO when a needed table is damaged; then why says which table and where, and
 * *out is not to be used. Manual: ACPI 6.4 §5.2.
 */
int MUST_CHECK acpi_parse(const u8 *rsdp, u32 rsdp_len, const struct boot_env *env,
			  struct acpi_info *out, char *why, size_t why_size);

/** acpi_isa_irq() - how ISA interrupt irq reaches the I/O APICs: its override, or itself. */
struct acpi_override acpi_isa_irq(const struct acpi_info *a, u8 irq);

/** acpi_sci() - the same for the system control interrupt: level, active low unless overridden. */
struct acpi_override acpi_sci(const struct acpi_info *a);

/** acpi_io_port() - the register's port; 0 when it is not there or not in I/O space. */
u16 acpi_io_port(const struct acpi_gas *g);

#endif
