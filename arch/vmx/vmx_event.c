/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events into the guest: injection, re-delivery, interrupt and NMI windows. SDM vol. 3 §27.6,
 * §28.2.4, §28.3.
 */
#include "arch/vmx/vmx_priv.h"
#include "arch/x86/cpu.h"
#include "arch/x86/fpu.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"

#define DR7_GD BIT(13)
#define VECTOR_DB 1

/* Registers of the page, which lie 16 bytes apart. */
#define APIC_ISR   (0x100 / 4)
#define APIC_TMR   (0x180 / 4)
#define APIC_IRR   (0x200 / 4)
#define APIC_WORDS 8

int vmx_inject(struct hvm_vcpu *v, const struct hvm_event *ev)
{
	if (v->event)
		return -EBUSY;
	v->event = ev->vector | VMX_EV_TYPE(ev->type) | (u32)VMX_EV_VALID;
	if (ev->has_error) {
		v->event |= (u32)VMX_EV_HAS_ERROR;
		v->event_error = ev->error;
	}
	return 0;
}

bool vmx_event_queued(struct hvm_vcpu *v)
{
	return v->event != 0;
}

bool vmx_irq_ready(struct hvm_vcpu *v, const struct hvm_regs *regs)
{
	return (regs->rflags & RFLAGS_IF) && !v->event && !(v->blocking & VMX_SHADOW);
}

bool vmx_nmi_ready(struct hvm_vcpu *v)
{
	return !v->event && !(v->blocking & (VMX_BLOCKED_NMI | VMX_SHADOW));
}

void vmx_windows_apply(struct hvm_vcpu *v)
{
	u64 proc = vmx_ctls.proc;

	if (v->direct)
		proc ^= VMX_PROC_CR8_LOAD | VMX_PROC_CR8_STORE | VMX_PROC_TPR_SHADOW;
	if (v->windows & (VMX_WANT_IRQ | VMX_NMI_IS_SHADE))
		proc |= VMX_PROC_IRQ_WINDOW;
	if ((v->windows & (VMX_WANT_NMI | VMX_NMI_IS_SHADE)) == VMX_WANT_NMI)
		proc |= VMX_PROC_NMI_WINDOW;
	vmwrite(VMCS_PROC_CTL, proc);
}

void vmx_irq_window(struct hvm_vcpu *v, bool on)
{
	v->windows = (u8)(on ? v->windows | VMX_WANT_IRQ : v->windows & ~VMX_WANT_IRQ);
	vmx_windows_apply(v);
}

/* Under an STI shadow an NMI window would open at once, though the NMI cannot be injected. */
void vmx_nmi_window(struct hvm_vcpu *v, bool on)
{
	v->windows &= (u8)~(VMX_WANT_NMI | VMX_NMI_IS_SHADE);
	if (on)
		v->windows |= (u8)(v->blocking & VMX_BLOCKED_STI ? VMX_WANT_NMI | VMX_NMI_IS_SHADE
								 : VMX_WANT_NMI);
	vmx_windows_apply(v);
}

u32 *vmx_apic_page(struct hvm_vcpu *v)
{
	return v->page;
}

u64 *vmx_apic_posted(struct hvm_vcpu *v)
{
	return v->posted;
}

/* The highest vector of a queue of the page, 0: none. */
static u64 highest(const u32 *queue)
{
	for (u32 i = APIC_WORDS; i-- > 0;)
		if (queue[4 * i])
			return 32 * i + 31 - (u32)__builtin_clz(queue[4 * i]);
	return 0;
}

/* §30.1.1, §30.2.1: what the CPU took from the page, and what of it is for the hypervisor. */
void vmx_apic_update(struct hvm_vcpu *v, bool direct)
{
	const u32 *tmr = v->page + APIC_TMR;

	if (v->direct != direct) {
		v->direct = direct;
		if (v->posted)
			vmwrite(VMCS_PIN_CTL, vmx_ctls.pin | (direct ? VMX_PIN_POSTED : 0));
		vmwrite(VMCS_PROC2_CTL, vmx_ctls.proc2 | (direct ? VMX_PROC2_DIRECT : 0));
		vmwrite(VMCS_MSR_BITMAP, virt_to_phys(v->vm->msr_bitmap[direct]));
		vmx_windows_apply(v);
	}
	if (!direct)
		return;
	vmwrite(VMCS_GUEST_INTERRUPT,
		highest(v->page + APIC_ISR) << 8 | highest(v->page + APIC_IRR));
	for (u32 i = 0; i < ARRAY_SIZE(v->eoi_exits); i++) {
		u64 level = tmr[8 * i] | (u64)tmr[8 * i + 4] << 32;

		if (v->eoi_exits[i] != level)
			vmwrite(VMCS_EOI_EXIT + 2 * i, level);
		v->eoi_exits[i] = level;
	}
}

static void set_blocking(struct hvm_vcpu *v, u32 blocking)
{
	v->blocking = blocking;
	vmwrite(VMCS_GUEST_BLOCKING, blocking);
}

/* A trap pending behind a shadow belonged to the instruction that is now done. */
void vmx_shadow_clear(struct hvm_vcpu *v)
{
	if (v->blocking & VMX_SHADOW) {
		set_blocking(v, v->blocking & (u32)~VMX_SHADOW);
		vmwrite(VMCS_GUEST_PENDING_DB, 0);
	}
}

void vmx_event_entry(struct hvm_vcpu *v)
{
	/* Real mode has no error codes: §27.2.1.3. */
	if ((v->event & VMX_EV_HAS_ERROR) && !(vmread(VMCS_GUEST_CR0) & CR0_PE))
		v->event &= (u32)~VMX_EV_HAS_ERROR;
	vmwrite(VMCS_ENTRY_EVENT, v->event);
	if (v->event & VMX_EV_HAS_ERROR)
		vmwrite(VMCS_ENTRY_ERROR, v->event_error);
	v->event = 0;
}

void vmx_event_exit(struct hvm_vcpu *v, struct hvm_exit *x)
{
	const struct vmx_exit_info *i = &v->exit;

	v->event = vmx_redeliver(i);
	if (v->event & VMX_EV_HAS_ERROR)
		v->event_error = (u32)vmread(VMCS_VECTORING_ERROR);
	if (field_get(v->event, 10, 8) == HVM_EVENT_NMI)
		set_blocking(v, v->blocking & (u32)~VMX_BLOCKED_NMI); /* it did not arrive */
	else if (vmx_nmi_unblocked(i))
		set_blocking(v, v->blocking | (u32)VMX_BLOCKED_NMI); /* its IRET runs again */
	if (x->code == HVM_EXIT_IRQ_WINDOW && (v->windows & VMX_NMI_IS_SHADE))
		x->code = HVM_EXIT_NMI_WINDOW;
	/* What delivery would have done, but an intercepted #DB does not: §28.1. */
	if (x->code == HVM_EXIT_EXCEPTION && x->u.exception.vector == VECTOR_DB)
		vmwrite(VMCS_GUEST_DR7, vmread(VMCS_GUEST_DR7) & ~DR7_GD);
}

void vmx_get_state(struct hvm_vcpu *v, struct hvm_state *out)
{
	bool borrowed = vmx_borrow(v);

	*out = (struct hvm_state){ .queued = v->event != 0,
				   .nmi_blocked = (v->blocking & VMX_BLOCKED_NMI) != 0,
				   .shadow_sti = (v->blocking & VMX_BLOCKED_STI) != 0,
				   .shadow_ss = (v->blocking & VMX_BLOCKED_MOVSS) != 0,
				   .pending_db = vmread(VMCS_GUEST_PENDING_DB) };
	vmx_return(v, borrowed);
	out->event = (struct hvm_event){ .vector = (u8)v->event,
					 .type = (u8)field_get(v->event, 10, 8),
					 .has_error = (v->event & VMX_EV_HAS_ERROR) != 0,
					 .error = v->event_error };
	memcpy(out->dr, v->dr, sizeof(out->dr));
	out->xstate = fpu_get(v->fpu, out->fxsave, out->ymm_high);
}

int vmx_set_state(struct hvm_vcpu *v, const struct hvm_state *in)
{
	int rc = fpu_set(v->fpu, in->xstate, in->fxsave, in->ymm_high);
	bool borrowed;

	if (!rc && in->queued)
		rc = vmx_inject(v, &in->event);
	if (rc)
		return rc;
	borrowed = vmx_borrow(v);
	set_blocking(v, (u32)((in->nmi_blocked ? VMX_BLOCKED_NMI : 0) |
			      (in->shadow_sti ? VMX_BLOCKED_STI : 0) |
			      (in->shadow_ss ? VMX_BLOCKED_MOVSS : 0)));
	vmwrite(VMCS_GUEST_PENDING_DB, in->pending_db);
	vmx_return(v, borrowed);
	memcpy(v->dr, in->dr, sizeof(v->dr));
	return 0;
}
