/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where time and timer interrupts come from: calibration at boot, per-CPU start.
 * What everyone else uses is kernel/core/timer.h.
 */
#ifndef KERNEL_CORE_CLOCK_H
#define KERNEL_CORE_CLOCK_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/**
 * clock_calibrate() - measure the TSC against the ACPI PM timer at port pm_port (0: none), else
 * against the 8254. Returns 0 or -EIO when neither counts. *source names what was used.
 * Interrupts off; takes about 25 ms.
 */
int MUST_CHECK clock_calibrate(u16 pm_port, const char **source);

/** clock_init() - measure the local APIC timer and register the timer interrupt; boot CPU. */
int MUST_CHECK clock_init(void);

/** clock_lapic_khz() - input clock of the local APIC timer, 0 in TSC-deadline mode. */
u64 clock_lapic_khz(void);

/** timer_cpu_init() - timer heap of CPU id; before it runs timers. -ENOMEM. */
int MUST_CHECK timer_cpu_init(u32 id);

/** timer_cpu_start() - timer hardware of the calling CPU. */
void timer_cpu_start(void);

#endif
