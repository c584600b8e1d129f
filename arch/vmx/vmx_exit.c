/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table for the exits without operands, a switch for the rest.
 */
#include "arch/vmx/vmx_exit.h"

#define IO_SIZE	  MASK(2, 0)
#define IO_IN	  BIT(3)
#define IO_STRING BIT(4)
#define IO_REP	  BIT(5)

#define EPT_WRITE	BIT(1)
#define EPT_FETCH	BIT(2)
#define EPT_RIGHTS	MASK(5, 3)
#define EPT_LINEAR	BIT(7)
#define EPT_TRANSLATION BIT(8) /* of the linear address; else of a paging structure */
#define EPT_NMI_UNBLOCK BIT(12) /* also when the log is full */

#define CR_NUMBER(q) ((q) & 15)
#define CR_OP(q)     (((q) >> 4) & 3)
#define CR_GPR(q)    (((q) >> 8) & 15)

#define DB_BITS (MASK(3, 0) | MASK(14, 13)) /* of the qualification: those of DR6 */

#define VECTOR_DB 1
#define VECTOR_DF 8
#define VECTOR_PF 14

/* Privileged software exception: ICEBP, a trap though it exits before the instruction's end. */
#define TYPE_ICEBP 5

#define TYPE(ev)   (((ev) >> 8) & 7)
#define VECTOR(ev) ((u8)(ev))

struct row {
	u8 code; /* enum hvm_exit_code */
	u8 needs;
};

#define L VMX_NEEDS_LEN
#define Q VMX_NEEDS_QUAL

static const struct row rows[] = {
	[VMX_X_EXCEPTION] = { HVM_EXIT_EXCEPTION, VMX_NEEDS_EVENT | L | Q },
	[VMX_X_INTR] = { HVM_EXIT_HOST, 0 },
	[VMX_X_TRIPLE_FAULT] = { HVM_EXIT_SHUTDOWN, 0 },
	[3 ... 6] = { HVM_EXIT_UNKNOWN, Q },
	[VMX_X_IRQ_WINDOW] = { HVM_EXIT_IRQ_WINDOW, 0 },
	[VMX_X_NMI_WINDOW] = { HVM_EXIT_NMI_WINDOW, 0 },
	[VMX_X_TASK_SWITCH] = { HVM_EXIT_TASK_SWITCH, 0 },
	[VMX_X_CPUID] = { HVM_EXIT_CPUID, L },
	[VMX_X_GETSEC] = { HVM_EXIT_UD, L },
	[VMX_X_HLT] = { HVM_EXIT_HLT, L },
	[VMX_X_INVD] = { HVM_EXIT_WBINVD, L },
	[14] = { HVM_EXIT_UNKNOWN, Q },
	[VMX_X_RDPMC] = { HVM_EXIT_RDPMC, L },
	[16] = { HVM_EXIT_UNKNOWN, Q },
	[VMX_X_RSM] = { HVM_EXIT_UD, L },
	[VMX_X_VMCALL] = { HVM_EXIT_HYPERCALL, L },
	[VMX_X_VMCLEAR ... VMX_X_VMXON] = { HVM_EXIT_UD, L },
	[VMX_X_CR] = { HVM_EXIT_CR, L | Q },
	[29] = { HVM_EXIT_UNKNOWN, Q },
	[VMX_X_IO] = { HVM_EXIT_IO, L | Q },
	[VMX_X_RDMSR] = { HVM_EXIT_RDMSR, L },
	[VMX_X_WRMSR] = { HVM_EXIT_WRMSR, L },
	[VMX_X_BAD_STATE ... VMX_X_MSR_LOADING] = { HVM_EXIT_ENTRY_FAIL, Q },
	[35] = { HVM_EXIT_UNKNOWN, Q },
	[VMX_X_MWAIT] = { HVM_EXIT_UD, L },
	[37 ... 38] = { HVM_EXIT_UNKNOWN, Q },
	[VMX_X_MONITOR] = { HVM_EXIT_UD, L },
	[VMX_X_PAUSE] = { HVM_EXIT_PAUSE, L },
	[VMX_X_MACHINE_CHECK] = { HVM_EXIT_ENTRY_FAIL, Q },
	[42 ... 44] = { HVM_EXIT_UNKNOWN, Q },
	[VMX_X_EOI] = { HVM_EXIT_EOI, Q },
	[46 ... 47] = { HVM_EXIT_UNKNOWN, Q },
	[VMX_X_EPT_VIOLATION] = { HVM_EXIT_MEM, VMX_NEEDS_GPA | Q },
	[49] = { HVM_EXIT_UNKNOWN, VMX_NEEDS_GPA | Q },
	[VMX_X_INVEPT] = { HVM_EXIT_UD, L },
	[51] = { HVM_EXIT_UNKNOWN, Q },
	[VMX_X_PREEMPTION] = { HVM_EXIT_HOST, 0 },
	[VMX_X_INVVPID] = { HVM_EXIT_UD, L },
	[VMX_X_WBINVD] = { HVM_EXIT_WBINVD, L },
	[VMX_X_XSETBV] = { HVM_EXIT_XSETBV, L },
	[56 ... 61] = { HVM_EXIT_UNKNOWN, Q },
	[VMX_X_PML_FULL] = { HVM_EXIT_HOST, Q },
};

static const struct row unknown = { HVM_EXIT_UNKNOWN, Q };

static const struct row *row_of(u32 reason)
{
	u32 basic = reason & 0xffff;

	return basic < ARRAY_SIZE(rows) ? &rows[basic] : &unknown;
}

u32 vmx_exit_needs(u32 reason)
{
	return row_of(reason)->needs;
}

static void translate_io(u64 q, struct hvm_exit *x)
{
	x->u.io.port = (u16)(q >> 16);
	x->u.io.size = (u8)((q & IO_SIZE) + 1);
	x->u.io.flags = (u8)((q & IO_IN ? HVM_IO_IN : 0) | (q & IO_STRING ? HVM_IO_STRING : 0) |
			     (q & IO_REP ? HVM_IO_REP : 0));
}

static void translate_mem(const struct vmx_exit_info *i, struct hvm_exit *x)
{
	x->u.mem.gpa = i->gpa;
	x->u.mem.access = (u8)(i->qual & EPT_FETCH   ? HVM_ACCESS_EXEC
			       : i->qual & EPT_WRITE ? HVM_ACCESS_WRITE
						     : HVM_ACCESS_READ);
	x->u.mem.mapped = (i->qual & EPT_RIGHTS) != 0;
	x->u.mem.walk = (i->qual & (EPT_LINEAR | EPT_TRANSLATION)) == EPT_LINEAR;
	x->insn_bytes = 0;
}

static void translate_cr(u64 q, struct hvm_exit *x)
{
	static const u8 op[4] = { HVM_CR_MOV_TO, HVM_CR_MOV_FROM, HVM_CR_CLTS, HVM_CR_LMSW };

	x->u.cr.cr = (u8)CR_NUMBER(q);
	x->u.cr.op = op[CR_OP(q)];
	x->u.cr.gpr = (u8)CR_GPR(q);
	x->u.cr.msw = (u16)(q >> 16);
}

static void translate_exception(const struct vmx_exit_info *i, struct hvm_exit *x)
{
	if (TYPE(i->event) == HVM_EVENT_NMI) {
		x->code = HVM_EXIT_HOST;
		return;
	}
	if (TYPE(i->event) != TYPE_ICEBP)
		x->insn_len = 0;
	x->u.exception.vector = VECTOR(i->event);
	x->u.exception.has_error = (i->event & VMX_EV_HAS_ERROR) != 0;
	x->u.exception.error = i->error;
	x->u.exception.address = VECTOR(i->event) == VECTOR_DB	 ? i->qual & DB_BITS
				 : VECTOR(i->event) == VECTOR_PF ? i->qual
								 : 0;
}

void vmx_translate(const struct vmx_exit_info *i, struct hvm_exit *x)
{
	const struct row *row = row_of(i->reason);

	x->code = row->code;
	x->shadow = (i->blocking & VMX_SHADOW) != 0;
	x->insn_len = row->needs & VMX_NEEDS_LEN && i->insn_len <= 15 ? (u8)i->insn_len : 0;
	if (i->reason & VMX_X_ENTRY_FAILED)
		x->code = HVM_EXIT_ENTRY_FAIL;
	else if (row->code == HVM_EXIT_IO)
		translate_io(i->qual, x);
	else if (row->code == HVM_EXIT_MEM)
		translate_mem(i, x);
	else if (row->code == HVM_EXIT_CR)
		translate_cr(i->qual, x);
	else if (row->code == HVM_EXIT_EXCEPTION)
		translate_exception(i, x);
	else if (row->code == HVM_EXIT_EOI)
		x->u.eoi = (u8)i->qual;
}

u32 vmx_redeliver(const struct vmx_exit_info *i)
{
	u32 type = TYPE(i->vectoring);

	if (!(i->vectoring & VMX_EV_VALID) || type > HVM_EVENT_EXCEPTION)
		return 0;
	return i->vectoring & (u32)(VMX_EV_VALID | VMX_EV_HAS_ERROR | MASK(10, 0));
}

bool vmx_nmi_unblocked(const struct vmx_exit_info *i)
{
	if (i->vectoring & VMX_EV_VALID)
		return false;
	switch (i->reason) {
	case VMX_X_EXCEPTION:
		return (i->event & VMX_EV_NMI_UNBLOCK) && VECTOR(i->event) != VECTOR_DF;
	case VMX_X_EPT_VIOLATION:
	case VMX_X_PML_FULL:
		return (i->qual & EPT_NMI_UNBLOCK) != 0;
	default:
		return false;
	}
}

const char *vmx_insn_error_text(u32 error)
{
	static const char *const text[] = {
		[0] = "no current VMCS",
		[1] = "VMCALL in root operation",
		[2] = "VMCLEAR of a bad address",
		[3] = "VMCLEAR of the VMXON region",
		[4] = "VMLAUNCH of a launched VMCS",
		[5] = "VMRESUME of a VMCS not launched",
		[6] = "VMRESUME after VMXOFF",
		[7] = "entry with invalid control fields",
		[8] = "entry with invalid host state",
		[9] = "VMPTRLD of a bad address",
		[10] = "VMPTRLD of the VMXON region",
		[11] = "VMPTRLD of another revision's VMCS",
		[12] = "access to a field that does not exist",
		[13] = "VMWRITE to a read-only field",
		[15] = "VMXON in root operation",
		[26] = "entry blocked by MOV SS",
		[28] = "bad operand of INVEPT or INVVPID",
	};

	return error < ARRAY_SIZE(text) && text[error] ? text[error] : "unknown error";
}

const char *vmx_entry_fail_text(u32 reason, u64 qual)
{
	switch (reason & 0xffff) {
	case VMX_X_BAD_STATE:
		return qual == 2   ? "invalid guest state: page-directory pointers"
		       : qual == 3 ? "invalid guest state: NMI while blocked by STI"
		       : qual == 4 ? "invalid guest state: VMCS link pointer"
				   : "invalid guest state";
	case VMX_X_MSR_LOADING:
		return "an MSR of the entry list could not be loaded";
	case VMX_X_MACHINE_CHECK:
		return "machine check during the entry";
	default:
		return "unknown reason";
	}
}
