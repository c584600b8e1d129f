/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables of a guest: what guest/vm/machine.h promises, in the form operating systems read.
 * Pure: makes bytes.
 */
#ifndef GUEST_LOAD_ACPI_BUILD_H
#define GUEST_LOAD_ACPI_BUILD_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define ACPI_RSDP_LEN 36u
#define ACPI_FACS_LEN 64u
#define ACPI_TABLES_MAX 0x2000u /* enough for ACPI_CPUS_MAX */
#define ACPI_CPUS_MAX 64u

struct acpi_build {
	const u32 *apic_id; /* of each CPU, the boot CPU first */
	u32 cpus;           /* 1 .. ACPI_CPUS_MAX */
	gpa_t tables;       /* where they will lie, below 4 GiB, on a 64-byte boundary */
	gpa_t facs;         /* likewise */
};

struct acpi_blob {
	u8 rsdp[ACPI_RSDP_LEN];
	u8 facs[ACPI_FACS_LEN];
	u8 tables[ACPI_TABLES_MAX]; /* XSDT, FADT, MADT, MCFG, DSDT */
	size_t tables_len;
};

/**
 * acpi_build() - fill *out, all of it on success. Returns 0; -EINVAL: b is not as above;
 * -ENOSPC: ACPI_TABLES_MAX reached.
 * Manual: ACPI 6.4 §5.2; PCI Firmware Specification 3.2 §4.1.2 (MCFG).
 */
int MUST_CHECK acpi_build(const struct acpi_build *b, struct acpi_blob *out);

#endif
