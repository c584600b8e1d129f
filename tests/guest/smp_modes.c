/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other CPUs: start, restart, and code in real mode, 16-bit and 32-bit protected mode with
 * ports, CPUID, MSRs, MMIO, interrupts and segment arithmetic in each.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "kernel/base/atomic.h"
#include "kernel/base/str.h"

static u32 ran;

static void count(void *arg)
{
	(void)arg;
	atomic_add(&ran, 1);
}

TEST(start_and_restart)
{
	SKIP_IF(boot_cpus() < 2, "one processor");
	for (u32 i = 0; i < 20; i++)
		for (u32 c = 1; c < boot_cpus(); c++) {
			CHECK(smp_start(c, count, NULL));
			CHECK(smp_wait(c, 1000));
		}
	CHECK_EQ(ran, 20 * (boot_cpus() - 1));
}

static void spin(void *arg)
{
	(void)arg;
	for (;;)
		atomic_add(&ran, 1);
}

/* INIT stops a CPU that runs; without SIPI it stays quiet; a second SIPI is ignored. */
TEST(init_stops)
{
	u32 before;

	SKIP_IF(boot_cpus() < 2, "one processor");
	CHECK(smp_start(1, spin, NULL));
	wait_us(1000);
	before = atomic_load_acquire(&ran);
	wait_us(20000);
	CHECK(atomic_load_acquire(&ran) != before);
	apic_icr(boot_apic_id(1), ICR_INIT | ICR_ASSERT);
	wait_us(20000);
	before = atomic_load_acquire(&ran);
	wait_us(20000);
	CHECK_EQ(atomic_load_acquire(&ran), before);
	CHECK(smp_start(1, count, NULL));
	CHECK(smp_wait(1, 1000));
	before = atomic_load_acquire(&ran);
	apic_icr(boot_apic_id(1), ICR_SIPI | ICR_ASSERT | SMP_TRAMPOLINE >> 12);
	wait_us(20000);
	CHECK_EQ(atomic_load_acquire(&ran), before);
}

/*
 * Snippets of real-mode code: started by SIPI at SMP_TRAMPOLINE, CS base there, IP 0; results
 * are words at SMP_SCRATCH, the last one a mark of completion.
 */
#define REAL(name, text)                                                                  \
	extern u8 name##_code[], name##_end[];                                            \
	__asm__(".pushsection .text\n .code16\n" #name "_code:\n"                         \
		" cli\n xorw %ax, %ax\n movw %ax, %ds\n movw %ax, %es\n"                  \
		" movw %ax, %ss\n movw $0x7000, %sp\n" text                               \
		"\n xorw %ax, %ax\n movw %ax, %ds\n movw $0x600d, 0x9ffe\n 1: hlt\n jmp " \
		"1b\n" #name "_end:\n .code64\n .popsection\n")

static volatile u16 *scratch = (u16 *)SMP_SCRATCH;

static bool run_real(const u8 *code, const u8 *end)
{
	memset((void *)SMP_SCRATCH, 0, 4096);
	smp_start_raw(1, code, (u32)(end - code));
	for (u32 i = 0; i < 10000; i++) {
		if (scratch[0xffe / 2] == 0x600d)
			return true;
		wait_us(100);
	}
	return false;
}

#define RUN_REAL(name) run_real(name##_code, name##_end)

REAL(real_basic, "movw %cs, %ax\n movw %ax, 0x9000\n"
		 "call 2f\n 2: popw %ax\n movw %ax, 0x9002\n"
		 "smsw %ax\n movw %ax, 0x9004\n"
		 "movw $0xffff, %ax\n movw %ax, %es\n" /* base FFFF0 */
		 "movw $0x9000 - 0xfff0 + 0x10, %bx\n"
		 "movw $0x1234, 0x9006\n");

TEST(real_mode_state)
{
	SKIP_IF(boot_cpus() < 2, "one processor");
	CHECK(RUN_REAL(real_basic));
	CHECK_EQ(scratch[0], SMP_TRAMPOLINE >> 4);
	CHECK(scratch[1] < 0x100);
	CHECK_EQ(scratch[2] & 1, 0);
	CHECK_EQ(scratch[3], 0x1234);
}

REAL(real_io,
     "movw $0x3ff, %dx\n movb $0x5a, %al\n outb %al, %dx\n inb %dx, %al\n movb %al, 0x9000\n"
     "movl $0x80000000, %eax\n movw $0xcf8, %dx\n outl %eax, %dx\n inl %dx, %eax\n"
     "movl %eax, 0x9004\n"
     "movw $0x9010, %di\n movw $4, %cx\n movw $0x3ff, %dx\n cld\n rep insb\n"
     "movw $0x900, %ax\n movw %ax, %es\n movw $0x20, %di\n movw $2, %cx\n rep insb\n"
     "movw %ax, %fs\n xorw %si, %si\n movb $0x77, 0x9000\n fs outsb\n inb %dx, %al\n"
     "movb %al, 0x9030\n movw %di, 0x9032\n");

TEST(real_mode_ports)
{
	const u8 *b = (const u8 *)SMP_SCRATCH;

	SKIP_IF(boot_cpus() < 2, "one processor");
	CHECK(RUN_REAL(real_io));
	CHECK_EQ(*(volatile u32 *)(SMP_SCRATCH + 4), 0x80000000);
	CHECK_EQ(b[0x10] | b[0x13] << 8 | b[0x14] << 16, 0x5a5a);
	CHECK_EQ(b[0x20] | b[0x21] << 8 | b[0x22] << 16, 0x5a5a);
	CHECK_EQ(b[0x30], 0x77);
	CHECK_EQ(scratch[0x32 / 2], 0x22);
}

REAL(real_exits,
     "movl $1, %eax\n cpuid\n movl %ebx, 0x9000\n"
     "movl $0x1b, %ecx\n rdmsr\n movl %eax, 0x9004\n"
     "movl $0xc0000081, %ecx\n movl $0x55, %eax\n movl $0x66, %edx\n wrmsr\n"
     "xorl %eax, %eax\n xorl %edx, %edx\n rdmsr\n movl %eax, 0x9008\n movl %edx, 0x900c\n"
     "rdtsc\n movl %eax, 0x9010\n pause\n wbinvd\n"
     "movl %cr0, %eax\n movl %eax, 0x9014\n");

TEST(real_mode_exits)
{
	volatile u32 *d = (volatile u32 *)SMP_SCRATCH;

	SKIP_IF(boot_cpus() < 2, "one processor");
	CHECK(RUN_REAL(real_exits));
	CHECK_EQ(d[0] >> 24, boot_apic_id(1));
	CHECK_EQ(d[1] & 0xfffff900, 0xfee00800); /* not the boot processor */
	CHECK_EQ(d[2], 0x55);
	CHECK_EQ(d[3], 0x66);
	CHECK(d[4] != 0);
	CHECK_EQ(d[5] & 0x80000001, 0);
}

/* Interrupts through the real-mode table; the handlers at the trampoline. */
REAL(real_ints, "movw $3f - real_ints_code, 0x180\n movw %cs, %ax\n movw %ax, 0x182\n" /* INT 60h */
		"movw $4f - real_ints_code, 0x18\n movw %ax, 0x1a\n" /* #UD */
		"movw $4f - real_ints_code, 0x34\n movw %ax, 0x36\n" /* #GP */
		"movw $3f - real_ints_code, 0x0c\n movw %ax, 0x0e\n" /* INT3 */
		"movw $3f - real_ints_code, 0x10\n movw %ax, 0x12\n" /* INTO */
		"int $0x60\n int3\n movb $0x7f, %al\n addb $1, %al\n into\n ud2\n"
		"movl $0x12345, %ecx\n rdmsr\n"
		"jmp 5f\n"
		"3: incw 0x9000\n iret\n"
		"4: incw 0x9002\n movw %sp, %bp\n addw $2, (%bp)\n iret\n"
		"5: movw %sp, 0x9004\n");

TEST(real_mode_interrupts)
{
	SKIP_IF(boot_cpus() < 2, "one processor");
	CHECK(RUN_REAL(real_ints));
	CHECK_EQ(scratch[0], 3);
	CHECK_EQ(scratch[1], boot_platform() == PLATFORM_TCG ? 1 : 2); /* TCG: RDMSR is no #GP */
	CHECK_EQ(scratch[2], 0x7000);
}

/* Give DS 4 GiB in real mode; label 5 holds the table. */
#define UNREAL(code)                                                                        \
	"lgdtl 0x8000 + 6f - " code "\n movl %cr0, %eax\n orb $1, %al\n movl %eax, %cr0\n"  \
	"movw $8, %bx\n movw %bx, %ds\n andb $0xfe, %al\n movl %eax, %cr0\n"
#define UNREAL_TABLE(code)                                                                       \
	"jmp 7f\n .balign 8\n 5: .quad 0, 0x00cf93000000ffff\n 6: .word 15\n .long 0x8000 + 5b " \
	"- " code "\n 7:\n"

/* An IPI wakes a real-mode CPU from HLT. INIT turned its APIC off. */
REAL(real_wake, UNREAL("real_wake_code") "movl $0xfee000f0, %ebx\n movl $0x1ff, (%ebx)\n"
					 "movw $3f - real_wake_code, 0x184\n movw %cs, %ax\n movw "
					 "%ax, 0x186\n" /* vector 61h */
					 "movw $1, 0x9000\n sti\n hlt\n cli\n jmp 4f\n"
					 "3: incw 0x9002\n iret\n"
					 "4:\n" UNREAL_TABLE("real_wake_code"));

TEST(real_mode_ipi)
{
	SKIP_IF(boot_cpus() < 2, "one processor");
	memset((void *)SMP_SCRATCH, 0, 4096);
	smp_start_raw(1, real_wake_code, (u32)(real_wake_end - real_wake_code));
	for (u32 i = 0; i < 10000 && !scratch[0]; i++)
		wait_us(100);
	CHECK_EQ(scratch[0], 1);
	wait_us(5000);
	apic_icr(boot_apic_id(1), ICR_FIXED | ICR_ASSERT | 0x61);
	for (u32 i = 0; i < 10000 && scratch[0xffe / 2] != 0x600d; i++)
		wait_us(100);
	CHECK_EQ(scratch[1], 1);
	CHECK_EQ(scratch[0xffe / 2], 0x600d);
}

/* Flat 32-bit data segment in real mode: MMIO with 16-bit code and 32-bit addresses. */
/* clang-format off */
REAL(real_big, UNREAL("real_big_code")
	       "movl $0xfee00030, %ebx\n movl (%ebx), %ecx\n" /* APIC version */
	       "movl $0x1234567, %edx\n movl $0xfee00380, %ebx\n movl %edx, (%ebx)\n"
	       "addl $0x11, (%ebx)\n movl (%ebx), %edx\n movl $0, (%ebx)\n"
	       "xorw %ax, %ax\n movw %ax, %ds\n movl %ecx, 0x9000\n movl %edx, 0x9004\n"
	       UNREAL_TABLE("real_big_code"));
/* clang-format on */

TEST(unreal_mode_mmio)
{
	volatile u32 *d = (volatile u32 *)SMP_SCRATCH;

	SKIP_IF(boot_cpus() < 2, "one processor");
	CHECK(RUN_REAL(real_big));
	CHECK_EQ(d[0], apic_read(APIC_VERSION));
	CHECK_EQ(d[1], 0x1234578);
}

/* 32-bit and 16-bit protected mode without paging. */
REAL(prot,
     "lgdtl 0x8000 + 6f - prot_code\n movl %cr0, %eax\n orb $1, %al\n movl %eax, %cr0\n"
     "ljmpl $8, $0x8000 + 3f - prot_code\n"
     ".code32\n 3: movl $16, %eax\n movl %eax, %ds\n movl %eax, %es\n movl %eax, %ss\n movl "
     "$0x7000, %esp\n"
     "movl 0xfee00030, %eax\n movl %eax, 0x9000\n"
     "movl $0xfee00380, %edi\n movl $0x7654321, (%edi)\n lock xaddl %edi, (%edi)\n movl %edi, "
     "0x9004\n"
     "movl $0xfee00380, %edi\n subl 0xfee00380, %edi\n movl %edi, 0x9008\n movl $0, 0xfee00380\n"
     "movl $0xfee00030, %esi\n movl $0x900c, %edi\n cld\n movsl\n" /* device to RAM */
     "pushl 0xfee00030\n popl 0x9010\n"
     "movw $0xcf8, %dx\n movl $0x80001100, 0x9014\n movl $0x9014, %esi\n outsl\n inl %dx, %eax\n"
     "movl %eax, 0x9018\n movl %cr0, %eax\n movl %eax, 0x901c\n"
     "ljmp $24, $0x8000 + 4f - prot_code\n"
     ".code16\n 4: movl $0xfee00030, %ebx\n movl (%ebx), %eax\n movl %eax, 0x9020\n"
     "movl $0xfee00038, %ebx\n movl -8(%ebx), %eax\n movl %eax, 0x9024\n"
     "movl %cr0, %eax\n andb $0xfe, %al\n movl %eax, %cr0\n ljmp $0x800, $5f - prot_code\n"
     "5: jmp 7f\n"
     ".balign 8\n 2: .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x008f9b000000ffff\n"
     "6: .word 31\n .long 0x8000 + 2b - prot_code\n 7:\n");

TEST(protected_modes)
{
	volatile u32 *d = (volatile u32 *)SMP_SCRATCH;
	u32 version = apic_read(APIC_VERSION);

	SKIP_IF(boot_cpus() < 2, "one processor");
	CHECK(RUN_REAL(prot));
	CHECK_EQ(d[0], version);
	CHECK_EQ(d[1], 0x7654321);
	CHECK_EQ(d[2], 0xfee00380 - (u32)(0x7654321 + 0xfee00380));
	CHECK_EQ(d[3], version);
	CHECK_EQ(d[4], version);
	CHECK_EQ(d[6], 0x80001100);
	CHECK_EQ(d[7] & 0x80000001, 1);
	CHECK_EQ(d[8], version);
	CHECK_EQ(d[9], version);
}

/* A CPU in real mode with a bad interrupt table entry, then restarted: nothing sticks. */
TEST(afterwards_64bit_again)
{
	u32 before = atomic_load_acquire(&ran);

	SKIP_IF(boot_cpus() < 2, "one processor");
	CHECK(smp_start(1, count, NULL));
	CHECK(smp_wait(1, 1000));
	CHECK_EQ(atomic_load_acquire(&ran), before + 1);
}
