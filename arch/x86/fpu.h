/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's FPU, SSE and AVX state: the hypervisor itself uses none of it, so it stays in
 * the CPU until another vCPU comes. AMD APM vol. 1 §11.5 (XSAVE).
 */
#ifndef ARCH_X86_FPU_H
#define ARCH_X86_FPU_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/** fpu_cpu_init() - enable XSAVE (or FXSAVE) on the calling CPU; once on each. */
void fpu_cpu_init(void);

/** fpu_area_size() - bytes that fpu_load()/fpu_save() use; the area is 64-byte aligned. */
size_t fpu_area_size(void);

/** fpu_area_init() - the state after reset. */
void fpu_area_init(void *area);

/** fpu_load() - state from area into the CPU, then XCR0 = xcr0. */
void fpu_load(const void *area, u64 xcr0);

/** fpu_save() - state of the CPU into area, whatever XCR0 the guest chose. */
void fpu_save(void *area);

#define FPU_FXSAVE 512u
#define FPU_YMM	   256u

/**
 * fpu_get(), fpu_set() - an area that is in no CPU to and from what any CPU understands: XSTATE_BV
 * (returned), the image of FXSAVE64, the upper halves of YMM0-15. -EINVAL: bits in MXCSR or
 * components that this CPU lacks.
 */
u64 fpu_get(const void *area, u8 fxsave[FPU_FXSAVE], u8 ymm_high[FPU_YMM]);
int MUST_CHECK fpu_set(void *area, u64 xstate, const u8 *fxsave, const u8 *ymm_high);

/** fpu_set_xcr0() - of the loaded guest. */
void fpu_set_xcr0(u64 xcr0);

#endif
