/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest state in the VMCB, and what is switched only when another vCPU comes: FPU, debug
 * registers, XCR0, TSC_AUX.
 */
#include "arch/svm/svm_priv.h"
#include "arch/x86/cpu.h"
#include "arch/x86/fpu.h"
#include "arch/x86/msr.h"
#include "kernel/base/str.h"

#define PAT_RESET     0x0007040600070406ull
#define RFLAGS_RESET  BIT(1)
#define DR6_RESET     0xffff0ff0ull
#define DR7_RESET     0x400ull
#define CPUID_SIGNATURE 1u

#define SEG_ATTR_L BIT(9)
#define SEG_ATTR_D BIT(10)

#define ATTR_CODE 0x9bu
#define ATTR_DATA 0x93u
#define ATTR_LDT  0x82u
#define ATTR_TSS  0x8bu

static struct vmcb_seg *seg_of(struct vmcb *c, enum hvm_seg seg)
{
	switch (seg) {
	case HVM_ES:
		return &c->es;
	case HVM_CS:
		return &c->cs;
	case HVM_SS:
		return &c->ss;
	case HVM_DS:
		return &c->ds;
	case HVM_FS:
		return &c->fs;
	case HVM_GS:
		return &c->gs;
	case HVM_LDTR:
		return &c->ldtr;
	case HVM_TR:
	case HVM_SEGS:
	default:
		return &c->tr;
	}
}

/* APM vol. 2 §14.1.3. */
void svm_vcpu_reset(struct hvm_vcpu *v, struct hvm_regs *regs)
{
	struct vmcb *c = v->vmcb;
	const struct vmcb_seg data = { 0, ATTR_DATA, 0xffff, 0 };

	c->es = c->ss = c->ds = c->fs = c->gs = data;
	c->cs = (struct vmcb_seg){ 0xf000, ATTR_CODE, 0xffff, 0xffff0000 };
	c->gdtr = c->idtr = (struct vmcb_seg){ 0, 0, 0xffff, 0 };
	c->ldtr = (struct vmcb_seg){ 0, ATTR_LDT, 0xffff, 0 };
	c->tr = (struct vmcb_seg){ 0, ATTR_TSS, 0xffff, 0 };
	c->cpl = 0;
	c->efer = EFER_SVME;
	c->cr0 = CR0_CD | CR0_NW | CR0_ET;
	c->cr2 = c->cr3 = c->cr4 = 0;
	c->dr6 = DR6_RESET;
	c->dr7 = DR7_RESET;
	c->g_pat = PAT_RESET;
	c->star = c->lstar = c->cstar = c->sfmask = c->kernel_gs_base = 0;
	c->sysenter_cs = c->sysenter_esp = c->sysenter_eip = 0;
	c->int_state = 0;
	c->int_ctl = SVM_V_INTR_MASKING;
	c->misc1 &= (u32) ~(SVM_I1_VINTR | SVM_I1_IRET);
	v->event = 0;
	v->nmi = 0;
	v->generation = 0;
	v->xcr0 = 1;
	v->tsc_aux = 0;
	memset(v->dr, 0, sizeof(v->dr));
	fpu_area_init(v->fpu);
	memset(regs, 0, sizeof(*regs));
	regs->gpr[HVM_RDX] = cpuid(CPUID_SIGNATURE, 0).eax;
	regs->rip = 0xfff0;
	regs->rflags = RFLAGS_RESET;
}

static void debug_registers_load(const u64 *dr)
{
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3"
			 :
			 : "r"(dr[0]), "r"(dr[1]), "r"(dr[2]), "r"(dr[3]));
}

static void debug_registers_save(u64 *dr)
{
	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3"
			 : "=r"(dr[0]), "=r"(dr[1]), "=r"(dr[2]), "=r"(dr[3]));
}

void svm_vcpu_load(struct hvm_vcpu *v)
{
	fpu_load(v->fpu, v->xcr0);
	debug_registers_load(v->dr);
	if (cpu_features()->rdtscp)
		msr_write(MSR_TSC_AUX, v->tsc_aux);
	v->loaded = true;
}

void svm_vcpu_put(struct hvm_vcpu *v)
{
	fpu_save(v->fpu);
	debug_registers_save(v->dr);
	v->loaded = false;
	/* QEMU: FXRSTOR on another CPU writes flags of CPU 0 back as it read them, GIF with them.
	 * What svm_run() set may be gone, and this CPU would not wake from its next HLT. */
	if (svm_features.tcg)
		__asm__ volatile("stgi" : : : "memory");
}

void svm_get_seg(struct hvm_vcpu *v, enum hvm_seg seg, struct hvm_segment *out)
{
	const struct vmcb_seg *s = seg_of(v->vmcb, seg);

	out->base = s->base;
	out->limit = s->limit;
	out->sel = s->sel;
	out->attr = s->attr;
}

void svm_set_seg(struct hvm_vcpu *v, enum hvm_seg seg, const struct hvm_segment *in)
{
	*seg_of(v->vmcb, seg) = (struct vmcb_seg){ in->sel, in->attr & 0xfff, in->limit, in->base };
	if (seg == HVM_SS)
		v->vmcb->cpl = (u8)((in->attr >> 5) & 3);
}

void svm_get_dtable(struct hvm_vcpu *v, bool idt, struct hvm_dtable *out)
{
	const struct vmcb_seg *s = idt ? &v->vmcb->idtr : &v->vmcb->gdtr;

	out->base = s->base;
	out->limit = s->limit;
}

void svm_set_dtable(struct hvm_vcpu *v, bool idt, const struct hvm_dtable *in)
{
	struct vmcb_seg *s = idt ? &v->vmcb->idtr : &v->vmcb->gdtr;

	s->base = in->base;
	s->limit = in->limit;
}

/* Where the VMCB keeps a register; NULL for those that live elsewhere. */
static u64 *sys_of(struct vmcb *c, enum hvm_sysreg reg)
{
	static const u16 offset[HVM_SYSREGS] = {
		[HVM_CR0] = offsetof(struct vmcb, cr0),
		[HVM_CR2] = offsetof(struct vmcb, cr2),
		[HVM_CR3] = offsetof(struct vmcb, cr3),
		[HVM_CR4] = offsetof(struct vmcb, cr4),
		[HVM_DR6] = offsetof(struct vmcb, dr6),
		[HVM_DR7] = offsetof(struct vmcb, dr7),
		[HVM_PAT] = offsetof(struct vmcb, g_pat),
		[HVM_STAR] = offsetof(struct vmcb, star),
		[HVM_LSTAR] = offsetof(struct vmcb, lstar),
		[HVM_CSTAR] = offsetof(struct vmcb, cstar),
		[HVM_SFMASK] = offsetof(struct vmcb, sfmask),
		[HVM_KERNEL_GS_BASE] = offsetof(struct vmcb, kernel_gs_base),
		[HVM_SYSENTER_CS] = offsetof(struct vmcb, sysenter_cs),
		[HVM_SYSENTER_ESP] = offsetof(struct vmcb, sysenter_esp),
		[HVM_SYSENTER_EIP] = offsetof(struct vmcb, sysenter_eip),
		[HVM_TSC_OFFSET] = offsetof(struct vmcb, tsc_offset),
	};

	return offset[reg] ? (u64 *)((u8 *)c + offset[reg]) : NULL;
}

u64 svm_get_sys(struct hvm_vcpu *v, enum hvm_sysreg reg)
{
	const u64 *p = sys_of(v->vmcb, reg);

	if (likely(p))
		return *p;
	if (reg == HVM_EFER)
		return v->vmcb->efer & ~EFER_SVME;
	if (reg == HVM_CR8)
		return v->vmcb->int_ctl & SVM_V_TPR;
	return reg == HVM_XCR0 ? v->xcr0 : v->tsc_aux;
}

void svm_set_sys(struct hvm_vcpu *v, enum hvm_sysreg reg, u64 value)
{
	u64 *p = sys_of(v->vmcb, reg);

	if (p) {
		*p = value;
		if (reg == HVM_CR0 || reg == HVM_CR3 || reg == HVM_CR4)
			svm_tlb_flush(v);
		return;
	}
	if (reg == HVM_EFER) {
		v->vmcb->efer = value | EFER_SVME;
		svm_tlb_flush(v);
	} else if (reg == HVM_CR8) {
		v->vmcb->int_ctl = (v->vmcb->int_ctl & ~SVM_V_TPR) | (value & SVM_V_TPR);
	} else if (reg == HVM_XCR0) {
		v->xcr0 = value;
		if (v->loaded)
			fpu_set_xcr0(value);
	} else {
		v->tsc_aux = value;
		if (v->loaded && cpu_features()->rdtscp)
			msr_write(MSR_TSC_AUX, value);
	}
}

u8 svm_cpl(struct hvm_vcpu *v)
{
	return v->vmcb->cpl;
}

struct hvm_code svm_code(struct hvm_vcpu *v)
{
	const struct vmcb *c = v->vmcb;

	if ((c->cs.attr & SEG_ATTR_L) && (c->efer & EFER_LMA))
		return (struct hvm_code){ .cr3 = c->cr3, .bits = 64 };
	return (struct hvm_code){ .cr3 = c->cr3, .base = (u32)c->cs.base,
				  .bits = c->cs.attr & SEG_ATTR_D ? 32 : 16 };
}

void svm_exit_raw(struct hvm_vcpu *v, u64 raw[4])
{
	const struct vmcb *c = v->vmcb;

	raw[0] = c->exit_code;
	raw[1] = c->exit_info1;
	raw[2] = c->exit_info2;
	raw[3] = c->exit_int_info;
}

/* A new ASID at the next entry has no translations. */
void svm_tlb_flush(struct hvm_vcpu *v)
{
	v->generation = 0;
}
