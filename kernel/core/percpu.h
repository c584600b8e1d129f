/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The per-CPU area, reached through GS. Only its owner writes it, except for
 * the words marked (a), which any CPU may change atomically.
 */
#ifndef KERNEL_CORE_PERCPU_H
#define KERNEL_CORE_PERCPU_H

#include "kernel/base/bits.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define MAX_CPUS 64

struct vcpu;
struct timer;

struct pcpu {
	struct pcpu *self;     /* 0: GS:0 gives the address */
	u32 id;		       /* 8: 0..cpu_count()-1, 0 is the boot CPU */
	u32 apic_id;	       /* 12 */
	u32 kick;	       /* 16 (a): non-zero: leave or do not enter the guest */
	u32 softirq;	       /* 20 (a): pending SOFTIRQ_* bits */
	u32 locks_held;	       /* 24: bit per rank, for lock-order checks */
	u32 in_irq;	       /* 28: nesting depth of interrupt handlers */
	u64 stack_top;	       /* 32 */
	u64 stack_canary;      /* 40: gcc's -mstack-protector-guard-offset */
	void *arch;	       /* 48: arch/x86 private (GDT, TSS, IST stacks) */
	void *hvm;	       /* 56: backend private (HSAVE page, ASID generation) */
	void *loaded_vcpu;     /* 64: struct hvm_vcpu whose FPU state is in the CPU, or NULL */
	u64 idle_tsc;	       /* 72: time spent in HLT, TSC ticks */
	u64 irq_count;	       /* 80 */
	void *timers;	       /* 88: kernel/core/timer.c private */
	void *sched;	       /* 96: kernel/core/sched.c private */
};

/** this_cpu() - the calling CPU's area; stable, as nothing moves between CPUs. */
static ALWAYS_INLINE struct pcpu *this_cpu(void)
{
	struct pcpu *p;

	__asm__("mov %%gs:0, %0" : "=r"(p));
	return p;
}

/** pcpu_get() - area of CPU id, NULL when there is none. */
struct pcpu *pcpu_get(u32 id);

/** cpu_count() - CPUs that are up. */
u32 cpu_count(void);

/** pcpu_register() - add the area of a CPU that has come up, and number it. Boot CPU, boot only. */
void pcpu_register(struct pcpu *p);

/* The boot CPU's area. */
extern struct pcpu boot_pcpu;

#define SOFTIRQ_TIMER	BIT(0) /* the timer interrupt fired: run due timers */
#define SOFTIRQ_CONSOLE BIT(1) /* serial input or output is waiting (boot CPU only) */
#define SOFTIRQ_VM	BIT(3) /* a VM wants something of control (boot CPU only) */
#define SOFTIRQ_IOMMU	BIT(4) /* a remapping unit has recorded faults */
#define SOFTIRQ_NIC	BIT(5) /* a NIC has frames, or its link changed (boot CPU only) */
#define SOFTIRQ_ASSIGN	BIT(6) /* an assigned device sent an interrupt (boot CPU only) */
#define SOFTIRQ_DISK	BIT(8) /* an NVMe controller of the host has completions (boot CPU only) */
#define SOFTIRQ_SLOT	BIT(9) /* a guest let go of a function in a hot-plug slot (boot CPU only) */
#define SOFTIRQ_COURIER BIT(7) /* the courier sent something, or has room (boot CPU only) */

/**
 * cpu_kick() - make CPU id notice its posted work: sets its kick word and, when it is
 * not the calling CPU, sends the kick IPI. Context: any.
 */
void cpu_kick(u32 id);

/**
 * cpu_notify() - interrupt CPU id, not the calling one, with IRQ_VECTOR_NOTIFY: a guest that runs
 * there takes what was posted for it, and goes on; else nothing happens. Context: any.
 */
void cpu_notify(u32 id);

/** softirq_run() - run what is pending on this CPU; called by the CPU's main loop. */
void softirq_run(void);

/**
 * softirq_post() - mark SOFTIRQ_* bits pending on the calling CPU and make it leave (or not
 * enter) the guest. Context: any; this is what interrupt handlers do.
 */
void softirq_post(u32 bits);

/** softirq_register() - handler of one SOFTIRQ_* bit; boot only. */
void softirq_register(u32 bit, void (*fn)(void));

#endif
