/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the CPUID instruction returns: for the layer that asks the processor and for those that
 * make up what a guest gets.
 */
#ifndef KERNEL_BASE_CPUID_H
#define KERNEL_BASE_CPUID_H

#include "kernel/base/types.h"

struct cpuid_regs {
	u32 eax, ebx, ecx, edx;
};

#endif
