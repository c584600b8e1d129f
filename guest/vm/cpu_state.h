/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Validity of control registers and MSRs that several handlers share. Pure.
 * AMD APM vol. 2 §3.1 and §14; Intel SDM vol. 3 §2.5 and §4.1.
 */
#ifndef GUEST_VM_CPU_STATE_H
#define GUEST_VM_CPU_STATE_H

#include "arch/hvm.h"
#include "kernel/base/bits.h"
#include "kernel/base/types.h"

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_PAE	  BIT(5)
#define CR4_LA57  BIT(12)
#define CR4_PCIDE BIT(17)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

/* MSRs that no backend keeps. */
struct vcpu_msrs {
	u64 mtrr_def;
	u64 mtrr_fixed[11];
	u64 mtrr_var[16];
	u64 misc_enable;
	u64 mcg_status;
	u64 de_cfg;	/* AMD MSR C001_1029h: LFENCE serialises */
	u64 tsc_adjust; /* guest writes of the TSC: added to the VM's offset */
	u64 kvm_system_time;
	u64 kvm_wall_clock;
	u64 kvm_pv_eoi;
};

/* What the checks look at; 'cs_l': CS.L of the running code. */
struct cpu_state {
	u64 cr0, cr3, cr4, efer;
	bool cs_l;
};

/**
 * cpu_state_set_cr0() - the effect of MOV CR0: s->cr0 and s->efer (LMA follows PG).
 * false: #GP(0), s untouched.
 */
bool cpu_state_set_cr0(struct cpu_state *s, u64 value);

/** cpu_state_set_cr4() - MOV CR4 with the bits of 'valid' allowed; false: #GP(0). */
bool cpu_state_set_cr4(struct cpu_state *s, u64 value, u64 valid);

/** cpu_state_set_efer() - WRMSR EFER; LMA is kept; false: #GP(0). */
bool cpu_state_set_efer(struct cpu_state *s, u64 value, u64 valid);

/** cpu_state_pat_valid() - is each of the eight types one that exists? */
bool cpu_state_pat_valid(u64 pat);

/** cpu_state_xcr0_valid() - XSETBV with the components of 'allowed' (SDM vol. 1 §13.3). */
bool cpu_state_xcr0_valid(u64 value, u64 allowed);

/** cpu_state_sysreg_valid() - what a WRMSR may put into a register that the backend keeps. */
bool cpu_state_sysreg_valid(enum hvm_sysreg reg, u64 value);

/** cpu_state_mtrr_valid() - value for an MTRR (MSR number); memory types and reserved bits. */
bool cpu_state_mtrr_valid(u32 msr, u64 value, u8 maxphyaddr);

/** cpu_state_canonical() - 48-bit canonical address? */
bool cpu_state_canonical(u64 linear);

#endif
