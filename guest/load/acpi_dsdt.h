/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The definition block of a guest's DSDT: devices that it cannot find by itself. Pure.
 */
#ifndef GUEST_LOAD_ACPI_DSDT_H
#define GUEST_LOAD_ACPI_DSDT_H

#include "guest/load/aml.h"

/** acpi_dsdt_write() - append the AML behind the table header; a->full: it did not fit. */
void acpi_dsdt_write(struct aml *a);

#endif
