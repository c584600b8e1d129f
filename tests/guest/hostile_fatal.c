/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One fatal or endless thing a time, by mode=N: the VM stops with a dump that says why, or goes
 * on to no one's harm but its own. tests/guest/list has what each must end in.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/power.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "kernel/base/str.h"

#define HOLE 0xd0000000ull /* no device answers here */

static void root_in_device(void)
{
	write_cr3(APIC_BASE);
}

static void table_in_device(void)
{
	u64 *root = (u64 *)read_cr3();

	root[PAGE_TEST_VA >> 39] = APIC_BASE | PTE_P | PTE_W;
	(void)*(volatile u64 *)PAGE_TEST_VA;
}

static void table_beyond_ram(void)
{
	u64 *root = (u64 *)read_cr3();

	root[PAGE_TEST_VA >> 39] = 0x300000000ull | PTE_P | PTE_W;
	(void)*(volatile u64 *)PAGE_TEST_VA;
}

static void idt_in_device(void)
{
	struct desc_ptr p = { 4095, APIC_BASE };

	__asm__ volatile("lidt %0; int $0x40" : : "m"(p));
}

static void gdt_in_device(void)
{
	struct desc_ptr p = { 0xff, IOAPIC_BASE };

	__asm__ volatile("lgdt %0; movw %1, %%ds" : : "m"(p), "r"((u16)SEL_DATA));
}

static void stack_in_device(void)
{
	__asm__ volatile("movq %0, %%rsp; ud2" : : "r"(HOLE + 0x1000));
}

static void push_to_device(void)
{
	__asm__ volatile("movq %0, %%rsp; pushq %%rax; call 1f; 1:" : : "r"(HOLE + 0x1000));
}

static void code_in_device(void)
{
	__asm__ volatile("jmp *%0" : : "r"(HOLE));
}

static void code_past_ram(void)
{
	u64 end = boot_memory_end() + 0x400000;

	__asm__ volatile("jmp *%0" : : "r"(end));
}

static void sse_to_device(void)
{
	__asm__ volatile("movups %%xmm0, (%0)" : : "r"(HOLE));
}

static void cmpxchg16b_on_device(void)
{
	__asm__ volatile("lock cmpxchg16b (%0)" : : "r"(HOLE), "a"(0), "b"(0), "c"(0), "d"(0));
}

/* A far jump through a TSS descriptor in 32-bit protected mode. */
static void task_switch(void)
{
	static u32 tss32[2][32];

	for (u32 i = 0; i < 2; i++) {
		u64 base = (u64)tss32[i];

		base = (base & 0xffffff) << 16 | (base & 0xff000000) << 32;
		trap_gdt_set((u16)(SEL_SPARE + 8 * i), 0x0000890000000067ull | base);
	}
	__asm__ volatile("pushq %0; leaq 1f(%%rip), %%rax; pushq %%rax; lretq;"
			 ".code32; 1: movl %%cr0, %%eax; btrl $31, %%eax; movl %%eax, %%cr0;"
			 "movl $0xc0000080, %%ecx; rdmsr; andl $~0x100, %%eax; wrmsr;"
			 "movw %1, %%ax; ltr %%ax; ljmp %2, $0; .code64"
			 : : "i"(SEL_CODE32), "i"(SEL_SPARE), "i"(SEL_SPARE + 8) : "memory");
}

static void halt_for_ever(void)
{
	serial_printf("endless now\n");
	for (;;)
		__asm__ volatile("cli; hlt");
}

static void spin_for_ever(void)
{
	serial_printf("endless now\n");
	for (;;)
		__asm__ volatile("");
}

static void exit_for_ever(void)
{
	serial_printf("endless now\n");
	for (;;) {
		cpuid(0, 0);
		(void)inb(PIC1 + 1);
		(void)mmio_read(IOAPIC_BASE);
		pause();
	}
}

/*
 * The handler of #UD raises #UD, that of #DB touches its own watched stack: on a stack of the
 * TSS this goes on for ever without an exit.
 */
static struct idt_gate loop_idt[256] ALIGNED(16);

void fault_loop_ud(void);
void fault_loop_db(void);
__asm__(".pushsection .text\nfault_loop_ud: ud2\nfault_loop_db: jmp fault_loop_db\n.popsection");

static void loop_gate(u8 vector, void (*target)(void))
{
	struct desc_ptr p = { sizeof(loop_idt) - 1, (u64)loop_idt };

	loop_idt[vector] = trap_gate((u64)target, SEL_CODE64, 0x8e);
	loop_idt[vector].ist = 1;
	__asm__ volatile("lidt %0" : : "m"(p));
}

static void endless_ud(void)
{
	serial_printf("endless now\n");
	loop_gate(VEC_UD, fault_loop_ud);
	__asm__ volatile("ud2");
}

static void endless_db(void)
{
	extern u8 cpu_stacks[MAX_CPUS][STACK_SIZE];

	serial_printf("endless now\n");
	loop_gate(VEC_DB, fault_loop_db);
	write_dr0((u64)cpu_stacks[0] + STACK_SIZE / 4 - 8); /* SS of the frame it pushes */
	write_dr7(0x400 | 1 | 0x90000);			    /* writes of 8 bytes */
	__asm__ volatile("int1");
}

static void interrupt_storm(void)
{
	serial_printf("endless now\n");
	trap_set(0x70, trap_count_apic);
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVT_TMR, APIC_LVT_PERIODIC | 0x70);
	apic_write(APIC_TMICT, 1);
	for (;;)
		sti_nop_cli();
}

static void self_ipi_storm(struct trap_frame *f)
{
	(void)f;
	apic_eoi();
	apic_icr(0, ICR_SELF | ICR_ASSERT | 0x71);
}

static void ipi_storm(void)
{
	serial_printf("endless now\n");
	trap_set(0x71, self_ipi_storm);
	apic_icr(0, ICR_SELF | ICR_ASSERT | 0x71);
	sti();
	for (;;)
		pause();
}

static void nmi_storm(void)
{
	serial_printf("endless now\n");
	trap_set(VEC_NMI, trap_count_only);
	for (;;)
		apic_icr(apic_id(), ICR_NMI | ICR_ASSERT);
}

static void fault_on_other(void *arg)
{
	(void)arg;
	power_triple_fault();
}

static void triple_fault_on_other(void)
{
	smp_start(1, fault_on_other, NULL);
	for (;;)
		pause();
}

/* CR3 with bits beyond the physical address width, loaded where no hypervisor looks. */
static void cr3_reserved(void)
{
	CHECK_TRAP(VEC_GP, write_cr3(read_cr3() | 1ull << 50));
	test_finish();
}

static void (*const mode[])(void) = {
	[1] = power_triple_fault, [2] = root_in_device,	  [3] = table_in_device,
	[4] = table_beyond_ram,	  [5] = idt_in_device,	  [6] = gdt_in_device,
	[7] = stack_in_device,	  [8] = push_to_device,	  [9] = code_in_device,
	[10] = code_past_ram,	  [11] = sse_to_device,	  [12] = cmpxchg16b_on_device,
	[13] = task_switch,	  [14] = triple_fault_on_other, [15] = cr3_reserved,
	[20] = halt_for_ever,	  [21] = spin_for_ever,	  [22] = exit_for_ever,
	[23] = endless_ud,	  [24] = interrupt_storm, [25] = ipi_storm,
	[26] = nmi_storm,	  [27] = endless_db,
};

void guest_main(void)
{
	u64 n = boot_option("mode", 0);

	if (n < ARRAY_SIZE(mode) && mode[n]) {
		serial_printf("mode %lu\n", n);
		mode[n]();
	}
	serial_printf("FAIL hostile_fatal: mode %lu came back\n", n);
}
