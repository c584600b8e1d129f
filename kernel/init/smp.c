/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processors other than the first: all are woken at once, find their areas by APIC id, and
 * wait to be numbered. One that is late finds its place taken and halts.
 */
#include "kernel/init/smp.h"

#include "arch/x86/ap.h"
#include "arch/x86/cpu.h"
#include "arch/x86/desc.h"
#include "arch/x86/lapic.h"
#include "arch/x86/trap.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/clock.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

#define INIT_WAIT_US	10000
#define STARTUP_WAIT_US 300
#define UP_WAIT_US	1000000
#define WARP_ROUNDS	1000

/* What pcpu->arch points to. */
struct cpu_arch {
	struct desc_cpu desc;
	struct hostmap_stacks stacks;
	u32 state; /* enum ap_state, atomic */
};

enum ap_state { AP_AWAITED, AP_UP, AP_GO, AP_GIVEN_UP };

u64 ap_cr3;
u32 ap_count;
struct pcpu *ap_pcpus[MAX_CPUS];

static NORETURN void (*ap_run)(void);
static u64 newest_tsc; /* atomic: the latest reading any CPU has published */
static u32 warps;

static const struct lapic_vectors vectors = {
	.timer = IRQ_VECTOR_TIMER,
	.error = IRQ_VECTOR_ERROR,
	.spurious = IRQ_VECTOR_SPURIOUS,
};

static struct cpu_arch *arch_of(struct pcpu *p)
{
	return p->arch;
}

int smp_boot_cpu(void)
{
	struct cpu_arch *a = kalloc(hv_owner(), sizeof(*a));
	int err = a ? hostmap_stacks(0, &a->stacks) : -ENOMEM;

	if (err)
		return err;
	boot_pcpu.arch = a;
	desc_load(&a->desc, a->stacks.ist);
	trap_use_ist();
	lapic_enable(&vectors);
	boot_pcpu.apic_id = lapic_id();
	return 0;
}

static u64 canary(void)
{
	/* The boot CPU's is random (boot.S); spread it, and keep the zero byte. */
	u64 v = (this_cpu()->stack_canary ^ tsc_read()) * 0x9e3779b97f4a7c15ull;

	return v & ~0xffull;
}

int smp_add(u32 apic_id)
{
	struct pcpu *p;
	struct cpu_arch *a;
	int err;

	if (ap_count + 1 >= MAX_CPUS)
		return -ENOSPC;
	p = kalloc(hv_owner(), sizeof(*p));
	a = kalloc(hv_owner(), sizeof(*a));
	if (!p || !a)
		return -ENOMEM;
	err = hostmap_stacks(ap_count + 1, &a->stacks);
	if (err)
		return err;
	p->self = p;
	p->apic_id = apic_id;
	p->arch = a;
	p->stack_top = a->stacks.top;
	p->stack_canary = canary();
	ap_pcpus[ap_count++] = p;
	return 0;
}

void ap_main(void)
{
	struct pcpu *p = this_cpu();
	struct cpu_arch *a = arch_of(p);

	trap_load();
	cpu_protect();
	desc_load(&a->desc, a->stacks.ist);
	if (!atomic_cas(&a->state, AP_AWAITED, AP_UP))
		cpu_stop();
	while (atomic_load_acquire(&a->state) != AP_GO) {
		u64 seen = atomic_load_acquire(&newest_tsc);

		if (tsc_read() < seen)
			atomic_add(&warps, 1);
		cpu_pause();
	}
	lapic_enable(&vectors);
	timer_cpu_start();
	irq_enable();
	ap_run();
}

static bool all_up(void)
{
	for (u32 i = 0; i < ap_count; i++)
		if (atomic_load_acquire(&arch_of(ap_pcpus[i])->state) == AP_AWAITED)
			return false;
	return true;
}

static void wait_up(u64 us)
{
	u64 start = tsc_read();

	while (!all_up() && tsc_read() - start < ns_to_tsc(us * 1000))
		cpu_pause();
}

static void wake(hpa_t page)
{
	for (u32 i = 0; i < ap_count; i++)
		lapic_send_init(ap_pcpus[i]->apic_id);
	delay_us(INIT_WAIT_US);
	/* The second start-up message is for those that missed the first (SDM vol. 3 §9.4.4.1). */
	for (u32 round = 0; round < 2; round++) {
		for (u32 i = 0; i < ap_count; i++)
			if (atomic_load_acquire(&arch_of(ap_pcpus[i])->state) == AP_AWAITED)
				lapic_send_startup(ap_pcpus[i]->apic_id, (u8)(page >> PAGE_SHIFT));
		wait_up(round == 0 ? STARTUP_WAIT_US : UP_WAIT_US);
	}
}

/* Number p if it came up; false when it has to be given up. */
static bool admit(struct pcpu *p)
{
	struct cpu_arch *a = arch_of(p);

	if (atomic_cas(&a->state, AP_AWAITED, AP_GIVEN_UP)) {
		log_err("CPU with APIC id %u does not start; going on without it", p->apic_id);
		return false;
	}
	pcpu_register(p);
	if (timer_cpu_init(p->id)) {
		log_err("no memory for the timers of CPU %u", p->id);
		return false;
	}
	return true;
}

u32 smp_start(hpa_t page)
{
	size_t size = (size_t)(ap_trampoline_end - ap_trampoline);
	u32 missing = 0;

	if (!ap_count)
		return 0;
	ap_cr3 = hostmap_cr3();
	memcpy(phys_to_virt(page), ap_trampoline, size);
	wake(page);
	for (u32 i = 0; i < WARP_ROUNDS; i++)
		atomic_store_release(&newest_tsc, tsc_read());
	if (atomic_load_acquire(&warps))
		log_warn("time stamp counters of the CPUs are apart (%u readings went back)",
			 warps);
	for (u32 i = 0; i < ap_count; i++)
		missing += !admit(ap_pcpus[i]);
	return missing;
}

void smp_go(NORETURN void (*run)(void))
{
	ap_run = run;
	for (u32 i = 1; i < cpu_count(); i++)
		atomic_store_release(&arch_of(pcpu_get(i))->state, AP_GO);
}
