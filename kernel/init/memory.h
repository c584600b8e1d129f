/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the boot loader's memory map to the hypervisor's final page tables and its frame pool.
 */
#ifndef KERNEL_INIT_MEMORY_H
#define KERNEL_INIT_MEMORY_H

#include "kernel/base/compiler.h"
#include "kernel/core/multiboot.h"

/**
 * memory_init() - switch to the final tables and open the frame pool. Runs once on the boot map
 * (low 4 GiB). The image, the modules and what firmware claims stay reserved. why gets the
 * reason of a failure. -ENOMEM: no room for tables or metadata; -ERANGE: RAM or a module lies
 * where the hypervisor cannot reach it.
 */
int MUST_CHECK memory_init(const struct boot_info *b, char *why, size_t why_size);

/**
 * memory_trampoline() - a reserved page below 1 MiB for the start of CPUs, 0 when there is none.
 */
hpa_t memory_trampoline(void);

#endif
