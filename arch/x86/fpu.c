/* SPDX-License-Identifier: Apache-2.0 */
/*
 * XSAVE with FXSAVE as fallback.
 */
#include "arch/x86/fpu.h"

#include "arch/x86/cpu.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define CPUID_XSAVE 0xdu
#define OFF_FCW	    0
#define OFF_MXCSR   24
#define OFF_MASK    28 /* of MXCSR; 0: the first CPUs with SSE */
#define OFF_USER    464 /* 48 bytes that FXSAVE leaves as they are */
#define OFF_XSTATE  FPU_FXSAVE
#define OFF_YMM	    576 /* after the header of 64 bytes, on every CPU */
#define XSTATE_FPU  3ull
#define XSTATE_YMM  BIT(2)
#define MXCSR_FIRST 0xffbf
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
	return xcr0_all ? cpuid(CPUID_XSAVE, 0).ecx : FPU_FXSAVE;
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

/* Without XSAVE the CPU does not tell what is in use. */
u64 fpu_get(const void *area, u8 fxsave[FPU_FXSAVE], u8 ymm_high[FPU_YMM])
{
	const u8 *a = area;
	u64 xstate = xcr0_all ? get_le64(a + OFF_XSTATE) : XSTATE_FPU;

	memcpy(fxsave, a, FPU_FXSAVE);
	memset(fxsave + OFF_USER, 0, FPU_FXSAVE - OFF_USER);
	if (xstate & XSTATE_YMM)
		memcpy(ymm_high, a + OFF_YMM, FPU_YMM);
	else
		memset(ymm_high, 0, FPU_YMM);
	return xstate;
}

int fpu_set(void *area, u64 xstate, const u8 *fxsave, const u8 *ymm_high)
{
	u8 own[FPU_FXSAVE] ALIGNED(16);
	u64 known = xcr0_all ? xcr0_all & (XSTATE_FPU | XSTATE_YMM) : XSTATE_FPU;
	u32 mask;
	u8 *a = area;

	__asm__ volatile("fxsave64 (%0)" : : "r"(own) : "memory");
	mask = get_le32(own + OFF_MASK);
	if (!mask)
		mask = MXCSR_FIRST;
	if ((xstate & ~known) || (get_le32(fxsave + OFF_MXCSR) & ~mask))
		return -EINVAL;
	fpu_area_init(area);
	memcpy(a, fxsave, FPU_FXSAVE);
	if (xcr0_all)
		put_le64(a + OFF_XSTATE, xstate);
	if (xstate & XSTATE_YMM)
		memcpy(a + OFF_YMM, ymm_high, FPU_YMM);
	return 0;
}
