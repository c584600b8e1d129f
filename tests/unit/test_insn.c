/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoder: each form in each mode, as text that a reader can check against the manual; too
 * few bytes; too many.
 */
#include "guest/emul/insn.h"
#include "kernel/base/err.h"
#include "tests/unit/insn_names.h"
#include "unit.h"

static size_t parse_hex(const char *text, u8 *out)
{
	size_t n = 0;
	unsigned v;

	for (; *text; text += *text == ' ' ? 1 : 2)
		if (*text != ' ') {
			CHECK(sscanf(text, "%2x", &v) == 1);
			out[n++] = (u8)v;
		}
	return n;
}

/* ---- a record as text -------------------------------------------------------------------- */

static char *put(char *p, const char *fmt, u64 v)
{
	return p + sprintf(p, fmt, (unsigned long long)v);
}

static char *put_reg(char *p, unsigned r)
{
	if (r >= INSN_REG_AH && r < INSN_REG_AH + 4u)
		return put(p, "h%llu", r - INSN_REG_AH);
	return r == INSN_REG_RIP ? put(p, "rip", 0) : put(p, "r%llu", r);
}

/* WIDTH seg[base+index*scale+disp]aADDRESS_SIZE */
static char *put_mem(char *p, const struct insn *in)
{
	static const char *const seg[] = { "es", "cs", "ss", "ds", "fs", "gs" };

	p = put(p, "m%llu ", in->mem_size);
	p += sprintf(p, "%s[", seg[in->seg]);
	if (in->base != INSN_REG_NONE)
		p = put_reg(p, in->base);
	if (in->index != INSN_REG_NONE) {
		p = put_reg(put(p, in->base != INSN_REG_NONE ? "+" : "", 0), in->index);
		p = put(p, "*%llu", 1u << in->scale);
	}
	if ((s64)in->disp < 0)
		p = put(p, "-%llx", 0 - in->disp);
	else if (in->disp)
		p = put(p, "+%llx", in->disp);
	return put(p, "]a%llu", in->addr_size);
}

static char *put_operands(char *p, const struct insn *in)
{
	bool to_reg = in->flags & INSN_F_TO_REG;
	char *first = p;

	for (int i = 0; i < 2; i++) {
		char *start = p;

		p = put(p, p != first ? ", " : " ", 0);
		if (i == to_reg && (in->flags & INSN_F_MEM))
			p = put_mem(p, in);
		else if (i == to_reg && in->rm != INSN_REG_NONE)
			p = put_reg(p, in->rm);
		else if (i != to_reg && in->reg != INSN_REG_NONE)
			p = put_reg(p, in->reg);
		else if (i != to_reg && (in->flags & INSN_F_IMM))
			p = put(p, "#%llx", in->imm);
		else
			p = start;
	}
	*p = 0;
	return p;
}

static void render(const struct insn *in, char *p)
{
	p = put(p, in->flags & INSN_F_LOCK ? "lock " : "", 0);
	p = put(p, in->flags & INSN_F_REP ? "rep " : "", 0);
	p = put(p, in->flags & INSN_F_REPNE ? "repne " : "", 0);
	p += sprintf(p, "%s", op_name[in->op]);
	if (in->op == INSN_OTHER)
		return;
	p = put(p, "%llu", in->size);
	if (in->op == INSN_INT || ((in->flags & INSN_F_IMM) && in->op >= INSN_IN))
		p = put(p, " #%llx", in->imm);
	(void)put_operands(p, in);
}

/* ---- forms -------------------------------------------------------------------------------- */

struct row {
	enum insn_mode mode;
	const char *hex, *text; /* text NULL: refused */
};

#define R16(hex, text)                  \
	{                               \
		INSN_MODE_16, hex, text \
	}
#define R32(hex, text)                  \
	{                               \
		INSN_MODE_32, hex, text \
	}
#define R64(hex, text)                  \
	{                               \
		INSN_MODE_64, hex, text \
	}
#define ALL(hex, text) R16(hex, text), R32(hex, text), R64(hex, text)

/* The whole row is the instruction: a byte less is too short, a byte more changes nothing. */
static void check_row(const struct row *r)
{
	u8 b[INSN_MAX_LEN + 1] = { 0 };
	size_t n = parse_hex(r->hex, b);
	struct insn in, more;
	char text[128] = "refused";
	int rc;

	memset(&in, 0xa5, sizeof(in));
	more = in;
	rc = insn_decode(b, n, r->mode, &in);
	if (rc == 0)
		render(&in, text);
	if (strcmp(text, r->text ? r->text : "refused") != 0)
		fprintf(stderr, "%d-bit %s: ", 16 << r->mode, r->hex);
	CHECK_STR(text, r->text ? r->text : "refused");
	if (rc) {
		CHECK_EQ(rc, -EINVAL);
		CHECK(memcmp(&in, &more, sizeof(in)) == 0);
		return;
	}
	CHECK_EQ(in.len, n);
	CHECK_EQ(in.mode, r->mode);
	for (size_t less = 0; less < n; less++)
		CHECK_EQ(insn_decode(b, less, r->mode, &more), -EFAULT);
	CHECK_EQ(insn_decode(b, sizeof(b), r->mode, &more), 0);
	CHECK(memcmp(&in, &more, sizeof(in)) == 0);
}

#define CHECK_ROWS(rows)                                                        \
	for (size_t row_i = 0; row_i < sizeof(rows) / sizeof(rows[0]); row_i++) \
	check_row(&(rows)[row_i])

TEST(test_addresses)
{
	static const struct row rows[] = {
		/* 16-bit pairs, displacements */
		R16("8b 00", "mov2 r0, m2 ds[r3+r6*1]a2"),
		R16("8b 01", "mov2 r0, m2 ds[r3+r7*1]a2"),
		R16("8b 0a", "mov2 r1, m2 ss[r5+r6*1]a2"),
		R16("8b 0b", "mov2 r1, m2 ss[r5+r7*1]a2"),
		R16("8b 14", "mov2 r2, m2 ds[r6]a2"),
		R16("8b 15", "mov2 r2, m2 ds[r7]a2"),
		R16("8b 1e 34 12", "mov2 r3, m2 ds[+1234]a2"),
		R16("8b 1f", "mov2 r3, m2 ds[r3]a2"),
		R16("8b 46 fe", "mov2 r0, m2 ss[r5-2]a2"),
		R16("8b 80 34 92", "mov2 r0, m2 ds[r3+r6*1-6dcc]a2"),
		R16("67 8b 44 24 08", "mov2 r0, m2 ss[r4+8]a4"),
		R32("67 8b 47 10", "mov4 r0, m4 ds[r3+10]a2"),
		/* 32-bit */
		R32("8b 03", "mov4 r0, m4 ds[r3]a4"),
		R32("8b 45 00", "mov4 r0, m4 ss[r5]a4"),
		R32("8b 05 78 56 34 12", "mov4 r0, m4 ds[+12345678]a4"),
		R32("8b 04 24", "mov4 r0, m4 ss[r4]a4"),
		R32("8b 04 25 78 56 34 12", "mov4 r0, m4 ds[+12345678]a4"),
		R32("8b 04 cd 78 56 34 12", "mov4 r0, m4 ds[r1*8+12345678]a4"),
		R32("8b 44 6b 80", "mov4 r0, m4 ds[r3+r5*2-80]a4"),
		R32("8b 84 9d 01 02 03 04", "mov4 r0, m4 ss[r5+r3*4+4030201]a4"),
		/* 64-bit: REX, RIP, no base, R12 and R13 at the special encodings */
		R64("8b 03", "mov4 r0, m4 ds[r3]a8"),
		R64("48 8b 03", "mov8 r0, m8 ds[r3]a8"),
		R64("8b 05 f0 ff ff ff", "mov4 r0, m4 ds[rip-10]a8"),
		R64("67 8b 05 10 00 00 00", "mov4 r0, m4 ds[rip+10]a4"),
		R64("8b 04 25 00 00 c0 fe", "mov4 r0, m4 ds[-1400000]a8"),
		R64("67 8b 04 25 00 00 c0 fe", "mov4 r0, m4 ds[-1400000]a4"),
		R64("41 8b 04 24", "mov4 r0, m4 ds[r12]a8"),
		R64("41 8b 45 00", "mov4 r0, m4 ds[r13]a8"),
		R64("41 8b 05 01 00 00 00", "mov4 r0, m4 ds[rip+1]a8"),
		R64("43 8b 04 25 01 00 00 00", "mov4 r0, m4 ds[r12*1+1]a8"),
		R64("42 8b 04 24", "mov4 r0, m4 ss[r4+r12*1]a8"),
		R64("8b 04 e4", "mov4 r0, m4 ss[r4]a8"),
		R64("4f 8b 4c be 7f", "mov8 r9, m8 ds[r14+r15*4+7f]a8"),
		R64("67 44 8b 03", "mov4 r8, m4 ds[r3]a4"),
		/* segments: four of the six are without effect in 64-bit code */
		R16("26 8b 07", "mov2 r0, m2 es[r3]a2"),
		R16("2e 8b 07", "mov2 r0, m2 cs[r3]a2"),
		R16("36 8b 07", "mov2 r0, m2 ss[r3]a2"),
		R16("3e 8b 02", "mov2 r0, m2 ds[r5+r6*1]a2"),
		R32("64 8b 03", "mov4 r0, m4 fs[r3]a4"),
		R32("65 8b 03", "mov4 r0, m4 gs[r3]a4"),
		R32("64 26 8b 03", "mov4 r0, m4 es[r3]a4"),
		R64("26 8b 03", "mov4 r0, m4 ds[r3]a8"),
		R64("64 8b 03", "mov4 r0, m4 fs[r3]a8"),
		R64("65 2e 8b 03", "mov4 r0, m4 gs[r3]a8"),
	};

	CHECK_ROWS(rows);
}

TEST(test_prefixes)
{
	static const struct row rows[] = {
		R16("66 89 07", "mov4 m4 ds[r3]a2, r0"),
		R32("66 89 03", "mov2 m2 ds[r3]a4, r0"),
		R64("66 89 03", "mov2 m2 ds[r3]a8, r0"),
		R64("66 48 89 03", "mov8 m8 ds[r3]a8, r0"), /* REX.W wins */
		R64("48 66 89 03", "mov2 m2 ds[r3]a8, r0"), /* REX counts right before the opcode */
		R64("41 48 89 03", "mov8 m8 ds[r3]a8, r0"),
		R64("88 23", "mov1 m1 ds[r3]a8, h0"),
		R64("40 88 23", "mov1 m1 ds[r3]a8, r4"),
		R64("44 88 23", "mov1 m1 ds[r3]a8, r12"),
		R32("88 3b", "mov1 m1 ds[r3]a4, h3"),
		R32("40", "other"),
		R16("4f", "other"),
		/* the last of F2 and F3 counts */
		R64("f2 f3 a4", "rep movs1 m1 ds[r6]a8"),
		R64("f3 f2 a4", "repne movs1 m1 ds[r6]a8"),
	};

	CHECK_ROWS(rows);
}

TEST(test_lock)
{
	static const struct row rows[] = {
		R16("f0 01 07", "lock add2 m2 ds[r3]a2, r0"),
		R32("f0 01 03", "lock add4 m4 ds[r3]a4, r0"),
		R64("f0 48 01 03", "lock add8 m8 ds[r3]a8, r0"),
		R64("f0 80 0b 01", "lock or1 m1 ds[r3]a8, #1"),
		R64("f0 83 13 ff", "lock adc4 m4 ds[r3]a8, #ffffffffffffffff"),
		R64("f0 ff 03", "lock inc4 m4 ds[r3]a8"),
		R64("f0 fe 0b", "lock dec1 m1 ds[r3]a8"),
		R64("f0 f7 13", "lock not4 m4 ds[r3]a8"),
		R64("f0 f6 1b", "lock neg1 m1 ds[r3]a8"),
		R64("f0 87 0b", "lock xchg4 m4 ds[r3]a8, r1"),
		R64("f0 0f c1 0b", "lock xadd4 m4 ds[r3]a8, r1"),
		R64("f0 0f b0 0b", "lock cmpxchg1 m1 ds[r3]a8, r1"),
		R64("f0 0f ab 0b", "lock bts4 m4 ds[r3]a8, r1"),
		R64("f0 0f ba 3b 05", "lock btc4 m4 ds[r3]a8, #5"),
		R64("f0 0f c7 0b", "lock other"),
		R64("f0 48 0f c7 0b", "lock other"),
		/* AMD: CR8 */
		R32("f0 0f 20 c0", "lock mov_from_cr4 r0, r8"),
		R64("f0 0f 22 c3", "lock mov_to_cr8 r3, r8"),
		/* no memory, not written, not read */
		ALL("f0 01 c0", NULL),
		ALL("f0 03 03", NULL),
		ALL("f0 39 03", NULL),
		ALL("f0 85 03", NULL),
		ALL("f0 89 03", NULL),
		ALL("f0 8b 03", NULL),
		ALL("f0 c6 03 00", NULL),
		ALL("f0 0f a3 03", NULL),
		ALL("f0 0f b6 03", NULL),
		ALL("f0 ff 33", NULL),
		ALL("f0 8f 03", NULL),
		ALL("f0 a4", NULL),
		ALL("f0 ec", NULL),
		ALL("f0 0f a2", NULL),
		ALL("f0 f4", NULL),
		ALL("f0 0f 01 d9", NULL),
		ALL("f0 0f 22 d8", NULL),
		ALL("f0 90", NULL),
		ALL("f0 cd 80", NULL),
		ALL("f0 0f c7 03", NULL),
		ALL("f0 0f c7 33", NULL),
		ALL("f0 d1 03", NULL),
		ALL("f0 f7 23", NULL),
		ALL("f0 c5 f8 77", NULL),
	};

	CHECK_ROWS(rows);
}

TEST(test_operands)
{
	static const struct row rows[] = {
		/* both directions, immediates of each size */
		R16("00 07", "add1 m1 ds[r3]a2, r0"),
		R32("0a 1b", "or1 r3, m1 ds[r3]a4"),
		R64("49 13 4d 00", "adc8 r1, m8 ds[r13]a8"),
		R64("19 03", "sbb4 m4 ds[r3]a8, r0"),
		R16("81 07 34 f2", "add2 m2 ds[r3]a2, #fffffffffffff234"),
		R16("66 81 27 01 02 03 84", "and4 m4 ds[r3]a2, #ffffffff84030201"),
		R32("81 2b 01 02 03 04", "sub4 m4 ds[r3]a4, #4030201"),
		R64("48 81 33 00 00 00 80", "xor8 m8 ds[r3]a8, #ffffffff80000000"),
		R64("66 83 3b 80", "cmp2 m2 ds[r3]a8, #ffffffffffffff80"),
		R64("80 3d 01 00 00 00 7f", "cmp1 m1 ds[rip+1]a8, #7f"),
		R16("82 07 01", "add1 m1 ds[r3]a2, #1"),
		R64("82 07 01", NULL),
		R64("83 c0 01", "add4 r0, #1"),
		R64("01 c3", "add4 r3, r0"),
		R64("84 0b", "test1 m1 ds[r3]a8, r1"),
		R64("f7 03 01 02 03 04", "test4 m4 ds[r3]a8, #4030201"),
		R64("f6 0b 01", "test1 m1 ds[r3]a8, #1"),
		R16("f7 07 01 02", "test2 m2 ds[r3]a2, #201"),
		R64("f7 c0 01 02 03 04", "test4 r0, #4030201"),
		R64("f6 c4 01", "test1 h0, #1"),
		ALL("fe d0", NULL),
		ALL("ff f8", NULL),
		/* bits */
		R64("48 0f a3 0b", "bt8 m8 ds[r3]a8, r1"),
		R32("0f b3 0b", "btr4 m4 ds[r3]a4, r1"),
		R64("66 0f bb 0b", "btc2 m2 ds[r3]a8, r1"),
		R64("0f ba 23 1f", "bt4 m4 ds[r3]a8, #1f"),
		ALL("0f ba c3 01", NULL),
		/* exchange */
		R64("86 23", "xchg1 m1 ds[r3]a8, h0"),
		R64("4c 87 03", "xchg8 m8 ds[r3]a8, r8"),
		R64("0f c0 0b", "xadd1 m1 ds[r3]a8, r1"),
		R32("0f b1 0b", "cmpxchg4 m4 ds[r3]a4, r1"),
		/* moves */
		R16("c7 07 34 12", "mov2 m2 ds[r3]a2, #1234"),
		R32("c6 03 ff", "mov1 m1 ds[r3]a4, #ffffffffffffffff"),
		R64("48 c7 03 ff ff ff ff", "mov8 m8 ds[r3]a8, #ffffffffffffffff"),
		ALL("c7 08", NULL),
		ALL("c6 10", NULL),
		R64("a1 88 77 66 55 44 33 22 11", "mov4 r0, m4 ds[+1122334455667788]a8"),
		R64("67 48 a3 44 33 22 81", "mov8 m8 ds[-7eddccbc]a4, r0"),
		R32("a0 44 33 22 11", "mov1 r0, m1 ds[+11223344]a4"),
		R32("67 a2 22 11", "mov1 m1 ds[+1122]a2, r0"),
		R16("65 a1 22 11", "mov2 r0, m2 gs[+1122]a2"),
		R64("0f b6 03", "movzx4 r0, m1 ds[r3]a8"),
		R64("48 0f b7 03", "movzx8 r0, m2 ds[r3]a8"),
		R16("0f be 07", "movsx2 r0, m1 ds[r3]a2"),
		R16("66 0f bf 07", "movsx4 r0, m2 ds[r3]a2"),
		R64("0f b6 c4", "movzx4 r0, h0"),
		R64("40 0f b6 c4", "movzx4 r0, r4"),
		R64("48 63 03", "movsx8 r0, m4 ds[r3]a8"),
		R64("63 03", "movsx4 r0, m4 ds[r3]a8"),
		R32("63 03", "other"), /* ARPL */
		R32("0f c3 0b", "mov4 m4 ds[r3]a4, r1"),
		R64("48 0f c3 0b", "mov8 m8 ds[r3]a8, r1"),
		ALL("0f c3 c0", NULL),
		/* stack */
		R16("ff 37", "push2 m2 ds[r3]a2"),
		R32("ff 33", "push4 m4 ds[r3]a4"),
		R64("ff 33", "push8 m8 ds[r3]a8"),
		R64("66 ff 33", "push2 m2 ds[r3]a8"),
		R64("8f 44 24 08", "pop8 m8 ss[r4+8]a8"),
		R16("66 8f 07", "pop4 m4 ds[r3]a2"),
	};

	CHECK_ROWS(rows);
}

TEST(test_strings_and_ports)
{
	static const struct row rows[] = {
		R16("a4", "movs1 m1 ds[r6]a2"),
		R32("66 a5", "movs2 m2 ds[r6]a4"),
		R64("48 a5", "movs8 m8 ds[r6]a8"),
		R64("f3 65 67 a5", "rep movs4 m4 gs[r6]a4"),
		R64("aa", "stos1 m1 es[r7]a8, r0"),
		R32("64 ab", "stos4 m4 es[r7]a4, r0"),
		R64("f3 48 ab", "rep stos8 m8 es[r7]a8, r0"),
		R16("26 ad", "lods2 r0, m2 es[r6]a2"),
		R64("48 ad", "lods8 r0, m8 ds[r6]a8"),
		R32("6c", "ins1 m1 es[r7]a4"),
		R64("f3 48 6d", "rep ins4 m4 es[r7]a8"),
		R64("66 6f", "outs2 m2 ds[r6]a8"),
		R16("67 2e 6e", "outs1 m1 cs[r6]a4"),
		ALL("e4 80", "in1 #80 r0"),
		R16("e5 ff", "in2 #ff r0"),
		R64("48 e7 ff", "out4 #ff r0"),
		ALL("ec", "in1 r0"),
		R16("66 ed", "in4 r0"),
		R64("66 ef", "out2 r0"),
		R32("ef", "out4 r0"),
	};

	CHECK_ROWS(rows);
}

TEST(test_system)
{
	static const struct row rows[] = {
		R16("0f 20 c3", "mov_from_cr4 r3, r0"),
		R32("0f 22 d8", "mov_to_cr4 r0, r3"),
		R64("44 0f 22 c0", "mov_to_cr8 r0, r8"),
		R64("41 0f 20 d7", "mov_from_cr8 r15, r2"),
		R64("0f 22 04", "mov_to_cr8 r4, r0"), /* mod is ignored: no SIB */
		ALL("0f 20 c8", NULL),
		ALL("0f 22 e8", NULL),
		R64("45 0f 22 c8", NULL),
		R32("0f 21 f8", "mov_from_dr4 r0, r7"),
		R64("0f 23 c1", "mov_to_dr8 r1, r0"),
		R64("44 0f 23 c1", NULL),
		R16("0f 01 37", "lmsw2 m2 ds[r3]a2"),
		R64("0f 01 f0", "lmsw2 r0"),
		R64("0f 01 23", "smsw4 m2 ds[r3]a8"),
		R64("48 0f 01 e0", "smsw8 r0"),
		R64("0f 01 3b", "invlpg4 m0 ds[r3]a8"),
		R32("0f 01 03", "sgdt4 m0 ds[r3]a4"),
		R32("0f 01 0b", "sidt4 m0 ds[r3]a4"),
		R16("66 0f 01 17", "lgdt4 m0 ds[r3]a2"),
		R64("0f 01 1b", "lidt4 m0 ds[r3]a8"),
		R64("0f 01 d9", "vmmcall4"),
		R64("0f 01 c1", "vmcall4"),
		R64("0f 01 d8", "vmrun4"),
		R64("0f 01 da", "vmload4"),
		R64("0f 01 db", "vmsave4"),
		R64("0f 01 dc", "stgi4"),
		R64("0f 01 dd", "clgi4"),
		R64("0f 01 de", "skinit4"),
		R64("0f 01 df", "invlpga4"),
		R64("0f 01 d1", "xsetbv4"),
		R64("0f 01 c8", "monitor4"),
		R64("0f 01 c9", "mwait4"),
		R64("0f 01 f9", "rdtscp4"),
		R64("0f 01 f8", "other"),
		R64("0f 01 d0", "other"),
		R16("cd 80", "int2 #80"),
		R64("cd ff", "int4 #ff"),
		R64("cc", "int34"),
		R32("ce", "into4"),
		R64("ce", NULL),
		R16("cf", "iret2"),
		R32("cf", "iret4"),
		R64("48 cf", "iret8"),
		R32("66 cf", "iret2"),
		R64("0f a2", "cpuid4"),
		R64("66 48 0f a2", "cpuid8"),
		R64("f4", "hlt4"),
		R64("90", "other"),
		R64("f3 90", "rep pause4"),
		R64("f3 41 90", "rep other"),
		R64("0f 30", "wrmsr4"),
		R64("0f 31", "rdtsc4"),
		R64("0f 32", "rdmsr4"),
		R64("0f 33", "rdpmc4"),
		R64("0f 06", "clts4"),
		R64("0f 08", "invd4"),
		R64("0f 09", "wbinvd4"),
		R64("f3 0f 09", "rep wbinvd4"),
		R64("0f aa", "rsm4"),
		R64("f1", "int14"),
		ALL("0f 0a", NULL),
		ALL("0f 24", NULL),
		R64("0f ff c0", "other"),
	};

	CHECK_ROWS(rows);
}

/* Instructions of which the length alone is claimed: each kind of immediate. */
TEST(test_lengths)
{
	static const struct row rows[] = {
		ALL("04 01", "other"),
		R16("05 01 02", "other"),
		R32("05 01 02 03 04", "other"),
		R64("48 05 01 02 03 04", "other"),
		R64("48 b8 01 02 03 04 05 06 07 08", "other"),
		R64("b8 01 02 03 04", "other"),
		R64("66 b8 01 02", "other"),
		ALL("b0 01", "other"),
		ALL("c2 01 02", "other"),
		ALL("c8 01 02 03", "other"),
		R16("9a 01 02 03 04", "other"),
		R32("ea 01 02 03 04 05 06", "other"),
		R64("9a", NULL),
		R16("e8 01 02", "other"),
		R64("e8 01 02 03 04", "other"),
		R64("66 e9 01 02", "other"),
		R64("0f 84 01 02 03 04", "other"),
		ALL("eb 01", "other"),
		R64("68 01 02 03 04", "other"),
		R16("68 01 02", "other"),
		R64("6b c3 01", "other"),
		R64("69 c3 01 02 03 04", "other"),
		R64("0f a4 c3 01", "other"),
		R64("c1 e0 04", "other"),
		R64("f2 0f 78 c1 01 02", "repne other"),
		R64("66 0f 78 c1 01 02", "other"),
		R64("0f 78 c1", "other"),
		R64("0f 38 00 c1", "other"),
		R64("66 0f 3a 0f c1 08", "other"),
		R64("0f 70 c1 01", "other"),
		R64("c5 f8 77", "other"),
		R64("c5 f9 70 c1 01", "other"),
		R64("c4 e2 79 00 c1", "other"),
		R64("c4 e3 79 0f c1 08", "other"),
		R64("62 f1 7c 48 28 41 01", "other"),
		R64("8f e8 78 c0 c1 01", "other"),
		R64("8f ea 78 10 c1 01 02 03 04", "other"),
		R32("c5 03", "other"),
		R32("c4 03", "other"),
		R32("62 03", "other"), /* LDS, LES, BOUND */
		R64("66 c5 f8 77", NULL),
		R64("48 c5 f8 77", NULL),
		R64("f3 62 f1 7c 48 28 01", NULL),
		R64("06", NULL),
		R64("27", NULL),
		R64("60", NULL),
		R64("d4 0a", NULL),
		R32("27", "other"),
		R32("d4 0a", "other"),
		R32("d6", "other"),
	};

	CHECK_ROWS(rows);
}

/* 15 bytes are an instruction, 16 are none, and a decoder that was given 15 knows that. */
TEST(test_longest)
{
	u8 b[32];
	struct insn in;

	for (unsigned prefixes = 0; prefixes < 20; prefixes++) {
		static const u8 tail[] = { 0x8b, 0x84, 0x88, 1, 2, 3, 4 };
		int rc;

		memset(b, 0x2e, sizeof(b));
		memcpy(b + prefixes, tail, sizeof(tail));
		rc = insn_decode(b, sizeof(b), INSN_MODE_64, &in);
		CHECK_EQ(rc, prefixes + sizeof(tail) <= INSN_MAX_LEN ? 0 : -EINVAL);
		CHECK_EQ(insn_decode(b, INSN_MAX_LEN, INSN_MODE_64, &in), rc);
		/* With fewer, more might help; yet it may already be known that nothing does. */
		for (unsigned n = 0; n < INSN_MAX_LEN && n < prefixes + sizeof(tail); n++) {
			int short_rc = insn_decode(b, n, INSN_MODE_64, &in);

			CHECK(short_rc == -EFAULT || (rc && short_rc == -EINVAL));
		}
	}
	memset(b, 0x66, sizeof(b));
	CHECK_EQ(insn_decode(b, 14, INSN_MODE_32, &in), -EFAULT);
	CHECK_EQ(insn_decode(b, 15, INSN_MODE_32, &in), -EINVAL);
	CHECK_EQ(insn_decode(b, 0, INSN_MODE_32, &in), -EFAULT);
}

UNIT_MAIN({ "addresses", test_addresses }, { "prefixes", test_prefixes }, { "lock", test_lock },
	  { "operands", test_operands }, { "strings_and_ports", test_strings_and_ports },
	  { "system", test_system }, { "lengths", test_lengths }, { "longest", test_longest })
