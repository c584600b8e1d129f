/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instruction decoder: prefixes, opcode maps, ModRM and SIB, immediates. One pass; the usual
 * loads and stores take no branch into the special forms.
 */
#include "guest/emul/insn.h"

#include "guest/emul/insn_tables.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"

#define REX_B 1u
#define REX_X 2u
#define REX_R 4u
#define REX_W 8u

#define NO_SEG 0xffu

#define OP_RAX 0u
#define OP_RBX 3u
#define OP_RSP 4u
#define OP_RBP 5u
#define OP_RSI 6u
#define OP_RDI 7u

struct dec {
	const u8 *bytes;
	unsigned pos;
	unsigned lim;    /* bytes there are, at most 15 */
	unsigned osize;  /* operand size in bytes */
	unsigned asize;  /* address size in bytes */
	unsigned disp_n; /* bytes of displacement */
	u8 rex;          /* W, R, X, B; also from VEX */
	bool has_rex;
	bool p66;
	u8 seg; /* override, or NO_SEG */
	u8 modrm;
};

/* The bytes ended too early: more would help, unless the longest instruction is exceeded. */
static int short_error(const struct dec *d)
{
	return d->lim == INSN_MAX_LEN ? -EINVAL : -EFAULT;
}

static void take_prefix(struct dec *d, struct insn *in, u8 b)
{
	switch (b) {
	case 0x66:
		d->p66 = true;
		break;
	case 0x67:
		d->asize = in->mode == INSN_MODE_32 ? 2 : 4;
		break;
	case 0xf0:
		in->flags |= INSN_F_LOCK;
		break;
	case 0xf2:
		in->flags = (u8)((in->flags & ~INSN_F_REP) | INSN_F_REPNE);
		break;
	case 0xf3:
		in->flags = (u8)((in->flags & ~INSN_F_REPNE) | INSN_F_REP);
		break;
	case 0x64:
	case 0x65:
		d->seg = (u8)(INSN_SEG_FS + (b & 1));
		break;
	default: /* 26, 2E, 36, 3E: without effect in 64-bit code */
		if (in->mode != INSN_MODE_64)
			d->seg = b >> 3 & 3;
		break;
	}
}

/* Prefixes and the first opcode byte; its table word in *e. */
static int take_opcode(struct dec *d, struct insn *in, u32 *e)
{
	for (;;) {
		u8 b;

		if (d->pos >= d->lim)
			return short_error(d);
		b = d->bytes[d->pos++];
		*e = insn_map_1[b];
		if (likely(!(*e & IT_PREFIX)))
			return 0;
		if (*e & IT_REX) {
			if (in->mode != INSN_MODE_64) { /* INC, DEC */
				*e = INSN_OTHER;
				return 0;
			}
			/* Only the one right before the opcode counts. */
			d->rex = b & 0xf;
			d->has_rex = true;
		} else {
			d->rex = 0;
			d->has_rex = false;
			take_prefix(d, in, b);
		}
	}
}

static void set_osize(struct dec *d, enum insn_mode mode, u32 e)
{
	if (d->rex & REX_W)
		d->osize = 8;
	else if (d->p66 != (mode == INSN_MODE_16))
		d->osize = 2;
	else
		d->osize = (e & IT_DEF64) && mode == INSN_MODE_64 ? 8 : 4;
}

/* ModRM with 16-bit addresses: fixed pairs of registers. AMD APM vol. 3 table A-34. */
static void take_mem16(struct dec *d, struct insn *in)
{
	static const u8 base[8] = {
		OP_RBX, OP_RBX, OP_RBP, OP_RBP, OP_RSI, OP_RDI, OP_RBP, OP_RBX
	};
	static const u8 index[8] = { OP_RSI,        OP_RDI,        OP_RSI,        OP_RDI,
		                     INSN_REG_NONE, INSN_REG_NONE, INSN_REG_NONE, INSN_REG_NONE };
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7;

	if (mod == 0 && rm == 6) {
		d->disp_n = 2;
		return;
	}
	in->base = base[rm];
	in->index = index[rm];
	d->disp_n = mod;
	if (in->base == OP_RBP)
		in->seg = INSN_SEG_SS;
}

static int take_sib(struct dec *d, struct insn *in)
{
	unsigned base, index;
	u8 sib;

	if (d->pos >= d->lim)
		return short_error(d);
	sib = d->bytes[d->pos++];
	base = sib & 7u;
	index = (sib >> 3 & 7u) | (d->rex & REX_X ? 8u : 0u);
	if (index != OP_RSP) {
		in->index = (u8)index;
		in->scale = sib >> 6;
	}
	if (base == OP_RBP && d->modrm < 0x40)
		d->disp_n = 4;
	else
		in->base = (u8)(base | (d->rex & REX_B ? 8u : 0u));
	return 0;
}

static int take_mem(struct dec *d, struct insn *in)
{
	unsigned mod = d->modrm >> 6, rm = d->modrm & 7;

	in->flags |= INSN_F_MEM;
	in->seg = INSN_SEG_DS;
	if (d->asize == 2) {
		take_mem16(d, in);
	} else {
		d->disp_n = mod == 2 ? 4 : mod;
		if (rm == 4) {
			int rc = take_sib(d, in);

			if (rc)
				return rc;
		} else if (rm == 5 && mod == 0) {
			d->disp_n = 4;
			if (in->mode == INSN_MODE_64)
				in->base = INSN_REG_RIP;
		} else {
			in->base = (u8)(rm | (d->rex & REX_B ? 8u : 0u));
		}
		if (in->base == OP_RSP || in->base == OP_RBP)
			in->seg = INSN_SEG_SS;
	}
	if (d->seg != NO_SEG)
		in->seg = d->seg;
	return 0;
}

/* Byte registers 4 to 7 are AH to BH unless a REX prefix makes them SPL to DIL. */
static u8 byte_reg(const struct dec *d, u8 reg)
{
	return !d->has_rex && reg >= 4 && reg < 8 ? (u8)(reg + (INSN_REG_AH - 4)) : reg;
}

static int take_modrm(struct dec *d, struct insn *in, u32 e)
{
	if (d->pos >= d->lim)
		return short_error(d);
	d->modrm = d->bytes[d->pos++];
	in->reg = (u8)((d->modrm >> 3 & 7u) | (d->rex & REX_R ? 8u : 0u));
	if (d->modrm < 0xc0 && !(e & IT_REGONLY))
		return take_mem(d, in);
	in->rm = (u8)((d->modrm & 7u) | (d->rex & REX_B ? 8u : 0u));
	return 0;
}

static unsigned imm_bytes(const struct dec *d, enum insn_imm kind)
{
	static const u8 fixed[IMM_KINDS] = {
		[IMM_B] = 1, [IMM_UB] = 1, [IMM_W] = 2, [IMM_WB] = 3, [IMM_D] = 4
	};
	unsigned z = d->osize == 2 ? 2 : 4;

	switch (kind) {
	case IMM_Z:
		return z;
	case IMM_V:
		return d->osize;
	case IMM_PTR:
		return z + 2;
	case IMM_A:
		return d->asize;
	case IMM_NONE:
	case IMM_B:
	case IMM_UB:
	case IMM_W:
	case IMM_WB:
	case IMM_D:
	case IMM_KINDS:
	default:
		return fixed[kind];
	}
}

static u64 get_signed(const u8 *p, unsigned n)
{
	switch (n) {
	case 1:
		return (u64)(s64)(s8)p[0];
	case 2:
		return (u64)(s64)(s16)get_le16(p);
	case 4:
		return (u64)(s64)(s32)get_le32(p);
	case 8:
		return get_le64(p);
	default: /* none; ENTER and far pointers, whose value is not part of the record */
		return 0;
	}
}

/* Displacement and immediate; then the length is known. */
static int take_rest(struct dec *d, struct insn *in, enum insn_imm kind)
{
	unsigned imm_n = kind == IMM_NONE ? 0 : imm_bytes(d, kind);
	const u8 *p = d->bytes + d->pos;

	if (d->pos + d->disp_n + imm_n > d->lim) {
		if (d->pos + d->disp_n + imm_n > INSN_MAX_LEN)
			return -EINVAL;
		return -EFAULT;
	}
	in->disp = get_signed(p, d->disp_n);
	if (imm_n) {
		in->imm = get_signed(p + d->disp_n, imm_n);
		if (kind == IMM_UB)
			in->imm &= 0xff;
		if (kind == IMM_A)
			in->disp = in->imm;
	}
	in->len = (u8)(d->pos + d->disp_n + imm_n);
	return 0;
}

static void form_string(const struct dec *d, struct insn *in)
{
	bool to_di = in->op == INSN_STOS || in->op == INSN_INS;

	in->flags |= INSN_F_MEM;
	in->base = to_di ? OP_RDI : OP_RSI;
	in->seg = to_di ? INSN_SEG_ES : d->seg != NO_SEG ? d->seg : INSN_SEG_DS;
	if (in->op == INSN_STOS || in->op == INSN_LODS)
		in->reg = OP_RAX;
	if (in->op == INSN_LODS)
		in->flags |= INSN_F_TO_REG;
	/* Ports are at most 32 bits wide. */
	if ((in->op == INSN_INS || in->op == INSN_OUTS) && in->size == 8)
		in->size = in->mem_size = 4;
}

/* Control registers 0, 2, 3, 4, 8 and debug registers 0 to 7 exist. */
static int form_control(struct insn *in, enum insn_form form)
{
	const unsigned valid_cr = 0x11d;

	/* AMD: LOCK MOV CR0 reaches CR8 outside 64-bit code. APM vol. 3, MOV CRn. */
	if (form == FORM_CR && (in->flags & INSN_F_LOCK) && in->reg == 0)
		in->reg = 8;
	if (form == FORM_CR ? !(valid_cr >> in->reg & 1) : in->reg > 7)
		return -EINVAL;
	in->size = in->mem_size = in->mode == INSN_MODE_64 ? 8 : 4;
	return 0;
}

static void form_0f01(const struct dec *d, struct insn *in)
{
	in->reg = INSN_REG_NONE;
	in->mem_size = 0;
	if (in->flags & INSN_F_MEM)
		in->op = insn_group_op[GROUP_7][d->modrm >> 3 & 7];
	else
		in->op = (u8)insn_0f01_op(d->modrm);
	if (in->op == INSN_LMSW)
		in->size = 2;
	if (in->op == INSN_LMSW || in->op == INSN_SMSW)
		in->mem_size = in->flags & INSN_F_MEM ? 2 : in->size;
	else
		in->rm = INSN_REG_NONE;
}

/* Source narrower than the destination. */
static void form_extend(const struct dec *d, struct insn *in, enum insn_form form)
{
	if (form == FORM_EXT8) {
		in->mem_size = 1;
		in->rm = byte_reg(d, in->rm);
	} else if (form == FORM_EXT16) {
		in->mem_size = 2;
	} else if (in->mode != INSN_MODE_64) { /* ARPL */
		in->op = INSN_OTHER;
		in->flags &= (u8)~INSN_F_TO_REG;
	} else {
		in->mem_size = d->osize == 2 ? 2 : 4;
	}
}

static void form_port(struct insn *in, u32 e)
{
	in->reg = OP_RAX;
	if (in->size == 8)
		in->size = 4;
	if (in->op == INSN_IN)
		in->flags |= INSN_F_TO_REG;
	if (IT_IMM(e) != IMM_NONE)
		in->flags |= INSN_F_IMM;
}

/* The forms that the tables' common meaning does not describe. */
static int take_form(const struct dec *d, struct insn *in, u32 e, enum insn_imm *kind)
{
	enum insn_form form = IT_FORM(e);

	switch (form) {
	case FORM_EXT8:
	case FORM_EXT16:
	case FORM_EXT32:
		form_extend(d, in, form);
		break;
	case FORM_MOFFS:
		in->flags |= INSN_F_MEM;
		in->seg = d->seg != NO_SEG ? d->seg : INSN_SEG_DS;
		in->reg = OP_RAX;
		break;
	case FORM_STRING:
		form_string(d, in);
		break;
	case FORM_PORT:
		form_port(in, e);
		break;
	case FORM_CR:
	case FORM_DR:
		return form_control(in, form);
	case FORM_NOP: /* XCHG rAX,r8 with REX.B */
		if ((in->flags & INSN_F_REP) && !(d->rex & REX_B))
			in->op = INSN_PAUSE;
		break;
	case FORM_0F01:
		form_0f01(d, in);
		break;
	case FORM_0F78: /* SSE4A EXTRQ, INSERTQ: two immediate bytes */
		if ((in->flags & INSN_F_REPNE) || (d->p66 && !(in->flags & INSN_F_REP)))
			*kind = IMM_W;
		break;
	case FORM_MOVNTI:
		if (!(in->flags & INSN_F_MEM))
			return -EINVAL;
		in->size = in->mem_size = d->rex & REX_W ? 8 : 4;
		break;
	case FORM_NONE:
	case FORM_0FC7:
	case FORM_ESC_0F:
	case FORM_ESC_38:
	case FORM_ESC_3A:
	case FORM_VEX3:
	case FORM_VEX2:
	case FORM_EVEX:
	case FORM_XOP:
	default:
		break;
	}
	return 0;
}

static int take_group(const struct dec *d, struct insn *in, enum insn_group group,
		      enum insn_imm *kind)
{
	in->op = insn_group_op[group][d->modrm >> 3 & 7];
	if (in->op == INSN_INVALID)
		return -EINVAL;
	in->reg = INSN_REG_NONE;
	if (group == GROUP_3 && in->op != INSN_TEST)
		*kind = IMM_NONE;
	if (in->op == INSN_PUSH && in->mode == INSN_MODE_64 && in->size == 4)
		in->size = in->mem_size = 8;
	if (*kind != IMM_NONE && in->op != INSN_OTHER)
		in->flags |= INSN_F_IMM;
	return 0;
}

/*
 * LOCK is for read-modify-write of memory alone, and on AMD names CR8 (form_control()).
 * AMD APM vol. 3 §1.2.5.
 */
static bool may_lock(const struct dec *d, const struct insn *in, u32 e)
{
	if (in->op == INSN_MOV_TO_CR || in->op == INSN_MOV_FROM_CR)
		return in->reg == 8;
	if (!(in->flags & INSN_F_MEM) || (in->flags & INSN_F_TO_REG))
		return false;
	if (in->op == INSN_OTHER) /* CMPXCHG8B, CMPXCHG16B */
		return IT_FORM(e) == FORM_0FC7 && (d->modrm >> 3 & 7) == 1;
	return in->op <= INSN_CMPXCHG && in->op != INSN_CMP && in->op != INSN_TEST &&
	       in->op != INSN_BT;
}

/* ModRM, and the registers that it names. */
static int take_modrm_registers(struct dec *d, struct insn *in, u32 e)
{
	int rc = take_modrm(d, in, e);

	if (!rc && (e & IT_BYTE)) {
		in->reg = byte_reg(d, in->reg);
		in->rm = byte_reg(d, in->rm);
	}
	return rc;
}

/* Everything behind an opcode of the legacy maps; e is its word. */
static int take_operands(struct dec *d, struct insn *in, u32 e)
{
	enum insn_imm kind = IT_IMM(e);
	int rc;

	if (IT_OP(e) == INSN_INVALID || ((e & IT_INV64) && in->mode == INSN_MODE_64))
		return -EINVAL;
	in->op = (u8)IT_OP(e);
	set_osize(d, in->mode, e);
	in->size = in->mem_size = (e & IT_BYTE) ? 1 : (u8)d->osize;
	if (e & IT_TO_REG)
		in->flags |= INSN_F_TO_REG;
	if (e & IT_MODRM) {
		rc = take_modrm_registers(d, in, e);
		if (rc)
			return rc;
	}
	if (IT_GROUP(e) != GROUP_NONE) {
		rc = take_group(d, in, IT_GROUP(e), &kind);
		if (rc)
			return rc;
	}
	if (IT_FORM(e) != FORM_NONE) {
		rc = take_form(d, in, e, &kind);
		if (rc)
			return rc;
	}
	if (unlikely(in->flags & INSN_F_LOCK) && !may_lock(d, in, e))
		return -EINVAL;
	return take_rest(d, in, kind);
}

/* What immediate a vector instruction has; IMM_KINDS: there is no such map. */
static enum insn_imm vector_imm(enum insn_form form, unsigned map, u8 op)
{
	if (form == FORM_XOP && map > 10)
		return IMM_KINDS;
	if (form == FORM_XOP)
		return map == 8 ? IMM_B : map == 10 ? IMM_D : IMM_NONE;
	if (map == 1)
		return IT_IMM(insn_map_0f[op]) == IMM_B ? IMM_B : IMM_NONE;
	if (map == 3)
		return IMM_B;
	return map == 2 || (form == FORM_EVEX && (map == 5 || map == 6)) ? IMM_NONE : IMM_KINDS;
}

/* Vector instructions: their length only. map as the prefix encodes it. */
static int take_vector(struct dec *d, struct insn *in, enum insn_form form, unsigned map)
{
	enum insn_imm kind;
	u8 op;
	int rc;

	if (d->pos >= d->lim)
		return short_error(d);
	op = d->bytes[d->pos++];
	kind = vector_imm(form, map, op);
	if (kind == IMM_KINDS)
		return -EINVAL;
	if (map == 1 && op == 0x77 && (form == FORM_VEX2 || form == FORM_VEX3))
		return take_rest(d, in, IMM_NONE); /* VZEROUPPER and VZEROALL have no ModRM */
	rc = take_modrm(d, in, 0);
	if (rc)
		return rc;
	rc = take_rest(d, in, kind);
	/* Index vectors, scaled displacements: no operand is claimed. */
	in->flags &= (u8)~INSN_F_MEM;
	in->reg = in->rm = INSN_REG_NONE;
	return rc;
}

/*
 * C4, C5, 62 and 8F begin a vector instruction in 64-bit code, and elsewhere when the next
 * byte could not be the ModRM of the instruction that had the opcode before.
 */
static int take_vector_escape(struct dec *d, struct insn *in, u32 e)
{
	static const u8 payload[] = {
		[FORM_VEX2] = 1, [FORM_VEX3] = 2, [FORM_EVEX] = 3, [FORM_XOP] = 2
	};
	enum insn_form form = IT_FORM(e);
	unsigned map;
	u8 b;

	if (d->pos >= d->lim)
		return short_error(d);
	b = d->bytes[d->pos];
	if (form == FORM_XOP ? (b & 0x1f) < 8 : in->mode != INSN_MODE_64 && b < 0xc0)
		return take_operands(d, in, e);
	if (d->p66 || d->has_rex || (in->flags & (INSN_F_LOCK | INSN_F_REP | INSN_F_REPNE)))
		return -EINVAL;
	map = form == FORM_VEX2 ? 1 : form == FORM_EVEX ? b & 0xfu : b & 0x1fu;
	d->pos += payload[form];
	return take_vector(d, in, form, map);
}

static int take_map_0f(struct dec *d, struct insn *in)
{
	enum insn_form form;
	u32 e;

	if (d->pos >= d->lim)
		return short_error(d);
	e = insn_map_0f[d->bytes[d->pos++]];
	form = IT_FORM(e);
	if (form == FORM_ESC_38 || form == FORM_ESC_3A) {
		if (d->pos >= d->lim)
			return short_error(d);
		d->pos++;
		e = IT_MODRM | (form == FORM_ESC_3A ? (u32)IMM_B << IT_IMM_SHIFT : 0);
	}
	return take_operands(d, in, e);
}

int insn_decode(const u8 *bytes, size_t n, enum insn_mode mode, struct insn *out)
{
	struct dec d = {
		.bytes = bytes,
		.lim = n < INSN_MAX_LEN ? (unsigned)n : INSN_MAX_LEN,
		.asize = 2u << mode,
		.seg = NO_SEG,
	};
	struct insn in = {
		.mode = (u8)mode,
		.reg = INSN_REG_NONE,
		.rm = INSN_REG_NONE,
		.base = INSN_REG_NONE,
		.index = INSN_REG_NONE,
	};
	enum insn_form form;
	u32 e;
	int rc = take_opcode(&d, &in, &e);

	if (rc)
		return rc;
	form = IT_FORM(e);
	if (likely(form < FORM_ESC_0F))
		rc = take_operands(&d, &in, e);
	else if (form == FORM_ESC_0F)
		rc = take_map_0f(&d, &in);
	else
		rc = take_vector_escape(&d, &in, e);
	if (rc)
		return rc;
	in.addr_size = (u8)d.asize;
	*out = in;
	return 0;
}
