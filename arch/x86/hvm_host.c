/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the layers above the backends may ask of the host's CPU.
 */
#include "arch/hvm.h"
#include "arch/x86/cpu.h"

void hvm_host_cpuid(u32 leaf, u32 subleaf, struct cpuid_regs *out)
{
	*out = cpuid(leaf, subleaf);
}
