/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exit records into neutral exits: values as a processor delivers them.
 */
#include "arch/vmx/vmx_exit.h"
#include "arch/vmx/vmx_perm.h"
#include "kernel/base/err.h"
#include "tests/unit/unit.h"

static struct hvm_exit translate(struct vmx_exit_info i)
{
	struct hvm_exit x = { .code = HVM_EXIT_CODES, .insn_len = 99, .insn_bytes = 99 };

	vmx_translate(&i, &x);
	return x;
}

TEST(test_plain)
{
	static const struct { u32 reason; enum hvm_exit_code code; } want[] = {
		{ 1, HVM_EXIT_HOST }, { 2, HVM_EXIT_SHUTDOWN }, { 7, HVM_EXIT_IRQ_WINDOW },
		{ 8, HVM_EXIT_NMI_WINDOW }, { 9, HVM_EXIT_TASK_SWITCH }, { 10, HVM_EXIT_CPUID },
		{ 12, HVM_EXIT_HLT }, { 13, HVM_EXIT_WBINVD }, { 15, HVM_EXIT_RDPMC },
		{ 18, HVM_EXIT_HYPERCALL }, { 19, HVM_EXIT_UD }, { 27, HVM_EXIT_UD },
		{ 31, HVM_EXIT_RDMSR }, { 32, HVM_EXIT_WRMSR }, { 36, HVM_EXIT_UD },
		{ 39, HVM_EXIT_UD }, { 40, HVM_EXIT_PAUSE }, { 50, HVM_EXIT_UD },
		{ 52, HVM_EXIT_HOST }, { 54, HVM_EXIT_WBINVD }, { 55, HVM_EXIT_XSETBV },
		{ 3, HVM_EXIT_UNKNOWN }, { 49, HVM_EXIT_UNKNOWN }, { 61, HVM_EXIT_UNKNOWN },
		{ 62, HVM_EXIT_HOST }, { 63, HVM_EXIT_UNKNOWN },
		{ 0xffff, HVM_EXIT_UNKNOWN }, { 0x80000021, HVM_EXIT_ENTRY_FAIL },
		{ 0x80000029, HVM_EXIT_ENTRY_FAIL },
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct hvm_exit x = translate((struct vmx_exit_info){ .reason = want[i].reason,
								      .insn_len = 3 });

		CHECK_EQ(x.code, want[i].code);
		CHECK(x.insn_len == (vmx_exit_needs(want[i].reason) & VMX_NEEDS_LEN ? 3 : 0));
	}
	CHECK_EQ(translate((struct vmx_exit_info){ .reason = 45 }).code, HVM_EXIT_EOI);
	CHECK_EQ(translate((struct vmx_exit_info){ .reason = 45, .qual = 0x52 }).u.eoi, 0x52);
	CHECK(translate((struct vmx_exit_info){ .reason = 10, .blocking = 1 }).shadow);
	CHECK(translate((struct vmx_exit_info){ .reason = 10, .blocking = 2 }).shadow);
	CHECK(!translate((struct vmx_exit_info){ .reason = 10, .blocking = 8 }).shadow);
	CHECK_EQ(translate((struct vmx_exit_info){ .reason = 10, .insn_len = 16 }).insn_len, 0);
}

TEST(test_io)
{
	struct hvm_exit x = translate((struct vmx_exit_info){ .reason = 30, .qual = 0x800040,
							      .insn_len = 2 });

	CHECK_EQ(x.code, HVM_EXIT_IO);
	CHECK_EQ(x.u.io.port, 0x80);
	CHECK_EQ(x.u.io.size, 1);
	CHECK_EQ(x.u.io.flags, 0);
	x = translate((struct vmx_exit_info){ .reason = 30, .qual = 0x3f8000b });
	CHECK_EQ(x.u.io.port, 0x3f8);
	CHECK_EQ(x.u.io.size, 4);
	CHECK_EQ(x.u.io.flags, HVM_IO_IN);
	x = translate((struct vmx_exit_info){ .reason = 30, .qual = 0x3f80031 });
	CHECK_EQ(x.u.io.size, 2);
	CHECK_EQ(x.u.io.flags, HVM_IO_STRING | HVM_IO_REP);
}

TEST(test_mem)
{
	struct hvm_exit x = translate((struct vmx_exit_info){ .reason = 48, .qual = 0x181,
							      .gpa = 0xfee00020, .insn_len = 7 });

	CHECK_EQ(x.code, HVM_EXIT_MEM);
	CHECK_EQ(x.u.mem.gpa, 0xfee00020);
	CHECK_EQ(x.u.mem.access, HVM_ACCESS_READ);
	CHECK(!x.u.mem.mapped && !x.u.mem.walk);
	CHECK_EQ(x.insn_len, 0);
	CHECK_EQ(x.insn_bytes, 0);
	x = translate((struct vmx_exit_info){ .reason = 48, .qual = 0x18a });
	CHECK_EQ(x.u.mem.access, HVM_ACCESS_WRITE);
	CHECK(x.u.mem.mapped);
	x = translate((struct vmx_exit_info){ .reason = 48, .qual = 0x19c });
	CHECK_EQ(x.u.mem.access, HVM_ACCESS_EXEC);
	x = translate((struct vmx_exit_info){ .reason = 48, .qual = 0x83 });
	CHECK(x.u.mem.walk);
	x = translate((struct vmx_exit_info){ .reason = 48, .qual = 0x3 });
	CHECK(!x.u.mem.walk); /* no linear address: not known to be a walk of ours */
}

TEST(test_cr)
{
	struct hvm_exit x = translate((struct vmx_exit_info){ .reason = 28, .qual = 0xf04,
							      .insn_len = 4 });

	CHECK_EQ(x.code, HVM_EXIT_CR);
	CHECK_EQ(x.u.cr.cr, 4);
	CHECK_EQ(x.u.cr.op, HVM_CR_MOV_TO);
	CHECK_EQ(x.u.cr.gpr, 15);
	CHECK_EQ(x.insn_len, 4);
	CHECK_EQ(translate((struct vmx_exit_info){ .reason = 28, .qual = 0x18 }).u.cr.op,
		 HVM_CR_MOV_FROM);
	CHECK_EQ(translate((struct vmx_exit_info){ .reason = 28, .qual = 0x20 }).u.cr.op,
		 HVM_CR_CLTS);
	x = translate((struct vmx_exit_info){ .reason = 28, .qual = 0xfff10030 });
	CHECK_EQ(x.u.cr.op, HVM_CR_LMSW);
	CHECK_EQ(x.u.cr.msw, 0xfff1);
}

TEST(test_exception)
{
	struct hvm_exit x = translate((struct vmx_exit_info){ .reason = 0, .event = 0x80000b0e,
							      .error = 7, .qual = 0x1234 });

	CHECK_EQ(x.code, HVM_EXIT_EXCEPTION);
	CHECK_EQ(x.u.exception.vector, 14);
	CHECK(x.u.exception.has_error);
	CHECK_EQ(x.u.exception.error, 7);
	CHECK_EQ(x.u.exception.address, 0x1234);
	x = translate((struct vmx_exit_info){ .reason = 0, .event = 0x80000301, .qual = 0x14001 });
	CHECK_EQ(x.u.exception.vector, 1);
	CHECK(!x.u.exception.has_error);
	CHECK_EQ(x.u.exception.address, 0x4001);
	CHECK_EQ(x.insn_len, 0);
	x = translate((struct vmx_exit_info){ .reason = 0, .event = 0x80000501, .insn_len = 1 });
	CHECK_EQ(x.insn_len, 1); /* ICEBP */
	x = translate((struct vmx_exit_info){ .reason = 0, .event = 0x80000301, .insn_len = 1 });
	CHECK_EQ(x.insn_len, 0);
	CHECK_EQ(translate((struct vmx_exit_info){ .reason = 0, .event = 0x80000202 }).code,
		 HVM_EXIT_HOST);
}

TEST(test_redeliver)
{
	static const struct { u32 vectoring, again; } want[] = {
		{ 0, 0 },
		{ 0x80000030, 0x80000030 }, /* interrupt */
		{ 0x80000202, 0x80000202 }, /* NMI */
		{ 0x80000b0e, 0x80000b0e }, /* #PF with its error code */
		{ 0x80000480, 0 },	    /* INT 80h runs again */
		{ 0x80000603, 0 },	    /* INT3 too */
		{ 0x80000501, 0 },	    /* and ICEBP */
		{ 0x80001b0e, 0x80000b0e }, /* bit 12 is undefined */
		{ 0x00000030, 0 },
	};

	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct vmx_exit_info x = { .reason = 48, .vectoring = want[i].vectoring };

		CHECK_EQ(vmx_redeliver(&x), want[i].again);
	}
}

TEST(test_nmi_unblocked)
{
	CHECK(vmx_nmi_unblocked(&(struct vmx_exit_info){ .reason = 48, .qual = 0x1181 }));
	CHECK(!vmx_nmi_unblocked(&(struct vmx_exit_info){ .reason = 48, .qual = 0x181 }));
	CHECK(!vmx_nmi_unblocked(&(struct vmx_exit_info){ .reason = 48, .qual = 0x1181,
							  .vectoring = 0x80000202 }));
	CHECK(vmx_nmi_unblocked(&(struct vmx_exit_info){ .reason = 62, .qual = 0x1000 }));
	CHECK(!vmx_nmi_unblocked(&(struct vmx_exit_info){ .reason = 62 }));
	CHECK(vmx_nmi_unblocked(&(struct vmx_exit_info){ .reason = 0, .event = 0x80001b11 }));
	CHECK(!vmx_nmi_unblocked(&(struct vmx_exit_info){ .reason = 0, .event = 0x80001b08 }));
	CHECK(!vmx_nmi_unblocked(&(struct vmx_exit_info){ .reason = 10, .qual = 0x1000 }));
}

/* The index counts down from 511 and is 0xffff when the log is full. */
TEST(test_pml)
{
	CHECK_EQ(vmx_pml_first(511), VMX_PML_ENTRIES);
	CHECK_EQ(vmx_pml_first(510), 511);
	CHECK_EQ(vmx_pml_first(0), 1);
	CHECK_EQ(vmx_pml_first(0xffff), 0);
}

TEST(test_words)
{
	CHECK_STR(vmx_insn_error_text(8), "entry with invalid host state");
	CHECK_STR(vmx_insn_error_text(14), "unknown error");
	CHECK_STR(vmx_insn_error_text(~0u), "unknown error");
	CHECK_STR(vmx_entry_fail_text(0x80000021, 4), "invalid guest state: VMCS link pointer");
	CHECK_STR(vmx_entry_fail_text(0x80000021, 0), "invalid guest state");
	CHECK_STR(vmx_entry_fail_text(0x80000022, 1),
		  "an MSR of the entry list could not be loaded");
	CHECK_STR(vmx_entry_fail_text(1, 1), "unknown reason");
}

TEST(test_msr_bitmap)
{
	static u8 map[VMX_MSR_BITMAP_SIZE];

	memset(map, 0xff, sizeof(map));
	CHECK_EQ(vmx_bitmap_set(map, 0x174, false, true), 0);
	CHECK_EQ(map[0x174 / 8], 0xff & ~(1 << 4));
	CHECK_EQ(map[2048 + 0x174 / 8], 0xff);
	CHECK_EQ(vmx_bitmap_set(map, 0xc0001fff, false, false), 0);
	CHECK_EQ(map[2047], 0x7f);
	CHECK_EQ(map[4095], 0x7f);
	CHECK_EQ(vmx_bitmap_set(map, 0xc0001fff, true, true), 0);
	CHECK_EQ(map[2047], 0xff);
	CHECK_EQ(vmx_bitmap_set(map, 0x2000, false, false), -EINVAL);
	CHECK_EQ(vmx_bitmap_set(map, 0xc0002000, false, false), -EINVAL);
	CHECK_EQ(vmx_bitmap_set(map, 0xffffffff, false, false), -EINVAL);
}

UNIT_MAIN({ "plain", test_plain }, { "io", test_io }, { "mem", test_mem }, { "cr", test_cr },
	  { "exception", test_exception }, { "redeliver", test_redeliver },
	  { "nmi_unblocked", test_nmi_unblocked }, { "words", test_words }, { "pml", test_pml },
	  { "msr_bitmap", test_msr_bitmap })
