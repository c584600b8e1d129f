/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Model-specific registers: numbers and access, also of registers that may not exist.
 */
#ifndef ARCH_X86_MSR_H
#define ARCH_X86_MSR_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define MSR_TSC		  0x00000010u
#define MSR_APIC_BASE	  0x0000001bu
#define MSR_MTRR_CAP	  0x000000feu
#define MSR_PAT		  0x00000277u
#define MSR_TSC_DEADLINE  0x000006e0u
#define MSR_X2APIC	  0x00000800u /* + register offset / 16 */
#define MSR_EFER	  0xc0000080u
#define MSR_STAR	  0xc0000081u
#define MSR_LSTAR	  0xc0000082u
#define MSR_CSTAR	  0xc0000083u
#define MSR_SFMASK	  0xc0000084u
#define MSR_FS_BASE	  0xc0000100u
#define MSR_GS_BASE	  0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX	  0xc0000103u

#define EFER_SCE   (1ull << 0)
#define EFER_LME   (1ull << 8)
#define EFER_LMA   (1ull << 10)
#define EFER_NXE   (1ull << 11)
#define EFER_SVME  (1ull << 12)
#define EFER_FFXSR (1ull << 14)

static inline u64 msr_read(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static inline void msr_write(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

/*
 * An instruction that may fault and where to go on then; with it, trap.c resumes there.
 * Each entry is two 64-bit addresses in section .extable.
 */
#define EXTABLE(from, to)                  \
	".pushsection .extable, \"a\"\n\t" \
	".balign 8\n\t"                    \
	".quad " from ", " to "\n\t"       \
	".popsection\n\t"

/** rdmsr_safe() - read an MSR that may not exist; -EIO (and *out untouched) on #GP. */
int MUST_CHECK rdmsr_safe(u32 msr, u64 *out);

/** wrmsr_safe() - write an MSR that may not exist or may refuse the value; -EIO on #GP. */
int MUST_CHECK wrmsr_safe(u32 msr, u64 v);

#endif
