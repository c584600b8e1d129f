/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MMIO by every instruction form that the decoder claims, each compared with the same
 * instruction on RAM. Targets: the initial count of the local APIC timer (32 bits, keeps
 * what is written) and configuration space by ECAM.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/test.h"
#include "kernel/base/bytes.h"
#include "kernel/base/str.h"
#include "tests/guest/forms.h"

#define TARGET	(APIC_BASE + APIC_TMICT)
#define LOW_VA	0x60000000ull /* the APIC's 2 MiB once more, where 32-bit offsets reach */
#define LOW	(LOW_VA + APIC_TMICT)

#define REG_LINE 0x3c /* interrupt line: a byte that keeps what is written, then the pin */
#define REG_CLS	 0x0c /* cache line size: another */

/* (%rdi) is the target, %rax %rbx %rcx %rdx the other operands. */
#define ALU(list, op, s, a)                        \
	FORM_ADD(list, op #s " %" #a ", (%rdi)");  \
	FORM_ADD(list, op #s " (%rdi), %" #a);     \
	FORM_ADD(list, op #s " $0x15, (%rdi)")

#define ALL_ALU(list, s, a, imm)                        \
	ALU(list, "add", s, a);                         \
	ALU(list, "or", s, a);                          \
	ALU(list, "adc", s, a);                         \
	ALU(list, "sbb", s, a);                         \
	ALU(list, "and", s, a);                         \
	ALU(list, "sub", s, a);                         \
	ALU(list, "xor", s, a);                         \
	ALU(list, "cmp", s, a);                         \
	FORM_ADD(list, "add" #s " $" imm ", (%rdi)");   \
	FORM_ADD(list, "sbb" #s " $" imm ", (%rdi)");   \
	FORM_ADD(list, "test" #s " %" #a ", (%rdi)");   \
	FORM_ADD(list, "test" #s " $" imm ", (%rdi)");  \
	FORM_ADD(list, "inc" #s " (%rdi)");             \
	FORM_ADD(list, "dec" #s " (%rdi)");             \
	FORM_ADD(list, "not" #s " (%rdi)");             \
	FORM_ADD(list, "neg" #s " (%rdi)");             \
	FORM_ADD(list, "xchg" #s " %" #a ", (%rdi)");   \
	FORM_ADD(list, "xadd" #s " %" #a ", (%rdi)");   \
	FORM_ADD(list, "cmpxchg" #s " %" #a ", (%rdi)"); \
	FORM_ADD(list, "mov" #s " %" #a ", (%rdi)");    \
	FORM_ADD(list, "mov" #s " (%rdi), %" #a);       \
	FORM_ADD(list, "mov" #s " $" imm ", (%rdi)");   \
	FORM_ADD(list, "lock add" #s " %" #a ", (%rdi)"); \
	FORM_ADD(list, "lock inc" #s " (%rdi)");        \
	FORM_ADD(list, "lock not" #s " (%rdi)");        \
	FORM_ADD(list, "lock xadd" #s " %" #a ", (%rdi)"); \
	FORM_ADD(list, "lock cmpxchg" #s " %" #a ", (%rdi)")

#define ALL_BIT(list, s, a)                             \
	FORM_ADD(list, "bt" #s " $3, (%rdi)");          \
	FORM_ADD(list, "bts" #s " $3, (%rdi)");         \
	FORM_ADD(list, "btr" #s " $4, (%rdi)");         \
	FORM_ADD(list, "btc" #s " $5, (%rdi)");         \
	FORM_ADD(list, "lock btc" #s " $6, (%rdi)");    \
	FORM_ADD(list, "bt" #s " %" #a ", (%rdi)");     \
	FORM_ADD(list, "bts" #s " %" #a ", (%rdi)");    \
	FORM_ADD(list, "btr" #s " %" #a ", (%rdi)");    \
	FORM_ADD(list, "btc" #s " %" #a ", (%rdi)")

FORM_LIST(forms32);
ALL_ALU(forms32, l, edx, "0x12345678");
ALL_BIT(forms32, l, ecx);
FORM_ADD(forms32, "movl %ebx, (%rdi)");
FORM_ADD(forms32, "movnti %edx, (%rdi)");
FORM_ADD(forms32, "movl (%rdi), %r9d");
FORM_ADD(forms32, "movl %r8d, (%rdi)");
FORM_ADD(forms32, "movslq (%rdi), %rdx");
FORM_ADD(forms32, "stosl");
FORM_ADD(forms32, "xchgl %esi, (%rdi)");
FORM_ADD(forms32, "cmpxchgl %ebx, (%rdi)");
FORM_ADD(forms32, "xchg %rsi, %rdi; lodsl; xchg %rsi, %rdi");
FORM_ADD(forms32, "mov $1, %rcx; xchg %rsi, %rdi; repne lodsl; xchg %rsi, %rdi");
/* addressing */
FORM_ADD(forms32, "movl %edx, 0x0(%rdi)");
FORM_ADD(forms32, "{disp32} movl %edx, (%rdi)");
FORM_ADD(forms32, "lea -0x64(%rdi), %r8; addl %edx, 0x64(%r8)");
FORM_ADD(forms32, "lea -0x12345(%rdi), %rdi; addl %edx, 0x12345(%rdi)");
FORM_ADD(forms32, "not %rcx; lea 1(%rdi, %rcx), %rdi; not %rcx; movl %edx, (%rdi, %rcx)");
FORM_ADD(forms32, "not %rcx; lea 2(%rdi, %rcx, 2), %rdi; not %rcx; movl %edx, (%rdi, %rcx, 2)");
FORM_ADD(forms32, "lea -4(%rdi), %r8; mov $1, %r9; movl %eax, (%r8, %r9, 4)");
FORM_ADD(forms32, "lea -0x88(%rdi), %r8; mov $0, %r9; movl 0x88(%r8, %r9, 8), %eax");
FORM_ADD(forms32, "mov %rdi, %r12; movl %edx, (%r12)");
FORM_ADD(forms32, "mov %rdi, %r13; movl %edx, (%r13)");
FORM_ADD(forms32, "lea -8(%rdi), %r13; mov $1, %r14; orl (%r13, %r14, 8), %eax");
FORM_ADD(forms32, "push %rbp; mov %rdi, %rbp; movl %edx, (%rbp); pop %rbp");
FORM_ADD(forms32, "mov %rsp, %r14; mov %rdi, %rsp; xorl %edx, (%rsp); mov %r14, %rsp");
FORM_ADD(forms32, "movl %edx, (%edi)");
FORM_ADD(forms32, "not %ecx; lea 1(%edi, %ecx), %edi; not %ecx; movl %edx, (%edi, %ecx)");
FORM_ADD(forms32, "ds movl %edx, (%rdi)");
FORM_ADD(forms32, ".byte 0x26; addl %edx, (%rdi)");
FORM_ADD(forms32, ".byte 0x3e, 0x2e, 0x36; subl %edx, (%rdi)");

FORM_LIST(forms8);
ALL_ALU(forms8, b, dl, "0x7b");
FORM_ADD(forms8, "movb %ah, (%rdi)");
FORM_ADD(forms8, "movb (%rdi), %bh");
FORM_ADD(forms8, "addb %ch, (%rdi)");
FORM_ADD(forms8, "xchgb %dh, (%rdi)");
FORM_ADD(forms8, "movb %sil, (%rdi)");
FORM_ADD(forms8, "movb (%rdi), %r8b");
FORM_ADD(forms8, "movzbl (%rdi), %edx");
FORM_ADD(forms8, "movzbq (%rdi), %rdx");
FORM_ADD(forms8, "movzbw (%rdi), %dx");
FORM_ADD(forms8, "movsbl (%rdi), %edx");
FORM_ADD(forms8, "movsbq (%rdi), %rdx");
FORM_ADD(forms8, "movsbw (%rdi), %dx");
FORM_ADD(forms8, "stosb");
FORM_ADD(forms8, "xchg %rsi, %rdi; lodsb; xchg %rsi, %rdi");

FORM_LIST(forms16);
ALL_ALU(forms16, w, dx, "0x1b");
FORM_ADD(forms16, "btw $3, (%rdi)");
FORM_ADD(forms16, "btsw $1, (%rdi)");
FORM_ADD(forms16, "movzwl (%rdi), %edx");
FORM_ADD(forms16, "movzwq (%rdi), %rdx");
FORM_ADD(forms16, "movswl (%rdi), %edx");
FORM_ADD(forms16, "movswq (%rdi), %rdx");
FORM_ADD(forms16, "stosw");
FORM_ADD(forms16, "xchg %rsi, %rdi; lodsw; xchg %rsi, %rdi");
FORM_ADD(forms16, "pushw (%rdi); popw %ax");

FORM_LIST(forms64);
ALL_ALU(forms64, q, rdx, "-0x1234567");
FORM_ADD(forms64, "btcq $34, (%rdi)");
FORM_ADD(forms64, "movnti %rdx, (%rdi)");
FORM_ADD(forms64, "stosq");
FORM_ADD(forms64, "xchg %rsi, %rdi; lodsq; xchg %rsi, %rdi");
FORM_ADD(forms64, "push (%rdi); pop %rax");
FORM_ADD(forms64, "push %rdx; pop (%rdi)");

static u64 ram[4] ALIGNED(32);
static u64 ecam;

#define ROUNDS 12 /* the first four with values of choice, then at random */

static u64 seed;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* The same values for the same round: RAM and device get equal ones. */
static u32 initial_value(u32 round)
{
	static const u32 initial[] = { 0x40302010, 0xffffffff, 0x00000001, 0x80000000 };

	seed = 0x9e3779b97f4a7c15 * (round + 1);
	return round < 4 ? initial[round] : (u32)rnd();
}

static void set_regs(struct form_regs *r, u64 rdi, u32 round)
{
	static const u64 rdx[] = { 0x1122334455667788, 0xffffffffffffffff, 0, 0x80000000 };

	*r = (struct form_regs){ .rax = 0x8070605040302010, .rbx = 0x99aabbccddeeff0f, .rcx = 12,
				 .rdx = rdx[round % 4], .rsi = 0x5a5a5a5a5a5a5aa5, .rdi = rdi,
				 .r8 = 0x0f0e0d0c0b0a0908, .r9 = 77, .rflags = 2 | (round & 1) };
	if (round < 4)
		return;
	seed = 0x9e3779b97f4a7c15 * (round + 1);
	r->rax = rnd(); /* the target's value in every other round: CMPXCHG succeeds */
	if (round & 1)
		r->rax = rnd();
	r->rbx = rnd();
	r->rcx = rnd() & 31;
	r->rdx = rnd();
	r->rsi = rnd();
	r->rflags = 2 | (rnd() & FORM_FLAGS);
}

static void same_regs(const char *text, const struct form_regs *a, const struct form_regs *b)
{
	test_check_eq(b->rax, a->rax, text, 1);
	test_check_eq(b->rbx, a->rbx, text, 2);
	test_check_eq(b->rcx, a->rcx, text, 3);
	test_check_eq(b->rdx, a->rdx, text, 4);
	test_check_eq(b->rsi, a->rsi, text, 5);
	test_check_eq(b->r9, a->r9, text, 6);
	test_check_eq(b->rflags & FORM_FLAGS, a->rflags & FORM_FLAGS, text, 7);
}

static void compare32(const struct form *f, u32 round)
{
	struct form_regs a, b;

	ram[0] = initial_value(round);
	ram[1] = 0;
	set_regs(&a, (u64)ram, round);
	form_run(f->code, &a);
	mmio_write(TARGET, initial_value(round));
	set_regs(&b, TARGET, round);
	form_run(f->code, &b);
	test_check_eq(mmio_read(TARGET), (u32)ram[0], f->text, 0);
	test_check_eq(b.rdi - TARGET, a.rdi - (u64)ram, f->text, 8);
	a.r8 = b.r8 = 0; /* forms that use it hold an address */
	same_regs(f->text, &a, &b);
}

TEST(dword_forms)
{
	apic_write(APIC_LVT_TMR, APIC_LVT_MASKED);
	for (const struct form *f = __start_forms32; f < __stop_forms32; f++)
		for (u32 round = 0; round < ROUNDS; round++)
			compare32(f, round);
	apic_write(APIC_TMICT, 0);
}

/* Configuration space of the host bridge: only byte `keeps` of the operand keeps writes. */
static void compare_cfg(const struct form *f, u64 reg, u32 keeps, u32 round)
{
	volatile u8 *dev = (volatile u8 *)(ecam + reg);
	struct form_regs a, b;

	dev[keeps] = (u8)(initial_value(round) >> 8 * (round & 3));
	for (u32 i = 0; i < 8; i++)
		((u8 *)ram)[i] = dev[i];
	set_regs(&a, (u64)ram, round);
	set_regs(&b, ecam + reg, round);
	form_run(f->code, &a);
	form_run(f->code, &b);
	test_check_eq(dev[keeps], ((u8 *)ram)[keeps], f->text, 0);
	test_check_eq(b.rdi - (ecam + reg), a.rdi - (u64)ram, f->text, 8);
	same_regs(f->text, &a, &b);
}

static bool find_ecam(void)
{
	const u8 *mcfg = boot_acpi("MCFG");

	ecam = mcfg ? get_le64(mcfg + 44) : 0;
	return ecam != 0;
}

TEST(byte_forms)
{
	SKIP_IF(!find_ecam(), "no MCFG");
	for (const struct form *f = __start_forms8; f < __stop_forms8; f++)
		for (u32 round = 0; round < ROUNDS; round++)
			compare_cfg(f, REG_LINE, 0, round);
}

TEST(word_forms)
{
	SKIP_IF(!find_ecam(), "no MCFG");
	for (const struct form *f = __start_forms16; f < __stop_forms16; f++)
		for (u32 round = 0; round < ROUNDS; round++)
			compare_cfg(f, REG_LINE, 0, round);
}

TEST(qword_forms)
{
	SKIP_IF(!find_ecam(), "no MCFG");
	for (const struct form *f = __start_forms64; f < __stop_forms64; f++)
		for (u32 round = 0; round < ROUNDS; round++)
			compare_cfg(f, REG_CLS - 4, 4, round);
}

/* OP /r with a RIP-relative operand at LOW and a 32-bit immediate behind it, then RET. */
static void run_relative(u16 opcode_modrm, u32 imm)
{
	static u8 code[16];
	struct form_regs r = { .rflags = 2 };

	put_le16(code, opcode_modrm);
	put_le32(code + 2, (u32)(LOW - (u64)(code + 10)));
	put_le32(code + 6, imm);
	code[10] = 0xc3;
	form_run(code, &r);
}

TEST(absolute_and_rip_relative)
{
	u32 v;

	page_map(LOW_VA, APIC_BASE, 2, PTE_W | PTE_PCD);
	mmio_write(TARGET, 0x11223344);
	__asm__ volatile("movl %c1, %0" : "=r"(v) : "i"(LOW));
	CHECK_EQ(v, 0x11223344);
	run_relative(0x05c7, 0x55667788); /* mov */
	CHECK_EQ(mmio_read(TARGET), 0x55667788);
	run_relative(0x0581, 0x11111111); /* add */
	CHECK_EQ(mmio_read(TARGET), 0x66778899);
	__asm__ volatile("movabs %%eax, 0xfee00380" : : "a"(0x1234abcd) : "memory");
	CHECK_EQ(mmio_read(TARGET), 0x1234abcd);
	__asm__ volatile("movabs 0xfee00380, %%eax" : "=a"(v));
	CHECK_EQ(v, 0x1234abcd);
	__asm__ volatile("addr32 movl %%ds:%c1, %%eax" : "=a"(v) : "i"(LOW));
	CHECK_EQ(v, 0x1234abcd);
	apic_write(APIC_TMICT, 0);
}

TEST(fs_gs_override)
{
	u32 v;

	wrmsr(MSR_FS_BASE, APIC_BASE);
	wrmsr(MSR_GS_BASE, APIC_BASE - 0x1000);
	__asm__ volatile("movl %0, %%fs:%c1" : : "r"(0x01020304), "i"(APIC_TMICT) : "memory");
	CHECK_EQ(mmio_read(TARGET), 0x01020304);
	__asm__ volatile("movl %%gs:(%1), %0" : "=r"(v) : "r"(0x1000ull + APIC_TMICT));
	CHECK_EQ(v, 0x01020304);
	__asm__ volatile("orl $0xf0, %%gs:(%0)" : : "r"(0x1000ull + APIC_TMICT) : "memory");
	CHECK_EQ(mmio_read(TARGET), 0x010203f4);
	wrmsr(MSR_FS_BASE, 0);
	wrmsr(MSR_GS_BASE, 0);
	apic_write(APIC_TMICT, 0);
}

static u32 header[16];

static void read_header(void)
{
	for (u32 i = 0; i < 16; i++)
		header[i] = mmio_read(ecam + 4 * i);
}

TEST(rep_movs_from_device)
{
	u8 copy[64];
	void *d = copy;
	u64 s, c = 16;

	SKIP_IF(!find_ecam(), "no MCFG");
	read_header();
	s = ecam;
	__asm__ volatile("rep movsl" : "+D"(d), "+S"(s), "+c"(c) : : "memory");
	CHECK_EQ(memcmp(copy, header, 64), 0);
	CHECK_EQ(s, ecam + 64);
	CHECK_EQ(c, 0);
	memset(copy, 0, 64);
	d = copy + 63;
	s = ecam + 63;
	c = 64;
	__asm__ volatile("std; rep movsb; cld" : "+D"(d), "+S"(s), "+c"(c) : : "memory");
	CHECK_EQ(memcmp(copy, header, 64), 0);
	CHECK_EQ(s, ecam - 1);
	d = copy;
	s = ecam;
	c = 8;
	memset(copy, 0, 64);
	__asm__ volatile("rep movsq" : "+D"(d), "+S"(s), "+c"(c) : : "memory");
	CHECK_EQ(memcmp(copy, header, 64), 0);
}

TEST(rep_movs_to_device)
{
	u32 v = 0xa1b2c3d4;
	const void *s = &v;
	u64 d = TARGET, c = 1;

	__asm__ volatile("rep movsl" : "+D"(d), "+S"(s), "+c"(c) : : "memory");
	CHECK_EQ(mmio_read(TARGET), v);
	CHECK_EQ(d, TARGET + 4);
	CHECK(s == &v + 1);
	/* from device to device */
	v = mmio_read(APIC_BASE + APIC_VERSION);
	d = TARGET;
	c = APIC_BASE + APIC_VERSION;
	__asm__ volatile("movsl" : "+D"(d), "+S"(c) : : "memory");
	CHECK_EQ(mmio_read(TARGET), v);
	apic_write(APIC_TMICT, 0);
}

TEST(rep_stos_and_lods)
{
	u64 d, c = 3, a = 0x42;

	SKIP_IF(!find_ecam(), "no MCFG");
	mmio_write(ecam + REG_LINE, 0);
	d = ecam + REG_LINE + 2;
	__asm__ volatile("std; rep stosb; cld" : "+D"(d), "+c"(c) : "a"(a) : "memory");
	CHECK_EQ(*(volatile u8 *)(ecam + REG_LINE), 0x42);
	CHECK_EQ(d, ecam + REG_LINE - 1);
	d = ecam + REG_LINE - 4;
	c = 2;
	__asm__ volatile("rep lodsl" : "+S"(d), "+c"(c), "=a"(a));
	CHECK_EQ(a, mmio_read(ecam + REG_LINE));
	CHECK_EQ(c, 0);
	/* RAX keeps its upper half with a count of zero */
	a = ~0ull;
	__asm__ volatile("rep lodsl" : "+S"(d), "+c"(c), "+a"(a));
	CHECK_EQ(a, ~0ull);
}

/* The second page of the destination is not there: what came before it has been done. */
TEST(rep_movs_faults_midway)
{
	u8 *p = page_alloc(1);
	struct form_regs r;

	SKIP_IF(!find_ecam(), "no MCFG");
	read_header();
	page_map(PAGE_TEST_VA, (u64)p, 1, PTE_W);
	set_regs(&r, PAGE_TEST_VA + 4096 - 16, 0);
	CHECK_TRAP(VEC_PF, __asm__ volatile("rep movsl"
					    :
					    : "D"(PAGE_TEST_VA + 4096 - 16), "S"(ecam), "c"(16)
					    : "memory"));
	CHECK_EQ(trap_this()->cr2, PAGE_TEST_VA + 4096);
	CHECK_EQ(trap_this()->error, 2);
	CHECK_EQ(memcmp(p + 4096 - 16, header, 16), 0);
	page_unmap(PAGE_TEST_VA, 1);
}

TEST(write_protected_source_and_target)
{
	/* a device page mapped read-only: the CPU's own check comes first */
	page_map(PAGE_TEST_VA, APIC_BASE, 1, PTE_PCD);
	CHECK_EQ(mmio_read(PAGE_TEST_VA + APIC_VERSION), mmio_read(APIC_BASE + APIC_VERSION));
	CHECK_TRAP(VEC_PF, mmio_write(PAGE_TEST_VA + APIC_TMICT, 1));
	CHECK_EQ(trap_this()->error, 3);
	CHECK_TRAP(VEC_PF, __asm__ volatile("lock addl $1, (%0)" : : "r"(PAGE_TEST_VA + APIC_TMICT)
					    : "memory"));
	CHECK_TRAP(VEC_PF, __asm__ volatile("movsl" : : "S"(APIC_BASE + APIC_VERSION),
					    "D"(PAGE_TEST_VA + APIC_TMICT) : "memory"));
	CHECK_EQ(trap_this()->cr2, PAGE_TEST_VA + APIC_TMICT);
	CHECK_EQ(mmio_read(TARGET), 0);
	page_unmap(PAGE_TEST_VA, 1);
}

TEST(absent_memory_reads_ones)
{
	/* between the windows nothing answers */
	u64 pa = 0xfed80000;

	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG reads zero");
	CHECK_EQ(mmio_read(pa), 0xffffffff);
	mmio_write(pa, 0x12345678);
	CHECK_EQ(mmio_read(pa), 0xffffffff);
	CHECK_EQ(*(volatile u64 *)pa, ~0ull);
	CHECK_EQ(*(volatile u8 *)(pa + 3), 0xff);
}

TEST(across_the_page_end)
{
	/* RAM page, then a device page: the access touches both */
	u8 *p = page_alloc(1);
	u64 va = PAGE_TEST_VA + 4096;
	u64 v;

	SKIP_IF(boot_platform() == PLATFORM_TCG, "TCG reads zero");
	page_map(PAGE_TEST_VA, (u64)p, 1, PTE_W);
	page_map(va, 0xfed80000, 1, PTE_W | PTE_PCD);
	memset(p + 4088, 0x21, 8);
	v = *(volatile u64 *)(va - 4);
	CHECK_EQ(v & 0xffffffff, 0x21212121);
	CHECK_EQ(v >> 32, 0xffffffff);
	*(volatile u64 *)(va - 4) = 0x4433221104030201;
	CHECK_EQ(get_le32(p + 4092), 0x04030201);
	page_unmap(PAGE_TEST_VA, 1);
	page_unmap(va, 1);
}

TEST(trap_flag_over_mmio)
{
	/* single step: #DB comes behind the emulated instruction as behind any other */
	u64 before = read_rflags() | RFLAGS_TF;
	int v = TRAP_OF(__asm__ volatile("push %0; popfq; movl $5, (%1); nop; nop"
					 : : "r"(before), "r"(TARGET) : "memory"));

	CHECK_EQ(v, VEC_DB);
	CHECK_EQ(mmio_read(TARGET), 5);
	mmio_write(TARGET, 0);
}
