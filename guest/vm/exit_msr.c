/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RDMSR and WRMSR. What the policy does not offer is #GP; a few registers that stock kernels
 * touch without looking read as zero and drop writes.
 */
#include "guest/vm/cpu_state.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"
#include "kernel/base/bits.h"

#define OP_RDMSR 0x320f
#define OP_WRMSR 0x300f

#define MSR_TSC		   0x10u
#define MSR_KVM_WALL_OLD   0x11u
#define MSR_KVM_SYSTEM_OLD 0x12u
#define MSR_APIC_BASE	   0x1bu
#define MSR_PATCH_LEVEL	   0x8bu
#define MSR_MTRR_CAP	   0xfeu
#define MSR_SYSENTER_CS	   0x174u
#define MSR_SYSENTER_ESP   0x175u
#define MSR_SYSENTER_EIP   0x176u
#define MSR_MISC_ENABLE	   0x1a0u
#define MSR_MCG_CAP	   0x179u
#define MSR_MCG_STATUS	   0x17au
#define MSR_DEBUGCTL	   0x1d9u
#define MSR_MTRR_VAR	   0x200u
#define MSR_PAT		   0x277u
#define MSR_MTRR_DEF	   0x2ffu
#define MSR_TSC_DEADLINE   0x6e0u
#define MSR_X2APIC	   0x800u
#define MSR_X2APIC_TPR	   0x808u
#define MSR_X2APIC_LAST	   0x8ffu
#define MSR_KVM_WALL	   0x4b564d00u
#define MSR_KVM_SYSTEM	   0x4b564d01u
#define MSR_KVM_PV_EOI	   0x4b564d04u
#define MSR_EFER	   0xc0000080u
#define MSR_STAR	   0xc0000081u
#define MSR_LSTAR	   0xc0000082u
#define MSR_CSTAR	   0xc0000083u
#define MSR_SFMASK	   0xc0000084u
#define MSR_FS_BASE	   0xc0000100u
#define MSR_GS_BASE	   0xc0000101u
#define MSR_KERNEL_GS	   0xc0000102u
#define MSR_TSC_AUX	   0xc0000103u
#define MSR_AMD_DE_CFG	   0xc0011029u

#define MCG_STATUS_MAX 7ull /* RIPV, EIPV, MCIP */
#define MTRR_CAP ((8ull) | BIT(8) | BIT(10)) /* 8 variable, fixed, write-combining */

/* Registers of AMD northbridge, SMM and errata that kernels read unconditionally. */
static const u32 amd_zero[] = {
	0xc0010010, /* SYSCFG */
	0xc0010015, /* HWCR */
	0xc001001f, /* NB_CFG */
	0xc0010055, /* INT_PENDING_MSG */
	0xc0010058, /* MMIO_CONF_BASE */
	0xc0010112, /* SMM_ADDR */
	0xc0010113, /* SMM_MASK */
	0xc0011020, /* LS_CFG */
	0xc0011021, /* IC_CFG */
	0xc0011022, /* DC_CFG */
	0xc001102a, /* BU_CFG2 */
};

static bool reads_zero(const struct vcpu *v, u32 msr)
{
	if (msr == MSR_PATCH_LEVEL || msr == MSR_DEBUGCTL)
		return true;
	if (!v->vm->vendor_amd)
		return false;
	for (u32 i = 0; i < ARRAY_SIZE(amd_zero); i++)
		if (amd_zero[i] == msr)
			return true;
	return false;
}

/* Registers that the backend keeps; -1: none of them. */
static int sysreg_of(u32 msr)
{
	switch (msr) {
	case MSR_SYSENTER_CS:
		return HVM_SYSENTER_CS;
	case MSR_SYSENTER_ESP:
		return HVM_SYSENTER_ESP;
	case MSR_SYSENTER_EIP:
		return HVM_SYSENTER_EIP;
	case MSR_PAT:
		return HVM_PAT;
	case MSR_STAR:
		return HVM_STAR;
	case MSR_LSTAR:
		return HVM_LSTAR;
	case MSR_CSTAR:
		return HVM_CSTAR;
	case MSR_SFMASK:
		return HVM_SFMASK;
	case MSR_KERNEL_GS:
		return HVM_KERNEL_GS_BASE;
	case MSR_TSC_AUX:
		return HVM_TSC_AUX;
	default:
		return -1;
	}
}

/* Fixed-range MTRRs: 250, 258, 259, 268..26f. Index, or -1. */
static int mtrr_fixed_index(u32 msr)
{
	if (msr == 0x250)
		return 0;
	if (msr == 0x258 || msr == 0x259)
		return (int)(msr - 0x258) + 1;
	if (msr >= 0x268 && msr <= 0x26f)
		return (int)(msr - 0x268) + 3;
	return -1;
}

static u64 *mtrr_of(struct vcpu *v, u32 msr)
{
	int i = mtrr_fixed_index(msr);

	if (i >= 0)
		return &v->msr.mtrr_fixed[i];
	if (msr >= MSR_MTRR_VAR && msr < MSR_MTRR_VAR + ARRAY_SIZE(v->msr.mtrr_var))
		return &v->msr.mtrr_var[msr - MSR_MTRR_VAR];
	return msr == MSR_MTRR_DEF ? &v->msr.mtrr_def : NULL;
}

static u64 seg_base(struct vcpu *v, enum hvm_seg seg)
{
	struct hvm_segment s;

	v->vm->ops->get_seg(v->hv, seg, &s);
	return s.base;
}

static bool is_apic(u32 msr)
{
	return msr == MSR_APIC_BASE || msr == MSR_TSC_DEADLINE ||
	       (msr >= MSR_X2APIC && msr <= MSR_X2APIC_LAST);
}

static bool read_plain(struct vcpu *v, u32 msr, u64 *value)
{
	int sys = sysreg_of(msr);
	const u64 *mtrr;

	if (sys >= 0) {
		*value = v->vm->ops->get_sys(v->hv, (enum hvm_sysreg)sys);
		return true;
	}
	mtrr = mtrr_of(v, msr);
	if (mtrr) {
		*value = *mtrr;
		return true;
	}
	*value = 0;
	return reads_zero(v, msr);
}

static bool read_msr(struct vcpu *v, u32 msr, u64 *value)
{
	if (is_apic(msr))
		return v->irq_ops->rdmsr(v->lapic, msr, value);
	switch (msr) {
	case MSR_TSC:
		*value = vcpu_tsc(v);
		return true;
	case MSR_MTRR_CAP:
		*value = MTRR_CAP;
		return true;
	case MSR_MCG_CAP: /* a machine check architecture without banks: nothing can be reported */
		*value = 0;
		return true;
	case MSR_MCG_STATUS:
		*value = v->msr.mcg_status;
		return true;
	case MSR_EFER:
		*value = v->vm->ops->get_sys(v->hv, HVM_EFER);
		return true;
	case MSR_FS_BASE:
		*value = seg_base(v, HVM_FS);
		return true;
	case MSR_GS_BASE:
		*value = seg_base(v, HVM_GS);
		return true;
	case MSR_KVM_SYSTEM:
	case MSR_KVM_SYSTEM_OLD:
		*value = v->msr.kvm_system_time;
		return true;
	case MSR_KVM_WALL:
	case MSR_KVM_WALL_OLD:
		*value = v->msr.kvm_wall_clock;
		return true;
	case MSR_KVM_PV_EOI:
		*value = v->msr.kvm_pv_eoi;
		return true;
	case MSR_MISC_ENABLE:
		*value = v->msr.misc_enable;
		return !v->vm->vendor_amd;
	case MSR_AMD_DE_CFG:
		*value = v->msr.de_cfg;
		return v->vm->vendor_amd;
	default:
		return read_plain(v, msr, value);
	}
}

static bool write_efer(struct vcpu *v, u64 value)
{
	const struct hvm_ops *ops = v->vm->ops;
	struct cpu_state s = { .cr0 = ops->get_sys(v->hv, HVM_CR0),
			       .efer = ops->get_sys(v->hv, HVM_EFER) };

	if (!cpu_state_set_efer(&s, value, v->vm->policy->efer_valid))
		return false;
	ops->set_sys(v->hv, HVM_EFER, s.efer);
	vcpu_fetch_flush(v);
	return true;
}

static void write_tsc(struct vcpu *v, u64 value)
{
	v->msr.tsc_adjust += value - vcpu_tsc(v);
	v->vm->ops->set_sys(v->hv, HVM_TSC_OFFSET, v->vm->tsc_offset + v->msr.tsc_adjust);
	kvmclock_write(v);
}

static void write_seg_base(struct vcpu *v, enum hvm_seg seg, u64 base)
{
	struct hvm_segment s;

	v->vm->ops->get_seg(v->hv, seg, &s);
	s.base = base;
	v->vm->ops->set_seg(v->hv, seg, &s);
}

static bool write_plain(struct vcpu *v, u32 msr, u64 value)
{
	int sys = sysreg_of(msr);
	u64 *mtrr;

	if (sys >= 0) {
		if (!cpu_state_sysreg_valid((enum hvm_sysreg)sys, value))
			return false;
		v->vm->ops->set_sys(v->hv, (enum hvm_sysreg)sys, value);
		return true;
	}
	mtrr = mtrr_of(v, msr);
	if (mtrr) {
		if (!cpu_state_mtrr_valid(msr, value, v->vm->policy->maxphyaddr))
			return false;
		*mtrr = value;
		return true;
	}
	return reads_zero(v, msr);
}

static bool write_msr(struct vcpu *v, u32 msr, u64 value)
{
	if (is_apic(msr)) {
		bool ok = v->irq_ops->wrmsr(v->lapic, msr, value);

		if (msr == MSR_X2APIC_TPR)
			vcpu_tpr_changed(v);
		return ok;
	}
	switch (msr) {
	case MSR_TSC:
		write_tsc(v, value);
		return true;
	case MSR_MCG_STATUS:
		if (value > MCG_STATUS_MAX)
			return false;
		v->msr.mcg_status = value;
		return true;
	case MSR_EFER:
		return write_efer(v, value);
	case MSR_FS_BASE:
	case MSR_GS_BASE:
		if (!cpu_state_canonical(value))
			return false;
		write_seg_base(v, msr == MSR_FS_BASE ? HVM_FS : HVM_GS, value);
		return true;
	case MSR_KVM_SYSTEM:
	case MSR_KVM_SYSTEM_OLD:
		v->msr.kvm_system_time = value;
		kvmclock_write(v);
		return true;
	case MSR_KVM_WALL:
	case MSR_KVM_WALL_OLD:
		v->msr.kvm_wall_clock = value;
		kvmclock_wall_write(v, value);
		return true;
	case MSR_KVM_PV_EOI:
		if (value & BIT(1))
			return false;
		v->msr.kvm_pv_eoi = value;
		return true;
	case MSR_MISC_ENABLE:
		v->msr.misc_enable = value;
		return !v->vm->vendor_amd;
	case MSR_AMD_DE_CFG:
		v->msr.de_cfg = value;
		return v->vm->vendor_amd;
	default:
		return write_plain(v, msr, value);
	}
}

HOT enum exit_result exit_rdmsr(struct vcpu *v)
{
	u64 value = 0;

	if (unlikely(!read_msr(v, (u32)v->regs.gpr[HVM_RCX], &value)))
		return vcpu_gp(v);
	if (vcpu_skip(v, OP_RDMSR, 2)) {
		v->regs.gpr[HVM_RAX] = (u32)value;
		v->regs.gpr[HVM_RDX] = value >> 32;
	}
	return EXIT_RETRY;
}

HOT enum exit_result exit_wrmsr(struct vcpu *v)
{
	u64 value = (u64)(u32)v->regs.gpr[HVM_RDX] << 32 | (u32)v->regs.gpr[HVM_RAX];
	u32 msr = (u32)v->regs.gpr[HVM_RCX];

	if (unlikely(!write_msr(v, msr, value)))
		return vcpu_gp(v);
	(void)vcpu_skip(v, OP_WRMSR, 2); /* a failure queued its fault already */
	return EXIT_RETRY;
}
