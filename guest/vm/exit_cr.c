/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control registers: CR0, CR4 and CR8 as guest/vm/cpu_state and the local APIC allow.
 */
#include "guest/emul/insn.h"
#include "guest/vm/cpu_state.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"

#define ATTR_L BIT(9)
#define CR8_TPR MASK(3, 0)

struct cr_access {
	u8 op; /* enum hvm_cr_op, decoded */
	u8 cr;
	u8 gpr;
	u16 msw;
	u8 len;
};

static bool msw_operand(struct vcpu *v, const struct insn *in, u16 *msw)
{
	/* LMSW from memory is 8086-era code: no supported guest has it. */
	if (in->flags & INSN_F_MEM) {
		vm_fail(v->vm, v, "LMSW with a memory operand");
		return false;
	}
	*msw = (u16)v->regs.gpr[in->rm & 15];
	return true;
}

/* The CPU gave no operands: read them from the instruction. */
static bool decode(struct vcpu *v, struct cr_access *a)
{
	const struct insn *in = vcpu_decode(v);

	if (!in)
		return false;
	a->len = in->len;
	a->cr = in->reg & 15;
	a->gpr = in->rm & 15;
	switch (in->op) {
	case INSN_MOV_TO_CR:
		a->op = HVM_CR_MOV_TO;
		return true;
	case INSN_MOV_FROM_CR:
		a->op = HVM_CR_MOV_FROM;
		return true;
	case INSN_CLTS:
		a->op = HVM_CR_CLTS;
		a->cr = 0;
		return true;
	case INSN_LMSW:
		a->op = HVM_CR_LMSW;
		a->cr = 0;
		return msw_operand(v, in, &a->msw);
	default:
		/* Another vCPU replaced the instruction: the new one runs at the next entry. */
		return false;
	}
}

static bool cr_operands(struct vcpu *v, struct cr_access *a)
{
	const struct hvm_exit *x = &v->exit;

	if (x->u.cr.op == HVM_CR_DECODE || !x->insn_len)
		return decode(v, a);
	*a = (struct cr_access){ .op = x->u.cr.op, .cr = x->u.cr.cr, .gpr = x->u.cr.gpr,
				 .msw = x->u.cr.msw, .len = x->insn_len };
	return true;
}

static bool set_cr0(struct vcpu *v, u64 value)
{
	const struct hvm_ops *ops = v->vm->ops;
	struct hvm_segment cs;
	struct cpu_state s = { .cr0 = ops->get_sys(v->hv, HVM_CR0),
			       .cr4 = ops->get_sys(v->hv, HVM_CR4),
			       .efer = ops->get_sys(v->hv, HVM_EFER) };
	u64 efer = s.efer;

	ops->get_seg(v->hv, HVM_CS, &cs);
	s.cs_l = (s.efer & EFER_LMA) && (cs.attr & ATTR_L);
	if (!cpu_state_set_cr0(&s, value))
		return false;
	if (s.efer != efer)
		ops->set_sys(v->hv, HVM_EFER, s.efer);
	ops->set_sys(v->hv, HVM_CR0, s.cr0);
	vcpu_fetch_flush(v);
	return true;
}

static bool set_cr4(struct vcpu *v, u64 value)
{
	const struct hvm_ops *ops = v->vm->ops;
	struct cpu_state s = { .cr3 = ops->get_sys(v->hv, HVM_CR3),
			       .cr4 = ops->get_sys(v->hv, HVM_CR4),
			       .efer = ops->get_sys(v->hv, HVM_EFER) };

	if (!cpu_state_set_cr4(&s, value, v->vm->policy->cr4_valid))
		return false;
	ops->set_sys(v->hv, HVM_CR4, s.cr4);
	vcpu_fetch_flush(v);
	return true;
}

/* APM vol. 2 §3.1.1: LMSW loads the low four bits and cannot clear PE. */
static bool lmsw(struct vcpu *v, u16 msw)
{
	u64 cr0 = v->vm->ops->get_sys(v->hv, HVM_CR0);

	return set_cr0(v, (cr0 & ~(CR0_MP | CR0_EM | CR0_TS)) | (msw & MASK(3, 0)));
}

static bool move_to(struct vcpu *v, u8 cr, u64 value)
{
	switch (cr) {
	case 0:
		return set_cr0(v, value);
	case 4:
		return set_cr4(v, value);
	case 8:
		if (value & ~CR8_TPR)
			return false;
		v->irq_ops->set_tpr(v->lapic, (u8)value);
		vcpu_tpr_changed(v);
		return true;
	default:
		return false;
	}
}

static bool move_from(struct vcpu *v, u8 cr, u64 *value)
{
	switch (cr) {
	case 0:
		*value = v->vm->ops->get_sys(v->hv, HVM_CR0);
		return true;
	case 4:
		*value = v->vm->ops->get_sys(v->hv, HVM_CR4);
		return true;
	case 8:
		*value = v->irq_ops->tpr(v->lapic);
		return true;
	default:
		return false;
	}
}

enum exit_result exit_cr(struct vcpu *v)
{
	struct cr_access a;
	bool ok;

	if (!cr_operands(v, &a))
		return EXIT_RETRY;
	switch (a.op) {
	case HVM_CR_MOV_TO:
		ok = move_to(v, a.cr, v->regs.gpr[a.gpr]);
		break;
	case HVM_CR_MOV_FROM:
		ok = move_from(v, a.cr, &v->regs.gpr[a.gpr]);
		break;
	case HVM_CR_CLTS:
		ok = set_cr0(v, v->vm->ops->get_sys(v->hv, HVM_CR0) & ~CR0_TS);
		break;
	default:
		ok = lmsw(v, a.msw);
		break;
	}
	if (!ok)
		return vcpu_gp(v);
	vcpu_advance(v, a.len);
	return EXIT_RETRY;
}
