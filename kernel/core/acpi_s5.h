/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one object of the DSDT that the hypervisor needs: \_S5_, the sleep types of soft-off.
 */
#ifndef KERNEL_CORE_ACPI_S5_H
#define KERNEL_CORE_ACPI_S5_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct acpi_s5 {
	u8 type_a, type_b; /* SLP_TYP for PM1a and PM1b control */
};

/**
 * acpi_s5_find() - look for Name(_S5_, Package(){a, b, ...}) in AML (ACPI 6.4 §7.4.2, §20.2)
 * without interpreting the rest. Returns 0, or -ENOENT.
 */
int MUST_CHECK acpi_s5_find(const u8 *aml, size_t len, struct acpi_s5 *out);

#endif
