/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XSAVE with FXSAVE as fallback.
 */
#include "arch/x86/fpu.h"

#include "arch/x86/cpu.h"
#include "kernel/base/bytes.h"
#include "kernel/base/str.h"

#define CPUID_XSAVE 0xdu
#define FXSAVE_SIZE 512u
#define OFF_FCW	    0
#define OFF_MXCSR   24
#define FCW_RESET   0x37f
#define MXCSR_RESET 0x1f80

/* x87, SSE, AVX, AVX-512: what CPU policies can offer. */
#define XCR0_USED (MASK(2, 0) | MASK(7, 5))

static u64 xcr0_all; /* 0: no XSAVE */

static void xsetbv(u64 v)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((u32)v), "d"((u32)(v >> 32)));
}

void fpu_cpu_init(void)
{
	struct cpuid_regs r;

	cr4_write(cr4_read() | CR4_OSFXSR | CR4_OSXMMEXCPT);
	if (!cpu_features()->xsave)
		return;
	cr4_write(cr4_read() | CR4_OSXSAVE);
	r = cpuid(CPUID_XSAVE, 0);
	xcr0_all = ((u64)r.edx << 32 | r.eax) & XCR0_USED;
	xsetbv(xcr0_all);
}

size_t fpu_area_size(void)
{
	/* ECX: for all that the CPU has, whatever XCR0 says now. */
	return xcr0_all ? cpuid(CPUID_XSAVE, 0).ecx : FXSAVE_SIZE;
}

void fpu_area_init(void *area)
{
	memset(area, 0, fpu_area_size());
	put_le16((u8 *)area + OFF_FCW, FCW_RESET);
	put_le32((u8 *)area + OFF_MXCSR, MXCSR_RESET);
}

void fpu_load(const void *area, u64 xcr0)
{
	if (!xcr0_all) {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
		return;
	}
	xsetbv(xcr0_all);
	__asm__ volatile("xrstor64 (%0)"
			 :
			 : "r"(area), "a"((u32)xcr0_all), "d"((u32)(xcr0_all >> 32))
			 : "memory");
	xsetbv(xcr0);
}

void fpu_save(void *area)
{
	if (!xcr0_all) {
		__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
		return;
	}
	xsetbv(xcr0_all);
	__asm__ volatile("xsave64 (%0)"
			 :
			 : "r"(area), "a"((u32)xcr0_all), "d"((u32)(xcr0_all >> 32))
			 : "memory");
}

void fpu_set_xcr0(u64 xcr0)
{
	if (xcr0_all)
		xsetbv(xcr0);
}
