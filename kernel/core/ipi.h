/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between CPUs: the kick (kernel/core/percpu.h) and the stop of a panic.
 */
#ifndef KERNEL_CORE_IPI_H
#define KERNEL_CORE_IPI_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/** ipi_init() - the kick interrupt; once, on the boot CPU. */
void ipi_init(void);

/** ipi_stopped() - the calling CPU obeys ipi_stop_others(). */
NORETURN void ipi_stopped(void);

/** ipi_stop_others() - NMI to all other CPUs, which then halt; panic only. Waits 100 ms at most. */
void ipi_stop_others(void);

#endif
