/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which CPUID leaves and MSR bits a guest sees: a named model, resolved against the host
 * once per VM start. Pure.
 */
#ifndef GUEST_VM_CPU_POLICY_H
#define GUEST_VM_CPU_POLICY_H

#include "arch/hvm.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define CPU_POLICY_LEAVES 64

struct cpu_policy_leaf {
	u32 leaf, subleaf;
	bool indexed;	/* subleaf matters */
	struct cpuid_regs r;
};

struct cpu_policy {
	char model[32];
	u32 count;
	u32 max_basic, max_ext;
	u64 cr4_valid;	/* CR4 bits the guest may set */
	u64 efer_valid; /* EFER bits the guest may set */
	u64 xcr0_valid; /* 0: no XSAVE */
	u64 dr6_fixed;
	u8 maxphyaddr;
	/* Index + 1 into leaf[] of the first entry of basic and extended leaves; 0: none. */
	u8 basic_index[32], ext_index[32];
	struct cpu_policy_leaf leaf[CPU_POLICY_LEAVES];
};

/* What the resolver needs to know of the host and the VM. */
struct cpu_policy_env {
	void (*host_cpuid)(u32 leaf, u32 subleaf, struct cpuid_regs *out);
	u64 tsc_khz;
	u64 apic_hz;	/* virtual APIC timer input frequency */
	u32 vcpus;
	bool vendor_amd;
};

/**
 * cpu_policy_build() - model "godwit-v1" (fixed set, same on every host that meets it) or "host"
 * (all that the host has and Godwit supports). Returns 0; -EINVAL unknown model; -ENOTSUP
 * when the host lacks what the model promises, why names it.
 */
int MUST_CHECK cpu_policy_build(struct cpu_policy *p, const char *model,
				const struct cpu_policy_env *env, char *why, size_t why_size);

/* Guest state that CPUID shows. */
struct cpu_policy_dynamic {
	u32 apic_id;
	u64 cr4, xcr0;
};

/** cpu_policy_cpuid() - what the guest reads; leaves not in the policy read as zero. */
void cpu_policy_cpuid(const struct cpu_policy *p, u32 leaf, u32 subleaf,
		      const struct cpu_policy_dynamic *d, struct cpuid_regs *out);

#endif
