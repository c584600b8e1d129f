/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the VMCB says of an exit, in neutral words. Pure: the VMCB is memory here.
 */
#ifndef ARCH_SVM_SVM_EXIT_H
#define ARCH_SVM_SVM_EXIT_H

#include "arch/hvm.h"
#include "arch/svm/vmcb.h"

/* What of the CPU's optional features the VMCB was filled with (CPUID 8000_000Ah EDX). */
struct svm_features {
	bool next_rip;
	bool decode_assist;
	bool pause_filter;
	bool tcg; /* QEMU's emulation, whose flaws are worked around */
	u32 asids;
};

/**
 * svm_translate() - fill *x from the VMCB. Fields that the exit's kind does not use are not
 * written. AMD APM vol. 2 §15.7 to §15.15.
 */
void svm_translate(const struct vmcb *c, const struct svm_features *f, struct hvm_exit *x);

/**
 * svm_redeliver() - the event whose delivery this exit interrupted, in the form of EVENTINJ, or 0.
 * Software interrupts are left out: RIP still points at the instruction, which runs
 * again. Types that some CPUs report wrongly are repaired by the vector. §15.7.2, §15.20.
 */
u64 svm_redeliver(const struct vmcb *c);

#endif
