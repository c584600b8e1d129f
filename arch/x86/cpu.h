/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU identification, control registers and the one-instruction helpers around them.
 */
#ifndef ARCH_X86_CPU_H
#define ARCH_X86_CPU_H

#include "kernel/base/bits.h"
#include "kernel/base/compiler.h"
#include "kernel/base/cpuid.h"
#include "kernel/base/types.h"

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_TSD	       BIT(2)
#define CR4_DE	       BIT(3)
#define CR4_PSE	       BIT(4)
#define CR4_PAE	       BIT(5)
#define CR4_MCE	       BIT(6)
#define CR4_PGE	       BIT(7)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)

#define RFLAGS_IF BIT(9)

static inline struct cpuid_regs cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid_regs r;

	__asm__ volatile("cpuid"
			 : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(subleaf));
	return r;
}

/* What the boot CPU has; all CPUs are taken to be alike, cpu_init() checks. */
struct cpu_features {
	char vendor[13];
	char brand[49];
	u32 max_leaf, max_ext_leaf;
	u32 family, model, stepping;
	u8 phys_bits, virt_bits;
	bool x2apic, tsc_deadline, tsc_invariant, rdtscp;
	bool page_1g, smep, smap, umip, xsave, pge, hypervisor;
};

/** cpu_features() - of the boot CPU; valid after cpu_identify(). */
const struct cpu_features *cpu_features(void);

/** cpu_identify() - fill cpu_features(); once, on the boot CPU. */
void cpu_identify(void);

/**
 * cpu_protect() - set CR0, CR4 and EFER of the calling CPU to the hypervisor's values: write
 * protection, no-execute, SMEP, SMAP, UMIP, FPU and XSAVE usable (AMD APM vol. 2 §3.1).
 */
void cpu_protect(void);

#define CPU_REG_ACCESSORS(reg)                                                        \
	static inline u64 reg##_read(void)                                            \
	{                                                                             \
		u64 v;                                                                \
		__asm__ volatile("mov %%" #reg ", %0" : "=r"(v));                     \
		return v;                                                             \
	}                                                                             \
	static inline void reg##_write(u64 v)                                         \
	{                                                                             \
		__asm__ volatile("mov %0, %%" #reg : : "r"(v) : "memory");            \
	}

CPU_REG_ACCESSORS(cr0)
CPU_REG_ACCESSORS(cr2)
CPU_REG_ACCESSORS(cr3)
CPU_REG_ACCESSORS(cr4)

static inline void cpu_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline void irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/** irq_save() - interrupts off; returns RFLAGS as they were, for irq_restore(). */
static inline u64 irq_save(void)
{
	u64 flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static inline void irq_restore(u64 flags)
{
	if (flags & RFLAGS_IF)
		irq_enable();
}

/** cpu_idle() - interrupts on and HLT in one step, so that none is missed between. */
static inline void cpu_idle(void)
{
	__asm__ volatile("sti; hlt" : : : "memory");
}

/** cpu_stop() - this CPU does nothing any more. */
static inline NORETURN void cpu_stop(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" : : : "memory");
}

static inline void tlb_flush_page(u64 va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

#endif
