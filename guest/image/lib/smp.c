/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting CPUs. Intel SDM vol. 3 §9.4.4.
 */
#include "guest/image/lib/smp.h"

#include "guest/image/lib/apic.h"
#include "guest/image/lib/layout.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/trap.h"
#include "kernel/base/atomic.h"
#include "kernel/base/str.h"

extern u8 smp_code_start[], smp_code_end[];
extern u8 cpu_stacks[MAX_CPUS][STACK_SIZE];

struct job {
	void (*fn)(void *arg);
	void *arg;
	u32 arrived, done;
};

static struct job jobs[MAX_CPUS];
u64 smp_stack;	/* of the CPU being started: read by smp.S */
u32 smp_cpu;

static bool wait_flag(const u32 *flag, u32 ms)
{
	u64 end = rdtsc() + tsc_khz() * ms;

	while (!atomic_load_acquire(flag) && (s64)(rdtsc() - end) < 0)
		pause();
	return atomic_load_acquire(flag) != 0;
}

void smp_init_sipi(u32 cpu, u32 pa)
{
	u32 id = boot_apic_id(cpu);

	apic_icr(id, ICR_INIT | ICR_ASSERT);
	wait_us(200);
	apic_icr(id, ICR_SIPI | ICR_ASSERT | pa >> 12);
}

void smp_start_raw(u32 cpu, const void *code, u32 len)
{
	memcpy((void *)SMP_TRAMPOLINE, code, len);
	smp_init_sipi(cpu, SMP_TRAMPOLINE);
}

bool smp_start(u32 cpu, void (*fn)(void *arg), void *arg)
{
	struct job *j = &jobs[cpu];

	*j = (struct job){ .fn = fn, .arg = arg };
	smp_cpu = cpu;
	smp_stack = (u64)cpu_stacks[cpu] + STACK_SIZE;
	smp_start_raw(cpu, smp_code_start, (u32)(smp_code_end - smp_code_start));
	return wait_flag(&j->arrived, 1000);
}

bool smp_wait(u32 cpu, u32 ms)
{
	return wait_flag(&jobs[cpu].done, ms);
}

void smp_main(u32 cpu);
void smp_main(u32 cpu)
{
	struct job *j = &jobs[cpu];

	trap_init_cpu(cpu);
	apic_init_cpu();
	atomic_store_release(&j->arrived, 1);
	j->fn(j->arg);
	atomic_store_release(&j->done, 1);
	for (;;)
		__asm__ volatile("cli; hlt");
}
