/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's own page tables: 4 KiB, 2 MiB and 1 GiB pages with accessed and dirty bits, rights,
 * and devices through each of them; 32-bit and PAE tables on another CPU.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "kernel/base/str.h"

#define VA     PAGE_TEST_VA
#define TMICT  (APIC_BASE + APIC_TMICT)
#define CR0_WP 0x10000ull

static volatile u64 *entry(u32 level)
{
	return page_entry(VA, level);
}

TEST(accessed_and_dirty_4k)
{
	volatile u64 *e = entry(1), *up = entry(2);

	page_map(VA, (u64)page_alloc(1), 1, PTE_W);
	*up &= ~PTE_A;
	write_cr3(read_cr3());
	CHECK_EQ(*e & (PTE_A | PTE_D), 0);
	(void)*(volatile u8 *)VA;
	CHECK_EQ(*e & (PTE_A | PTE_D), PTE_A);
	CHECK_EQ(*up & PTE_A, PTE_A);
	*(volatile u8 *)VA = 1;
	CHECK_EQ(*e & (PTE_A | PTE_D), PTE_A | PTE_D);
	page_unmap(VA, 1);
}

/* What the hypervisor reads and writes for the guest sets the bits as the CPU would. */
TEST(accessed_and_dirty_by_emulation)
{
	volatile u64 *e = entry(1);
	u64 si, di;

	page_map(VA, (u64)page_alloc(1), 1, PTE_W);
	si = APIC_BASE + APIC_VERSION;
	di = VA;
	__asm__ volatile("movsl" : "+S"(si), "+D"(di) : : "memory");
	CHECK_EQ(*e & (PTE_A | PTE_D), PTE_A | PTE_D);
	CHECK_EQ(mmio_read(VA), mmio_read(APIC_BASE + APIC_VERSION));
	*e &= ~(PTE_A | PTE_D);
	invlpg(VA);
	si = VA;
	di = TMICT;
	__asm__ volatile("movsl" : "+S"(si), "+D"(di) : : "memory");
	CHECK_EQ(*e & (PTE_A | PTE_D), PTE_A);
	*e &= ~(PTE_A | PTE_D);
	invlpg(VA);
	di = VA;
	__asm__ volatile("insb" : "+D"(di) : "d"(0x21) : "memory");
	CHECK_EQ(*e & (PTE_A | PTE_D), PTE_A | PTE_D);
	/* a device page's own entry */
	page_map(VA, APIC_BASE, 1, PTE_W);
	(void)mmio_read(VA + APIC_TMICT);
	CHECK_EQ(*e & (PTE_A | PTE_D), PTE_A);
	__asm__ volatile("addl $1, (%0)" : : "r"(VA + APIC_TMICT) : "memory");
	CHECK_EQ(*e & (PTE_A | PTE_D), PTE_A | PTE_D);
	apic_write(APIC_TMICT, 0);
	page_unmap(VA, 1);
}

/* Code whose page-table entries lost their A bit: the fetch of an emulated instruction. */
TEST(instruction_fetch_by_emulation)
{
	u8 *code = page_alloc(1);
	volatile u64 *e = entry(1);

	memcpy(code, "\x89\x07\xc3", 3); /* mov %eax, (%rdi); ret */
	page_map(VA, (u64)code, 1, 0);
	__asm__ volatile("call *%0" : : "r"(VA), "D"(TMICT), "a"(0x77) : "memory");
	CHECK_EQ(mmio_read(TMICT), 0x77);
	CHECK_EQ(*e & PTE_A, PTE_A);
	/* the same code at another place, the old one gone */
	*e = 0;
	invlpg(VA);
	CHECK_TRAP(VEC_PF, __asm__ volatile("call *%0" : : "r"(VA), "D"(TMICT) : "memory"));
	CHECK_EQ(trap_this()->error & ~0x10ull, 0);
	code[0] = 0x01; /* add %eax, (%rdi) */
	page_map(VA, (u64)code, 1, 0);
	__asm__ volatile("call *%0" : : "r"(VA), "D"(TMICT), "a"(1) : "memory");
	CHECK_EQ(mmio_read(TMICT), 0x78);
	apic_write(APIC_TMICT, 0);
	page_unmap(VA, 1);
}

TEST(page_2m)
{
	volatile u64 *e = entry(2);

	*e = 0;
	page_map(VA, 0, 2, PTE_W);
	CHECK_EQ(*(volatile u32 *)(VA + 0x100000), *(volatile u32 *)0x100000);
	CHECK_EQ(*e & (PTE_A | PTE_D), PTE_A);
	*(volatile u32 *)(VA + SMP_SCRATCH) = 5;
	CHECK_EQ(*e & (PTE_A | PTE_D), PTE_A | PTE_D);
	CHECK_EQ(*(volatile u32 *)SMP_SCRATCH, 5);
	page_map(VA, APIC_BASE & ~0x1fffffull, 2, PTE_W | PTE_PCD);
	mmio_write(VA + (TMICT & 0x1fffff), 0x2222);
	__asm__ volatile("orl $1, (%0)" : : "r"(VA + (TMICT & 0x1fffff)) : "memory");
	CHECK_EQ(mmio_read(TMICT), 0x2223);
	/* a reserved bit in a large page */
	*e |= 1ull << 14;
	invlpg(VA);
	CHECK_TRAP(VEC_PF, *(volatile u8 *)VA);
	CHECK_EQ(trap_this()->error | boot_lax_cpu(), 9); /* QEMU: without P */
	apic_write(APIC_TMICT, 0);
	page_unmap(VA, 2);
}

TEST(page_1g)
{
	volatile u64 *e = entry(3);
	u64 old = *e;

	*e = 0;
	if (!(cpuid(0x80000001, 0).edx >> 26 & 1)) {
		SKIP_IF(true, "not promised; a CPU that has them has them in a guest as well");
	}
	page_map(VA, 0xc0000000, 3, PTE_W | PTE_PCD);
	mmio_write(VA + (TMICT & 0x3fffffff), 0x3333);
	__asm__ volatile("xorl $1, (%0)" : : "r"(VA + (TMICT & 0x3fffffff)) : "memory");
	CHECK_EQ(mmio_read(TMICT), 0x3332);
	CHECK_EQ(*e & (PTE_A | PTE_D), PTE_A | PTE_D);
	apic_write(APIC_TMICT, 0);
	*e = old;
	write_cr3(read_cr3());
}

TEST(no_execute)
{
	u8 *code = page_alloc(1);

	code[0] = 0xc3;
	page_map(VA, (u64)code, 1, PTE_NX);
	CHECK_TRAP(VEC_PF, __asm__ volatile("call *%0" : : "r"(VA) : "memory"));
	CHECK_EQ(trap_this()->error, 0x11);
	page_map(VA, (u64)code, 1, 0);
	CHECK_TRAP(TRAP_NONE, __asm__ volatile("call *%0" : : "r"(VA) : "memory"));
	page_unmap(VA, 1);
}

/* Rights that only the emulated half of an instruction meets. */
TEST(rights_of_emulated_operands)
{
	u64 si = APIC_BASE + APIC_VERSION;

	page_map(VA, (u64)page_alloc(1), 1, 0);
	CHECK_TRAP(VEC_PF, __asm__ volatile("movsl" : : "S"(si), "D"(VA) : "memory"));
	CHECK_EQ(trap_this()->error, 3);
	CHECK_EQ(trap_this()->cr2, VA);
	CHECK_TRAP(VEC_PF, __asm__ volatile("insb" : : "D"(VA + 5), "d"(0x21) : "memory"));
	CHECK_EQ(trap_this()->cr2, VA + 5);
	write_cr0(read_cr0() & ~CR0_WP);
	CHECK_TRAP(TRAP_NONE, __asm__ volatile("movsl" : : "S"(si), "D"(VA) : "memory"));
	write_cr0(read_cr0() | CR0_WP);
	CHECK_EQ(mmio_read(VA), mmio_read(si));
	page_unmap(VA, 1);
}

TEST(translation_changes_under_emulation)
{
	u32 *a = page_alloc(1), *b = page_alloc(1);

	for (u32 i = 0; i < 50; i++) {
		u32 *p = i & 1 ? a : b;
		u64 si = APIC_BASE + APIC_VERSION, di = VA;

		page_map(VA, (u64)p, 1, PTE_W);
		p[0] = 0;
		__asm__ volatile("movsl" : "+S"(si), "+D"(di) : : "memory");
		CHECK_EQ(p[0], mmio_read(APIC_BASE + APIC_VERSION));
	}
	page_unmap(VA, 1);
}

/*
 * Real-mode start code that turns on 32-bit paging (CR4 in EDX, CR3 in EBX from SMP_SCRATCH) and
 * reads and writes the local APIC through it. Offsets: SMP_TRAMPOLINE is where it runs.
 */
extern u8 legacy_code[], legacy_end[];
__asm__(".pushsection .text\n .code16\n"
	"legacy_code: cli\n xorw %ax, %ax\n movw %ax, %ds\n"
	"lgdtl 0x8000 + 6f - legacy_code\n"
	"movl 0x9100, %edx\n movl 0x9104, %ebx\n"
	"movl %edx, %cr4\n movl %ebx, %cr3\n"
	"movl %cr0, %eax\n orl $0x80010001, %eax\n movl %eax, %cr0\n"
	"ljmpl $8, $0x8000 + 3f - legacy_code\n"
	".code32\n 3: movl $16, %eax\n movl %eax, %ds\n movl %eax, %es\n movl %eax, %ss\n"
	"movl $0x7000, %esp\n"
	"movl 0xc0000030, %eax\n movl %eax, 0x9000\n"
	"movl $0x44556677, 0xc0000380\n addl $0x11, 0xc0000380\n"
	"movl 0xc0000380, %eax\n movl %eax, 0x9004\n movl $0, 0xc0000380\n"
	"movl $0xc0000030, %esi\n movl $0x9008, %edi\n cld\n movsl\n"
	"movl $1, %eax\n cpuid\n movl %ebx, 0x900c\n"
	"movw $0x21, %dx\n movl $0x9010, %edi\n movl $4, %ecx\n rep insb\n"
	"movl $0x600d, 0x9ffc\n"
	"1: hlt\n jmp 1b\n"
	".balign 8\n 2: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
	"6: .word 23\n .long 0x8000 + 2b - legacy_code\n"
	"legacy_end: .code64\n .popsection\n");

static void run_legacy(u32 cr4, u64 cr3)
{
	volatile u32 *d = (volatile u32 *)SMP_SCRATCH;

	memset((void *)SMP_SCRATCH, 0, 4096);
	d[0x100 / 4] = cr4;
	d[0x104 / 4] = (u32)cr3;
	smp_start_raw(1, legacy_code, (u32)(legacy_end - legacy_code));
	for (u32 i = 0; i < 10000 && d[0xffc / 4] != 0x600d; i++)
		wait_us(100);
	CHECK_EQ(d[0xffc / 4], 0x600d);
	CHECK_EQ(d[0], apic_read(APIC_VERSION));
	CHECK_EQ(d[1], 0x44556688);
	CHECK_EQ(d[2], apic_read(APIC_VERSION));
	CHECK_EQ(d[3] >> 24, boot_apic_id(1));
	CHECK_EQ(d[4], 0xffffffff); /* every line of the 8259 is masked */
}

TEST(paging_32bit)
{
	u32 *dir = page_alloc(1), *table = page_alloc(1), *low = page_alloc(1);

	SKIP_IF(boot_cpus() < 2, "one processor");
	for (u32 i = 0; i < 1024; i++)
		low[i] = i << 12 | 3;
	dir[0] = (u32)(u64)low | 3;
	dir[0xc0000000 >> 22] = (u32)(u64)table | 3;
	table[0] = (u32)APIC_BASE | 0x13;
	run_legacy(0, (u64)dir);
	CHECK_EQ(table[0] & 0x60, 0x60); /* accessed, dirty */
	/* and 4 MiB pages */
	dir[0] = 0x83;
	table[0] = (u32)APIC_BASE | 0x13;
	run_legacy(0x10, (u64)dir);
	CHECK_EQ(dir[0] & 0x60, 0x60);
}

TEST(paging_pae)
{
	u64 *pdpt = page_alloc(1), *dir = page_alloc(1);
	u64 *high = page_alloc(1), *table = page_alloc(1);

	SKIP_IF(boot_cpus() < 2, "one processor");
	pdpt[0] = (u64)dir | 1;
	pdpt[3] = (u64)high | 1;
	dir[0] = 0x83; /* 2 MiB at 0 */
	high[0] = (u64)table | 3;
	table[0] = APIC_BASE | 0x13;
	run_legacy(0x20, (u64)pdpt);
	CHECK_EQ(table[0] & 0x60, 0x60);
}
