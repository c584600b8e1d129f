/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares one decode with that of the Zydis library; for the unit test and the fuzz target.
 * Where they differ on purpose, oracle_excuses[] says why: the manuals decide.
 */
#ifndef TESTS_UNIT_INSN_ORACLE_H
#define TESTS_UNIT_INSN_ORACLE_H

#include <Zydis/Zydis.h>
#include <stdio.h>

#include "guest/emul/insn.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"

#define ORACLE_EXCUSES 16

struct oracle_stats {
	unsigned long both;    /* decoded by both, same length and memory operand */
	unsigned long claimed; /* of these, with all operands compared */
	unsigned long none;    /* refused by both */
	unsigned long lax;     /* length only, and Zydis refuses its operands or prefixes */
	unsigned long excused[ORACLE_EXCUSES];
};

/* One instruction, decoded twice. */
struct oracle_case {
	const u8 *bytes;
	enum insn_mode mode;
	int rc;
	struct insn in;
	bool zok;
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand zo[ZYDIS_MAX_OPERAND_COUNT];
};

struct oracle_excuse {
	const char *why;
	bool (*applies)(const struct oracle_case *c);
};

static bool excuse_lea(const struct oracle_case *c)
{
	return c->zok && c->zi.mnemonic == ZYDIS_MNEMONIC_LEA && c->in.op == INSN_OTHER &&
	       c->in.len == c->zi.length;
}

static bool excuse_r13(const struct oracle_case *c)
{
	return c->rc == 0 && c->zok && c->in.len == c->zi.length && c->in.addr_size == 4 &&
	       c->mode == INSN_MODE_64 && c->in.base == INSN_REG_NONE && c->zi.raw.modrm.mod == 0 &&
	       c->zi.raw.modrm.rm == 4 && c->zi.raw.sib.base == 5 && c->zi.raw.rex.B;
}

static bool excuse_movsxd(const struct oracle_case *c)
{
	return c->rc == 0 && c->zok && c->in.len == c->zi.length && c->in.op == INSN_MOVSX &&
	       c->in.size == 2 && c->zi.mnemonic == ZYDIS_MNEMONIC_MOVSXD;
}

static bool excuse_alt_cr8(const struct oracle_case *c)
{
	return c->rc == 0 && !c->zok && (c->in.flags & INSN_F_LOCK) && c->in.reg == 8 &&
	       (c->in.op == INSN_MOV_TO_CR || c->in.op == INSN_MOV_FROM_CR);
}

/* Is there a 66h, F2h or F3h among the prefixes? */
static bool oracle_has_simd_prefix(const struct oracle_case *c)
{
	for (unsigned i = 0; i < c->in.len && c->bytes[i] != 0x0f; i++)
		if (c->bytes[i] == 0x66 || c->bytes[i] == 0xf2 || c->bytes[i] == 0xf3)
			return true;
	return false;
}

static bool excuse_np(const struct oracle_case *c)
{
	if (c->rc != 0 || c->zok || !oracle_has_simd_prefix(c))
		return false;
	return (c->in.op >= INSN_XSETBV && c->in.op <= INSN_INVLPGA) || c->in.op == INSN_RDTSCP ||
	       (c->in.op == INSN_MOV && (c->in.flags & INSN_F_MEM));
}

static bool excuse_knc(const struct oracle_case *c)
{
	return c->zok &&
	       (c->zi.mnemonic == ZYDIS_MNEMONIC_JKZD || c->zi.mnemonic == ZYDIS_MNEMONIC_JKNZD);
}

static const struct oracle_excuse oracle_excuses[ORACLE_EXCUSES] = {
	{ "LOCK MOV CR0 is MOV CR8 on AMD; Zydis knows Intel's", excuse_alt_cr8 },
	{ "66h, F2h, F3h before MOVNTI or the 0F 01 instructions: Zydis and Intel refuse, AMD's "
	  "manual does not say; the CPU judged before it exited",
	  excuse_np },
	{ "JKZD, JKNZD of a coprocessor are no x86-64 instructions; Zydis always decodes them",
	  excuse_knc },
	{ "SIB base 101b with mod 00b is no base whatever REX.B; Zydis 4.0 makes it R13D with 67h",
	  excuse_r13 },
	{ "66h MOVSXD loads 16 bits by Intel's manual, 32 by Zydis", excuse_movsxd },
	{ "LEA names an address and makes no access, so that its segment does not matter",
	  excuse_lea },
};

static inline ZydisMnemonic oracle_mnemonic(const struct insn *in)
{
#define M(n) [INSN_##n] = ZYDIS_MNEMONIC_##n
	static const u16 map[INSN_INVALID] = {
		M(ADD),
		M(OR),
		M(ADC),
		M(SBB),
		M(AND),
		M(SUB),
		M(XOR),
		M(CMP),
		M(TEST),
		M(INC),
		M(DEC),
		M(NOT),
		M(NEG),
		M(BT),
		M(BTS),
		M(BTR),
		M(BTC),
		M(XCHG),
		M(XADD),
		M(CMPXCHG),
		M(MOV),
		M(MOVZX),
		M(MOVSX),
		M(PUSH),
		M(POP),
		M(IN),
		M(OUT),
		M(LMSW),
		M(SMSW),
		M(INVLPG),
		M(SGDT),
		M(SIDT),
		M(LGDT),
		M(LIDT),
		M(INT),
		M(INT3),
		M(INTO),
		M(INT1),
		M(CPUID),
		M(HLT),
		M(PAUSE),
		M(RDMSR),
		M(WRMSR),
		M(RDTSC),
		M(RDTSCP),
		M(RDPMC),
		M(CLTS),
		M(INVD),
		M(WBINVD),
		M(XSETBV),
		M(MONITOR),
		M(MWAIT),
		M(RSM),
		M(VMCALL),
		M(VMMCALL),
		M(VMRUN),
		M(VMLOAD),
		M(VMSAVE),
		M(STGI),
		M(CLGI),
		M(SKINIT),
		M(INVLPGA),
		[INSN_MOV_TO_CR] = ZYDIS_MNEMONIC_MOV,
		[INSN_MOV_FROM_CR] = ZYDIS_MNEMONIC_MOV,
		[INSN_MOV_TO_DR] = ZYDIS_MNEMONIC_MOV,
		[INSN_MOV_FROM_DR] = ZYDIS_MNEMONIC_MOV,
	};
#undef M
#define S(n)                           \
	[INSN_##n - INSN_MOVS] = {     \
		ZYDIS_MNEMONIC_##n##B, \
		ZYDIS_MNEMONIC_##n##W, \
		ZYDIS_MNEMONIC_##n##D, \
		ZYDIS_MNEMONIC_##n##D  \
	}
	static const u16 strings[5][4] = { S(MOVS), S(STOS), S(LODS), S(INS), S(OUTS) };
#undef S
	unsigned log = in->size == 8 ? 3 : in->size / 2u;

	if (in->op >= INSN_MOVS && in->op <= INSN_OUTS) {
		if (log == 3 && in->op == INSN_MOVS)
			return ZYDIS_MNEMONIC_MOVSQ;
		if (log == 3 && in->op == INSN_STOS)
			return ZYDIS_MNEMONIC_STOSQ;
		if (log == 3 && in->op == INSN_LODS)
			return ZYDIS_MNEMONIC_LODSQ;
		return strings[in->op - INSN_MOVS][log];
	}
	if (in->op == INSN_IRET)
		return log == 3   ? ZYDIS_MNEMONIC_IRETQ
		       : log == 2 ? ZYDIS_MNEMONIC_IRETD
		                  : ZYDIS_MNEMONIC_IRET;
	return map[in->op];
}

static inline bool oracle_mnemonic_is(const struct insn *in, ZydisMnemonic m)
{
	if (in->op == INSN_MOV && m == ZYDIS_MNEMONIC_MOVNTI)
		return true;
	if (in->op == INSN_MOVSX && m == ZYDIS_MNEMONIC_MOVSXD)
		return true;
	return m == oracle_mnemonic(in);
}

/* Zydis's register as struct insn numbers it, and its width. */
static inline bool oracle_reg(ZydisRegister r, unsigned *num, unsigned *bytes)
{
	static const struct {
		ZydisRegister first, last;
		u8 num, bytes;
	} range[] = {
		{ ZYDIS_REGISTER_AL, ZYDIS_REGISTER_BL, 0, 1 },
		{ ZYDIS_REGISTER_AH, ZYDIS_REGISTER_BH, INSN_REG_AH, 1 },
		{ ZYDIS_REGISTER_SPL, ZYDIS_REGISTER_R15B, 4, 1 },
		{ ZYDIS_REGISTER_AX, ZYDIS_REGISTER_R15W, 0, 2 },
		{ ZYDIS_REGISTER_EAX, ZYDIS_REGISTER_R15D, 0, 4 },
		{ ZYDIS_REGISTER_RAX, ZYDIS_REGISTER_R15, 0, 8 },
		{ ZYDIS_REGISTER_CR0, ZYDIS_REGISTER_CR15, 0, 0 },
		{ ZYDIS_REGISTER_DR0, ZYDIS_REGISTER_DR15, 0, 0 },
		{ ZYDIS_REGISTER_EIP, ZYDIS_REGISTER_EIP, INSN_REG_RIP, 4 },
		{ ZYDIS_REGISTER_RIP, ZYDIS_REGISTER_RIP, INSN_REG_RIP, 8 },
		{ ZYDIS_REGISTER_NONE, ZYDIS_REGISTER_NONE, INSN_REG_NONE, 0 },
	};

	for (size_t i = 0; i < sizeof(range) / sizeof(range[0]); i++) {
		if (r < range[i].first || r > range[i].last)
			continue;
		*num = range[i].num + (unsigned)(r - range[i].first);
		*bytes = range[i].bytes;
		return true;
	}
	return false;
}

static inline const char *oracle_reg_is(const ZydisDecodedOperand *o, unsigned num, unsigned bytes)
{
	unsigned n, b;

	if (o->type != ZYDIS_OPERAND_TYPE_REGISTER || !oracle_reg(o->reg.value, &n, &b))
		return "no register operand";
	if (n != num)
		return "register";
	return b != bytes ? "register width" : NULL;
}

/* Index registers of another width count as absent: MPX and vectors, which are not claimed. */
static inline const char *oracle_address(const struct oracle_case *c, const ZydisDecodedOperand *o)
{
	const struct insn *in = &c->in;
	unsigned base, index, width;
	u64 disp = (u64)o->mem.disp.value;
	unsigned scale = o->mem.scale == 8 ? 3 : o->mem.scale / 2u;

	if (!oracle_reg(o->mem.base, &base, &width) || base != in->base)
		return "base";
	if (!oracle_reg(o->mem.index, &index, &width) || index != in->index)
		return "index";
	if (index < 16 && scale != in->scale)
		return "scale";
	if ((disp ^ in->disp) & size_mask(in->addr_size))
		return "displacement";
	if (in->seg != (unsigned)(o->mem.segment - ZYDIS_REGISTER_ES) &&
	    !(in->mode == INSN_MODE_64 && in->seg < INSN_SEG_FS &&
	      o->mem.segment < ZYDIS_REGISTER_FS))
		return "segment";
	return in->addr_size * 8 != c->zi.address_width ? "address size" : NULL;
}

static inline const ZydisDecodedOperand *oracle_find_mem(const struct oracle_case *c, bool di)
{
	for (unsigned i = 0; i < c->zi.operand_count; i++) {
		const ZydisDecodedOperand *o = &c->zo[i];
		unsigned base = INSN_REG_NONE, width;

		if (o->type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		(void)oracle_reg(o->mem.base, &base, &width);
		if (base == (di ? 7u : 6u))
			return o;
	}
	return NULL;
}

static inline const char *oracle_string(const struct oracle_case *c)
{
	const struct insn *in = &c->in;
	const ZydisDecodedOperand *o =
		oracle_find_mem(c, in->op == INSN_STOS || in->op == INSN_INS);
	ZydisInstructionAttributes rep =
		ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;

	if (!o)
		return "no string operand";
	if (o->size != in->size * 8 || in->mem_size != in->size)
		return "string width";
	if (!!(c->zi.attributes & rep) != !!(in->flags & (INSN_F_REP | INSN_F_REPNE)))
		return "repeat prefix";
	return oracle_address(c, o);
}

static inline const char *oracle_port(const struct oracle_case *c)
{
	const struct insn *in = &c->in;
	const ZydisDecodedOperand *acc = &c->zo[in->op == INSN_IN ? 0 : 1];
	const ZydisDecodedOperand *port = &c->zo[in->op == INSN_IN ? 1 : 0];

	if (in->flags & INSN_F_IMM) {
		if (port->type != ZYDIS_OPERAND_TYPE_IMMEDIATE || port->imm.value.u != in->imm)
			return "port";
	} else if (oracle_reg_is(port, 2, 2)) {
		return "port register";
	}
	return oracle_reg_is(acc, 0, in->size);
}

static inline const char *oracle_rm(const struct oracle_case *c, const ZydisDecodedOperand *o)
{
	const struct insn *in = &c->in;

	if (!(in->flags & INSN_F_MEM))
		return oracle_reg_is(o, in->rm, in->mem_size);
	if (o->type != ZYDIS_OPERAND_TYPE_MEMORY)
		return "no memory operand";
	if (in->mem_size && o->size != in->mem_size * 8)
		return "memory width";
	return oracle_address(c, o);
}

static inline const char *oracle_operands(const struct oracle_case *c)
{
	const struct insn *in = &c->in;
	unsigned to_reg = in->flags & INSN_F_TO_REG ? 1 : 0;
	const ZydisDecodedOperand *rm = &c->zo[to_reg], *other = &c->zo[!to_reg];
	const char *why;

	if (in->op >= INSN_MOV_TO_CR && in->op <= INSN_MOV_FROM_DR) {
		to_reg = in->op == INSN_MOV_FROM_CR || in->op == INSN_MOV_FROM_DR;
		why = oracle_reg_is(&c->zo[!to_reg], in->rm, in->size);
		return why ? why : oracle_reg_is(&c->zo[to_reg], in->reg, 0);
	}
	if (in->op >= INSN_LMSW && in->op <= INSN_LIDT)
		return oracle_rm(c, &c->zo[0]);
	if (in->op == INSN_INT)
		return c->zo[0].imm.value.u != in->imm ? "vector" : NULL;
	if (in->op >= INSN_INT3)
		return NULL;
	if (in->op == INSN_IN || in->op == INSN_OUT)
		return oracle_port(c);
	if (in->op >= INSN_MOVS)
		return oracle_string(c);
	why = oracle_rm(c, rm);
	if (why || (c->zi.operand_count_visible == 1 && in->reg == INSN_REG_NONE))
		return why;
	if (!(in->flags & INSN_F_IMM))
		return oracle_reg_is(other, in->reg, in->size);
	if (other->type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return "no immediate";
	return (other->imm.value.u ^
	        in->imm) & (in->op >= INSN_BT && in->op <= INSN_BTC ? 0xff : size_mask(in->size))
	               ? "immediate"
	               : NULL;
}

/* The memory operand of an instruction of which nothing else is claimed. */
static inline const char *oracle_other(const struct oracle_case *c)
{
	if (!(c->in.flags & INSN_F_MEM))
		return NULL;
	for (unsigned i = 0; i < c->zi.operand_count; i++)
		if (c->zo[i].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    c->zo[i].encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM)
			return oracle_address(c, &c->zo[i]);
	return "no memory operand";
}

static inline const char *oracle_judge(const struct oracle_case *c, struct oracle_stats *st)
{
	const char *why;

	if (c->rc != 0 && !c->zok) {
		st->none++;
		return c->rc == -EINVAL ? NULL : "too short, with 15 bytes";
	}
	if (c->rc != 0)
		return "refused, but Zydis decodes it";
	if (!c->zok) {
		st->lax++;
		return c->in.op == INSN_OTHER ? NULL : "claimed, but Zydis refuses it";
	}
	if (c->in.len != c->zi.length)
		return "length";
	if (c->in.op == INSN_OTHER) {
		why = oracle_other(c);
	} else {
		if (!(c->in.flags & INSN_F_LOCK) != !(c->zi.attributes & ZYDIS_ATTRIB_HAS_LOCK))
			return "LOCK";
		if (!oracle_mnemonic_is(&c->in, c->zi.mnemonic))
			return "mnemonic";
		why = oracle_operands(c);
		st->claimed += !why;
	}
	st->both += !why;
	return why;
}

/**
 * oracle_compare() - decode 15 bytes both ways.
 * Returns NULL when the two agree or the table explains why not, else what differs.
 */
static inline const char *oracle_compare(const u8 *bytes, enum insn_mode mode,
					 struct oracle_stats *st)
{
	static ZydisDecoder dec[3];
	static const ZydisMachineMode zmode[3] = { ZYDIS_MACHINE_MODE_LEGACY_16,
		                                   ZYDIS_MACHINE_MODE_LEGACY_32,
		                                   ZYDIS_MACHINE_MODE_LONG_64 };
	static const ZydisStackWidth zstack[3] = { ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32,
		                                   ZYDIS_STACK_WIDTH_64 };
	struct oracle_case c = { .bytes = bytes, .mode = mode };
	const char *why;

	if (!dec[2].stack_width)
		for (int i = 0; i < 3; i++) {
			(void)ZydisDecoderInit(&dec[i], zmode[i], zstack[i]);
			(void)ZydisDecoderEnableMode(&dec[i], ZYDIS_DECODER_MODE_AMD_BRANCHES, 1);
			(void)ZydisDecoderEnableMode(&dec[i], ZYDIS_DECODER_MODE_MPX, 0);
			(void)ZydisDecoderEnableMode(&dec[i], ZYDIS_DECODER_MODE_CET, 0);
		}
	c.rc = insn_decode(bytes, INSN_MAX_LEN, mode, &c.in);
	c.zok = ZYAN_SUCCESS(ZydisDecoderDecodeFull(&dec[mode], bytes, INSN_MAX_LEN, &c.zi, c.zo));
	why = oracle_judge(&c, st);
	if (!why)
		return NULL;
	for (unsigned i = 0; i < ORACLE_EXCUSES && oracle_excuses[i].why; i++)
		if (oracle_excuses[i].applies(&c)) {
			st->excused[i]++;
			return NULL;
		}
	return why;
}

/** oracle_dump() - both decodes, for the one who reads the failure. */
static inline void oracle_dump(const u8 *bytes, enum insn_mode mode, const char *why)
{
	ZydisDisassembledInstruction d;
	static const ZydisMachineMode zmode[3] = { ZYDIS_MACHINE_MODE_LEGACY_16,
		                                   ZYDIS_MACHINE_MODE_LEGACY_32,
		                                   ZYDIS_MACHINE_MODE_LONG_64 };
	struct insn in = { 0 };
	int rc = insn_decode(bytes, INSN_MAX_LEN, mode, &in);

	fprintf(stderr, "%d-bit:", 16 << mode);
	for (int i = 0; i < (int)INSN_MAX_LEN; i++)
		fprintf(stderr, " %02x", bytes[i]);
	fprintf(stderr,
	        "\n  differs in: %s\n  ours: rc %d op %u len %u flags %#x size %u mem_size %u "
	        "addr_size %u seg %u reg %#x rm %#x base %#x index %#x scale %u disp %#llx imm "
	        "%#llx\n",
	        why, rc, in.op, in.len, in.flags, in.size, in.mem_size, in.addr_size, in.seg,
	        in.reg, in.rm, in.base, in.index, in.scale, (unsigned long long)in.disp,
	        (unsigned long long)in.imm);
	if (ZYAN_SUCCESS(ZydisDisassembleIntel(zmode[mode], 0, bytes, INSN_MAX_LEN, &d)))
		fprintf(stderr, "  Zydis: length %u: %s\n", d.info.length, d.text);
	else
		fprintf(stderr, "  Zydis: refused\n");
}

#endif
