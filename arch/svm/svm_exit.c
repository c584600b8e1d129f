/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exit codes to struct hvm_exit. A switch for the exits with operands, a table for the rest.
 */
#include "arch/svm/svm_exit.h"

#define NPF_PRESENT BIT(0)
#define NPF_WRITE   BIT(1)
#define NPF_FETCH   BIT(4)
#define NPF_WALK    BIT(33)

#define CR_MOV BIT(63) /* EXITINFO1 with decode assists: MOV, register in 3:0 */

#define VECTOR_NMI 2
#define VECTOR_BP  3
#define VECTOR_OF  4
#define VECTOR_PF  14

/* Exits without operands; HVM_EXIT_HOST stands for "not in this table". */
static const u8 plain[0x8e] = {
	[SVM_X_VINTR] = HVM_EXIT_IRQ_WINDOW,
	[SVM_X_RDPMC] = HVM_EXIT_RDPMC,
	[SVM_X_CPUID] = HVM_EXIT_CPUID,
	[SVM_X_RSM] = HVM_EXIT_UD,
	[SVM_X_INVD] = HVM_EXIT_WBINVD,
	[SVM_X_PAUSE] = HVM_EXIT_PAUSE,
	[SVM_X_HLT] = HVM_EXIT_HLT,
	[SVM_X_INVLPGA] = HVM_EXIT_UD,
	[SVM_X_TASK_SWITCH] = HVM_EXIT_TASK_SWITCH,
	[SVM_X_SHUTDOWN] = HVM_EXIT_SHUTDOWN,
	[SVM_X_VMRUN] = HVM_EXIT_UD,
	[SVM_X_VMMCALL] = HVM_EXIT_HYPERCALL,
	[SVM_X_VMMCALL + 1 ... SVM_X_SKINIT] = HVM_EXIT_UD,
	[SVM_X_WBINVD] = HVM_EXIT_WBINVD,
	[SVM_X_MONITOR ... SVM_X_MWAIT_ARMED] = HVM_EXIT_UD,
	[SVM_X_XSETBV] = HVM_EXIT_XSETBV,
};

static void translate_io(const struct vmcb *c, struct hvm_exit *x)
{
	u64 info = c->exit_info1;

	x->code = HVM_EXIT_IO;
	x->u.io.port = (u16)(info >> 16);
	x->u.io.size = (u8)((info >> 4) & 7); /* one of bits 4, 5, 6: 1, 2, 4 bytes */
	x->u.io.flags = (u8)(info & (HVM_IO_IN | HVM_IO_STRING | HVM_IO_REP)); /* the same bits */
	x->insn_len = (u8)(c->exit_info2 - c->rip);
}

static void translate_npf(const struct vmcb *c, const struct svm_features *f, struct hvm_exit *x)
{
	u64 info = c->exit_info1;

	x->code = HVM_EXIT_MEM;
	x->u.mem.gpa = c->exit_info2;
	x->u.mem.access = (u8)(info & NPF_FETCH ? HVM_ACCESS_EXEC
						: info & NPF_WRITE ? HVM_ACCESS_WRITE
								   : HVM_ACCESS_READ);
	x->u.mem.mapped = (info & NPF_PRESENT) != 0;
	x->u.mem.walk = (info & NPF_WALK) != 0;
	x->insn_len = 0;
	x->insn_bytes = 0;
	if (f->decode_assist && c->fetched <= sizeof(x->insn)) {
		x->insn_bytes = c->fetched;
		__builtin_memcpy(x->insn, c->bytes, sizeof(x->insn));
	}
}

static void translate_cr(u32 code, const struct vmcb *c, const struct svm_features *f,
			 struct hvm_exit *x)
{
	x->code = HVM_EXIT_CR;
	x->u.cr.cr = code == SVM_X_CR0_SEL ? 0 : (u8)(code & 15);
	x->u.cr.op = HVM_CR_DECODE;
	if (f->decode_assist && (c->exit_info1 & CR_MOV)) {
		x->u.cr.op = code < SVM_X_CR_WRITE ? HVM_CR_MOV_FROM : HVM_CR_MOV_TO;
		x->u.cr.gpr = (u8)(c->exit_info1 & 15);
	}
}

static void translate_exception(u32 code, const struct vmcb *c, struct hvm_exit *x)
{
	u8 vector = (u8)(code - SVM_X_EXCEPTION);

	x->code = HVM_EXIT_EXCEPTION;
	x->u.exception.vector = vector;
	x->u.exception.has_error = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;
	x->u.exception.error = (u32)c->exit_info1;
	x->u.exception.address = vector == VECTOR_PF ? c->exit_info2 : 0;
}

/* CR, exception, interrupt and failure exits, all colder than the others. */
static NOINLINE void translate_rest(u32 code, const struct vmcb *c, const struct svm_features *f,
				    struct hvm_exit *x)
{
	if (code < SVM_X_CR_WRITE + 16 || code == SVM_X_CR0_SEL)
		translate_cr(code, c, f, x);
	else if (code >= SVM_X_EXCEPTION && code < SVM_X_EXCEPTION + 32)
		translate_exception(code, c, x);
	else if (code == SVM_X_INTR || code == SVM_X_NMI)
		x->code = HVM_EXIT_HOST;
	else
		x->code = code == SVM_X_INVALID ? HVM_EXIT_ENTRY_FAIL : HVM_EXIT_UNKNOWN;
}

HOT void svm_translate(const struct vmcb *c, const struct svm_features *f, struct hvm_exit *x)
{
	/* Some CPUs write only the low half for VMEXIT_INVALID. */
	u32 code = (u32)c->exit_code;

	x->insn_len = 0;
	x->shadow = c->int_state & SVM_SHADOW;
	if (code == SVM_X_IOIO) {
		translate_io(c, x);
		return;
	}
	if (f->next_rip && c->next_rip > c->rip && c->next_rip - c->rip <= 15)
		x->insn_len = (u8)(c->next_rip - c->rip);
	if (code < sizeof(plain) && plain[code] != HVM_EXIT_HOST)
		x->code = plain[code];
	else if (code == SVM_X_NPF)
		translate_npf(c, f, x);
	else if (code == SVM_X_MSR)
		x->code = c->exit_info1 ? HVM_EXIT_WRMSR : HVM_EXIT_RDMSR;
	else
		translate_rest(code, c, f, x);
}

u64 svm_redeliver(const struct vmcb *c)
{
	u64 ev = c->exit_int_info;
	u32 vector = (u32)(ev & 0xff), type = (u32)((ev >> 8) & 7);

	if (!(ev & SVM_EV_VALID))
		return 0;
	if (type == HVM_EVENT_EXCEPTION && vector == VECTOR_NMI)
		type = HVM_EVENT_NMI;
	else if (type == HVM_EVENT_EXCEPTION && vector >= 32)
		type = HVM_EVENT_INTR;
	if (type == HVM_EVENT_SOFT_INT)
		return 0;
	if (type == HVM_EVENT_EXCEPTION && (vector == VECTOR_BP || vector == VECTOR_OF))
		return 0;
	return (ev & ~(u64)MASK(10, 8)) | SVM_EV_TYPE(type);
}
