/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instruction decoder: bytes to a record, or to the length alone. Pure; it never reads the
 * guest. docs/decoder.md lists the forms whose record is complete.
 */
#ifndef GUEST_EMUL_INSN_H
#define GUEST_EMUL_INSN_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define INSN_MAX_LEN 15u

/* Code size of the segment that holds the instruction: CS.L, else CS.D. */
enum insn_mode { INSN_MODE_16, INSN_MODE_32, INSN_MODE_64 };

/* Segments by their encoding in instructions. */
enum insn_seg { INSN_SEG_ES, INSN_SEG_CS, INSN_SEG_SS, INSN_SEG_DS, INSN_SEG_FS, INSN_SEG_GS };

/*
 * What the instruction does, regardless of size and of which operand is in memory.
 * ADD..CMP keep the order of the opcode map.
 */
/* clang-format off */
enum insn_op {
	INSN_OTHER, /* only the length is known, and the memory operand if INSN_F_MEM */
	/* operands in registers and memory */
	INSN_ADD, INSN_OR, INSN_ADC, INSN_SBB, INSN_AND, INSN_SUB, INSN_XOR, INSN_CMP,
	INSN_TEST, INSN_INC, INSN_DEC, INSN_NOT, INSN_NEG,
	INSN_BT, INSN_BTS, INSN_BTR, INSN_BTC,
	INSN_XCHG, INSN_XADD, INSN_CMPXCHG,
	INSN_MOV, INSN_MOVZX, INSN_MOVSX, INSN_PUSH, INSN_POP,
	/* strings */
	INSN_MOVS, INSN_STOS, INSN_LODS, INSN_INS, INSN_OUTS,
	/* ports: imm is the port when INSN_F_IMM, else DX holds it */
	INSN_IN, INSN_OUT,
	/* control and debug registers: reg is their number, rm the general register */
	INSN_MOV_TO_CR, INSN_MOV_FROM_CR, INSN_MOV_TO_DR, INSN_MOV_FROM_DR,
	/* source or destination as INSN_F_MEM says */
	INSN_LMSW, INSN_SMSW, INSN_INVLPG, INSN_SGDT, INSN_SIDT, INSN_LGDT, INSN_LIDT,
	/* interrupts: imm is the vector */
	INSN_INT,
	/* no explicit operand */
	INSN_INT3, INSN_INTO, INSN_INT1, INSN_IRET, INSN_CPUID, INSN_HLT, INSN_PAUSE,
	INSN_RDMSR, INSN_WRMSR, INSN_RDTSC, INSN_RDTSCP, INSN_RDPMC, INSN_CLTS, INSN_INVD,
	INSN_WBINVD, INSN_XSETBV, INSN_MONITOR, INSN_MWAIT, INSN_RSM, INSN_VMCALL,
	INSN_VMMCALL, INSN_VMRUN, INSN_VMLOAD, INSN_VMSAVE, INSN_STGI, INSN_CLGI,
	INSN_SKINIT, INSN_INVLPGA,
	INSN_INVALID, /* in the tables only */
};
/* clang-format on */

/* Register numbers are the 4-bit encodings; the byte registers AH..BH follow them. */
#define INSN_REG_AH 16u
#define INSN_REG_RIP 0x40u /* base only */
#define INSN_REG_NONE 0x80u

#define INSN_F_MEM 0x01u    /* the r/m operand is memory */
#define INSN_F_IMM 0x02u    /* imm is an operand, and reg is none */
#define INSN_F_TO_REG 0x04u /* reg is the destination and r/m the source */
#define INSN_F_LOCK 0x08u
#define INSN_F_REP 0x10u   /* F3 */
#define INSN_F_REPNE 0x20u /* F2 */

struct insn {
	u64 imm;  /* sign-extended to 64 bits, but zero-extended for ports and vectors */
	u64 disp; /* sign-extended; the whole offset of a moffs operand */
	u8 op;    /* enum insn_op */
	u8 len;   /* bytes */
	u8 mode;  /* enum insn_mode */
	u8 flags; /* INSN_F_* */
	u8 size;  /* operand size: 1, 2, 4, 8 bytes */
	u8 mem_size;  /* size of the r/m operand: differs for MOVZX, MOVSX; 0 when only its address
			 counts */
	u8 addr_size; /* 2, 4, 8 bytes */
	u8 seg;       /* segment of the memory operand; of the source of MOVS */
	u8 reg;       /* the reg operand, or INSN_REG_NONE */
	u8 rm;        /* the r/m operand when it is a register, else INSN_REG_NONE */
	u8 base;      /* 0..15, INSN_REG_RIP or INSN_REG_NONE */
	u8 index;     /* 0..15 or INSN_REG_NONE */
	u8 scale;     /* the index is shifted left by this */
};

/**
 * insn_decode() - decode the instruction that starts at bytes[0].
 * @bytes: a private copy: it is read more than once.
 * @n: how many there are; 15 are always enough.
 * @out: complete for every op but INSN_OTHER; untouched on failure.
 * Returns 0; -EFAULT: the instruction goes on behind n; -EINVAL: no instruction, longer than
 * 15 bytes, or LOCK where it is not allowed. Of instructions of which the length alone is
 * claimed, some decode that the CPU refuses for their operands.
 * Branches follow AMD: 66h makes their offset 16-bit in 64-bit code as well.
 * Context: any. AMD APM vol. 3 §1.2-1.8 and appendix A, Intel SDM vol. 2 §2 and appendix A.
 */
int MUST_CHECK insn_decode(const u8 *bytes, size_t n, enum insn_mode mode, struct insn *out);

#endif
