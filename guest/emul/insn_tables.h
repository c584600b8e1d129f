/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opcode maps of the decoder: one word an opcode. Private to guest/emul.
 */
#ifndef GUEST_EMUL_INSN_TABLES_H
#define GUEST_EMUL_INSN_TABLES_H

#include "guest/emul/insn.h"

/* Bits 7:0 are the enum insn_op. */
#define IT_MODRM 0x00000100u
#define IT_BYTE 0x00000200u /* operands are bytes */
#define IT_TO_REG 0x00000400u
#define IT_INV64 0x00000800u   /* invalid in 64-bit code */
#define IT_DEF64 0x00001000u   /* 64-bit operands by default in 64-bit code */
#define IT_REGONLY 0x00002000u /* ModRM.mod is ignored: always registers */
#define IT_PREFIX 0x00004000u  /* legacy prefix; REX in 64-bit code when IT_REX */
#define IT_REX 0x00008000u

#define IT_IMM_SHIFT 16
enum insn_imm {
	IMM_NONE,
	IMM_B,   /* 8 bits, sign-extended */
	IMM_UB,  /* 8 bits, zero-extended: port, vector */
	IMM_W,   /* 16 bits */
	IMM_Z,   /* 16 bits with 16-bit operands, else 32 */
	IMM_V,   /* as wide as the operands */
	IMM_WB,  /* ENTER: 16 and 8 bits */
	IMM_PTR, /* far pointer: 16 bits and IMM_Z */
	IMM_A,   /* offset as wide as an address */
	IMM_D,   /* 32 bits */
	IMM_KINDS
};

#define IT_GROUP_SHIFT 20
enum insn_group {
	GROUP_NONE,
	GROUP_1,  /* 80..83 */
	GROUP_1A, /* 8F */
	GROUP_3,  /* F6, F7 */
	GROUP_4,  /* FE */
	GROUP_5,  /* FF */
	GROUP_8,  /* 0F BA */
	GROUP_11, /* C6, C7 */
	GROUP_7,  /* 0F 01 with a memory operand */
	GROUPS
};

/* What is left to do after operands of the usual kind were decoded. */
#define IT_FORM_SHIFT 24
enum insn_form {
	FORM_NONE,
	FORM_EXT8,  /* MOVZX, MOVSX from 8 bits */
	FORM_EXT16, /* from 16 bits */
	FORM_EXT32, /* MOVSXD; ARPL outside 64-bit code */
	FORM_MOFFS,
	FORM_STRING,
	FORM_PORT,
	FORM_CR,
	FORM_DR,
	FORM_NOP, /* 90 */
	FORM_0F01,
	FORM_0F78,
	FORM_0FC7, /* group 9, with the one LOCK among the length-only instructions */
	FORM_MOVNTI,
	/* from here on, more of the opcode follows */
	FORM_ESC_0F, /* 0F */
	FORM_ESC_38, /* 0F 38 */
	FORM_ESC_3A, /* 0F 3A */
	FORM_VEX3,   /* C4 */
	FORM_VEX2,   /* C5 */
	FORM_EVEX,   /* 62 */
	FORM_XOP,    /* 8F */
};

#define IT_OP(e) ((enum insn_op)((e)&0xff))
#define IT_IMM(e) ((enum insn_imm)((e) >> IT_IMM_SHIFT & 0xf))
#define IT_GROUP(e) ((enum insn_group)((e) >> IT_GROUP_SHIFT & 0xf))
#define IT_FORM(e) ((enum insn_form)((e) >> IT_FORM_SHIFT & 0x1f))

extern const u32 insn_map_1[256];  /* one-byte opcodes */
extern const u32 insn_map_0f[256]; /* 0F xx */
extern const u8 insn_group_op[GROUPS][8];

/** insn_0f01_op() - the instruction 0F 01 /r whose ModRM names registers (mod 3). */
enum insn_op insn_0f01_op(u8 modrm);

#endif
