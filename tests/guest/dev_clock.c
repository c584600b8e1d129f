/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvmclock: the page follows the protocol, time goes forward on one CPU and across CPUs, at the
 * rate of the ACPI timer; the wall clock is plausible. TSCs of the CPUs agree.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "kernel/base/atomic.h"

#define MSR_WALL   0x4b564d00u
#define MSR_SYSTEM 0x4b564d01u

struct PACKED clock_page {
	u32 version, pad;
	u64 tsc, system_ns;
	u32 mul;
	s8 shift;
	u8 flags;
	u8 pad2[2];
};

static struct clock_page *page[MAX_CPUS];

static u64 clock_ns(u32 cpu)
{
	const volatile struct clock_page *p = page[cpu];
	u64 ns, delta;
	u32 version;

	do {
		version = p->version;
		atomic_fence();
		delta = rdtsc() - p->tsc;
		delta = p->shift >= 0 ? delta << p->shift : delta >> -p->shift;
		ns = p->system_ns + (u64)((unsigned __int128)delta * p->mul >> 32);
		atomic_fence();
	} while (version & 1 || version != p->version);
	return ns;
}

static bool have_clock(void)
{
	return boot_platform() == PLATFORM_GODWIT && cpuid(0x40000001, 0).eax >> 3 & 1;
}

static void enable(u32 cpu)
{
	wrmsr(MSR_SYSTEM, (u64)page[cpu] | 1);
}

TEST(page_appears)
{
	SKIP_IF(!have_clock(), "no kvmclock");
	for (u32 i = 0; i < boot_cpus(); i++)
		page[i] = page_alloc(1);
	enable(0);
	CHECK_EQ(rdmsr(MSR_SYSTEM), (u64)page[0] | 1);
	CHECK(page[0]->version != 0);
	CHECK_EQ(page[0]->version & 1, 0);
	CHECK(page[0]->mul != 0);
	CHECK_EQ(page[0]->flags & 1, 1); /* TSCs agree */
	CHECK(page[0]->tsc <= rdtsc());
}

TEST(monotone)
{
	u64 last, now;

	SKIP_IF(!have_clock(), "no kvmclock");
	last = clock_ns(0);
	for (u32 i = 0; i < 20000; i++) {
		now = clock_ns(0);
		CHECK(now >= last);
		last = now;
		if (i % 16 == 0)
			cpuid(0, 0);
	}
}

/* Nanoseconds of the clock while the PM timer counts 200 ms; the last readings lie together. */
static u64 clock_of_200_ms(void)
{
	u32 pm = pm_timer(), n;
	u64 a = clock_ns(0);

	do {
		n = (pm_timer() - pm) & 0xffffff;
	} while (n < PM_TMR_HZ / 5);
	a = clock_ns(0) - a;
	return a * (PM_TMR_HZ / 5) / n;
}

TEST(rate)
{
	bool good = false;

	SKIP_IF(!have_clock(), "no kvmclock");
	/* An emulated machine is held up now and then between two readings; not every time. */
	for (u32 i = 0; i < 10 && !good; i++) {
		u64 a = clock_of_200_ms();

		good = a > 198000000 && a < 202000000;
	}
	CHECK(good);
}

TEST(tsc_rate_of_cpuid)
{
	u64 khz;

	SKIP_IF(!have_clock(), "no kvmclock");
	khz = cpuid(0x40000010, 0).eax;
	CHECK(tsc_khz() > khz * 9 / 10 && tsc_khz() < khz * 11 / 10);
}

static u64 shared_ns, shared_tsc;
static u32 stop, backwards, tsc_backwards;

/* Each CPU raises the shared time to its own and sees whether its own was behind. */
static void race(u32 cpu)
{
	u64 seen = atomic_load_acquire(&shared_ns), tsc = atomic_load_acquire(&shared_tsc), now;

	__asm__ volatile("lfence");
	now = clock_ns(cpu);
	if (now < seen)
		atomic_add(&backwards, 1);
	else
		(void)atomic_cas(&shared_ns, seen, now);
	now = rdtsc();
	if (now < tsc)
		atomic_add(&tsc_backwards, 1);
	else
		(void)atomic_cas(&shared_tsc, tsc, now);
}

static void racer(void *arg)
{
	u32 cpu = (u32)(u64)arg;

	enable(cpu);
	while (!atomic_load_acquire(&stop))
		race(cpu);
}

TEST(monotone_across_cpus)
{
	SKIP_IF(!have_clock() || boot_cpus() < 2, "no kvmclock or one processor");
	for (u32 i = 1; i < boot_cpus(); i++)
		CHECK(smp_start(i, racer, (void *)(u64)i));
	for (u32 i = 0; i < 50000; i++)
		race(0);
	atomic_store_release(&stop, 1);
	for (u32 i = 1; i < boot_cpus(); i++)
		CHECK(smp_wait(i, 2000));
	CHECK_EQ(backwards, 0);
	CHECK_EQ(tsc_backwards, 0);
	for (u32 i = 1; i < boot_cpus(); i++)
		CHECK((page[i]->version & 1) == 0 && page[i]->version != 0);
}

TEST(wall_clock)
{
	struct PACKED {
		u32 version, sec, nsec;
	} *w = page_alloc(1);

	SKIP_IF(!have_clock(), "no kvmclock");
	wrmsr(MSR_WALL, (u64)w);
	CHECK_EQ(w->version & 1, 0);
	CHECK(w->sec > 900000000); /* 1998 */
	CHECK(w->nsec < 1000000000);
}

/* Places where no page can be: refused or dropped, never the host's harm. */
TEST(bad_pages)
{
	static const u64 where[] = { 0xfee00000, 0xfec00000, 0xfffff000, 0x7ffffffffff000,
				     ~0xfffull };

	SKIP_IF(!have_clock(), "no kvmclock");
	for (u32 i = 0; i < ARRAY_SIZE(where); i++) {
		int v = TRAP_OF(wrmsr(MSR_SYSTEM, where[i] | 1));

		CHECK(v == TRAP_NONE || v == VEC_GP);
		v = TRAP_OF(wrmsr(MSR_WALL, where[i]));
		CHECK(v == TRAP_NONE || v == VEC_GP);
	}
	/* at a page's end */
	CHECK_TRAP(TRAP_NONE, wrmsr(MSR_SYSTEM, ((u64)page[0] + 4080) | 1));
	enable(0);
	wrmsr(MSR_SYSTEM, 0);
	CHECK_EQ(rdmsr(MSR_SYSTEM), 0);
}
