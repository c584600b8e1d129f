/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SVM exits: from raw bytes at the manual's offsets to the neutral record; re-delivery of
 * interrupted events; the MSR permission map.
 */
#include "arch/svm/svm_exit.h"
#include "arch/svm/svm_perm.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "unit.h"

/* AMD APM vol. 2 appendix B, written out again so that the structure's layout is tested too. */
#define AT_INT_STATE 0x68
#define AT_EXIT_CODE 0x70
#define AT_INFO1 0x78
#define AT_INFO2 0x80
#define AT_INT_INFO 0x88
#define AT_NEXT_RIP 0xc8
#define AT_FETCHED 0xd0
#define AT_RIP 0x578

static union {
	u8 raw[4096];
	struct vmcb vmcb;
} u;

static const struct svm_features bare;
static const struct svm_features full = { .next_rip = true,
					  .decode_assist = true,
					  .pause_filter = true,
					  .asids = 16 };

static struct hvm_exit translate(u64 code, u64 info1, u64 info2, const struct svm_features *f)
{
	struct hvm_exit x;

	memset(&x, 0xee, sizeof(x));
	put_le64(u.raw + AT_EXIT_CODE, code);
	put_le64(u.raw + AT_INFO1, info1);
	put_le64(u.raw + AT_INFO2, info2);
	svm_translate(&u.vmcb, f, &x);
	return x;
}

static void reset(void)
{
	memset(&u, 0, sizeof(u));
	put_le64(u.raw + AT_RIP, 0x1000);
}

TEST(test_plain)
{
	static const struct {
		u64 code;
		enum hvm_exit_code want;
	} rows[] = {
		{ 0x60, HVM_EXIT_HOST },
		{ 0x61, HVM_EXIT_HOST },
		{ 0x64, HVM_EXIT_IRQ_WINDOW },
		{ 0x6f, HVM_EXIT_RDPMC },
		{ 0x72, HVM_EXIT_CPUID },
		{ 0x73, HVM_EXIT_UD },
		{ 0x76, HVM_EXIT_WBINVD },
		{ 0x77, HVM_EXIT_PAUSE },
		{ 0x78, HVM_EXIT_HLT },
		{ 0x7a, HVM_EXIT_UD },
		{ 0x7d, HVM_EXIT_TASK_SWITCH },
		{ 0x7f, HVM_EXIT_SHUTDOWN },
		{ 0x80, HVM_EXIT_UD },
		{ 0x81, HVM_EXIT_HYPERCALL },
		{ 0x82, HVM_EXIT_UD },
		{ 0x83, HVM_EXIT_UD },
		{ 0x84, HVM_EXIT_UD },
		{ 0x85, HVM_EXIT_UD },
		{ 0x86, HVM_EXIT_UD },
		{ 0x89, HVM_EXIT_WBINVD },
		{ 0x8a, HVM_EXIT_UD },
		{ 0x8b, HVM_EXIT_UD },
		{ 0x8c, HVM_EXIT_UD },
		{ 0x8d, HVM_EXIT_XSETBV },
		/* not intercepted, or not known */
		{ 0x62, HVM_EXIT_UNKNOWN },
		{ 0x63, HVM_EXIT_UNKNOWN },
		{ 0x6e, HVM_EXIT_UNKNOWN },
		{ 0x79, HVM_EXIT_UNKNOWN },
		{ 0x87, HVM_EXIT_UNKNOWN },
		{ 0x8e, HVM_EXIT_UNKNOWN },
		{ 0x401, HVM_EXIT_UNKNOWN },
		{ 0x100000072, HVM_EXIT_CPUID },
		{ ~0ull, HVM_EXIT_ENTRY_FAIL },
		{ 0xffffffff, HVM_EXIT_ENTRY_FAIL },
		{ 0xfffffffe, HVM_EXIT_UNKNOWN },
	};

	reset();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct hvm_exit x = translate(rows[i].code, 0, 0, &bare);

		if (x.code != rows[i].want)
			fprintf(stderr, "exit code %#llx: ", (unsigned long long)rows[i].code);
		CHECK_EQ(x.code, rows[i].want);
		CHECK_EQ(x.insn_len, 0);
		CHECK(!x.shadow);
	}
}

/* Every code gives one of the neutral ones, with and without the optional features. */
TEST(test_all_codes)
{
	reset();
	for (u64 code = 0; code < 0x1000; code++)
		for (u64 info = 0; info < 16; info++) {
			struct hvm_exit x = translate(code, info, 0, info & 8 ? &full : &bare);

			CHECK((unsigned)x.code < HVM_EXIT_CODES);
		}
}

TEST(test_length)
{
	static const struct {
		u64 rip, next;
		u8 len;
	} rows[] = {
		{ 0x1000, 0x1002, 2 },
		{ 0x1000, 0x100f, 15 },
		{ 0x1000, 0x1010, 0 }, /* no instruction is that long */
		{ 0x1000, 0x1000, 0 },
		{ 0x1000, 0xfff, 0 },
		{ 0x1000, 0, 0 }, /* not every exit fills it */
		{ 0xfffffffffffffffe, 0x1, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		reset();
		put_le64(u.raw + AT_RIP, rows[i].rip);
		put_le64(u.raw + AT_NEXT_RIP, rows[i].next);
		CHECK_EQ(translate(0x72, 0, 0, &full).insn_len, rows[i].len);
		CHECK_EQ(translate(0x72, 0, 0, &bare).insn_len, 0);
		CHECK_EQ(translate(0x7c, 0, 0, &full).insn_len, rows[i].len);
		CHECK_EQ(translate(0x400, 0, 0, &full).insn_len, 0);
	}
}

TEST(test_shadow)
{
	reset();
	u.raw[AT_INT_STATE] = 1;
	CHECK(translate(0x78, 0, 0, &bare).shadow);
	CHECK(translate(0x7b, 0, 0, &bare).shadow);
	CHECK(translate(0x400, 0, 0, &bare).shadow);
	u.raw[AT_INT_STATE] = 2; /* guest interrupt mask */
	CHECK(!translate(0x78, 0, 0, &bare).shadow);
}

TEST(test_io)
{
	struct hvm_exit x;

	reset();
	/* OUT 3F8h, AL */
	x = translate(0x7b, 0x03f80010, 0x1002, &bare);
	CHECK_EQ(x.code, HVM_EXIT_IO);
	CHECK_EQ(x.u.io.port, 0x3f8);
	CHECK_EQ(x.u.io.size, 1);
	CHECK_EQ(x.u.io.flags, 0);
	CHECK_EQ(x.insn_len, 2);
	/* IN EAX, DX with a prefix, at the end of the port space */
	x = translate(0x7b, 0xffff0041, 0x1003, &full);
	CHECK_EQ(x.u.io.port, 0xffff);
	CHECK_EQ(x.u.io.size, 4);
	CHECK_EQ(x.u.io.flags, HVM_IO_IN);
	CHECK_EQ(x.insn_len, 3);
	/* REP INSW; address size and segment, which not every CPU gives, change nothing */
	x = translate(0x7b, 0x01f0002d, 0x1003, &bare);
	CHECK_EQ(x.u.io.size, 2);
	CHECK_EQ(x.u.io.flags, HVM_IO_IN | HVM_IO_STRING | HVM_IO_REP);
	x = translate(0x7b, 0x01f00e2d, 0x1003, &bare);
	CHECK_EQ(x.u.io.size, 2);
	CHECK_EQ(x.u.io.flags, HVM_IO_IN | HVM_IO_STRING | HVM_IO_REP);
	x = translate(0x7b, 0x00600014, 0x1001, &bare);
	CHECK_EQ(x.u.io.flags, HVM_IO_STRING);
	/* IP wraps in 16-bit code */
	put_le64(u.raw + AT_RIP, 0xffff);
	CHECK_EQ(translate(0x7b, 0x00800010, 0x10001, &bare).insn_len, 2);
}

TEST(test_msr)
{
	reset();
	CHECK_EQ(translate(0x7c, 0, 0, &bare).code, HVM_EXIT_RDMSR);
	CHECK_EQ(translate(0x7c, 1, 0, &bare).code, HVM_EXIT_WRMSR);
}

TEST(test_nested_page_fault)
{
	static const struct {
		u64 info;
		u8 access;
		bool mapped, walk;
	} rows[] = {
		{ 0x100000004, HVM_ACCESS_READ, false, false },
		{ 0x100000006, HVM_ACCESS_WRITE, false, false },
		{ 0x100000007, HVM_ACCESS_WRITE, true, false },
		{ 0x100000014, HVM_ACCESS_EXEC, false, false },
		{ 0x200000006, HVM_ACCESS_WRITE, false, true },
		{ 0x200000004, HVM_ACCESS_READ, false, true },
	};
	struct hvm_exit x;

	reset();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		x = translate(0x400, rows[i].info, 0xfee00300, &bare);
		CHECK_EQ(x.code, HVM_EXIT_MEM);
		CHECK_EQ(x.u.mem.gpa, 0xfee00300);
		CHECK_EQ(x.u.mem.access, rows[i].access);
		CHECK_EQ(x.u.mem.mapped, rows[i].mapped);
		CHECK_EQ(x.u.mem.walk, rows[i].walk);
		CHECK_EQ(x.insn_bytes, 0);
	}
	/* bytes at RIP, where the CPU gives them; a count that cannot be is none */
	memcpy(u.raw + AT_FETCHED,
	       "\x0f\x89\x04\x24\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\xcc", 16);
	x = translate(0x400, 4, 0, &full);
	CHECK_EQ(x.insn_bytes, 15);
	CHECK(memcmp(x.insn, u.raw + AT_FETCHED + 1, 15) == 0);
	CHECK_EQ(translate(0x400, 4, 0, &bare).insn_bytes, 0);
	u.raw[AT_FETCHED] = 16;
	CHECK_EQ(translate(0x400, 4, 0, &full).insn_bytes, 0);
}

TEST(test_control_registers)
{
	struct hvm_exit x;

	reset();
	for (unsigned cr = 0; cr < 16; cr++) {
		x = translate(cr, BIT(63) | 5, 0, &full);
		CHECK_EQ(x.code, HVM_EXIT_CR);
		CHECK_EQ(x.u.cr.cr, cr);
		CHECK_EQ(x.u.cr.op, HVM_CR_MOV_FROM);
		CHECK_EQ(x.u.cr.gpr, 5);
		x = translate(0x10 + cr, BIT(63) | 15, 0, &full);
		CHECK_EQ(x.u.cr.cr, cr);
		CHECK_EQ(x.u.cr.op, HVM_CR_MOV_TO);
		CHECK_EQ(x.u.cr.gpr, 15);
		/* without assists, or CLTS, LMSW, SMSW: decode */
		CHECK_EQ(translate(0x10 + cr, BIT(63), 0, &bare).u.cr.op, HVM_CR_DECODE);
		CHECK_EQ(translate(0x10 + cr, 0, 0, &full).u.cr.op, HVM_CR_DECODE);
	}
	x = translate(0x65, BIT(63) | 3, 0, &full);
	CHECK_EQ(x.code, HVM_EXIT_CR);
	CHECK_EQ(x.u.cr.cr, 0);
	CHECK_EQ(x.u.cr.op, HVM_CR_MOV_TO);
	CHECK_EQ(x.u.cr.gpr, 3);
	/* debug registers are not intercepted */
	CHECK_EQ(translate(0x20, 0, 0, &full).code, HVM_EXIT_UNKNOWN);
	CHECK_EQ(translate(0x3f, 0, 0, &full).code, HVM_EXIT_UNKNOWN);
}

TEST(test_exceptions)
{
	for (unsigned vector = 0; vector < 32; vector++) {
		struct hvm_exit x;
		bool error = vector == 8 || (vector >= 10 && vector <= 14) || vector == 17;

		reset();
		x = translate(0x40 + vector, 0x18, 0xdead000, &bare);
		CHECK_EQ(x.code, HVM_EXIT_EXCEPTION);
		CHECK_EQ(x.u.exception.vector, vector);
		CHECK_EQ(x.u.exception.has_error, error);
		if (error)
			CHECK_EQ(x.u.exception.error, 0x18);
		CHECK_EQ(x.u.exception.address, vector == 14 ? 0xdead000 : 0);
	}
}

/* Valid, type, vector: what EXITINTINFO says, and what must go into EVENTINJ. */
TEST(test_redeliver)
{
	static const struct {
		u64 info, inject;
	} rows[] = {
		{ 0, 0 },
		{ 0x30, 0 },                /* not valid */
		{ 0x80000030, 0x80000030 }, /* interrupt */
		{ 0x80000202, 0x80000202 }, /* NMI */
		{ 0x80000302, 0x80000202 }, /* NMI that a CPU calls an exception */
		{ 0x80000330, 0x80000030 }, /* interrupt that a CPU calls an exception */
		{ 0x80000480, 0 },          /* INT 80h: runs again */
		{ 0x80000303, 0 },          /* INT3 */
		{ 0x80000304, 0 },          /* INTO */
		{ 0x80000301, 0x80000301 }, /* #DB */
		{ 0x0000000480000b0e, 0x0000000480000b0e }, /* #PF with its error code */
		{ 0x0000000080000b08, 0x0000000080000b08 }, /* #DF */
	};

	reset();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_le64(u.raw + AT_INT_INFO, rows[i].info);
		CHECK_EQ(svm_redeliver(&u.vmcb), rows[i].inject);
	}
}

/* APM vol. 2 §15.11: two bits an MSR, read below write, 2 KiB a range. */
TEST(test_msr_map)
{
	static u8 map[SVM_MSRPM_SIZE + 1];
	static const struct {
		u32 msr;
		u32 byte;
		u8 read, write;
	} rows[] = {
		{ 0, 0, 0x01, 0x02 },
		{ 0x1b, 6, 0x40, 0x80 },
		{ 0x1fff, 0x7ff, 0x40, 0x80 },
		{ 0xc0000000, 0x800, 0x01, 0x02 },
		{ 0xc0000080, 0x820, 0x01, 0x02 },
		{ 0xc0001fff, 0xfff, 0x40, 0x80 },
		{ 0xc0010015, 0x1005, 0x04, 0x08 },
		{ 0xc0011fff, 0x17ff, 0x40, 0x80 },
	};
	static const u32 outside[] = { 0x2000,     0x40000000, 0xbfffffff,
				       0xc0002000, 0xc0012000, 0xffffffff };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		u8 *byte = &map[rows[i].byte];

		memset(map, 0xff, sizeof(map));
		CHECK_EQ(svm_msrpm_set(map, rows[i].msr, false, true), 0);
		CHECK_EQ(*byte, (u8)~rows[i].read);
		CHECK_EQ(svm_msrpm_set(map, rows[i].msr, true, false), 0);
		CHECK_EQ(*byte, (u8)~rows[i].write);
		CHECK_EQ(svm_msrpm_set(map, rows[i].msr, false, false), 0);
		CHECK_EQ(*byte, (u8) ~(rows[i].write | rows[i].read));
		CHECK_EQ(svm_msrpm_set(map, rows[i].msr, true, true), 0);
		for (size_t n = 0; n < sizeof(map); n++)
			CHECK_EQ(map[n], 0xff); /* and no other was touched */
	}
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		CHECK_EQ(svm_msrpm_set(map, outside[i], false, false), -EINVAL);
	for (size_t n = 0; n < sizeof(map); n++)
		CHECK_EQ(map[n], 0xff);
}

UNIT_MAIN({ "plain", test_plain }, { "all_codes", test_all_codes }, { "length", test_length },
	  { "shadow", test_shadow }, { "io", test_io }, { "msr", test_msr },
	  { "nested_page_fault", test_nested_page_fault },
	  { "control_registers", test_control_registers }, { "exceptions", test_exceptions },
	  { "redeliver", test_redeliver }, { "msr_map", test_msr_map })
