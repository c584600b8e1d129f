/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events into the guest: EVENTINJ, re-delivery, interrupt and NMI windows. APM vol. 2 §15.20,
 * §15.21.
 */
#include "arch/svm/svm_priv.h"
#include "arch/x86/fpu.h"
#include "arch/x86/lapic.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/irq.h"

#define RFLAGS_TF BIT(8)
#define RFLAGS_IF BIT(9)
#define DR6_BS BIT(14)

#define VECTOR_DB 1

int svm_inject(struct hvm_vcpu *v, const struct hvm_event *ev)
{
	if (v->event)
		return -EBUSY;
	v->event = ev->vector | SVM_EV_TYPE(ev->type) | SVM_EV_VALID;
	if (ev->has_error)
		v->event |= SVM_EV_HAS_ERROR | (u64)ev->error << 32;
	if (ev->type == HVM_EVENT_NMI) {
		v->nmi |= SVM_NMI_BLOCKED;
		v->vmcb->misc1 |= SVM_I1_IRET;
	}
	return 0;
}

bool svm_event_queued(struct hvm_vcpu *v)
{
	return v->event != 0;
}

bool svm_irq_ready(struct hvm_vcpu *v, const struct hvm_regs *regs)
{
	return (regs->rflags & RFLAGS_IF) && !v->event && !(v->vmcb->int_state & SVM_SHADOW);
}

/* A virtual interrupt that would be taken at once, intercepted instead: it never arrives. */
void svm_irq_window(struct hvm_vcpu *v, bool on)
{
	if (on) {
		v->vmcb->misc1 |= SVM_I1_VINTR;
		v->vmcb->int_ctl |= SVM_V_IRQ | SVM_V_IGN_TPR | SVM_V_PRIO_MAX;
	} else {
		v->vmcb->misc1 &= (u32)~SVM_I1_VINTR;
		v->vmcb->int_ctl &= ~(SVM_V_IRQ | SVM_V_IGN_TPR | SVM_V_PRIO_MAX);
	}
}

bool svm_nmi_ready(struct hvm_vcpu *v)
{
	return !(v->nmi & SVM_NMI_BLOCKED) && !v->event && !(v->vmcb->int_state & SVM_SHADOW);
}

/*
 * Without virtual NMIs the end of an NMI handler is seen by its IRET: intercepted, then
 * single-stepped, so that the next NMI comes after it and not on top of its frame. When only
 * a shadow stands in the way, an interrupt window is as good a place.
 */
void svm_nmi_window(struct hvm_vcpu *v, bool on)
{
	v->nmi = (u8)((v->nmi & ~SVM_NMI_WINDOW) | (on ? SVM_NMI_WINDOW : 0));
	if (on && !(v->nmi & SVM_NMI_BLOCKED))
		svm_irq_window(v, true);
}

/* No AVIC: interrupts are injected. */
u32 *svm_apic_page(struct hvm_vcpu *v)
{
	(void)v;
	return NULL;
}

void svm_shadow_clear(struct hvm_vcpu *v)
{
	v->vmcb->int_state &= ~SVM_SHADOW;
}

/*
 * QEMU's emulation remembers the vector of an injected interrupt after its delivery, until the
 * next exception, interrupt or exit of that CPU; when anything else stops the CPU's thread
 * meanwhile, it delivers the vector once more, whatever the guest is at by then. Injected software
 * interrupts are forgotten at once. They differ in nothing but the check of the gate's privilege
 * level, which never fails at CPL 0. At other levels an interrupt of the host is made to wait, so
 * that the exit comes before the handler's first instruction.
 */
void svm_event_entry(struct hvm_vcpu *v)
{
	struct vmcb *c = v->vmcb;

	c->event_inj = v->event;
	v->event = 0;
	if (!svm_features.tcg || field_get(c->event_inj, 10, 8) != HVM_EVENT_INTR)
		return;
	if (c->cpl) {
		lapic_send_ipi(lapic_id(), IRQ_VECTOR_KICK);
		return;
	}
	v->soft = c->event_inj;
	v->soft_rip = c->rip;
	c->event_inj |= SVM_EV_TYPE(HVM_EVENT_SOFT_INT);
}

void svm_nmi_entry(struct hvm_vcpu *v)
{
	if (v->nmi & SVM_NMI_STEP)
		v->vmcb->rflags |= RFLAGS_TF;
}

/* The IRET of an NMI handler is about to run: step over it. */
static void iret_seen(struct hvm_vcpu *v, struct hvm_exit *x, struct hvm_regs *regs)
{
	v->vmcb->misc1 &= (u32)~SVM_I1_IRET;
	v->nmi |= SVM_NMI_STEP;
	v->saved_tf = (regs->rflags & RFLAGS_TF) != 0;
	x->code = HVM_EXIT_HOST;
}

static void step_seen(struct hvm_vcpu *v, struct hvm_exit *x)
{
	v->nmi &= (u8) ~(SVM_NMI_STEP | SVM_NMI_BLOCKED);
	if (v->saved_tf)
		return; /* the guest single-steps too: the trap is also its own */
	v->vmcb->dr6 &= ~DR6_BS;
	x->code = v->nmi & SVM_NMI_WINDOW ? HVM_EXIT_NMI_WINDOW : HVM_EXIT_HOST;
}

void svm_event_exit(struct hvm_vcpu *v, struct hvm_exit *x, struct hvm_regs *regs)
{
	u64 again = svm_redeliver(v->vmcb);

	if (again)
		v->event = again;
	else if (v->soft && v->vmcb->rip == v->soft_rip &&
		 v->vmcb->exit_int_info == (v->soft | SVM_EV_TYPE(HVM_EVENT_SOFT_INT)))
		v->event = v->soft;
	else if (v->vmcb->event_inj & SVM_EV_VALID)
		v->event = v->vmcb->event_inj; /* the exit came before the delivery */
	if (v->nmi & SVM_NMI_STEP) {
		if (x->code == HVM_EXIT_EXCEPTION && x->u.exception.vector == VECTOR_DB)
			step_seen(v, x);
		else if (!v->saved_tf)
			regs->rflags &= ~RFLAGS_TF;
	} else if ((u32)v->vmcb->exit_code == SVM_X_IRET) {
		iret_seen(v, x, regs);
	} else if ((v->nmi & (SVM_NMI_WINDOW | SVM_NMI_BLOCKED)) == SVM_NMI_WINDOW &&
		   x->code == HVM_EXIT_IRQ_WINDOW) {
		x->code = HVM_EXIT_NMI_WINDOW;
	}
}

/* A step over the IRET of an NMI's handler is begun anew: the IRET did not run yet. */
void svm_get_state(struct hvm_vcpu *v, struct hvm_state *out)
{
	*out = (struct hvm_state){ .queued = v->event != 0 };
	out->event = (struct hvm_event){ .vector = (u8)v->event,
					 .type = (u8)field_get(v->event, 10, 8),
					 .has_error = (v->event & SVM_EV_HAS_ERROR) != 0,
					 .error = (u32)(v->event >> 32) };
	out->nmi_blocked = (v->nmi & SVM_NMI_BLOCKED) != 0;
	out->shadow_sti = (v->vmcb->int_state & SVM_SHADOW) != 0;
	memcpy(out->dr, v->dr, sizeof(out->dr));
	out->xstate = fpu_get(v->fpu, out->fxsave, out->ymm_high);
}

int svm_set_state(struct hvm_vcpu *v, const struct hvm_state *in)
{
	int rc = fpu_set(v->fpu, in->xstate, in->fxsave, in->ymm_high);

	if (!rc && in->queued)
		rc = svm_inject(v, &in->event);
	if (rc)
		return rc;
	if (in->nmi_blocked) {
		v->nmi |= SVM_NMI_BLOCKED;
		v->vmcb->misc1 |= SVM_I1_IRET;
	}
	if (in->shadow_sti || in->shadow_ss)
		v->vmcb->int_state |= SVM_SHADOW;
	memcpy(v->dr, in->dr, sizeof(v->dr));
	return 0;
}
