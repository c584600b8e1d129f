/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executor against the CPU that runs this test: the same random instruction, registers and
 * memory for both; registers, flags and memory afterwards must be the same.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>

#include "guest/emul/insn_alu.h"
#include "guest/emul/insn_exec.h"
#include "kernel/base/bits.h"
#include "unit.h"

/* All in the low 2 GiB, so that the thunk and 32-bit addresses reach it. */
#define STATE_AT 0x20000000u
#define CODE_AT 0x20010000u
#define DATA_AT 0x20020000u
#define DATA_SIZE 0x3000u

#define RSP 4
#define RSI 6
#define RDI 7
#define RCX 1

#define ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

struct state {
	u64 gpr[16];
	u64 rflags;
	u64 host_rsp;
};

static struct state *const native = (struct state *)(uintptr_t)STATE_AT;
static u8 *const code = (u8 *)(uintptr_t)CODE_AT;
static u8 *const data = (u8 *)(uintptr_t)DATA_AT;
static u8 model[DATA_SIZE];

static u64 rng = 0x853c49e6748fea9b;

static u64 rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* Values at the borders of the sizes are the interesting ones. */
static u64 rnd_value(void)
{
	static const u64 special[] = { 0,
				       1,
				       0x7f,
				       0x80,
				       0xff,
				       0x7fff,
				       0x8000,
				       0xffff,
				       0x7fffffff,
				       0x80000000,
				       0xffffffff,
				       0x7fffffffffffffff,
				       0x8000000000000000,
				       0xffffffffffffffff };
	u64 v = rnd();

	return v & 0x100 ? special[(v >> 16) % (sizeof(special) / sizeof(special[0]))] : rnd();
}

static void map(u32 at, size_t size)
{
	void *p = mmap((void *)(uintptr_t)at, size, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	CHECK(p == (void *)(uintptr_t)at);
}

/* ---- the thunk ------------------------------------------------------------------------ */

static u8 *emit(u8 *p, const void *bytes, unsigned n)
{
	memcpy(p, bytes, n);
	return p + n;
}

/* REX.W op reg, [abs32]: op 8B loads, 89 stores. */
static u8 *emit_reg(u8 *p, u8 op, unsigned reg, u32 at)
{
	u8 b[8] = { (u8)(0x48 | (reg & 8) >> 1), op, (u8)(0x04 | (reg & 7) << 3), 0x25 };

	memcpy(b + 4, &at, 4);
	return emit(p, b, 8);
}

/* op /ext [abs32]: FF /6 pushes, 8F /0 pops. */
static u8 *emit_mem(u8 *p, u8 op, u8 ext, u32 at)
{
	u8 b[7] = { op, (u8)(0x04 | ext << 3), 0x25 };

	memcpy(b + 3, &at, 4);
	return emit(p, b, 7);
}

/* Offset of the instruction in the thunk: it does not depend on the instruction. */
static unsigned thunk_build(const u8 *insn, unsigned len)
{
	static const u8 save[] = { 0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57 };
	static const u8 restore[] = { 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b };
	static const u8 cld_ret[] = { 0xfc, 0xc3 };
	u8 *p = emit(code, save, sizeof(save)), *at;

	p = emit_reg(p, 0x89, RSP, STATE_AT + offsetof(struct state, host_rsp));
	p = emit_mem(p, 0xff, 6, STATE_AT + offsetof(struct state, rflags));
	*p++ = 0x9d; /* POPF */
	for (unsigned r = 0; r < 16; r++)
		p = emit_reg(p, 0x8b, r, STATE_AT + r * 8);
	at = p;
	p = emit(p, insn, len);
	for (unsigned r = 0; r < 16; r++)
		p = emit_reg(p, 0x89, r, STATE_AT + r * 8);
	p = emit_reg(p, 0x8b, RSP, STATE_AT + offsetof(struct state, host_rsp));
	*p++ = 0x9c; /* PUSHF */
	p = emit_mem(p, 0x8f, 0, STATE_AT + offsetof(struct state, rflags));
	p = emit(p, restore, sizeof(restore));
	(void)emit(p, cld_ret, sizeof(cld_ret));
	return (unsigned)(at - code);
}

static void thunk_run(void)
{
	void (*fn)(void);
	uintptr_t at = CODE_AT;

	memcpy(&fn, &at, sizeof(fn));
	fn();
}

/* ---- the model's memory ------------------------------------------------------------------ */

static u64 seg_base(void *ctx, enum insn_seg seg)
{
	(void)ctx;
	(void)seg;
	CHECK(false); /* no FS, no GS here */
	return 0;
}

static int mem_read(void *ctx, u64 linear, void *buf, unsigned size)
{
	(void)ctx;
	CHECK(range_within(linear, size, DATA_AT, DATA_SIZE));
	memcpy(buf, model + (linear - DATA_AT), size);
	return 0;
}

static int mem_write(void *ctx, u64 linear, const void *buf, unsigned size)
{
	(void)ctx;
	CHECK(range_within(linear, size, DATA_AT, DATA_SIZE));
	memcpy(model + (linear - DATA_AT), buf, size);
	return 0;
}

static int mem_probe(void *ctx, u64 linear, unsigned size)
{
	(void)ctx;
	CHECK(range_within(linear, size, DATA_AT, DATA_SIZE));
	return 0;
}

static const struct insn_env env = { NULL, seg_base, mem_read, mem_write, mem_probe, NULL, NULL };

/* ---- cases -------------------------------------------------------------------------------- */

struct form {
	u8 n, opcode[2];
	s8 ext; /* ModRM.reg, or -1: a register */
	const char *name;
};

static const struct form forms[] = {
	{ 1, { 0x00 }, -1, "ADD r/m8,r8" },
	{ 1, { 0x01 }, -1, "ADD r/m,r" },
	{ 1, { 0x02 }, -1, "ADD r8,r/m8" },
	{ 1, { 0x03 }, -1, "ADD r,r/m" },
	{ 1, { 0x08 }, -1, "OR r/m8,r8" },
	{ 1, { 0x0b }, -1, "OR r,r/m" },
	{ 1, { 0x10 }, -1, "ADC r/m8,r8" },
	{ 1, { 0x11 }, -1, "ADC r/m,r" },
	{ 1, { 0x12 }, -1, "ADC r8,r/m8" },
	{ 1, { 0x13 }, -1, "ADC r,r/m" },
	{ 1, { 0x18 }, -1, "SBB r/m8,r8" },
	{ 1, { 0x19 }, -1, "SBB r/m,r" },
	{ 1, { 0x1a }, -1, "SBB r8,r/m8" },
	{ 1, { 0x1b }, -1, "SBB r,r/m" },
	{ 1, { 0x21 }, -1, "AND r/m,r" },
	{ 1, { 0x22 }, -1, "AND r8,r/m8" },
	{ 1, { 0x28 }, -1, "SUB r/m8,r8" },
	{ 1, { 0x29 }, -1, "SUB r/m,r" },
	{ 1, { 0x2a }, -1, "SUB r8,r/m8" },
	{ 1, { 0x2b }, -1, "SUB r,r/m" },
	{ 1, { 0x31 }, -1, "XOR r/m,r" },
	{ 1, { 0x32 }, -1, "XOR r8,r/m8" },
	{ 1, { 0x38 }, -1, "CMP r/m8,r8" },
	{ 1, { 0x39 }, -1, "CMP r/m,r" },
	{ 1, { 0x3a }, -1, "CMP r8,r/m8" },
	{ 1, { 0x3b }, -1, "CMP r,r/m" },
	{ 1, { 0x63 }, -1, "MOVSXD" },
	{ 1, { 0x80 }, 0, "ADD r/m8,imm8" },
	{ 1, { 0x80 }, 7, "CMP r/m8,imm8" },
	{ 1, { 0x81 }, 0, "ADD r/m,imm" },
	{ 1, { 0x81 }, 1, "OR r/m,imm" },
	{ 1, { 0x81 }, 2, "ADC r/m,imm" },
	{ 1, { 0x81 }, 3, "SBB r/m,imm" },
	{ 1, { 0x81 }, 4, "AND r/m,imm" },
	{ 1, { 0x81 }, 5, "SUB r/m,imm" },
	{ 1, { 0x81 }, 6, "XOR r/m,imm" },
	{ 1, { 0x81 }, 7, "CMP r/m,imm" },
	{ 1, { 0x83 }, 0, "ADD r/m,simm8" },
	{ 1, { 0x83 }, 3, "SBB r/m,simm8" },
	{ 1, { 0x83 }, 4, "AND r/m,simm8" },
	{ 1, { 0x84 }, -1, "TEST r/m8,r8" },
	{ 1, { 0x85 }, -1, "TEST r/m,r" },
	{ 1, { 0x86 }, -1, "XCHG r/m8,r8" },
	{ 1, { 0x87 }, -1, "XCHG r/m,r" },
	{ 1, { 0x88 }, -1, "MOV r/m8,r8" },
	{ 1, { 0x89 }, -1, "MOV r/m,r" },
	{ 1, { 0x8a }, -1, "MOV r8,r/m8" },
	{ 1, { 0x8b }, -1, "MOV r,r/m" },
	{ 1, { 0x8f }, 0, "POP r/m" },
	{ 1, { 0xc6 }, 0, "MOV r/m8,imm8" },
	{ 1, { 0xc7 }, 0, "MOV r/m,imm" },
	{ 1, { 0xf6 }, 0, "TEST r/m8,imm8" },
	{ 1, { 0xf6 }, 2, "NOT r/m8" },
	{ 1, { 0xf6 }, 3, "NEG r/m8" },
	{ 1, { 0xf7 }, 0, "TEST r/m,imm" },
	{ 1, { 0xf7 }, 1, "TEST r/m,imm (/1)" },
	{ 1, { 0xf7 }, 2, "NOT r/m" },
	{ 1, { 0xf7 }, 3, "NEG r/m" },
	{ 1, { 0xfe }, 0, "INC r/m8" },
	{ 1, { 0xfe }, 1, "DEC r/m8" },
	{ 1, { 0xff }, 0, "INC r/m" },
	{ 1, { 0xff }, 1, "DEC r/m" },
	{ 1, { 0xff }, 6, "PUSH r/m" },
	{ 2, { 0x0f, 0xa3 }, -1, "BT r/m,r" },
	{ 2, { 0x0f, 0xab }, -1, "BTS r/m,r" },
	{ 2, { 0x0f, 0xb3 }, -1, "BTR r/m,r" },
	{ 2, { 0x0f, 0xbb }, -1, "BTC r/m,r" },
	{ 2, { 0x0f, 0xba }, 4, "BT r/m,imm8" },
	{ 2, { 0x0f, 0xba }, 5, "BTS r/m,imm8" },
	{ 2, { 0x0f, 0xba }, 6, "BTR r/m,imm8" },
	{ 2, { 0x0f, 0xba }, 7, "BTC r/m,imm8" },
	{ 2, { 0x0f, 0xb0 }, -1, "CMPXCHG r/m8,r8" },
	{ 2, { 0x0f, 0xb1 }, -1, "CMPXCHG r/m,r" },
	{ 2, { 0x0f, 0xb6 }, -1, "MOVZX r,r/m8" },
	{ 2, { 0x0f, 0xb7 }, -1, "MOVZX r,r/m16" },
	{ 2, { 0x0f, 0xbe }, -1, "MOVSX r,r/m8" },
	{ 2, { 0x0f, 0xbf }, -1, "MOVSX r,r/m16" },
	{ 2, { 0x0f, 0xc0 }, -1, "XADD r/m8,r8" },
	{ 2, { 0x0f, 0xc1 }, -1, "XADD r/m,r" },
	{ 2, { 0x0f, 0xc3 }, -1, "MOVNTI m,r" },
};

/* Flags that the manuals leave undefined. */
static u64 undefined_flags(const struct insn *in)
{
	switch (in->op) {
	case INSN_AND:
	case INSN_OR:
	case INSN_XOR:
	case INSN_TEST:
		return RFLAGS_AF;
	case INSN_BT:
	case INSN_BTS:
	case INSN_BTR:
	case INSN_BTC:
		return RFLAGS_PF | RFLAGS_AF | RFLAGS_SF | RFLAGS_OF;
	default:
		return 0;
	}
}

/* Prefixes, opcode, ModRM and SIB; what follows is random. */
static void make_bytes(const struct form *f, u8 *b)
{
	unsigned n = 0, reg = f->ext >= 0 ? (unsigned)f->ext : rnd() % 8;
	u64 r = rnd();
	u8 mod = (u8)((r >> 8) % 3);

	for (unsigned i = 0; i < INSN_MAX_LEN; i++)
		b[i] = (u8)rnd();
	if ((r & 3) == 0 && strcmp(f->name, "MOVSXD") != 0 && strcmp(f->name, "MOVNTI m,r") != 0)
		b[n++] = 0x66;
	if ((r & 0x1c) == 0)
		b[n++] = 0x67;
	if ((r & 0x60) == 0)
		b[n++] = 0xf0;
	if (r & 0x180)
		b[n++] = (u8)(0x40 | (r >> 16 & 15));
	memcpy(b + n, f->opcode, f->n);
	n += f->n;
	b[n] = (u8)(mod << 6 | reg << 3 | (r >> 20 & 7));
}

/* Move the operand to target, by its base register or by its displacement; false: cannot. */
static bool aim(struct insn *in, u8 *b, u64 *gpr, u32 rip, u64 target)
{
	struct insn_cpu cpu = { gpr, &native->rflags, rip, 0 };
	struct insn_access a;
	u32 disp;

	CHECK_EQ(insn_linear(in, &cpu, &env, &a), 0);
	if (in->base < 16) {
		gpr[in->base] += target - a.linear;
	} else if (in->flags & INSN_F_IMM) {
		return false;
	} else {
		disp = (u32)in->disp + (u32)(target - a.linear);
		memcpy(b + in->len - 4, &disp, 4);
		CHECK_EQ(insn_decode(b, INSN_MAX_LEN, INSN_MODE_64, in), 0);
	}
	/* The stack must stay where its own accesses are possible. */
	if ((in->op == INSN_PUSH || in->op == INSN_POP) && in->base == RSP)
		gpr[RSP] = DATA_AT + 0x1800;
	CHECK_EQ(insn_linear(in, &cpu, &env, &a), 0);
	return a.linear == target ||
	       (in->base == RSP && range_within(a.linear, 8, DATA_AT, DATA_SIZE));
}

static void compare(const struct form *f, const struct insn *in, const u8 *b, const struct state *m)
{
	u64 mask = ARITH & ~undefined_flags(in);
	bool same = memcmp(native->gpr, m->gpr, sizeof(m->gpr)) == 0 &&
		    ((native->rflags ^ m->rflags) & mask) == 0 &&
		    memcmp(data, model, DATA_SIZE) == 0;

	if (same)
		return;
	fprintf(stderr, "%s, size %u:", f->name, in->size);
	for (unsigned i = 0; i < in->len; i++)
		fprintf(stderr, " %02x", b[i]);
	for (unsigned i = 0; i < 16; i++)
		if (native->gpr[i] != m->gpr[i])
			fprintf(stderr, "\n  r%u: CPU %#llx, model %#llx", i,
				(unsigned long long)native->gpr[i], (unsigned long long)m->gpr[i]);
	fprintf(stderr, "\n  rflags: CPU %#llx, model %#llx, mask %#llx\n",
		(unsigned long long)native->rflags, (unsigned long long)m->rflags,
		(unsigned long long)mask);
	for (unsigned i = 0; i < DATA_SIZE; i++)
		if (data[i] != model[i])
			fprintf(stderr, "  memory %#x: CPU %02x, model %02x\n", DATA_AT + i,
				data[i], model[i]);
	exit(1);
}

static void fill(struct state *m)
{
	for (unsigned i = 0; i < DATA_SIZE; i += 8) {
		u64 v = rnd();

		memcpy(data + i, &v, 8);
	}
	for (unsigned i = 0; i < 16; i++)
		m->gpr[i] = rnd_value();
	m->gpr[RSP] = DATA_AT + 0x1800 + rnd() % 64;
	m->rflags = 0x202 | (rnd() & ARITH);
}

/* The CPU's turn, then the model's, from the same state. */
static void run_both(const struct form *f, const struct insn *in, const u8 *b, struct state *m)
{
	unsigned at = thunk_build(b, in->len);
	struct insn_cpu cpu = { m->gpr, &m->rflags, CODE_AT + at, 0 };
	int rc;

	memcpy(model, data, DATA_SIZE);
	*native = *m;
	thunk_run();
	do
		rc = insn_exec(in, &cpu, &env);
	while (rc == INSN_AGAIN);
	CHECK_EQ(rc, 0);
	compare(f, in, b, m);
}

static bool one(const struct form *f)
{
	u64 target = DATA_AT + 0xff0 + rnd() % 24; /* across a page border now and then */
	u8 b[INSN_MAX_LEN] = { 0 };
	unsigned at = thunk_build(b, 0);
	struct insn in;
	struct state m;
	u64 v;

	make_bytes(f, b);
	if (insn_decode(b, sizeof(b), INSN_MODE_64, &in))
		return false; /* LOCK where it is not allowed */
	fill(&m);
	if (!aim(&in, b, m.gpr, CODE_AT + at, target))
		return false;
	v = rnd_value();
	memcpy(data + (target - DATA_AT), &v, 8);
	if (in.op == INSN_CMPXCHG && (rnd() & 1) && in.base != 0 && in.index != 0)
		m.gpr[0] = v;
	run_both(f, &in, b, &m);
	return true;
}

static void map_all(void)
{
	map(STATE_AT, sizeof(struct state));
	map(CODE_AT, 4096);
	map(DATA_AT, DATA_SIZE);
}

TEST(test_operands)
{
	map_all();
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		unsigned done = 0;

		for (int n = 0; n < 4000; n++)
			done += one(&forms[i]);
		if (done < 500)
			fprintf(stderr, "%s: ran %u times\n", forms[i].name, done);
		CHECK(done >= 500);
	}
}

/* MOVS, STOS, LODS with and without REP, both directions, overlapping too. */
static void one_string(const struct form *f)
{
	u8 b[INSN_MAX_LEN] = { 0 };
	unsigned n = 0;
	struct insn in;
	struct state m;
	u64 r = rnd();
	u64 high = r & 4 ? rnd() << 32 : 0; /* ignored with 32-bit addresses */

	if (r & 1)
		b[n++] = 0x66;
	if (r & 4)
		b[n++] = 0x67;
	if (r & 8)
		b[n++] = r & 0x40000 ? 0xf2 : 0xf3;
	if (r & 0x10)
		b[n++] = (u8)(0x40 | (r >> 8 & 15));
	b[n] = f->opcode[0];
	CHECK_EQ(insn_decode(b, sizeof(b), INSN_MODE_64, &in), 0);
	fill(&m);
	/* With a count of 0, CPUs differ in whether they clear the upper halves. */
	m.gpr[RCX] = high | ((r >> 20) % 150 + (r >> 2 & 1));
	m.gpr[RSI] = high | (DATA_AT + 0x1000 + (r >> 32) % 0x600);
	m.gpr[RDI] = high | (DATA_AT + 0x1000 + (r >> 44) % 0x600);
	if (r & 0x20)
		m.rflags |= RFLAGS_DF;
	run_both(f, &in, b, &m);
}

TEST(test_strings)
{
	static const struct form strings[] = {
		{ 1, { 0xa4 }, -1, "MOVSB" }, { 1, { 0xa5 }, -1, "MOVS" },
		{ 1, { 0xaa }, -1, "STOSB" }, { 1, { 0xab }, -1, "STOS" },
		{ 1, { 0xac }, -1, "LODSB" }, { 1, { 0xad }, -1, "LODS" },
	};

	map_all();
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++)
		for (int n = 0; n < 2000; n++)
			one_string(&strings[i]);
}

/* Offsets in the first bytes of memory, which lie in no segment's way. */
TEST(test_moffs)
{
	static const u8 opcodes[] = { 0xa0, 0xa1, 0xa2, 0xa3 };

	map_all();
	for (int n = 0; n < 4000; n++) {
		const struct form f = { 1, { opcodes[n % 4] }, -1, "MOV moffs" };
		u8 b[INSN_MAX_LEN] = { 0 };
		unsigned len = 0;
		struct insn in;
		struct state m;
		u64 r = rnd(), at = DATA_AT + 0xff8 + (r >> 8) % 16;

		if (r & 1)
			b[len++] = 0x66;
		if (r & 2)
			b[len++] = 0x67;
		if (r & 4)
			b[len++] = (u8)(0x40 | (r >> 4 & 15));
		b[len++] = f.opcode[0];
		memcpy(b + len, &at, r & 2 ? 4 : 8);
		CHECK_EQ(insn_decode(b, sizeof(b), INSN_MODE_64, &in), 0);
		fill(&m);
		run_both(&f, &in, b, &m);
	}
}

UNIT_MAIN({ "operands", test_operands }, { "strings", test_strings }, { "moffs", test_moffs })
