/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opcode maps of the decoder. Eight opcodes a row, as in the manuals' tables.
 * AMD APM vol. 3 appendix A, Intel SDM vol. 2 appendix A.
 */
#include "guest/emul/insn_tables.h"

#define IMM(k) ((u32)IMM_##k << IT_IMM_SHIFT)
#define GRP(g) ((u32)GROUP_##g << IT_GROUP_SHIFT)
#define FORM(f) ((u32)FORM_##f << IT_FORM_SHIFT)

#define XX INSN_INVALID
#define N INSN_OTHER /* no ModRM, no immediate */
#define M IT_MODRM
#define B IT_BYTE
#define TO IT_TO_REG
#define P IT_PREFIX
#define RX (IT_PREFIX | IT_REX)
#define V32 IT_INV64 /* valid outside 64-bit code only */
#define IB IMM(B)
#define IZ IMM(Z)
#define MIB (M | IB)
#define JZ (IMM(Z) | IT_DEF64)
#define EVEX (M | FORM(EVEX))
#define SXD (INSN_MOVSX | M | TO | FORM(EXT32))
#define STR(op) (INSN_##op | FORM(STRING))
#define MOFFS (INSN_MOV | IMM(A) | FORM(MOFFS))
#define PORT(op) (INSN_##op | FORM(PORT))
#define PORTI(op) (PORT(op) | IMM(UB))
#define POPM (M | GRP(1A) | IT_DEF64 | FORM(XOP))

/* The six encodings of an arithmetic instruction: r/m,r; r,r/m; accumulator,imm. */
#define ALU(op) INSN_##op | M | B, INSN_##op | M, INSN_##op | M | B | TO, INSN_##op | M | TO, IB, IZ

/* clang-format off */
const u32 insn_map_1[256] = {
	/* 00 */ ALU(ADD), V32, V32,
	/* 08 */ ALU(OR), V32, FORM(ESC_0F),
	/* 10 */ ALU(ADC), V32, V32,
	/* 18 */ ALU(SBB), V32, V32,
	/* 20 */ ALU(AND), P, V32,
	/* 28 */ ALU(SUB), P, V32,
	/* 30 */ ALU(XOR), P, V32,
	/* 38 */ ALU(CMP), P, V32,
	/* 40 */ RX, RX, RX, RX, RX, RX, RX, RX,
	/* 48 */ RX, RX, RX, RX, RX, RX, RX, RX,
	/* 50 */ N, N, N, N, N, N, N, N,
	/* 58 */ N, N, N, N, N, N, N, N,
	/* 60 */ V32, V32, EVEX, SXD, P, P, P, P,
	/* 68 */ IZ, M | IZ, IB, MIB, STR(INS) | B, STR(INS), STR(OUTS) | B, STR(OUTS),
	/* 70 */ IB, IB, IB, IB, IB, IB, IB, IB,
	/* 78 */ IB, IB, IB, IB, IB, IB, IB, IB,
	/* 80 */ MIB | B | GRP(1), M | IZ | GRP(1), MIB | B | GRP(1) | V32, MIB | GRP(1),
	/* 84 */ INSN_TEST | M | B, INSN_TEST | M, INSN_XCHG | M | B, INSN_XCHG | M,
	/* 88 */ INSN_MOV | M | B, INSN_MOV | M, INSN_MOV | M | B | TO, INSN_MOV | M | TO,
	/* 8c */ M, M, M, POPM,
	/* 90 */ FORM(NOP), N, N, N, N, N, N, N,
	/* 98 */ N, N, IMM(PTR) | V32, N, N, N, N, N,
	/* a0 */ MOFFS | TO | B, MOFFS | TO, MOFFS | B, MOFFS,
	/* a4 */ STR(MOVS) | B, STR(MOVS), N, N,
	/* a8 */ IB, IZ, STR(STOS) | B, STR(STOS), STR(LODS) | B, STR(LODS), N, N,
	/* b0 */ IB, IB, IB, IB, IB, IB, IB, IB,
	/* b8 */ IMM(V), IMM(V), IMM(V), IMM(V), IMM(V), IMM(V), IMM(V), IMM(V),
	/* c0 */ MIB, MIB, IMM(W), N, M | FORM(VEX3), M | FORM(VEX2),
	/* c6 */ MIB | B | GRP(11), M | IZ | GRP(11),
	/* c8 */ IMM(WB), N, IMM(W), N,
	/* cc */ INSN_INT3, INSN_INT | IMM(UB), INSN_INTO | V32, INSN_IRET,
	/* d0 */ M, M, M, M, IB | V32, IB | V32, V32, N,
	/* d8 */ M, M, M, M, M, M, M, M,
	/* e0 */ IB, IB, IB, IB, PORTI(IN) | B, PORTI(IN), PORTI(OUT) | B, PORTI(OUT),
	/* e8 */ JZ, JZ, IMM(PTR) | V32, IB, PORT(IN) | B, PORT(IN), PORT(OUT) | B, PORT(OUT),
	/* f0 */ P, INSN_INT1, P, P, INSN_HLT, N, MIB | B | GRP(3), M | IZ | GRP(3),
	/* f8 */ N, N, N, N, N, N, M | B | GRP(4), M | GRP(5),
};

const u32 insn_map_0f[256] = {
	/* 00 */ M, M | FORM(0F01), M, M, XX, N, INSN_CLTS, N,
	/* 08 */ INSN_INVD, INSN_WBINVD, XX, N, XX, M, N, MIB,
	/* 10 */ M, M, M, M, M, M, M, M,
	/* 18 */ M, M, M, M, M, M, M, M,
	/* 20 */ INSN_MOV_FROM_CR | M | IT_REGONLY | FORM(CR),
	/* 21 */ INSN_MOV_FROM_DR | M | IT_REGONLY | FORM(DR),
	/* 22 */ INSN_MOV_TO_CR | M | IT_REGONLY | FORM(CR),
	/* 23 */ INSN_MOV_TO_DR | M | IT_REGONLY | FORM(DR),
	/* 24 */ XX, XX, XX, XX,
	/* 28 */ M, M, M, M, M, M, M, M,
	/* 30 */ INSN_WRMSR, INSN_RDTSC, INSN_RDMSR, INSN_RDPMC, N, N, XX, N,
	/* 38 */ FORM(ESC_38), XX, FORM(ESC_3A), XX, XX, XX, XX, XX,
	/* 40 */ M, M, M, M, M, M, M, M,
	/* 48 */ M, M, M, M, M, M, M, M,
	/* 50 */ M, M, M, M, M, M, M, M,
	/* 58 */ M, M, M, M, M, M, M, M,
	/* 60 */ M, M, M, M, M, M, M, M,
	/* 68 */ M, M, M, M, M, M, M, M,
	/* 70 */ MIB, MIB, MIB, MIB, M, M, M, N,
	/* 78 */ M | FORM(0F78), M, XX, XX, M, M, M, M,
	/* 80 */ JZ, JZ, JZ, JZ, JZ, JZ, JZ, JZ,
	/* 88 */ JZ, JZ, JZ, JZ, JZ, JZ, JZ, JZ,
	/* 90 */ M, M, M, M, M, M, M, M,
	/* 98 */ M, M, M, M, M, M, M, M,
	/* a0 */ N, N, INSN_CPUID, INSN_BT | M, MIB, M, M, M,
	/* a8 */ N, N, INSN_RSM, INSN_BTS | M, MIB, M, M, M,
	/* b0 */ INSN_CMPXCHG | M | B, INSN_CMPXCHG | M, M, INSN_BTR | M, M, M,
	/* b6 */ INSN_MOVZX | M | TO | FORM(EXT8), INSN_MOVZX | M | TO | FORM(EXT16),
	/* b8 */ M, M, MIB | GRP(8), INSN_BTC | M, M, M,
	/* be */ INSN_MOVSX | M | TO | FORM(EXT8), INSN_MOVSX | M | TO | FORM(EXT16),
	/* c0 */ INSN_XADD | M | B, INSN_XADD | M, MIB, INSN_MOV | M | FORM(MOVNTI),
	/* c4 */ MIB, MIB, MIB, M | FORM(0FC7),
	/* c8 */ N, N, N, N, N, N, N, N,
	/* d0 */ M, M, M, M, M, M, M, M,
	/* d8 */ M, M, M, M, M, M, M, M,
	/* e0 */ M, M, M, M, M, M, M, M,
	/* e8 */ M, M, M, M, M, M, M, M,
	/* f0 */ M, M, M, M, M, M, M, M,
	/* f8 */ M, M, M, M, M, M, M, M,
};
/* clang-format on */

const u8 insn_group_op[GROUPS][8] = {
	[GROUP_1] = { INSN_ADD, INSN_OR, INSN_ADC, INSN_SBB, INSN_AND, INSN_SUB, INSN_XOR,
	              INSN_CMP },
	[GROUP_1A] = { INSN_POP, XX, XX, XX, XX, XX, XX, XX },
	[GROUP_3] = { INSN_TEST, INSN_TEST, INSN_NOT, INSN_NEG, N, N, N, N },
	[GROUP_4] = { INSN_INC, INSN_DEC, XX, XX, XX, XX, XX, XX },
	[GROUP_5] = { INSN_INC, INSN_DEC, N, N, N, N, INSN_PUSH, XX },
	[GROUP_8] = { XX, XX, XX, XX, INSN_BT, INSN_BTS, INSN_BTR, INSN_BTC },
	[GROUP_11] = { INSN_MOV, XX, XX, XX, XX, XX, XX, N },
	[GROUP_7] = { INSN_SGDT, INSN_SIDT, INSN_LGDT, INSN_LIDT, INSN_SMSW, N, INSN_LMSW,
	              INSN_INVLPG },
};

enum insn_op insn_0f01_op(u8 modrm)
{
	switch (modrm) {
	case 0xc1:
		return INSN_VMCALL;
	case 0xc8:
		return INSN_MONITOR;
	case 0xc9:
		return INSN_MWAIT;
	case 0xd1:
		return INSN_XSETBV;
	case 0xd8:
		return INSN_VMRUN;
	case 0xd9:
		return INSN_VMMCALL;
	case 0xda:
		return INSN_VMLOAD;
	case 0xdb:
		return INSN_VMSAVE;
	case 0xdc:
		return INSN_STGI;
	case 0xdd:
		return INSN_CLGI;
	case 0xde:
		return INSN_SKINIT;
	case 0xdf:
		return INSN_INVLPGA;
	case 0xf9:
		return INSN_RDTSCP;
	default:
		switch (modrm >> 3 & 7) {
		case 4:
			return INSN_SMSW;
		case 6:
			return INSN_LMSW;
		default:
			return INSN_OTHER;
		}
	}
}
