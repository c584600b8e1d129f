/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions a guest does not have: virtualization, system management, monitoring. Each is
 * #UD, from the kernel and from whatever state; none reaches the host.
 */
#include "guest/image/lib/boot.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/test.h"

#define UD(...) CHECK_TRAP(VEC_UD, __asm__ volatile(__VA_ARGS__))

static u64 area[1024] ALIGNED(4096);

TEST(svm_instructions)
{
	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG has SVM");
	/* With an address no CPU takes, QEMU's raises #GP before it asks the hypervisor. */
	for (u32 i = 0; i < (boot_lax_cpu() ? 2 : 3); i++) {
		u64 a = i == 0 ? 0 : i == 1 ? (u64)area : ~0ull;

		UD("vmrun" : : "a"(a));
		UD("vmload" : : "a"(a));
		UD("vmsave" : : "a"(a));
		UD("invlpga %%rax, %%ecx" : : "a"(a), "c"(0));
		UD("skinit %%eax" : : "a"(a));
	}
	UD("stgi");
	UD("clgi");
	CHECK_EQ(cpuid(0x80000001, 0).ecx & 4, 0);
	if (cpu_is_amd())
		CHECK_TRAP(TRAP_NONE, __asm__ volatile("vmmcall" : : "a"(0xffff) : "memory"));
}

TEST(vmx_instructions)
{
	u64 v = (u64)area;

	if (!boot_lax_cpu()) { /* QEMU's takes them for RDRAND with a memory operand */
		UD("vmxon %0" : : "m"(v));
		UD("vmclear %0" : : "m"(v));
		UD("vmptrld %0" : : "m"(v));
		UD("vmptrst %0" : "=m"(v));
	}
	UD("vmlaunch");
	UD("vmresume");
	UD("vmxoff");
	UD("vmread %%rax, %%rbx" : : "a"(0) : "rbx");
	UD("vmwrite %%rax, %%rbx" : : "a"(0), "b"(0));
	UD(".byte 0x66, 0x0f, 0x38, 0x80, 0x00" : : "a"(area)); /* invept */
	UD(".byte 0x66, 0x0f, 0x38, 0x81, 0x00" : : "a"(area)); /* invvpid */
	UD(".byte 0x0f, 0x01, 0xd4" : : "a"(0), "c"(0));	 /* vmfunc */
}

TEST(other_instructions)
{
	UD("rsm");
	UD(".byte 0x0f, 0x37" : : "a"(0));	 /* getsec */
	UD(".byte 0x0f, 0x01, 0xcf" : : "a"(0)); /* encls */
	UD(".byte 0x0f, 0xff, 0xc0");		 /* ud0 */
	UD(".byte 0x0f, 0xb9, 0xc0");		 /* ud1 */
	UD(".byte 0x0f, 0x04");
	UD(".byte 0x0f, 0x01, 0xfd");		 /* rdpru */
	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG has MONITOR");
	CHECK_EQ(cpuid(1, 0).ecx & 8, 0);
	UD("monitor" : : "a"(area), "c"(0), "d"(0));
	UD("mwait" : : "a"(0), "c"(0));
}

TEST(rdpmc)
{
	for (u32 i = 0; i < 8; i++) {
		int v = TRAP_OF(__asm__ volatile("rdpmc" : : "c"(i) : "rax", "rdx"));

		CHECK(v == TRAP_NONE || v == VEC_GP || v == VEC_UD);
	}
	if (boot_platform() != PLATFORM_TCG)
		CHECK_TRAP(VEC_GP, __asm__ volatile("rdpmc" : : "c"(0x12345678) : "rax", "rdx"));
}

TEST(cache_instructions)
{
	area[7] = 0x1234;
	for (u32 i = 0; i < 10; i++) {
		CHECK_TRAP(TRAP_NONE, __asm__ volatile("wbinvd" : : : "memory"));
		/* INVD loses nothing that the hypervisor answers for */
		CHECK_TRAP(TRAP_NONE, __asm__ volatile("invd" : : : "memory"));
	}
	CHECK_EQ(area[7], 0x1234);
}

TEST(pause_and_hints)
{
	for (u32 i = 0; i < 5000; i++)
		pause();
	CHECK(true);
}

/* The longest instruction, one byte too long, and prefixes in front of exiting instructions. */
#define PREFIXES_13 ".byte 0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66,0x66;"

TEST(lengths)
{
	u32 a;

	__asm__ volatile(PREFIXES_13 "cpuid" : "=a"(a) : "a"(0) : "rbx", "rcx", "rdx");
	CHECK(a >= 0xb);
	CHECK_TRAP(VEC_GP, __asm__ volatile(PREFIXES_13 "data16 cpuid" : : "a"(0)
					    : "rbx", "rcx", "rdx"));
	__asm__ volatile(".byte 0x2e, 0x48; cpuid" : "=a"(a) : "a"(0) : "rbx", "rcx", "rdx");
	CHECK(a >= 0xb);
	CHECK_TRAP(VEC_UD, __asm__ volatile(".byte 0xf0; cpuid" : : "a"(0) : "rbx", "rcx", "rdx"));
	__asm__ volatile(".byte 0xf2, 0x66, 0x26; inb $0x21, %%al" : "=a"(a));
	__asm__ volatile(".byte 0x40, 0x41, 0x48; rdmsr" : "=a"(a) : "c"(MSR_EFER) : "rdx");
	CHECK_EQ(a, (u32)rdmsr(MSR_EFER));
}

/* An exiting instruction whose bytes lie on two pages, the second one absent first. */
TEST(instruction_across_pages)
{
	u8 *p = page_alloc(2);
	u64 va = PAGE_TEST_VA;
	u32 a = 0;

	p[4095] = 0x0f; /* cpuid; ret */
	p[4096] = 0xa2;
	p[4097] = 0xc3;
	page_map(va, (u64)p, 1, PTE_W);
	CHECK_TRAP(VEC_PF, __asm__ volatile("call *%0" : : "r"(va + 4095), "a"(0)
					    : "rbx", "rcx", "rdx"));
	CHECK_EQ(trap_this()->cr2, va + 4096);
	page_map(va + 4096, (u64)p + 4096, 1, PTE_W);
	__asm__ volatile("call *%1" : "+a"(a) : "r"(va + 4095) : "rbx", "rcx", "rdx", "memory");
	CHECK(a >= 0xb);
	page_unmap(va, 1);
	page_unmap(va + 4096, 1);
}
