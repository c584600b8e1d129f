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

struct hvm_state;

/** fpu_get(), fpu_set() - area that is in no CPU from and to the fields of a vCPU's state; -EINVAL:
 * bits in MXCSR or components that this CPU lacks. */
void fpu_get(const void *area, struct hvm_state *out);
int MUST_CHECK fpu_set(void *area, const struct hvm_state *in);

/** fpu_set_xcr0() - of the loaded guest. */
void fpu_set_xcr0(u64 xcr0);

#endif
