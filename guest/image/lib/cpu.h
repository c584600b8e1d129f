/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single instructions for guest kernels: registers, ports, MSRs, CPUID, interrupts flag.
 * Nothing here catches faults; wrap what may fault into TRAP_OF() of trap.h.
 */
#ifndef GUEST_IMAGE_LIB_CPU_H
#define GUEST_IMAGE_LIB_CPU_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define MSR_TSC		 0x10u
#define MSR_APIC_BASE	 0x1bu
#define MSR_PAT		 0x277u
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC	 0x800u
#define MSR_EFER	 0xc0000080u
#define MSR_STAR	 0xc0000081u
#define MSR_LSTAR	 0xc0000082u
#define MSR_SFMASK	 0xc0000084u
#define MSR_FS_BASE	 0xc0000100u
#define MSR_GS_BASE	 0xc0000101u
#define MSR_KERNEL_GS	 0xc0000102u
#define MSR_TSC_AUX	 0xc0000103u

#define RFLAGS_TF 0x100ull
#define RFLAGS_IF 0x200ull

/* Vectors. */
#define VEC_DE 0
#define VEC_DB 1
#define VEC_NMI 2
#define VEC_BP 3
#define VEC_OF 4
#define VEC_UD 6
#define VEC_NM 7
#define VEC_DF 8
#define VEC_TS 10
#define VEC_NP 11
#define VEC_SS 12
#define VEC_GP 13
#define VEC_PF 14
#define VEC_AC 17

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(u32 leaf, u32 sub)
{
	struct cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(sub));
	return r;
}

static inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (u64)hi << 32 | lo;
}

static inline void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static inline u64 rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (u64)hi << 32 | lo;
}

#define CPU_CR(n)                                                           \
	static inline u64 read_cr##n(void)                                  \
	{                                                                   \
		u64 v;                                                      \
		__asm__ volatile("mov %%cr" #n ", %0" : "=r"(v) : : "memory"); \
		return v;                                                   \
	}                                                                   \
	static inline void write_cr##n(u64 v)                               \
	{                                                                   \
		__asm__ volatile("mov %0, %%cr" #n : : "r"(v) : "memory");  \
	}

CPU_CR(0)
CPU_CR(2)
CPU_CR(3)
CPU_CR(4)
CPU_CR(8)
#undef CPU_CR

#define CPU_DR(n)                                                     \
	static inline u64 read_dr##n(void)                            \
	{                                                             \
		u64 v;                                                \
		__asm__ volatile("mov %%dr" #n ", %0" : "=r"(v));     \
		return v;                                             \
	}                                                             \
	static inline void write_dr##n(u64 v)                         \
	{                                                             \
		__asm__ volatile("mov %0, %%dr" #n : : "r"(v));       \
	}

CPU_DR(0)
CPU_DR(1)
CPU_DR(2)
CPU_DR(3)
CPU_DR(6)
CPU_DR(7)
#undef CPU_DR

static inline u64 read_rflags(void)
{
	u64 v;

	__asm__ volatile("pushfq; popq %0" : "=r"(v) : : "memory");
	return v;
}

static inline void write_rflags(u64 v)
{
	__asm__ volatile("pushq %0; popfq" : : "r"(v) : "memory", "cc");
}

static inline u64 xgetbv(u32 n)
{
	u32 lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(n));
	return (u64)hi << 32 | lo;
}

static inline void xsetbv(u32 n, u64 v)
{
	__asm__ volatile("xsetbv" : : "c"(n), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static inline void invlpg(u64 va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

static inline void sti(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static inline void cli(void)
{
	__asm__ volatile("cli" : : : "memory");
}

/* Enable interrupts and halt with no gap between; returns with interrupts disabled. */
static inline void sti_hlt_cli(void)
{
	__asm__ volatile("sti; hlt; cli" : : : "memory");
}

/* One instruction boundary with interrupts enabled behind the STI shadow. */
static inline void sti_nop_cli(void)
{
	__asm__ volatile("sti; nop; nop; cli" : : : "memory");
}

static inline void pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

static inline u8 inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u16 inw(u16 port)
{
	u16 v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline u32 inl(u16 port)
{
	u32 v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline u32 mmio_read(u64 pa)
{
	return *(volatile u32 *)pa;
}

static inline void mmio_write(u64 pa, u32 v)
{
	*(volatile u32 *)pa = v;
}

static inline bool cpu_is_amd(void)
{
	return cpuid(0, 0).ecx == 0x444d4163; /* "cAMD" */
}

#endif
