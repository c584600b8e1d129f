/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control registers, EFER-dependent rules, XSETBV, CLTS, LMSW, SMSW and debug registers:
 * legal values take effect, illegal ones are refused.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/test.h"

#define CR0_PE 1ull
#define CR0_MP 2ull
#define CR0_EM 4ull
#define CR0_TS 8ull
#define CR0_NE 0x20ull
#define CR0_WP 0x10000ull
#define CR0_AM 0x40000ull
#define CR0_NW 0x20000000ull
#define CR0_CD 0x40000000ull
#define CR0_PG 0x80000000ull
#define CR4_PAE 0x20ull
#define CR4_PGE 0x80ull
#define CR4_OSXSAVE (1ull << 18)
#define CR4_TSD 4ull

static void clts(void)
{
	__asm__ volatile("clts" : : : "memory");
}

TEST(cr0_legal)
{
	u64 v = read_cr0();

	write_cr0(v | CR0_TS);
	CHECK_EQ(read_cr0(), v | CR0_TS);
	CHECK_TRAP(VEC_NM, __asm__ volatile("fnop"));
	clts();
	CHECK_EQ(read_cr0(), v);
	write_cr0(v | CR0_AM);
	CHECK_EQ(read_cr0(), v | CR0_AM);
	write_cr0(v | CR0_CD);
	CHECK_EQ(read_cr0() & (CR0_CD | CR0_NW), CR0_CD);
	write_cr0(v | CR0_CD | CR0_NW);
	write_cr0(v);
	CHECK_EQ(read_cr0(), v);
}

TEST(cr0_illegal)
{
	u64 v = read_cr0();

	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG checks less");
	CHECK_TRAP(VEC_GP, write_cr0(v & ~CR0_PE));	       /* PG without PE */
	CHECK_TRAP(VEC_GP, write_cr0((v | CR0_NW) & ~CR0_CD));
	if (!boot_lax_cpu())
		CHECK_TRAP(VEC_GP, write_cr0(v | 1ull << 32));
	CHECK_TRAP(VEC_GP, write_cr0(v & ~CR0_PG)); /* from 64-bit code */
	CHECK_EQ(read_cr0(), v);
}

TEST(write_protect)
{
	u8 *p = page_alloc(1);

	page_map(PAGE_TEST_VA, (u64)p, 1, 0);
	CHECK_TRAP(VEC_PF, *(volatile u8 *)PAGE_TEST_VA = 1);
	write_cr0(read_cr0() & ~CR0_WP);
	CHECK_TRAP(TRAP_NONE, *(volatile u8 *)PAGE_TEST_VA = 2);
	write_cr0(read_cr0() | CR0_WP);
	CHECK_EQ(p[0], 2);
	CHECK_TRAP(VEC_PF, *(volatile u8 *)PAGE_TEST_VA = 1);
	page_unmap(PAGE_TEST_VA, 1);
}

TEST(smsw_lmsw)
{
	u64 v = read_cr0(), r = ~0ull;
	u16 m = 0;

	__asm__ volatile("smsw %0" : "+r"(r));
	CHECK_EQ((u16)r, (u16)v);
	__asm__ volatile("smsw %0" : "=m"(m));
	CHECK_EQ(m, (u16)v);
	__asm__ volatile("lmsw %w0" : : "r"((u32)(v | CR0_TS)));
	CHECK_EQ(read_cr0(), v | CR0_TS);
	__asm__ volatile("lmsw %w0" : : "r"((u32)(v & ~CR0_PE))); /* cannot leave protected mode */
	CHECK_EQ(read_cr0(), v);
	m = (u16)(v | CR0_TS);
	__asm__ volatile("lmsw %0" : : "m"(m));
	CHECK_EQ(read_cr0(), v | CR0_TS);
	clts();
}

TEST(cr2_holds)
{
	write_cr2(0x123456789abcdef0);
	CHECK_EQ(read_cr2(), 0x123456789abcdef0);
	cpuid(0, 0);
	CHECK_EQ(read_cr2(), 0x123456789abcdef0);
}

TEST(cr3_reload_flushes)
{
	u32 *a = page_alloc(1), *b = page_alloc(1);
	u64 *e;

	a[0] = 1;
	b[0] = 2;
	page_map(PAGE_TEST_VA, (u64)a, 1, PTE_W);
	CHECK_EQ(*(volatile u32 *)PAGE_TEST_VA, 1);
	e = page_entry(PAGE_TEST_VA, 1);
	*e = (u64)b | PTE_P | PTE_W;
	write_cr3(read_cr3());
	CHECK_EQ(*(volatile u32 *)PAGE_TEST_VA, 2);
	*e = (u64)a | PTE_P | PTE_W | PTE_G;
	write_cr4(read_cr4() ^ CR4_PGE); /* flushes all, global too */
	write_cr4(read_cr4() ^ CR4_PGE);
	CHECK_EQ(*(volatile u32 *)PAGE_TEST_VA, 1);
	*e = (u64)b | PTE_P | PTE_W;
	invlpg(PAGE_TEST_VA);
	CHECK_EQ(*(volatile u32 *)PAGE_TEST_VA, 2);
	page_unmap(PAGE_TEST_VA, 1);
}

TEST(cr4_illegal)
{
	u64 v = read_cr4();

	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG stops on reserved bits");
	CHECK_TRAP(VEC_GP, write_cr4(v & ~CR4_PAE)); /* in long mode */
	CHECK_TRAP(VEC_GP, write_cr4(v | 1ull << 13 | 1ull << 14)); /* VMXE, SMXE */
	CHECK_TRAP(VEC_GP, write_cr4(v | 1ull << 32));
	CHECK_TRAP(VEC_GP, write_cr4(v | 1ull << 12)); /* LA57 in long mode */
	CHECK_EQ(read_cr4(), v);
}

TEST(cr4_tsd)
{
	/* At CPL 0 RDTSC goes on to work. */
	write_cr4(read_cr4() | CR4_TSD);
	CHECK_TRAP(TRAP_NONE, rdtsc());
	write_cr4(read_cr4() & ~CR4_TSD);
}

TEST(cr8_is_tpr)
{
	for (u64 i = 0; i < 16; i++) {
		write_cr8(i);
		CHECK_EQ(read_cr8(), i);
		CHECK_EQ(apic_read(APIC_TPR), i << 4);
		apic_write(APIC_TPR, (u32)(15 - i) << 4);
		CHECK_EQ(read_cr8(), 15 - i);
	}
	write_cr8(0);
	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG takes any value");
	CHECK_TRAP(VEC_GP, write_cr8(16));
	CHECK_EQ(read_cr8(), 0);
}

TEST(cr_numbers_invalid)
{
	CHECK_TRAP(VEC_UD, __asm__ volatile(".byte 0x0f, 0x20, 0xc8")); /* mov cr1, eax */
	CHECK_TRAP(VEC_UD, __asm__ volatile(".byte 0x0f, 0x22, 0xe8" : : "a"(0))); /* cr5 */
	CHECK_TRAP(VEC_UD, __asm__ volatile(".byte 0x44, 0x0f, 0x20, 0xf8")); /* cr15 */
}

TEST(mov_cr_forms)
{
	u64 v;

	/* ModRM.mod is ignored; REX extends the general register; no operand-size effect. */
	__asm__ volatile(".byte 0x0f, 0x20, 0x00" : "=a"(v)); /* mov rax, cr0 as memory form */
	CHECK_EQ(v, read_cr0());
	__asm__ volatile(".byte 0x41, 0x0f, 0x20, 0xc1; mov %%r9, %0" : "=r"(v) : : "r9");
	CHECK_EQ(v, read_cr0());
	__asm__ volatile(".byte 0x66, 0x0f, 0x20, 0xc0" : "=a"(v));
	CHECK_EQ(v, read_cr0());
	if (cpu_is_amd() && cpuid(0x80000001, 0).ecx >> 4 & 1) {
		write_cr8(5);
		__asm__ volatile(".byte 0xf0, 0x0f, 0x20, 0xc0" : "=a"(v)); /* lock: cr8 */
		CHECK_EQ(v, 5);
		write_cr8(0);
	}
}

TEST(xsetbv)
{
	u64 x;

	CHECK_TRAP(VEC_UD, xgetbv(0));
	SKIP_IF(!(cpuid(1, 0).ecx >> 26 & 1), "no XSAVE");
	write_cr4(read_cr4() | CR4_OSXSAVE);
	x = xgetbv(0);
	CHECK_EQ(x & 1, 1);
	CHECK_TRAP(TRAP_NONE, xsetbv(0, 3));
	CHECK_EQ(xgetbv(0), 3);
	CHECK_TRAP(VEC_GP, xsetbv(0, 0));      /* x87 must stay */
	CHECK_TRAP(VEC_GP, xsetbv(0, 5));      /* AVX without SSE */
	CHECK_TRAP(VEC_GP, xsetbv(0, 1ull << 62 | 3));
	CHECK_TRAP(VEC_GP, xsetbv(1, 3));
	if (cpuid(1, 0).ecx >> 28 & 1) {
		CHECK_TRAP(TRAP_NONE, xsetbv(0, 7));
		CHECK_EQ(cpuid(0xd, 0).ebx, 832);
		xsetbv(0, 3);
		CHECK_EQ(cpuid(0xd, 0).ebx, 576);
	}
	xsetbv(0, x);
	write_cr4(read_cr4() & ~CR4_OSXSAVE);
}

TEST(debug_registers)
{
	write_dr0(0x1111);
	write_dr1(0x2222);
	write_dr2(0xffff888000003333);
	write_dr3(0x4444);
	cpuid(0, 0); /* an exit between */
	CHECK_EQ(read_dr0(), 0x1111);
	CHECK_EQ(read_dr1(), 0x2222);
	CHECK_EQ(read_dr2(), 0xffff888000003333);
	CHECK_EQ(read_dr3(), 0x4444);
	write_dr6(0);
	CHECK_EQ(read_dr6() & 0xfffe0ff0, 0xfffe0ff0);
	CHECK_EQ(read_dr7(), 0x400);
	CHECK_TRAP(VEC_GP, write_dr7(1ull << 32));
	CHECK_TRAP(VEC_GP, write_dr6(1ull << 32));
}

static u32 watched;

TEST(data_breakpoint)
{
	int v;

	write_dr0((u64)&watched);
	write_dr6(0);
	write_dr7(0x400 | 1 | 0xd0000); /* DR0: writes of 4 bytes */
	v = TRAP_OF(__asm__ volatile("movl $1, %0; nop; nop" : "=m"(watched)));
	write_dr7(0x400);
	CHECK_EQ(v, VEC_DB);
	CHECK_EQ(read_dr6() & 0xf, 1);
	CHECK_EQ(watched, 1);
	write_dr6(0);
}

TEST(breakpoint_on_exiting_instruction)
{
	int v;
	u64 at;

	__asm__ volatile("lea 1f(%%rip), %0" : "=r"(at));
	write_dr0(at);
	write_dr6(0);
	write_dr7(0x400 | 1);
	v = TRAP_OF(__asm__ volatile("1: cpuid" : : "a"(0) : "rbx", "rcx", "rdx"));
	write_dr7(0x400);
	CHECK_EQ(v, VEC_DB);
	CHECK_EQ(trap_this()->fault_rip, at);
	CHECK_EQ(read_dr6() & 0xf, 1);
	write_dr6(0);
}
