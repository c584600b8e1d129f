/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bring-up of the processors.
 */
#ifndef KERNEL_INIT_SMP_H
#define KERNEL_INIT_SMP_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/** smp_boot_cpu() - descriptors, stacks for interrupts and local APIC of the boot CPU. -ENOMEM. */
int MUST_CHECK smp_boot_cpu(void);

/**
 * smp_add() - a processor to start, by APIC id. Not the calling one. -ENOMEM; -ENOSPC when there
 * are more than MAX_CPUS (logged by the caller).
 */
int MUST_CHECK smp_add(u32 apic_id);

/**
 * smp_start() - start all added processors through a trampoline at page (below 1 MiB), number
 * them and let them wait. Returns how many did not come up; each is named in the log.
 */
u32 smp_start(hpa_t page);

/** smp_go() - let the started processors go on to run(), on their own stacks. */
void smp_go(NORETURN void (*run)(void));

#endif
