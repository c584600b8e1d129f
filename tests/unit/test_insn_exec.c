/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executor: which accesses an instruction makes and in which order, what a fault at each of
 * them leaves behind, addresses, the stack, repeated strings, flags.
 */
#include "guest/emul/insn_exec.h"

#include "guest/emul/insn_alu.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "unit.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

#define MEM_SIZE 0x4000u
#define NEVER 1000u

/* Memory at linear address 0, a log of what was done to it, and the access that fails. */
static struct {
	u8 mem[MEM_SIZE];
	u64 gpr[16], rflags, rip;
	u64 base[6];
	u8 stack_size;
	char log[16384];
	unsigned accesses, fail_at;
} m;

static u64 seg_base(void *ctx, enum insn_seg seg)
{
	CHECK(ctx == &m);
	return m.base[seg];
}

static int note(const char *what, u64 at, unsigned size)
{
	size_t n = strlen(m.log);

	CHECK(m.accesses <= m.fail_at); /* nothing after a failure */
	CHECK(n + 40 < sizeof(m.log));
	sprintf(m.log + n, "%s%s%u %llx", n ? "; " : "", what, size, (unsigned long long)at);
	return m.accesses++ == m.fail_at ? -EIO : 0;
}

static int mem_read(void *ctx, u64 linear, void *buf, unsigned size)
{
	int rc = note("r", linear, size);

	CHECK(ctx == &m);
	if (!rc)
		memcpy(buf, m.mem + linear % (MEM_SIZE - 8), size);
	return rc;
}

static int mem_write(void *ctx, u64 linear, const void *buf, unsigned size)
{
	int rc = note("w", linear, size);

	CHECK(ctx == &m);
	if (!rc)
		memcpy(m.mem + linear % (MEM_SIZE - 8), buf, size);
	return rc;
}

static int mem_probe(void *ctx, u64 linear, unsigned size)
{
	CHECK(ctx == &m);
	return note("p", linear, size);
}

static int port_in(void *ctx, u16 port, u32 *value, unsigned size)
{
	int rc = note("in", port, size);

	CHECK(ctx == &m);
	if (!rc)
		*value = 0xa5a5a5a5;
	return rc;
}

static int port_out(void *ctx, u16 port, u32 value, unsigned size)
{
	CHECK(ctx == &m);
	return note("out", (u64)value << 16 | port, size);
}

static const struct insn_env env = {
	&m, seg_base, mem_read, mem_write, mem_probe, port_in, port_out
};

static void reset(void)
{
	memset(&m, 0, sizeof(m));
	for (unsigned r = 0; r < 16; r++)
		m.gpr[r] = 0x1111111111111111ull * r;
	for (unsigned i = 0; i < MEM_SIZE; i++)
		m.mem[i] = (u8)(i * 7 + (i >> 8));
	m.rflags = 2;
	m.rip = 0x2000;
	m.stack_size = 4;
	m.fail_at = NEVER;
}

static struct insn decode(enum insn_mode mode, const char *hex)
{
	u8 b[INSN_MAX_LEN] = { 0 };
	struct insn in;
	unsigned v, n = 0;

	for (; *hex; hex += *hex == ' ' ? 1 : 2)
		if (*hex != ' ') {
			CHECK(sscanf(hex, "%2x", &v) == 1);
			b[n++] = (u8)v;
		}
	CHECK_EQ(insn_decode(b, n, mode, &in), 0);
	return in;
}

static int run(enum insn_mode mode, const char *hex)
{
	struct insn in = decode(mode, hex);
	struct insn_cpu cpu = { m.gpr, &m.rflags, m.rip, m.stack_size };

	m.log[0] = 0;
	m.accesses = 0;
	return insn_exec(&in, &cpu, &env);
}

static u64 peek(u64 at, unsigned size)
{
	u64 v = 0;

	memcpy(&v, m.mem + at, size);
	return v;
}

static void poke(u64 at, u64 v, unsigned size)
{
	memcpy(m.mem + at, &v, size);
}

/* ---- accesses and their failure ----------------------------------------------------------- */

/* RBX, RSI, RDI, RSP point to 0x1000, 0x1100, 0x1200, 0x1300; DX is 0x3f8. */
static void reset_pointers(void)
{
	reset();
	m.gpr[RBX] = 0x1000;
	m.gpr[RSI] = 0x1100;
	m.gpr[RDI] = 0x1200;
	m.gpr[RSP] = 0x1300;
	m.gpr[RCX] = 3;
	m.gpr[RDX] = 0x3f8;
}

static const struct {
	const char *hex, *log;
} accesses[] = {
	{ "48 89 03", "w8 1000" },
	{ "8a 03", "r1 1000" },
	{ "66 c7 03 01 02", "w2 1000" },
	{ "0f b6 03", "r1 1000" },
	{ "48 63 03", "r4 1000" },
	{ "01 03", "p4 1000; r4 1000; w4 1000" },
	{ "f0 01 03", "p4 1000; r4 1000; w4 1000" },
	{ "03 03", "r4 1000" },
	{ "39 03", "r4 1000" },
	{ "f6 03 01", "r1 1000" },
	{ "f7 13", "p4 1000; r4 1000; w4 1000" },
	{ "0f a3 03", "r4 1000" },
	{ "0f ba 2b 03", "p4 1000; r4 1000; w4 1000" },
	{ "87 03", "p4 1000; r4 1000; w4 1000" },
	{ "0f c1 03", "p4 1000; r4 1000; w4 1000" },
	{ "0f b1 03", "p4 1000; r4 1000; w4 1000" }, /* not equal: written back all the same */
	{ "ff 33", "r8 1000; w8 12f8" },
	{ "8f 03", "r8 1300; w8 1000" },
	{ "a4", "r1 1100; w1 1200" },
	{ "48 ab", "w8 1200" },
	{ "ad", "r4 1100" },
	{ "6d", "p4 1200; in4 3f8; w4 1200" },
	{ "6e", "r1 1100; out1 203f8" },
	{ "f3 a5", "r4 1100; w4 1200; r4 1104; w4 1204; r4 1108; w4 1208" },
	{ "f3 aa", "w1 1200; w1 1201; w1 1202" },
	{ "f2 ad", "r4 1100; r4 1104; r4 1108" },
	{ "f3 66 6d", "p2 1200; in2 3f8; w2 1200; p2 1202; in2 3f8; w2 1202; "
		      "p2 1204; in2 3f8; w2 1204" },
};

TEST(test_accesses)
{
	for (size_t i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++) {
		reset_pointers();
		poke(0x1100, 2, 1);
		CHECK_EQ(run(INSN_MODE_64, accesses[i].hex), 0);
		CHECK_STR(m.log, accesses[i].log);
	}
}

/* Each access fails in turn: registers and flags stay, but for the elements already done. */
TEST(test_faults)
{
	for (size_t i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++) {
		struct insn in = decode(INSN_MODE_64, accesses[i].hex);
		bool rep = in.flags & (INSN_F_REP | INSN_F_REPNE);
		unsigned total;

		reset_pointers();
		CHECK_EQ(run(INSN_MODE_64, accesses[i].hex), 0);
		total = m.accesses;
		for (unsigned at = 0; at < total; at++) {
			unsigned done = rep ? at / (total / 3) : 0;
			u64 before[16];

			reset_pointers();
			m.rflags |= RFLAGS_CF | RFLAGS_OF;
			memcpy(before, m.gpr, sizeof(before));
			m.fail_at = at;
			CHECK_EQ(run(INSN_MODE_64, accesses[i].hex), -EIO);
			CHECK_EQ(m.accesses, at + 1);
			CHECK_EQ(m.rflags, 2 | RFLAGS_CF | RFLAGS_OF);
			if (rep)
				before[RCX] = 3 - done;
			if (rep && in.op != INSN_STOS && in.op != INSN_INS)
				before[RSI] += done * in.size;
			if (rep && in.op != INSN_LODS)
				before[RDI] += done * in.size;
			if (in.op == INSN_LODS && done)
				before[RAX] = m.gpr[RAX];
			CHECK(memcmp(before, m.gpr, sizeof(before)) == 0);
			/* and the instruction can be started again */
			m.fail_at = NEVER;
			CHECK_EQ(run(INSN_MODE_64, accesses[i].hex), 0);
			CHECK_EQ(m.accesses, total - done * (rep ? total / 3 : 0));
		}
	}
}

/* ---- registers ----------------------------------------------------------------------------- */

TEST(test_widths)
{
	static const struct {
		const char *hex;
		unsigned reg;
		u64 want;
	} rows[] = {
		/* loads of 0x89abcdef89abcdef to RAX = 0x1111111111111111 or R9 */
		{ "8a 03", RAX, 0x11111111111111ef },
		{ "8a 23", RAX, 0x111111111111ef11 },
		{ "66 8b 03", RAX, 0x111111111111cdef },
		{ "8b 03", RAX, 0x89abcdef },
		{ "48 8b 03", RAX, 0x89abcdef89abcdef },
		{ "44 8b 0b", 9, 0x89abcdef },
		{ "40 8a 33", RSI, 0x11111111111111ef },
		{ "0f b6 03", RAX, 0xef },
		{ "66 0f b6 03", RAX, 0x11111111111100ef },
		{ "48 0f b7 03", RAX, 0xcdef },
		{ "0f be 03", RAX, 0xffffffef },
		{ "66 0f be 03", RAX, 0x111111111111ffef },
		{ "48 0f bf 03", RAX, 0xffffffffffffcdef },
		{ "48 63 03", RAX, 0xffffffff89abcdef },
		{ "63 03", RAX, 0x89abcdef },
		{ "66 0b 03", RAX, 0x111111111111ddff },
		{ "0b 03", RAX, 0x99bbddff },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		reset();
		m.gpr[RBX] = 0x1000;
		m.gpr[RAX] = m.gpr[RSI] = 0x1111111111111111;
		poke(0x1000, 0x89abcdef89abcdef, 8);
		CHECK_EQ(run(INSN_MODE_64, rows[i].hex), 0);
		CHECK_EQ(m.gpr[rows[i].reg], rows[i].want);
	}
}

TEST(test_stores)
{
	static const struct {
		const char *hex;
		u64 want;
	} rows[] = {
		{ "88 03", 0x5555555555555588 },
		{ "88 23", 0x5555555555555577 },
		{ "66 89 03", 0x5555555555557788 },
		{ "89 03", 0x5555555555667788 },
		{ "48 89 03", 0x1122334455667788 },
		{ "c6 03 80", 0x5555555555555580 },
		{ "66 c7 03 01 80", 0x5555555555558001 },
		{ "48 c7 03 00 00 00 80", 0xffffffff80000000 },
		{ "0f c3 03", 0x5555555555667788 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		reset();
		m.gpr[RBX] = 0x1000;
		m.gpr[RAX] = 0x1122334455667788;
		poke(0x1000, 0x5555555555555555, 8);
		CHECK_EQ(run(INSN_MODE_64, rows[i].hex), 0);
		CHECK_EQ(peek(0x1000, 8), rows[i].want);
	}
}

/* ---- addresses ------------------------------------------------------------------------------- */

static void check_address(enum insn_mode mode, const char *hex, u64 linear)
{
	struct insn in = decode(mode, hex);
	struct insn_cpu cpu = { m.gpr, &m.rflags, m.rip, m.stack_size };
	struct insn_access a;

	CHECK_EQ(insn_linear(&in, &cpu, &env, &a), 0);
	CHECK_EQ(a.linear, linear);
	CHECK_EQ(a.size, in.mem_size);
	CHECK_EQ(run(mode, hex), 0);
	CHECK_EQ(strtoull(strchr(m.log, ' '), NULL, 16), linear);
}

TEST(test_addresses)
{
	reset();
	m.base[INSN_SEG_DS] = 0x10000;
	m.base[INSN_SEG_SS] = 0x20000;
	m.base[INSN_SEG_ES] = 0x30000;
	m.base[INSN_SEG_FS] = 0xffff800000000000;
	m.gpr[RBX] = 0xfffff000;
	m.gpr[RBP] = 0xaaaa8000;
	m.gpr[RSI] = 0xbbbb2000;
	/* 16-bit offsets wrap at 64 KiB before the base is added */
	check_address(INSN_MODE_16, "8b 00", 0x11000);
	check_address(INSN_MODE_16, "8b 02", 0x2a000);
	check_address(INSN_MODE_16, "8b 87 00 20", 0x11000);
	check_address(INSN_MODE_16, "26 a1 34 12", 0x31234);
	/* 32-bit offsets, and linear addresses, at 4 GiB */
	check_address(INSN_MODE_32, "8b 83 00 20 00 00", 0x11000);
	check_address(INSN_MODE_32, "64 8b 03", 0xfffff000);
	m.base[INSN_SEG_DS] = 0x3000;
	check_address(INSN_MODE_32, "8b 03", 0x2000);
	/* 64-bit: no base but that of FS and GS; 67h cuts the offset, not the sum */
	check_address(INSN_MODE_64, "8b 03", 0xfffff000);
	check_address(INSN_MODE_64, "64 8b 03", 0xffff8000fffff000);
	check_address(INSN_MODE_64, "64 67 8b 83 00 20 00 00", 0xffff800000001000);
	check_address(INSN_MODE_64, "8b 05 10 00 00 00", m.rip + 6 + 0x10);
	check_address(INSN_MODE_64, "81 05 f0 ff ff ff 01 02 03 04", m.rip + 10 - 0x10);
	m.rip = 0x1fffffff0;
	check_address(INSN_MODE_64, "67 8b 05 10 00 00 00", 0x7);
	m.gpr[9] = 0x1000;
	m.gpr[10] = 0x10;
	check_address(INSN_MODE_64, "43 8b 44 d1 f8", 0x1000 + 0x80 - 8);
	check_address(INSN_MODE_64, "48 a1 00 20 00 00 00 ff ff ff", 0xffffff0000002000);
}

/* BT with a register offset: signed, by whole operands of its size. */
TEST(test_bit_offsets)
{
	static const struct {
		const char *hex;
		u64 bit, linear;
	} rows[] = {
		{ "0f a3 0b", 31, 0x1000 },        { "0f a3 0b", 32, 0x1004 },
		{ "0f a3 0b", ~0ull, 0xffc },      { "0f a3 0b", 0xffffffe0, 0xffc },
		{ "0f a3 0b", 0xffffffdf, 0xff8 }, { "48 0f a3 0b", 64, 0x1008 },
		{ "48 0f a3 0b", ~0ull, 0xff8 },   { "48 0f a3 0b", 0xffffffff, 0x20000ff8 },
		{ "66 0f a3 0b", 0x8000, 0 },      { "66 0f a3 0b", 0x1ffff, 0xffe },
		{ "66 0f a3 0b", 17, 0x1002 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		reset();
		m.gpr[RBX] = 0x1000;
		m.gpr[RCX] = rows[i].bit;
		check_address(INSN_MODE_64, rows[i].hex, rows[i].linear);
	}
	reset();
	m.gpr[RBX] = 0x1000;
	check_address(INSN_MODE_64, "0f ba 23 ff",
		      0x1000); /* an immediate never leaves the operand */
	poke(0xffc, 0x80000000, 4);
	m.gpr[RCX] = ~0ull;
	CHECK_EQ(run(INSN_MODE_64, "0f b3 0b"), 0);
	CHECK_EQ(peek(0xffc, 4), 0);
	CHECK_EQ(m.rflags, 2 | RFLAGS_CF);
}

TEST(test_linear_access)
{
	static const struct {
		const char *hex;
		bool read, write;
		u8 size;
	} rows[] = {
		{ "8b 03", true, false, 4 },     { "89 03", false, true, 4 },
		{ "0f b7 03", true, false, 2 },  { "01 03", true, true, 4 },
		{ "38 03", true, false, 1 },     { "0f b1 03", true, true, 4 },
		{ "ff 33", true, false, 8 },     { "8f 03", false, true, 8 },
		{ "a4", true, false, 1 },        { "ab", false, true, 4 },
		{ "6c", false, true, 1 },        { "6e", true, false, 1 },
		{ "0f 01 23", false, true, 2 },  { "0f 01 33", true, false, 2 },
		{ "0f 01 3b", false, false, 0 }, { "0f 01 1b", false, false, 0 },
	};
	struct insn_access a;
	struct insn_cpu cpu = { m.gpr, &m.rflags, 0, 4 };
	struct insn in;

	reset();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		in = decode(INSN_MODE_64, rows[i].hex);
		CHECK_EQ(insn_linear(&in, &cpu, &env, &a), 0);
		CHECK_EQ(a.read, rows[i].read);
		CHECK_EQ(a.write, rows[i].write);
		CHECK_EQ(a.size, rows[i].size);
	}
	in = decode(INSN_MODE_64, "01 c0");
	CHECK_EQ(insn_linear(&in, &cpu, &env, &a), -EINVAL);
}

/* ---- stack --------------------------------------------------------------------------- */

TEST(test_stack)
{
	reset();
	m.gpr[RSP] = 0x1000;
	m.gpr[RBX] = 0x2000;
	CHECK_EQ(run(INSN_MODE_64, "66 ff 33"), 0);
	CHECK_STR(m.log, "r2 2000; w2 ffe");
	CHECK_EQ(m.gpr[RSP], 0xffe);
	/* PUSH [RSP] reads by the old RSP, POP [RSP] writes by the new one */
	CHECK_EQ(run(INSN_MODE_64, "ff 34 24"), 0);
	CHECK_STR(m.log, "r8 ffe; w8 ff6");
	CHECK_EQ(run(INSN_MODE_64, "8f 44 24 10"), 0);
	CHECK_STR(m.log, "r8 ff6; w8 100e");
	CHECK_EQ(m.gpr[RSP], 0xffe);
	/* outside 64-bit code the stack segment says how wide the pointer is */
	m.base[INSN_SEG_SS] = 0x1000;
	m.gpr[RSP] = 0x7777777712340000;
	m.stack_size = 2;
	CHECK_EQ(run(INSN_MODE_32, "ff 33"), 0);
	CHECK_STR(m.log, "r4 2000; w4 10ffc");
	CHECK_EQ(m.gpr[RSP], 0x777777771234fffc);
	CHECK_EQ(run(INSN_MODE_32, "8f 04 24"), 0); /* the address takes all of ESP */
	CHECK_STR(m.log, "r4 10ffc; w4 12341000");
	CHECK_EQ(m.gpr[RSP], 0x7777777712340000);
	m.stack_size = 4;
	m.gpr[RSP] = 0x2000;
	CHECK_EQ(run(INSN_MODE_16, "ff 37"), 0);
	CHECK_STR(m.log, "r2 2000; w2 2ffe");
	CHECK_EQ(m.gpr[RSP], 0x1ffe);
}

/* ---- repeated strings ---------------------------------------------------------------- */

TEST(test_repeat)
{
	reset_pointers();
	m.gpr[RCX] = 3 * INSN_REP_MAX / 2;
	CHECK_EQ(run(INSN_MODE_64, "f3 aa"), INSN_AGAIN);
	CHECK_EQ(m.gpr[RCX], INSN_REP_MAX / 2);
	CHECK_EQ(m.gpr[RDI], 0x1200 + INSN_REP_MAX);
	CHECK_EQ(run(INSN_MODE_64, "f3 aa"), 0);
	CHECK_EQ(m.gpr[RCX], 0);
	/* nothing to do */
	CHECK_EQ(run(INSN_MODE_64, "f3 a4"), 0);
	CHECK_EQ(m.accesses, 0);
	/* downwards; without REP the count stays */
	m.rflags |= RFLAGS_DF;
	m.gpr[RDI] = 0x1200;
	m.gpr[RCX] = 2;
	CHECK_EQ(run(INSN_MODE_64, "f3 48 a5"), 0);
	CHECK_STR(m.log, "r8 1100; w8 1200; r8 10f8; w8 11f8");
	m.gpr[RCX] = 9;
	CHECK_EQ(run(INSN_MODE_64, "ac"), 0);
	CHECK_EQ(m.gpr[RCX], 9);
	CHECK_EQ(m.gpr[RSI], 0x10ef);
	/* 16-bit addresses: CX counts, SI wraps, the upper halves stay */
	reset_pointers();
	m.gpr[RSI] = 0x1234fffe;
	m.gpr[RDI] = 0xaaaa1000;
	m.gpr[RCX] = 0xbbbb0003;
	CHECK_EQ(run(INSN_MODE_16, "f3 a5"), 0);
	CHECK_STR(m.log, "r2 fffe; w2 1000; r2 0; w2 1002; r2 2; w2 1004");
	CHECK_EQ(m.gpr[RSI], 0x12340004);
	CHECK_EQ(m.gpr[RCX], 0xbbbb0000);
	/* 32-bit addresses in 64-bit code clear them */
	m.gpr[RCX] = 0x7700000001;
	m.gpr[RDI] = 0x5500001000;
	CHECK_EQ(run(INSN_MODE_64, "f3 67 ab"), 0);
	CHECK_STR(m.log, "w4 1000");
	CHECK_EQ(m.gpr[RCX], 0);
	CHECK_EQ(m.gpr[RDI], 0x1004);
}

TEST(test_overlap)
{
	reset_pointers();
	m.gpr[RSI] = 0x1000;
	m.gpr[RDI] = 0x1001;
	m.gpr[RCX] = 4;
	poke(0x1000, 0x1122334455, 5);
	CHECK_EQ(run(INSN_MODE_64, "f3 a4"), 0);
	CHECK_EQ(peek(0x1000, 5), 0x5555555555);
}

/* ---- what is not executed ------------------------------------------------------------ */

TEST(test_refused)
{
	static const char *const rows[] = { "01 c0",       "0f 01 3b", "d9 03", "ff 13",
					    "ec",          "0f a2",    "a6",    "0f c7 0b",
					    "c5 f8 10 03", "8d 03",    "d1 03" };
	static const struct insn_env no_ports = { &m,        seg_base, mem_read, mem_write,
						  mem_probe, NULL,     NULL };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		reset();
		CHECK_EQ(run(INSN_MODE_64, rows[i]), -ENOTSUP);
		CHECK_EQ(m.accesses, 0);
	}
	for (int out = 0; out < 2; out++) {
		struct insn in = decode(INSN_MODE_64, out ? "6e" : "6c");
		struct insn_cpu cpu = { m.gpr, &m.rflags, 0, 4 };

		CHECK_EQ(insn_exec(&in, &cpu, &no_ports), -ENOTSUP);
	}
}

/* ---- flags --------------------------------------------------------------------------- */

TEST(test_flags)
{
	static const struct {
		enum insn_op op;
		unsigned size;
		u64 a, b;
		const char *in, *out;
		u64 result;
	} rows[] = {
		{ INSN_ADD, 1, 0x7f, 1, "", "ASO", 0x80 },
		{ INSN_ADD, 1, 0xff, 1, "", "CPAZ", 0 },
		{ INSN_ADD, 4, 0x80000000, 0x80000000, "", "CPZO", 0 },
		{ INSN_ADD, 8, ~0ull, ~0ull, "", "CAS", ~0ull - 1 },
		{ INSN_ADC, 2, 0xffff, 0xffff, "C", "CPAS", 0xffff },
		{ INSN_ADC, 8, 0, ~0ull, "C", "CPAZ", 0 },
		{ INSN_SUB, 2, 0x8000, 1, "", "PAO", 0x7fff },
		{ INSN_SUB, 4, 0, 1, "", "CPAS", 0xffffffff },
		{ INSN_SBB, 1, 0, 0xff, "C", "CPAZ", 0 },
		{ INSN_CMP, 8, 5, 5, "CASO", "PZ", 0 },
		{ INSN_AND, 1, 0xf0, 0x0f, "CAO", "PZ", 0 },
		{ INSN_TEST, 8, BIT(63), BIT(63), "", "PS", BIT(63) },
		{ INSN_OR, 2, 0x8000, 1, "CO", "S", 0x8001 },
		{ INSN_XOR, 4, 3, 0, "", "P", 3 },
		{ INSN_INC, 4, 0x7fffffff, 0, "C", "CPASO", 0x80000000 },
		{ INSN_DEC, 1, 0x80, 0, "", "AO", 0x7f },
		{ INSN_NEG, 2, 0x8000, 0, "", "CPSO", 0x8000 },
		{ INSN_NEG, 2, 0, 0, "C", "PZ", 0 },
		{ INSN_NOT, 1, 0x55, 0, "CPAZSO", "CPAZSO", 0xaa },
		{ INSN_BTS, 4, 0, 33, "CPZ", "PZ", 2 },
		{ INSN_BTC, 8, BIT(63), 63, "", "C", 0 },
	};
	static const char name[] = "CPAZSO";
	static const u64 bit[] = {
		RFLAGS_CF, RFLAGS_PF, RFLAGS_AF, RFLAGS_ZF, RFLAGS_SF, RFLAGS_OF
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		u64 flags = 0x202, want = 0x202;

		for (unsigned f = 0; f < 6; f++) {
			flags |= strchr(rows[i].in, name[f]) ? bit[f] : 0;
			want |= strchr(rows[i].out, name[f]) ? bit[f] : 0;
		}
		/* what lies above the size must not matter */
		CHECK_EQ(insn_alu(rows[i].op, rows[i].size, rows[i].a | ~size_mask(rows[i].size),
				  rows[i].b, &flags) &
				 size_mask(rows[i].size),
			 rows[i].result);
		CHECK_EQ(flags, want);
	}
}

UNIT_MAIN({ "accesses", test_accesses }, { "faults", test_faults }, { "widths", test_widths },
	  { "stores", test_stores }, { "addresses", test_addresses },
	  { "bit_offsets", test_bit_offsets }, { "linear_access", test_linear_access },
	  { "stack", test_stack }, { "repeat", test_repeat }, { "overlap", test_overlap },
	  { "refused", test_refused }, { "flags", test_flags })
