/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the capability MSRs to the control words: what must be there, what is used when it is,
 * and what its absence costs. Pure.
 */
#ifndef ARCH_VMX_VMX_CTLS_H
#define ARCH_VMX_VMX_CTLS_H

#include "arch/hvm.h"
#include "arch/vmx/vmcs.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* The MSRs as read; a control MSR is allowed-0 settings in the low half, allowed-1 in the high. */
struct vmx_msrs {
	u64 basic;
	u64 pin, proc, exit, entry; /* the "true" ones when basic says that they exist */
	u64 proc2;		    /* 0: no second word */
	u64 ept_vpid;		    /* 0: neither EPT nor VPID */
	u64 misc;
};

struct vmx_ctls {
	u32 pin, proc, proc2, exit, entry;
	bool vpid, preemption_timer, pause_loop;
	bool direct; /* VMX_PROC2_DIRECT may be set, with the TPR shadow instead of CR8 exits */
	bool posted; /* and VMX_PIN_POSTED then; exits acknowledge interrupts */
	bool ept_ad, ept_2m, ept_1g;
	bool pml; /* the CPU logs the guest's writes */
	bool invept_one, invvpid_one; /* else only all contexts at once */
	u8 timer_shift;		      /* the preemption timer counts TSC >> this */
	u64 absent;		      /* bit i: vmx_features[i] is not there */
};

#define VMX_FEATURES 38

/* word: 0 pin, 1 and 2 processor-based, 3 exit, 4 entry, 5 EPT and VPID */
extern const struct hvm_feature vmx_features[VMX_FEATURES];

/**
 * vmx_ctls_compute() - the control words for these MSRs. -ENOTSUP, with the reason in why and
 * *out untouched, when something required is not there. SDM vol. 3 appendix A.3 to A.5, A.10.
 */
int MUST_CHECK vmx_ctls_compute(const struct vmx_msrs *m, struct vmx_ctls *out, char *why,
				size_t why_size);

#endif
