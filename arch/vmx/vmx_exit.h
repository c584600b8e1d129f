/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exit reasons in neutral words. Pure: the fields of the VMCS come as a record.
 */
#ifndef ARCH_VMX_VMX_EXIT_H
#define ARCH_VMX_VMX_EXIT_H

#include "arch/hvm.h"
#include "arch/vmx/vmcs.h"

/* Which fields of struct vmx_exit_info an exit has beyond reason, blocking and vectoring. */
#define VMX_NEEDS_LEN	BIT(0)
#define VMX_NEEDS_QUAL	BIT(1)
#define VMX_NEEDS_GPA	BIT(2)
#define VMX_NEEDS_EVENT BIT(3)

struct vmx_exit_info {
	u32 reason;
	u32 blocking;	   /* guest interruptibility */
	u32 insn_len;
	u32 event, error;  /* VM-exit interruption information */
	u32 vectoring;	   /* IDT-vectoring information */
	u64 qual;
	gpa_t gpa;
};

/** vmx_exit_needs() - VMX_NEEDS_* of an exit reason: the other fields may be left out. */
u32 vmx_exit_needs(u32 reason);

/**
 * vmx_translate() - fill *x. Fields its kind does not use are not written. An exception with an
 * instruction length is a trap: RIP is to go past the instruction. SDM vol. 3 §28.2.
 */
void vmx_translate(const struct vmx_exit_info *i, struct hvm_exit *x);

/**
 * vmx_redeliver() - the event whose delivery this exit interrupted, in the form of the entry
 * field, or 0. Software interrupts and exceptions are left out: RIP still points at the
 * instruction, which runs again. SDM vol. 3 §28.2.4.
 */
u32 vmx_redeliver(const struct vmx_exit_info *i);

/**
 * vmx_nmi_unblocked() - did an IRET end NMI blocking and then fault? It must be undone. §28.2.3.
 */
bool vmx_nmi_unblocked(const struct vmx_exit_info *i);

#define VMX_PML_ENTRIES 512u

/** vmx_pml_first() - from the index field: the first entry that is used; VMX_PML_ENTRIES: none.
 * SDM vol. 3 §29.3.6. */
static inline u32 vmx_pml_first(u64 index)
{
	return (u16)(index + 1);
}

/** vmx_insn_error_text() - the VM-instruction error field in words. SDM vol. 3 §31.4. */
const char *vmx_insn_error_text(u32 error);

/** vmx_entry_fail_text() - why an entry failed, from reason and qualification. §27.8. */
const char *vmx_entry_fail_text(u32 reason, u64 qual);

#endif
