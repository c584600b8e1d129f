/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TSC calibration and the conversions between ticks and nanoseconds.
 */
#include "kernel/core/clock.h"

#include "arch/x86/cpu.h"
#include "arch/x86/io.h"
#include "arch/x86/lapic.h"
#include "arch/x86/pic.h"
#include "kernel/base/err.h"
#include "kernel/core/timer.h"

#define PM_HZ	   3579545u
#define PM_MASK	   0xffffffu /* 24 bits are always there */
#define PM_WINDOW  (PM_HZ / 40) /* 25 ms */
#define PM_POLLS   5000000
#define BRACKETS   16
#define NS_SHIFT   44 /* (10^6 << 44) just fits into 64 bits */
#define TSC_SHIFT  40
#define LAPIC_MS   5

static u64 khz;
static u64 ns_mult;	/* ns = ticks * ns_mult >> NS_SHIFT */
static u64 tsc_mult;	/* ticks = ns * tsc_mult >> TSC_SHIFT */
static u64 boot_tsc;
static u64 lapic_khz;
static u16 pm_timer;

u64 tsc_khz(void)
{
	return khz;
}

u64 tsc_to_ns(u64 ticks)
{
	return (u64)((unsigned __int128)ticks * ns_mult >> NS_SHIFT);
}

u64 ns_to_tsc(u64 ns)
{
	return (u64)((unsigned __int128)ns * tsc_mult >> TSC_SHIFT);
}

u64 time_ns_at(u64 tsc)
{
	return khz ? tsc_to_ns(tsc - boot_tsc) : 0;
}

u64 time_ns(void)
{
	return time_ns_at(tsc_read());
}

void delay_us(u64 us)
{
	u64 start = tsc_read(), ticks = ns_to_tsc(us * 1000);

	while (tsc_read() - start < ticks)
		cpu_pause();
}

u64 clock_lapic_khz(void)
{
	return lapic_khz;
}

/* PM timer and TSC at one instant: the tightest of several readings. */
static u32 pm_sample(u16 port, u64 *tsc)
{
	u64 best = ~0ull;
	u32 pm = 0;

	for (u32 i = 0; i < BRACKETS; i++) {
		u64 before = tsc_read();
		u32 v = io_in32(port) & PM_MASK;
		u64 after = tsc_read();

		if (after - before < best) {
			best = after - before;
			*tsc = before + best / 2;
			pm = v;
		}
	}
	return pm;
}

static u64 measure_pm(u16 port)
{
	u64 t0 = 0, t1 = 0;
	u32 p0 = pm_sample(port, &t0), p1, i;

	for (i = 0; i < PM_POLLS; i++)
		if (((io_in32(port) - p0) & PM_MASK) >= PM_WINDOW)
			break;
	if (i == PM_POLLS)
		return 0;
	p1 = pm_sample(port, &t1);
	return (t1 - t0) * PM_HZ / ((p1 - p0) & PM_MASK) / 1000;
}

static u64 measure_pit(void)
{
	u64 best = ~0ull;

	for (u32 i = 0; i < 3; i++) {
		u64 start = tsc_read(), ticks;

		if (pit_wait_10ms())
			return 0;
		ticks = tsc_read() - start;
		best = ticks < best ? ticks : best;
	}
	return best / 10;
}

int clock_calibrate(u16 pm_port, const char **source)
{
	u64 v = pm_port ? measure_pm(pm_port) : 0;

	*source = "ACPI PM timer";
	pm_timer = v ? pm_port : 0;
	if (!v) {
		v = measure_pit();
		*source = "8254";
	}
	if (v < 1000)
		return -EIO;
	ns_mult = (1000000ull << NS_SHIFT) / v;
	tsc_mult = (v << TSC_SHIFT) / 1000000;
	boot_tsc = tsc_read();
	khz = v;
	return 0;
}

int clock_init(void)
{
	u32 left;
	u64 start, ticks;

	if (cpu_features()->tsc_deadline)
		return 0;
	lapic_timer_count(~0u);
	start = tsc_read();
	delay_us(LAPIC_MS * 1000);
	left = lapic_timer_left();
	ticks = tsc_read() - start;
	lapic_timer_count(0);
	if (left == 0 || left == ~0u)
		return -EIO;
	lapic_khz = (u64)(~0u - left) * khz / ticks;
	return lapic_khz ? 0 : -EIO;
}
