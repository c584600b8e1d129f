/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cost of exits: TSC ticks of one round trip, the cost of reading the TSC taken off. With
 * -icount shift=0 a tick is an instruction. Prints "bench NAME MEDIAN min MIN" a row.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "guest/vm/machine.h"
#include "kernel/base/atomic.h"

#define SAMPLES 101
#define VECTOR	0x60
#define POLLS	10000000

static u64 sample[SAMPLES];
static u64 overhead;

static void row(const char *name)
{
	struct stat2 s = stat_of(sample, SAMPLES);

	serial_printf("bench %s %lu min %lu\n", name, s.median - overhead, s.min - overhead);
}

/* Time one statement SAMPLES times. */
#define MEASURE(name, ...)                               \
	do {                                             \
		for (u32 n = 0; n < SAMPLES; n++) {      \
			u64 t0 = rdtsc();                \
			__VA_ARGS__;                     \
			sample[n] = rdtsc() - t0;        \
		}                                        \
		row(name);                               \
	} while (0)

static void measure_overhead(void)
{
	for (u32 n = 0; n < SAMPLES; n++) {
		u64 t0 = rdtsc();

		sample[n] = rdtsc() - t0;
	}
	overhead = stat_of(sample, SAMPLES).min;
}

static void hypercall(bool amd)
{
	u64 a = 0xffff; /* a number nobody serves */

	if (amd)
		__asm__ volatile("vmmcall" : "+a"(a) : : "rbx", "rcx", "rdx", "rsi", "memory");
	else
		__asm__ volatile("vmcall" : "+a"(a) : : "rbx", "rcx", "rdx", "rsi", "memory");
}

static bool x2; /* asked once: the question exits too */

/* As a kernel does it: nothing exits but the EOI. */
static void on_vector(struct trap_frame *f)
{
	if (!x2) {
		trap_count_apic(f);
		return;
	}
	trap_count_only(f);
	wrmsr(MSR_X2APIC + APIC_EOI / 16, 0);
}

static void until_counted(u32 n)
{
	for (u32 i = 0; i < POLLS && trap_counted(VECTOR) < n; i++)
		pause();
}

/* The deadline has passed when it is set: the interrupt comes at once. EOI included. */
static void bench_deadline(void)
{
	if (!(cpuid(1, 0).ecx >> 24 & 1))
		return;
	apic_write(APIC_LVT_TMR, APIC_LVT_DEADLINE | VECTOR);
	trap_clear();
	for (u32 n = 0; n < SAMPLES; n++) {
		u64 t0 = rdtsc();

		wrmsr(MSR_TSC_DEADLINE, t0);
		__asm__ volatile("sti; nop; cli" : : : "memory");
		if (trap_counted(VECTOR) != n + 1) {
			sti();
			until_counted(n + 1);
			cli();
		}
		sample[n] = rdtsc() - t0;
	}
	apic_write(APIC_LVT_TMR, APIC_LVT_MASKED);
	if (trap_counted(VECTOR) == SAMPLES)
		row("exit.tsc_deadline");
}

static void bench_self_ipi(void)
{
	trap_clear();
	for (u32 n = 0; n < SAMPLES; n++) {
		u64 t0 = rdtsc();

		wrmsr(MSR_X2APIC + APIC_SELF_IPI / 16, VECTOR);
		__asm__ volatile("sti; nop; cli" : : : "memory");
		if (trap_counted(VECTOR) != n + 1) {
			sti();
			until_counted(n + 1);
			cli();
		}
		sample[n] = rdtsc() - t0;
	}
	if (trap_counted(VECTOR) == SAMPLES)
		row("exit.self_ipi");
}

static u32 sleeping, stop;

static void sleeper(void *arg)
{
	(void)arg;
	if (cpuid(1, 0).ecx >> 21 & 1)
		apic_x2_enable();
	while (!atomic_load_acquire(&stop)) {
		atomic_store_release(&sleeping, 1);
		sti_hlt_cli();
	}
}

/* Another CPU is woken from HLT; the time until its handler ran. */
static void bench_ipi(void)
{
	u32 id = boot_apic_id(1);
	u32 n;

	if (boot_cpus() < 2 || !smp_start(1, sleeper, NULL))
		return;
	trap_clear();
	for (n = 0; n < SAMPLES; n++) {
		u64 t0;

		for (u32 i = 0; i < POLLS && !atomic_load_acquire(&sleeping); i++)
			pause();
		wait_us(50); /* it is at HLT by now */
		atomic_store_release(&sleeping, 0);
		if (n == SAMPLES - 1)
			atomic_store_release(&stop, 1);
		t0 = rdtsc();
		if (x2)
			wrmsr(MSR_X2APIC + APIC_ICR / 16, (u64)id << 32 | ICR_FIXED | VECTOR);
		else
			apic_icr(id, ICR_FIXED | ICR_ASSERT | VECTOR);
		until_counted(n + 1);
		sample[n] = rdtsc() - t0;
	}
	if (trap_counted(VECTOR) == SAMPLES)
		row("exit.ipi");
}

void guest_main(void)
{
	bool has_x2 = cpuid(1, 0).ecx >> 21 & 1;
	bool amd = cpu_is_amd(); /* asks CPUID, which exits */

	tsc_khz();
	trap_set(VECTOR, on_vector);
	measure_overhead();
	MEASURE("exit.cpuid", cpuid(0, 0));
	MEASURE("exit.rdmsr", rdmsr(MSR_APIC_BASE));
	MEASURE("exit.port", inb(PIC1 + 1));
	MEASURE("exit.pmtimer", pm_timer());
	if (boot_platform() == PLATFORM_GODWIT)
		MEASURE("exit.hypercall", hypercall(amd));
	MEASURE("exit.mmio", mmio_read(IOAPIC_BASE));
	if (has_x2)
		apic_x2_enable();
	x2 = has_x2;
	bench_deadline();
	if (x2)
		bench_self_ipi();
	bench_ipi();
}
