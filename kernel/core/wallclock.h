/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wall time: the machine's RTC read once at boot, carried on by the TSC.
 */
#ifndef KERNEL_CORE_WALLCLOCK_H
#define KERNEL_CORE_WALLCLOCK_H

#include "kernel/base/types.h"

/**
 * wallclock_init() - read the RTC (MC146818, UTC). Boot only; a dead RTC is logged and counts as
 * 2000-01-01.
 */
void wallclock_init(void);

/** wallclock_ns() - nanoseconds since 1970-01-01 UTC. Context: any. */
u64 wallclock_ns(void);

/** wallclock_days() - days from 1970-01-01 to a date of the Gregorian calendar. */
u64 wallclock_days(u32 year, u32 month, u32 day);

#endif
