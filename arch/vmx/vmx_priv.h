/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the VMX backend only.
 */
#ifndef ARCH_VMX_VMX_PRIV_H
#define ARCH_VMX_VMX_PRIV_H

#include "arch/hvm.h"
#include "arch/vmx/vmcs.h"
#include "arch/vmx/vmx_ctls.h"
#include "arch/vmx/vmx_exit.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"

/* Per physical CPU: struct pcpu.hvm. */
struct vmx_cpu {
	hpa_t vmxon;
	struct hvm_vcpu *current; /* whose VMCS is loaded, NULL: none */
};

struct hvm_vm {
	struct pool_owner *owner;
	hpa_t root;
	u64 eptp;
	u8 *msr_bitmap[2]; /* [1]: of vCPUs whose interrupts the CPU delivers */
};

/* Registers that neither the VMCS nor the FPU area holds: in the CPU while the vCPU is loaded. */
enum vmx_msr { VMX_STAR, VMX_LSTAR, VMX_CSTAR, VMX_SFMASK, VMX_KERNEL_GS, VMX_TSC_AUX, VMX_MSRS };

#define VMX_WANT_IRQ	 BIT(0) /* irq_window() */
#define VMX_WANT_NMI	 BIT(1) /* nmi_window() */
/* Only an STI shadow delays the NMI: the interrupt window shows its end. */
#define VMX_NMI_IS_SHADE BIT(2)

struct hvm_vcpu {
	struct hvm_vm *vm;
	hpa_t vmcs;
	u32 id;
	u32 last_cpu;	/* id + 1 of the CPU that it ran on, 0: none */
	bool loaded;	/* VMCS and registers are in a CPU */
	bool launched;	/* since the VMCS was last cleared */
	bool flush;	/* translations, before the next entry */
	bool pdptes;	/* are to be read anew, when the guest uses any */
	u8 windows;	/* VMX_WANT_* */
	bool direct;	/* the CPU delivers interrupts from the page */
	u32 *page;	/* NULL: it cannot */
	u64 *posted;	/* descriptor; NULL: it cannot take what is posted */
	u64 *pml;	/* GPAs that the guest wrote; NULL: no log */
	u64 eoi_exits[4]; /* vectors */
	u32 blocking;	/* guest interruptibility as of the last exit */
	u32 event;	/* for the next entry, 0: none */
	u32 event_error;
	u64 cr2, dr6, xcr0, cr8;
	u64 dr[4];
	u64 msr[VMX_MSRS];
	void *fpu;
	struct vmx_exit_info exit; /* the last one; fields it did not need are older */
	bool entry_refused;	   /* the last entry failed before it became an exit */
};

extern struct vmx_ctls vmx_ctls;

static inline struct vmx_cpu *vmx_this_cpu(void)
{
	return this_cpu()->hvm;
}

/* Fields that a CPU with the required features has: a failure is a fault of ours. */
static inline u64 vmread(u32 field)
{
	u64 value;

	__asm__ goto volatile("vmread %1, %0; jbe %l[fail]"
			      : "=r"(value)
			      : "r"((u64)field)
			      : "cc"
			      : fail);
	return value;
fail:
	panic("VMREAD of field %#x failed", field);
}

static inline void vmwrite(u32 field, u64 value)
{
	__asm__ goto volatile("vmwrite %0, %1; jbe %l[fail]"
			      :
			      : "r"(value), "r"((u64)field)
			      : "cc", "memory"
			      : fail);
	return;
fail:
	panic("VMWRITE of %#lx to field %#x failed", value, field);
}

/* vmx_state.c: for a vCPU that is loaded nowhere */
void vmx_vmcs_borrow(struct hvm_vcpu *v);
void vmx_vmcs_return(struct hvm_vcpu *v);

/*
 * vmx_borrow() - make v's VMCS the current one of this CPU for a few accesses. True: it was not,
 * v is loaded nowhere. vmx_return() must follow.
 */
static inline bool vmx_borrow(struct hvm_vcpu *v)
{
	if (likely(vmx_this_cpu()->current == v))
		return false;
	vmx_vmcs_borrow(v);
	return true;
}

static inline void vmx_return(struct hvm_vcpu *v, bool borrowed)
{
	if (unlikely(borrowed))
		vmx_vmcs_return(v);
}

/* vmx_run.S: 0, or 1 (no current VMCS) or 2 (the reason is in VMCS_INSN_ERROR) */
int vmx_enter(struct hvm_regs *regs, bool launched);
void vmx_exit_point(void);

/* vmx.c: VMCLEAR, VMPTRLD */
void vmx_vmcs_clear(hpa_t vmcs);
void vmx_vmcs_load(hpa_t vmcs);

/* vmx_state.c */
void vmx_vcpu_reset(struct hvm_vcpu *v, struct hvm_regs *regs);
void vmx_vcpu_load(struct hvm_vcpu *v);
void vmx_vcpu_put(struct hvm_vcpu *v);
void vmx_get_seg(struct hvm_vcpu *v, enum hvm_seg seg, struct hvm_segment *out);
void vmx_set_seg(struct hvm_vcpu *v, enum hvm_seg seg, const struct hvm_segment *in);
void vmx_get_dtable(struct hvm_vcpu *v, bool idt, struct hvm_dtable *out);
void vmx_set_dtable(struct hvm_vcpu *v, bool idt, const struct hvm_dtable *in);
u64 vmx_get_sys(struct hvm_vcpu *v, enum hvm_sysreg reg);
void vmx_set_sys(struct hvm_vcpu *v, enum hvm_sysreg reg, u64 value);
u8 vmx_cpl(struct hvm_vcpu *v);
struct hvm_code vmx_code(struct hvm_vcpu *v);
void vmx_exit_raw(struct hvm_vcpu *v, u64 raw[4]);
/* vmx_pdptes_load() - before an entry, when v->pdptes. */
void vmx_pdptes_load(struct hvm_vcpu *v);

/* vmx_event.c */
int vmx_inject(struct hvm_vcpu *v, const struct hvm_event *ev);
bool vmx_event_queued(struct hvm_vcpu *v);
bool vmx_irq_ready(struct hvm_vcpu *v, const struct hvm_regs *regs);
void vmx_irq_window(struct hvm_vcpu *v, bool on);
bool vmx_nmi_ready(struct hvm_vcpu *v);
void vmx_nmi_window(struct hvm_vcpu *v, bool on);
void vmx_shadow_clear(struct hvm_vcpu *v);
void vmx_get_state(struct hvm_vcpu *v, struct hvm_state *out);
int vmx_set_state(struct hvm_vcpu *v, const struct hvm_state *in);
u32 *vmx_apic_page(struct hvm_vcpu *v);
u64 *vmx_apic_posted(struct hvm_vcpu *v);
void vmx_apic_update(struct hvm_vcpu *v, bool direct);
/* vmx_windows_apply() - the first control word; v's VMCS is current. */
void vmx_windows_apply(struct hvm_vcpu *v);
/* vmx_event_entry() - before an entry, when v->event is not 0. */
void vmx_event_entry(struct hvm_vcpu *v);
/* vmx_event_exit() - after an exit that vmx_event_matters(): what was being delivered, and whose
 * window it was. */
void vmx_event_exit(struct hvm_vcpu *v, struct hvm_exit *x);

static inline bool vmx_event_matters(const struct hvm_vcpu *v)
{
	u32 reason = v->exit.reason;

	return (v->exit.vectoring & VMX_EV_VALID) || v->windows || reason == VMX_X_EXCEPTION ||
	       ((reason == VMX_X_EPT_VIOLATION || reason == VMX_X_PML_FULL) &&
		vmx_nmi_unblocked(&v->exit));
}

#endif
