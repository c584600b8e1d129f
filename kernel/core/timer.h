/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time and per-CPU timers. The clock is the host TSC (calibrated); nanoseconds
 * are derived from it. Callbacks run in softirq context: interrupts on, no locks held.
 */
#ifndef KERNEL_CORE_TIMER_H
#define KERNEL_CORE_TIMER_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/timer_heap.h"

/** tsc_khz() - calibrated frequency of the host TSC. */
u64 tsc_khz(void);

/** tsc_read() - host TSC, now. */
static inline u64 tsc_read(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

/**
 * tsc_to_ns(), ns_to_tsc() - convert a duration; exact to 1 part in 2^31, no overflow below 2^63.
 */
u64 tsc_to_ns(u64 ticks);
u64 ns_to_tsc(u64 ns);

/** time_ns() - nanoseconds since boot, monotonic. */
u64 time_ns(void);
/** time_ns_at() - the same at another reading of the host TSC. */
u64 time_ns_at(u64 tsc);

/** delay_us() - busy wait. */
void delay_us(u64 us);

/** timer_init() - an unarmed timer. */
void timer_init(struct timer *t, void (*fn)(void *ctx), void *ctx);

/**
 * timer_arm() - (re)arm t on the calling CPU for a host TSC value; in the past means
 * as soon as possible. Returns 0, or -ENOSPC when this CPU's heap is full (logged).
 * Context: any but interrupt.
 */
int MUST_CHECK timer_arm(struct timer *t, u64 deadline_tsc);

/**
 * timer_cancel() - after it returns fn neither runs nor will run (it waits for a
 * callback in progress on another CPU). Not from t's own callback. Context: no locks
 * that the callback takes.
 */
void timer_cancel(struct timer *t);

#endif
