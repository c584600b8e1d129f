/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables, exception dispatch and recovery of guest kernels.
 */
#include "guest/image/lib/trap.h"

#include "guest/image/lib/apic.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/power.h"
#include "guest/image/lib/serial.h"
#include "kernel/base/atomic.h"

struct PACKED tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 iomap;
};

extern u8 trap_stubs[256][16];
extern u8 cpu_stacks[MAX_CPUS][STACK_SIZE];

u64 gdt[SEL_TSS / 8 + 2 * MAX_CPUS] ALIGNED(16) = {
	[SEL_CODE64 / 8] = 0x00af9b000000ffff,
	[SEL_DATA / 8] = 0x00cf93000000ffff,
	[SEL_CODE32 / 8] = 0x00cf9b000000ffff,
	[SEL_CODE16 / 8] = 0x00009b000000ffff,
	[SEL_DATA16 / 8] = 0x000093000000ffff,
	[SEL_USER_DATA / 8] = 0x00cff3000000ffff,
	[SEL_USER_CODE / 8] = 0x00affb000000ffff,
};

static struct idt_gate idt[256] ALIGNED(16);
static struct tss tss[MAX_CPUS];
static struct trap_catch catches[MAX_CPUS];
static trap_handler handler[256];
static u32 counted[256];

u32 cpu_index(void)
{
	u64 sp = (u64)__builtin_frame_address(0) - (u64)cpu_stacks;

	return sp < sizeof(cpu_stacks) ? (u32)(sp / STACK_SIZE) : 0;
}

struct trap_catch *trap_this(void)
{
	return &catches[cpu_index()];
}

int trap_end(void)
{
	struct trap_catch *c = trap_this();

	c->active = 0;
	return (int)c->vector;
}

void trap_set(u8 vector, trap_handler fn)
{
	atomic_store_release(&handler[vector], fn);
}

void trap_count_only(struct trap_frame *f)
{
	atomic_add(&counted[f->vector], 1);
}

void trap_count_apic(struct trap_frame *f)
{
	atomic_add(&counted[f->vector], 1);
	apic_eoi();
}

void trap_count_pic(struct trap_frame *f)
{
	atomic_add(&counted[f->vector], 1);
	pic_eoi((u8)f->vector);
}

u32 trap_counted(u8 vector)
{
	return atomic_load_acquire(&counted[vector]);
}

void trap_clear(void)
{
	for (u32 i = 0; i < 256; i++)
		atomic_store_release(&counted[i], 0);
}

bool trap_wait(u8 vector, u32 n, u32 ms)
{
	u64 end = rdtsc() + tsc_khz() * ms;
	u64 flags = read_rflags();

	sti();
	while (trap_counted(vector) < n && (s64)(rdtsc() - end) < 0)
		pause();
	write_rflags(flags);
	return trap_counted(vector) >= n;
}

static NORETURN void trap_die(const struct trap_frame *f)
{
	serial_seize();
	serial_printf("FAIL trap: unexpected vector %lu error %#lx rip %#lx cr2 %#lx cpu %u\n",
		      f->vector, f->error, f->rip, read_cr2(), cpu_index());
	serial_printf("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", f->rax, f->rbx, f->rcx,
		      f->rdx);
	serial_printf("rsi %016lx rdi %016lx rsp %016lx rbp %016lx\n", f->rsi, f->rdi, f->rsp,
		      f->rbp);
	serial_printf("cs %lx rflags %lx cr0 %lx cr3 %lx cr4 %lx\n", f->cs, f->rflags, read_cr0(),
		      read_cr3(), read_cr4());
	power_off(1);
}

void trap_dispatch(struct trap_frame *f);
void trap_dispatch(struct trap_frame *f)
{
	struct trap_catch *c = trap_this();
	trap_handler fn = atomic_load_acquire(&handler[f->vector & 0xff]);

	if (fn) {
		fn(f);
		return;
	}
	if (!c->active || f->vector >= 32)
		trap_die(f);
	c->active = 0;
	c->vector = (s64)f->vector;
	c->error = f->error;
	c->cr2 = read_cr2();
	c->fault_rip = f->rip;
	c->fault_rflags = f->rflags;
	f->rip = c->rip;
	f->rsp = c->rsp;
	f->rbx = c->rbx;
	f->rbp = c->rbp;
	f->r12 = c->r12;
	f->r13 = c->r13;
	f->r14 = c->r14;
	f->r15 = c->r15;
	f->rflags = c->rflags;
	f->cs = SEL_CODE64;
	f->ss = SEL_DATA;
	f->rax = 1;
}

struct idt_gate trap_gate(u64 target, u16 sel, u8 type)
{
	return (struct idt_gate){ .off0 = (u16)target, .sel = sel, .type = type,
				  .off1 = (u16)(target >> 16), .off2 = (u32)(target >> 32) };
}

struct desc_ptr trap_idt_ptr(void)
{
	return (struct desc_ptr){ sizeof(idt) - 1, (u64)idt };
}

struct desc_ptr trap_gdt_ptr(void)
{
	return (struct desc_ptr){ sizeof(gdt) - 1, (u64)gdt };
}

void trap_gdt_set(u16 sel, u64 desc)
{
	gdt[sel / 8] = desc;
}

static void idt_fill(void)
{
	for (u32 i = 0; i < 256; i++)
		idt[i] = trap_gate((u64)trap_stubs[i], SEL_CODE64, 0x8e);
	idt[VEC_BP].type = 0xee; /* user code may INT3 and INTO */
	idt[VEC_OF].type = 0xee;
	idt[VEC_DF].ist = 1;
}

void trap_init_cpu(u32 cpu)
{
	u64 base = (u64)&tss[cpu];
	u16 sel = (u16)(SEL_TSS + 16 * cpu);
	struct desc_ptr g = trap_gdt_ptr(), i = trap_idt_ptr();

	if (cpu == 0)
		idt_fill();
	tss[cpu] = (struct tss){ .iomap = sizeof(struct tss) };
	/* Below what the kernel itself uses, so that cpu_index() holds there as well. */
	tss[cpu].rsp[0] = (u64)cpu_stacks[cpu] + STACK_SIZE / 2;
	tss[cpu].ist[0] = (u64)cpu_stacks[cpu] + STACK_SIZE / 4;
	gdt[sel / 8] = 0x0000890000000000ull | (sizeof(struct tss) - 1) |
		       (base & 0xffffff) << 16 | (base & 0xff000000) << 32;
	gdt[sel / 8 + 1] = base >> 32;
	__asm__ volatile("lgdt %0; lidt %1; ltr %2" : : "m"(g), "m"(i), "r"(sel) : "memory");
}
