/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions and software interrupts through the IDT, interrupt shadows, single step, faults
 * while an event is delivered, double fault, NMI.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "kernel/base/atomic.h"
#include "kernel/base/str.h"

#define VECTOR 0x61
#define FRESH  0x800000ull /* and above: nobody's */

static volatile u64 seen_rip, seen_error;
static volatile u32 seen;

static void note(struct trap_frame *f)
{
	seen_rip = f->rip;
	seen_error = f->error;
	seen++;
}

TEST(faults)
{
	CHECK_TRAP(VEC_UD, __asm__ volatile("ud2"));
	CHECK_TRAP(VEC_DE, __asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx"
					    :
					    : "a"(1), "d"(0)
					    : "ecx"));
	CHECK_TRAP(VEC_GP, __asm__ volatile("movw %w0, %%ds" : : "r"(0x7777)));
	CHECK_EQ(trap_this()->error, 0x7774);
	CHECK_TRAP(VEC_PF, *(volatile u32 *)PAGE_TEST_VA = 1);
	CHECK_EQ(trap_this()->error, 2);
	CHECK_EQ(trap_this()->cr2, PAGE_TEST_VA);
	CHECK_TRAP(VEC_GP, *(volatile u32 *)(1ull << 55));
}

TEST(int3_and_int_n)
{
	u64 after;

	seen = 0;
	trap_set(VEC_BP, note);
	trap_set(0x80, note);
	__asm__ volatile("int3; 1: lea 1b(%%rip), %0" : "=r"(after) : : "memory");
	CHECK_EQ(seen, 1);
	CHECK_EQ(seen_rip, after);
	__asm__ volatile("int $3; 1: lea 1b(%%rip), %0" : "=r"(after) : : "memory");
	CHECK_EQ(seen_rip, after);
	__asm__ volatile("int $0x80; 1: lea 1b(%%rip), %0" : "=r"(after) : : "memory");
	CHECK_EQ(seen, 3);
	CHECK_EQ(seen_rip, after);
	trap_set(VEC_BP, NULL);
	if (!boot_lax_cpu()) /* INTO: not in 64-bit code */
		CHECK_TRAP(VEC_UD, __asm__ volatile(".byte 0xce"));
}

TEST(icebp)
{
	seen = 0;
	trap_set(VEC_DB, note);
	__asm__ volatile(".byte 0xf1" : : : "memory");
	trap_set(VEC_DB, NULL);
	CHECK_EQ(seen, 1);
}

static u32 steps;
static u64 step_rip[16];

static void step(struct trap_frame *f)
{
	if (steps < ARRAY_SIZE(step_rip))
		step_rip[steps] = f->rip;
	steps++;
}

/* #DB behind each instruction, exiting ones included. */
TEST(single_step)
{
	u64 first;

	trap_set(VEC_DB, step);
	steps = 0;
	__asm__ volatile(
		"pushfq; orl $0x100, (%%rsp); popfq;"
		"1: nop; 2: cpuid; 3: nop; 4: inb $0x21, %%al; 5: pushfq; andl $~0x100, (%%rsp);"
		"popfq; lea 2b(%%rip), %0"
		: "=r"(first)
		: "a"(0)
		: "rbx", "rcx", "rdx", "memory");
	trap_set(VEC_DB, NULL);
	write_dr6(0);
	/* behind: nop, cpuid, nop, in, pushf, and, popf (TF was set when it began) */
	CHECK_EQ(steps, 7);
	CHECK_EQ(step_rip[0], first);
	CHECK_EQ(step_rip[1], first + 2);
	CHECK_EQ(step_rip[2], first + 3);
	CHECK_EQ(step_rip[3], first + 5);
}

TEST(sti_shadow)
{
	u64 rip, at;

	trap_set(VECTOR, note);
	apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | VECTOR);
	wait_us(10);
	seen = 0;
	__asm__ volatile("sti; 1: nop; 2: nop; nop; cli; lea 2b(%%rip), %0"
			 : "=r"(at)
			 :
			 : "memory");
	rip = seen_rip;
	CHECK_EQ(seen, 1);
	CHECK_EQ(rip, at); /* behind the instruction that follows STI */
	apic_eoi();
	/* STI; CLI never opens a window */
	apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | VECTOR);
	wait_us(10);
	seen = 0;
	__asm__ volatile("sti; cli; nop" : : : "memory");
	CHECK_EQ(seen, 0);
	/* the exiting instruction in the shadow */
	__asm__ volatile("sti; cpuid; 2: nop; cli; lea 2b(%%rip), %0" : "=r"(at) : "a"(0)
			 : "rbx", "rcx", "rdx", "memory");
	CHECK_EQ(seen, 1);
	CHECK_EQ(seen_rip, at);
	apic_eoi();
	trap_set(VECTOR, NULL);
}

TEST(mov_ss_shadow)
{
	u64 at;

	trap_set(VECTOR, note);
	apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | VECTOR);
	wait_us(10);
	seen = 0;
	/* Two shadows in a row: STI's, then MOV SS's. */
	__asm__ volatile(
		"movl %%ss, %%eax; sti; movl %%eax, %%ss; nop; 2: nop; cli; lea 2b(%%rip), %0"
		: "=r"(at)
		:
		: "eax", "memory");
	CHECK_EQ(seen, 1);
	CHECK(seen_rip == at || seen_rip == at - 1); /* shadows may or may not add up */
	apic_eoi();
	trap_set(VECTOR, NULL);
}

TEST(interrupt_window)
{
	trap_set(VECTOR, trap_count_apic);
	trap_clear();
	for (u32 i = 0; i < 100; i++) {
		apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | VECTOR);
		CHECK_EQ(trap_counted(VECTOR), i);
		CHECK(trap_wait(VECTOR, i + 1, 1000));
	}
	/* POPF and IRET open the window as well */
	apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | VECTOR);
	write_rflags(read_rflags() | RFLAGS_IF);
	for (u32 i = 0; i < 100; i++)
		pause();
	cli();
	CHECK_EQ(trap_counted(VECTOR), 101);
	trap_set(VECTOR, NULL);
}

TEST(halt_wakes)
{
	u64 at;

	trap_set(VECTOR, note);
	seen = 0;
	apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | VECTOR);
	__asm__ volatile("sti; hlt; 1: cli; lea 1b(%%rip), %0" : "=r"(at) : : "memory");
	CHECK_EQ(seen, 1);
	CHECK_EQ(seen_rip, at);
	apic_eoi();
	trap_set(VECTOR, NULL);
}

/* ---- events whose delivery faults ------------------------------------------------------ */

static struct idt_gate *far_idt; /* in a page that can be taken away */
static u64 far_idt_va = PAGE_TEST_VA + 0x200000;

static void idt_at(u64 base)
{
	struct desc_ptr p = { 4095, base };

	__asm__ volatile("lidt %0" : : "m"(p));
}

static void idt_back(void)
{
	struct desc_ptr p = trap_idt_ptr();

	__asm__ volatile("lidt %0" : : "m"(p));
}

/* The gate of the interrupt is not present: #NP with the vector in its error code. */
TEST(gate_not_present)
{
	struct desc_ptr p = trap_idt_ptr();

	far_idt = page_alloc(1);
	memcpy(far_idt, (void *)p.base, 4096);
	far_idt[0x80].type = 0x0e;
	idt_at((u64)far_idt);
	CHECK_TRAP(VEC_NP, __asm__ volatile("int $0x80"));
	CHECK_EQ(trap_this()->error, 0x80 << 3 | 2);
	far_idt[0x80].type = 0x8e;
	far_idt[0x80].sel = 0x7770;
	CHECK_TRAP(VEC_GP, __asm__ volatile("int $0x80"));
	CHECK_EQ(trap_this()->error, 0x7770);
	/* the same for an external interrupt: EXT is set */
	far_idt[VECTOR].type = 0x0e;
	apic_icr(apic_id(), ICR_FIXED | ICR_ASSERT | VECTOR);
	wait_us(10);
	CHECK_TRAP(VEC_NP, sti_nop_cli());
	CHECK_EQ(trap_this()->error | boot_lax_cpu(), VECTOR << 3 | 3);
	cli();
	apic_eoi(); /* it counts as delivered */
	idt_back();
	trap_set(0x80, NULL);
}

TEST(stack_of_handler_not_mapped)
{
	volatile u64 sp;

	/* #PF on the way to a fault's handler, with no stack: double fault, on its own stack */
	sp = PAGE_TEST_VA + 0x10000;
	CHECK_TRAP(VEC_DF, __asm__ volatile("movq %0, %%rsp; ud2" : : "r"(sp) : "memory"));
	CHECK_EQ(trap_this()->error, 0);
	/* An INT n whose push faults: the #PF finds no stack either */
	CHECK_TRAP(VEC_DF, __asm__ volatile("movq %0, %%rsp; int $0x80" : : "r"(sp) : "memory"));
}

/* The entry of the vector lies in a page that is read through the second stage first. */
TEST(idt_page_appears_late)
{
	struct desc_ptr p = trap_idt_ptr();
	u8 *fresh = page_alloc(2);
	int v;

	memcpy(fresh, (void *)p.base, 4096);
	page_map(far_idt_va, (u64)fresh, 1, PTE_W);
	idt_at(far_idt_va);
	v = TRAP_OF(__asm__ volatile("ud2"));
	idt_back();
	CHECK_EQ(v, VEC_UD);
	page_unmap(far_idt_va, 1);
}

/* ---- NMI ------------------------------------------------------------------------------- */

static u64 nested;

static void nmi(struct trap_frame *f)
{
	(void)f;
	seen++;
	if (seen == 1) {
		/* a second one waits until this one's IRET */
		apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
		wait_us(20);
		nested = seen;
	}
}

TEST(nmi_blocks_nmi)
{
	trap_set(VEC_NMI, nmi);
	seen = 0;
	apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
	for (u32 i = 0; i < 1000 && seen < 2; i++)
		wait_us(10);
	CHECK_EQ(nested, 1);
	CHECK_EQ(seen, 2);
	trap_set(VEC_NMI, NULL);
}

TEST(nmi_wakes_halt_with_if_clear)
{
	trap_set(VEC_NMI, trap_count_only);
	trap_clear();
	apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
	wait_us(10);
	CHECK_EQ(trap_counted(VEC_NMI), 1);
	SKIP_IF(boot_cpus() < 2, "one processor");
	trap_set(VEC_NMI, NULL);
}

static u32 nmi_stop, nmi_target;
static u64 nmi_rip;

static void nmi_count(struct trap_frame *f)
{
	nmi_rip = f->rip;
	seen++;
}

static void nmi_sender(void *arg)
{
	(void)arg;
	while (!atomic_load_acquire(&nmi_stop)) {
		apic_icr(nmi_target, ICR_NMI | ICR_ASSERT);
		wait_us(20);
	}
	atomic_store_release(&nmi_stop, 2);
}

/* NMIs from outside while the shadows of STI and MOV SS come and go: none is lost or fatal. */
TEST(nmi_and_shadows)
{
	u64 at;
	u32 n;

	SKIP_IF(boot_cpus() < 2, "one processor");
	trap_set(VEC_NMI, nmi_count);
	nmi_target = apic_id();
	seen = 0;
	CHECK(smp_start(1, nmi_sender, NULL));
	/* RAM appears when it is touched, which takes long enough for an NMI to come meanwhile:
	 * the shadow is still in force when the instruction runs again. */
	for (u64 pa = FRESH; pa < boot_memory_end(); pa += 2 << 20)
		__asm__ volatile("sti; movl $1, (%0); cli" : : "r"(pa) : "memory");
	for (n = 0; n < 20000000 && seen < 30; n++) {
		__asm__ volatile("sti; nop; cli; sti; cpuid; cli; movl %%ss, %%eax; sti;"
				 "movl %%eax, %%ss; nop; cli"
				 :
				 : "a"(0)
				 : "rbx", "rcx", "rdx", "memory");
	}
	atomic_store_release(&nmi_stop, 1);
	while (atomic_load_acquire(&nmi_stop) != 2)
		pause();
	CHECK(seen >= 30);
	wait_us(100);
	n = seen;
	apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
	wait_us(100);
	CHECK_EQ(seen, n + 1);
	/* Sent from the shadow itself, it comes behind the instruction that sent it. */
	__asm__ volatile("sti; movl %%eax, (%%rdx); 1: nop; cli; lea 1b(%%rip), %%rax"
			 : "=a"(at)
			 : "a"(ICR_NMI | ICR_ASSERT), "d"(APIC_BASE + APIC_ICR)
			 : "memory");
	CHECK_EQ(seen, n + 2);
	CHECK(nmi_rip == at || boot_lax_cpu());
	trap_set(VEC_NMI, NULL);
}

/* ---- user mode --------------------------------------------------------------------------- */

static u8 user_stack[512] ALIGNED(16);

#define USER_RUN(text)                                                                     \
	__asm__ volatile(                                                                  \
		"pushq %0; pushq %1; pushfq; pushq %2; lea 1f(%%rip), %%rax; pushq %%rax;" \
		"iretq; 1:" text "; ud2"                                                   \
		:                                                                          \
		: "i"(SEL_USER_DATA), "r"((u64)user_stack + 512), "i"(SEL_USER_CODE)       \
		: "rax", "rcx", "rdx", "rbx", "memory")

/* Let user code at the image: the boot map is the kernel's. */
static void user_pages(void)
{
	u64 *root = (u64 *)read_cr3(), *pdpt = (u64 *)(root[0] & PTE_ADDR), *pd;

	root[0] |= PTE_U;
	pdpt[0] |= PTE_U;
	pd = (u64 *)(pdpt[0] & PTE_ADDR);
	pd[0] |= PTE_U;
	pd[1] |= PTE_U;
	write_cr3((u64)root);
}

TEST(user_mode_faults)
{
	u64 cr4 = read_cr4();

	user_pages();
	CHECK_TRAP(VEC_GP, USER_RUN("hlt"));
	CHECK_TRAP(VEC_GP, USER_RUN("cli"));
	CHECK_TRAP(VEC_GP, USER_RUN("movq %%cr0, %%rax"));
	CHECK_TRAP(VEC_GP, USER_RUN("movq %%rax, %%cr4"));
	CHECK_TRAP(VEC_GP, USER_RUN("movq %%rax, %%cr8"));
	CHECK_TRAP(VEC_GP, USER_RUN("rdmsr"));
	CHECK_TRAP(VEC_GP, USER_RUN("wrmsr"));
	CHECK_TRAP(VEC_GP, USER_RUN("inb $0x21, %%al"));
	CHECK_TRAP(VEC_GP, USER_RUN("outb %%al, $0x80"));
	CHECK_TRAP(VEC_GP, USER_RUN("insb"));
	if (!boot_lax_cpu()) {
		CHECK_TRAP(VEC_GP, USER_RUN("wbinvd"));
		CHECK_TRAP(VEC_GP, USER_RUN("invd"));
	}
	CHECK_TRAP(VEC_GP, USER_RUN("invlpg (%%rax)"));
	CHECK_TRAP(VEC_GP, USER_RUN("clts"));
	CHECK_TRAP(VEC_GP, USER_RUN("lmsw %%ax"));
	CHECK_TRAP(VEC_GP, USER_RUN("int $0x80")); /* gate of privilege 0 */
	CHECK_EQ(trap_this()->error, 0x80 << 3 | 2);
	CHECK_TRAP(VEC_BP, USER_RUN("int3"));
	CHECK_TRAP(VEC_UD, USER_RUN("nop"));
	CHECK_TRAP(VEC_UD, USER_RUN("cpuid"));  /* runs in user mode */
	CHECK_TRAP(VEC_UD, USER_RUN("pause; rdtsc"));
	write_cr4(cr4 | 4);
	CHECK_TRAP(VEC_GP, USER_RUN("rdtsc"));
	write_cr4(cr4);
	if (cpuid(1, 0).ecx >> 26 & 1) {
		write_cr4(cr4 | 1ull << 18);
		CHECK_TRAP(VEC_GP, USER_RUN("xsetbv"));
		write_cr4(cr4);
	}
	CHECK_TRAP(VEC_PF, USER_RUN("movl $0xfee00380, %%ecx; movl %%eax, (%%rcx)"));
}

TEST(user_mode_mmio)
{
	/* MMIO from user mode goes by the page tables like any access */
	page_map(PAGE_TEST_VA, APIC_BASE, 1, PTE_W | PTE_U | PTE_PCD);
	mmio_write(APIC_BASE + APIC_TMICT, 0x1234);
	CHECK_TRAP(VEC_UD, USER_RUN("movabsq $0x8000000380, %%rbx; movl (%%rbx), %%ecx;"
				    "addl $1, (%%rbx)"));
	CHECK_EQ(mmio_read(APIC_BASE + APIC_TMICT), 0x1235);
	page_map(PAGE_TEST_VA, APIC_BASE, 1, PTE_W | PTE_PCD);
	CHECK_TRAP(VEC_PF, USER_RUN("movabsq $0x8000000380, %%rbx; addl $1, (%%rbx)"));
	CHECK_EQ(trap_this()->error & 5, 5);
	mmio_write(APIC_BASE + APIC_TMICT, 0);
	page_unmap(PAGE_TEST_VA, 1);
}
