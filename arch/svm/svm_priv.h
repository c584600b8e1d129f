/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the SVM backend only.
 */
#ifndef ARCH_SVM_SVM_PRIV_H
#define ARCH_SVM_SVM_PRIV_H

#include "arch/hvm.h"
#include "arch/svm/svm_exit.h"
#include "arch/svm/vmcb.h"
#include "kernel/core/percpu.h"

/* Per physical CPU: struct pcpu.hvm. */
struct svm_cpu {
	hpa_t hsave;	 /* VM_HSAVE_PA */
	hpa_t host_vmcb; /* FS, GS, TR and system-call MSRs of the host, for VMLOAD */
	u64 generation;	 /* of ASIDs; unique over CPUs, as the CPU's id is in the top bits */
	u32 next_asid;
};

struct hvm_vm {
	struct pool_owner *owner;
	hpa_t ncr3;
	u8 *msrpm;
};

#define SVM_NMI_BLOCKED BIT(0) /* an NMI was delivered, its IRET not yet seen */
#define SVM_NMI_STEP	BIT(1) /* single-stepping over that IRET */
#define SVM_NMI_WINDOW	BIT(2) /* requested */

struct hvm_vcpu {
	struct vmcb *vmcb;
	hpa_t vmcb_pa;
	struct hvm_vm *vm;
	u32 id;
	u64 generation;	  /* of the ASID in the VMCB; 0: none */
	u64 event;	  /* to go into EVENTINJ at the next entry, 0: none */
	u64 soft;	  /* the interrupt that went in at this entry as a software interrupt */
	u64 soft_rip;	  /* where the guest was then */
	u8 nmi;		  /* SVM_NMI_*; 0 nearly always */
	bool loaded;
	u8 saved_tf;	  /* guest's own TF while single-stepping */
	u64 xcr0;
	u64 tsc_aux;
	u64 dr[4];
	void *fpu;
};

extern struct svm_features svm_features;

/* svm_run.S */
void svm_enter(hpa_t guest_vmcb, struct hvm_regs *regs, hpa_t host_vmcb);

static inline struct svm_cpu *svm_this_cpu(void)
{
	return this_cpu()->hvm;
}

/* svm_state.c */
void svm_vcpu_reset(struct hvm_vcpu *v, struct hvm_regs *regs);
void svm_vcpu_load(struct hvm_vcpu *v);
void svm_vcpu_put(struct hvm_vcpu *v);
void svm_get_seg(struct hvm_vcpu *v, enum hvm_seg seg, struct hvm_segment *out);
void svm_set_seg(struct hvm_vcpu *v, enum hvm_seg seg, const struct hvm_segment *in);
void svm_get_dtable(struct hvm_vcpu *v, bool idt, struct hvm_dtable *out);
void svm_set_dtable(struct hvm_vcpu *v, bool idt, const struct hvm_dtable *in);
u64 svm_get_sys(struct hvm_vcpu *v, enum hvm_sysreg reg);
void svm_set_sys(struct hvm_vcpu *v, enum hvm_sysreg reg, u64 value);
u8 svm_cpl(struct hvm_vcpu *v);
struct hvm_code svm_code(struct hvm_vcpu *v);
void svm_exit_raw(struct hvm_vcpu *v, u64 raw[4]);
void svm_tlb_flush(struct hvm_vcpu *v);

/* svm_event.c */
int svm_inject(struct hvm_vcpu *v, const struct hvm_event *ev);
bool svm_event_queued(struct hvm_vcpu *v);
bool svm_irq_ready(struct hvm_vcpu *v, const struct hvm_regs *regs);
void svm_irq_window(struct hvm_vcpu *v, bool on);
bool svm_nmi_ready(struct hvm_vcpu *v);
void svm_nmi_window(struct hvm_vcpu *v, bool on);
u32 *svm_apic_page(struct hvm_vcpu *v);
void svm_shadow_clear(struct hvm_vcpu *v);
void svm_get_state(struct hvm_vcpu *v, struct hvm_state *out);
int svm_set_state(struct hvm_vcpu *v, const struct hvm_state *in);
/* svm_event_entry() - before VMRUN, when v->event is not 0: into EVENTINJ with it. */
void svm_event_entry(struct hvm_vcpu *v);
/* svm_nmi_entry() - before VMRUN, when v->nmi is not 0. */
void svm_nmi_entry(struct hvm_vcpu *v);
/* svm_event_exit() - after a VMRUN that left an event undelivered, or when v->nmi is not 0. */
void svm_event_exit(struct hvm_vcpu *v, struct hvm_exit *x, struct hvm_regs *regs);

#endif
