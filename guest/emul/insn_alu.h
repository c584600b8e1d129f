/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer arithmetic with the flags as the CPU sets them. Pure.
 */
#ifndef GUEST_EMUL_INSN_ALU_H
#define GUEST_EMUL_INSN_ALU_H

#include "guest/emul/insn.h"

#define RFLAGS_CF 0x001ull
#define RFLAGS_PF 0x004ull
#define RFLAGS_AF 0x010ull
#define RFLAGS_ZF 0x040ull
#define RFLAGS_SF 0x080ull
#define RFLAGS_DF 0x400ull
#define RFLAGS_OF 0x800ull

/**
 * insn_alu() - result of a op b for operands of size bytes; the arithmetic bits of *flags are
 * input (carry) and output. op: ADD to CMP, TEST, INC, DEC, NOT, NEG (b unused), BT to BTC
 * (b: bit offset, taken modulo the size). Bits of a and b above size are ignored. For CMP and
 * TEST the result is what the flags describe; it is not stored. Flags that the manual leaves
 * undefined: AF of logic is cleared, BT to BTC change CF alone.
 * AMD APM vol. 3 chapter 3, Intel SDM vol. 1 appendix A.
 */
u64 insn_alu(enum insn_op op, unsigned size, u64 a, u64 b, u64 *flags);

#endif
