/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot steps that turn what ACPI says into running hardware: clock, interrupt controllers,
 * processors, PCI. In this order; text gets each step's line.
 */
#ifndef KERNEL_INIT_PLATFORM_H
#define KERNEL_INIT_PLATFORM_H

#include "kernel/base/compiler.h"
#include "kernel/core/acpi.h"
#include "kernel/core/multiboot.h"

/** platform_acpi() - find and check the tables. -ENOENT, -EINVAL with table and offset in text. */
int MUST_CHECK platform_acpi(const struct boot_info *b, char *text, size_t size);

/** platform_tables() - what platform_acpi() found. */
const struct acpi_info *platform_tables(void);

/** platform_clock() - calibrate the TSC, read the RTC. -EIO: nothing to measure against. */
int MUST_CHECK platform_clock(char *text, size_t size);

/** platform_interrupts() - local APIC, I/O APICs, vectors, timers of the boot CPU. */
int MUST_CHECK platform_interrupts(char *text, size_t size);

/**
 * platform_cpus() - start the other processors through the page at trampoline (0: there is none).
 */
int MUST_CHECK platform_cpus(hpa_t trampoline, char *text, size_t size);

/** platform_pci() - find the PCI functions. */
int MUST_CHECK platform_pci(char *text, size_t size);

/**
 * platform_iommu() - block all DMA and interrupts of devices where the machine has an IOMMU. One
 * that cannot be used is named in text and left alone; -ETIMEDOUT: it failed half way.
 */
int MUST_CHECK platform_iommu(char *text, size_t size);

#endif
