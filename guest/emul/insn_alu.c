/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Integer arithmetic with the flags as the CPU sets them.
 */
#include "guest/emul/insn_alu.h"

#include "kernel/base/bits.h"

#define ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

/* PF is set when the low byte has an even number of ones. */
static u64 parity_flag(u64 r)
{
	unsigned x = (unsigned)(r ^ r >> 4) & 0xf;

	return (0x9669u >> x & 1) ? RFLAGS_PF : 0;
}

static u64 result_flags(u64 r, u64 msb)
{
	return parity_flag(r) | (r == 0 ? RFLAGS_ZF : 0) | (r & msb ? RFLAGS_SF : 0);
}

static u64 add(u64 a, u64 b, u64 carry, unsigned size, u64 *flags)
{
	u64 mask = size_mask(size), msb = (mask >> 1) + 1;
	u64 r = (a + b + carry) & mask;
	u64 f = result_flags(r, msb) | ((a ^ b ^ r) & RFLAGS_AF);

	if (carry ? r <= a : r < a)
		f |= RFLAGS_CF;
	if ((a ^ r) & (b ^ r) & msb)
		f |= RFLAGS_OF;
	*flags = (*flags & ~ARITH) | f;
	return r;
}

static u64 sub(u64 a, u64 b, u64 carry, unsigned size, u64 *flags)
{
	u64 mask = size_mask(size), msb = (mask >> 1) + 1;
	u64 r = (a - b - carry) & mask;
	u64 f = result_flags(r, msb) | ((a ^ b ^ r) & RFLAGS_AF);

	if (carry ? a <= b : a < b)
		f |= RFLAGS_CF;
	if ((a ^ b) & (a ^ r) & msb)
		f |= RFLAGS_OF;
	*flags = (*flags & ~ARITH) | f;
	return r;
}

/* OR, XOR, and AND and TEST. */
static u64 logic(enum insn_op op, u64 a, u64 b, unsigned size, u64 *flags)
{
	u64 r = op == INSN_OR ? a | b : op == INSN_XOR ? a ^ b : a & b;

	*flags = (*flags & ~ARITH) | result_flags(r, (size_mask(size) >> 1) + 1);
	return r;
}

static u64 bit_op(enum insn_op op, unsigned size, u64 a, u64 b, u64 *flags)
{
	u64 bit = BIT(b & (size * 8 - 1));

	*flags = (*flags & ~RFLAGS_CF) | (a & bit ? RFLAGS_CF : 0);
	if (op == INSN_BTS)
		return a | bit;
	if (op == INSN_BTR)
		return a & ~bit;
	return op == INSN_BTC ? a ^ bit : a;
}

/* INC and DEC leave the carry alone. */
static u64 keep_carry(u64 r, u64 carry, u64 *flags)
{
	*flags = (*flags & ~RFLAGS_CF) | carry;
	return r;
}

u64 insn_alu(enum insn_op op, unsigned size, u64 a, u64 b, u64 *flags)
{
	u64 carry = *flags & RFLAGS_CF;

	a &= size_mask(size);
	b &= size_mask(size);
	if (op >= INSN_BT && op <= INSN_BTC)
		return bit_op(op, size, a, b, flags);
	if (op == INSN_INC)
		return keep_carry(add(a, 1, 0, size, flags), carry, flags);
	if (op == INSN_DEC)
		return keep_carry(sub(a, 1, 0, size, flags), carry, flags);
	if (op == INSN_NOT)
		return ~a & size_mask(size);
	if (op == INSN_NEG)
		return sub(0, a, 0, size, flags);
	if (op == INSN_ADD || op == INSN_ADC)
		return add(a, b, op == INSN_ADC ? carry : 0, size, flags);
	if (op == INSN_SUB || op == INSN_CMP || op == INSN_SBB)
		return sub(a, b, op == INSN_SBB ? carry : 0, size, flags);
	return logic(op, a, b, size, flags);
}
