/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine in an unusual state, which looks at all of it again and again: for tests that move or
 * save the guest meanwhile. The last CPU waits for its startup IPI until a key is typed.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "kernel/base/str.h"

#define CPUS  2u
#define WORDS 256u

/* What one CPU sees: of itself, and the first one of the devices too. */
struct view {
	u32 n;
	u64 word[WORDS];
	u8 xmm[16][16];
	u32 mxcsr;
	u16 fcw;
	u64 st[2]; /* the x87 register on top, as it is stored */
};

static struct view first[CPUS], now[CPUS];
static u64 last_tsc[CPUS];
static volatile u32 rounds[CPUS], bad[CPUS];

static void add(struct view *v, u64 word)
{
	if (v->n < WORDS)
		v->word[v->n++] = word;
}

static void look_at_cpu(struct view *v)
{
	static const u32 msr[] = { 0x174, 0x175, 0x176, MSR_PAT, MSR_EFER, MSR_STAR, MSR_LSTAR,
				   0xc0000083, MSR_SFMASK, MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS,
				   MSR_TSC_AUX, MSR_APIC_BASE, 0x2ff, 0x250, 0x258, 0x26f };

	for (u32 i = 0; i < ARRAY_SIZE(msr); i++)
		add(v, rdmsr(msr[i]));
	for (u32 i = 0; i < 16; i++)
		add(v, rdmsr(0x200 + i));
	add(v, read_cr0());
	add(v, read_cr2());
	add(v, read_cr3());
	add(v, read_cr4());
	add(v, read_cr8());
	add(v, read_dr0());
	add(v, read_dr1());
	add(v, read_dr2());
	add(v, read_dr3());
	add(v, read_dr6());
	add(v, read_dr7());
	for (u32 reg = APIC_ID; reg <= APIC_SVR; reg += 16)
		add(v, reg == APIC_PPR ? 0 : apic_read(reg));
	for (u32 reg = APIC_LVT_TMR; reg <= APIC_LVT_ERR; reg += 16)
		add(v, apic_read(reg));
	add(v, apic_read(APIC_TDCR));
}

static void look_at_fpu(struct view *v)
{
	u8 area[512] ALIGNED(16);

	__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
	memcpy(&v->fcw, area, 2);
	memcpy(&v->mxcsr, area + 24, 4);
	memcpy(v->st, area + 32, 10);
	memcpy(v->xmm, area + 160, sizeof(v->xmm));
}

static u8 cmos(u8 index)
{
	outb(0x70, index);
	return inb(0x71);
}

static void look_at_devices(struct view *v)
{
	static const u16 port[] = { 0x21, 0xa1, 0x4d0, 0x4d1, 0x61, 0x92,
				    COM1 + 1, COM1 + 3, COM1 + 4, COM1 + 7 };

	for (u32 i = 0; i < 24; i++)
		add(v, (u64)ioapic_read(0x11 + 2 * i) << 32 | ioapic_read(0x10 + 2 * i));
	for (u32 i = 0; i < ARRAY_SIZE(port); i++)
		add(v, port[i] == 0x61 ? inb(0x61) & 3u : inb(port[i]));
	add(v, inw(0x602));
	add(v, cmos(0xb));
	for (u8 i = 0x10; i < 0x40; i++)
		add(v, cmos(i));
	for (u32 i = 0; i < 64; i += 4) {
		outl(0xcf8, 0x80000000u | i);
		add(v, inl(0xcfc));
	}
	outb(0x43, 0xe8); /* status of channel 2: how it is programmed */
	add(v, inb(0x42) & 0x3fu);
}

static void look(struct view *v, u32 cpu)
{
	v->n = 0;
	look_at_cpu(v);
	look_at_fpu(v);
	if (cpu == 0)
		look_at_devices(v);
}

static void unusual(u32 cpu)
{
	u8 area[512] ALIGNED(16);

	wrmsr(0x174, 0x1230 + cpu);
	wrmsr(0x175, 0xffff800000001000 + cpu);
	wrmsr(0x176, 0xffff800000002000 + cpu);
	wrmsr(MSR_PAT, 0x0007010600070406 + cpu);
	wrmsr(MSR_STAR, 0x001b001000000000 + cpu);
	wrmsr(MSR_LSTAR, 0xffffffff81000000 + cpu);
	wrmsr(0xc0000083, 0xffffffff82000000 + cpu);
	wrmsr(MSR_SFMASK, 0x47700 + (cpu << 8));
	wrmsr(MSR_FS_BASE, 0x7fff12345000 + cpu);
	wrmsr(MSR_KERNEL_GS, 0xffff888000000000 + cpu);
	wrmsr(MSR_TSC_AUX, 0x77 + cpu);
	wrmsr(0x206, 0x10000000 + ((u64)cpu << 20));
	write_cr2(0xdeadbeef000 + cpu);
	write_dr0(0x1111 + cpu);
	write_dr1(0xffff800000000000 + cpu);
	write_dr2(0x3333 + cpu);
	write_dr3(0x4444 + cpu);
	write_dr7(0x400);
	write_cr8(3 + cpu);
	apic_write(APIC_LVT_ERR, APIC_LVT_MASKED | (0x80 + cpu));
	apic_write(APIC_TDCR, 0xa);
	__asm__ volatile("fninit; fldpi; fldl2e; fxsave64 (%0)" : : "r"(area) : "memory");
	for (u32 i = 0; i < 256; i++)
		area[160 + i] = (u8)(i * 7 + cpu);
	area[25] = 0x7f; /* MXCSR: another rounding */
	__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

static void unusual_devices(void)
{
	for (u32 i = 5; i < 24; i++)
		ioapic_set(i, IOAPIC_MASKED | (0x40 + i), i & 1);
	outb(0x21, 0xfb);
	outb(0xa1, 0xef);
	outb(0x43, 0xb6);
	outb(0x42, 0x34);
	outb(0x42, 0x12);
	outb(COM1 + 7, 0xa5);
	outw(0x602, 0x100);
	outb(0x70, 0x3b);
	outb(0x71, 0x5a);
	outl(0xcf8, 0x8000003c);
	outb(0xcfc, 9); /* interrupt line of the root */
}

static void watch(u32 cpu)
{
	struct view *was = &first[cpu], *is = &now[cpu];
	u64 tsc = rdtsc();

	look(is, cpu);
	if (memcmp(was, is, sizeof(*was)) != 0 || tsc < last_tsc[cpu])
		bad[cpu]++;
	last_tsc[cpu] = tsc;
	rounds[cpu]++;
}

static void other(void *arg)
{
	(void)arg;
	unusual(1);
	look(&first[1], 1);
	for (;;)
		watch(1);
}

static void late(void *arg)
{
	(void)arg;
	serial_printf("late: CPU %u runs\n", apic_id());
}

static void say_what(u32 cpu)
{
	for (u32 i = 0; i < first[cpu].n; i++)
		if (first[cpu].word[i] != now[cpu].word[i])
			serial_printf("CPU %u word %u: %lx was %lx\n", cpu, i, now[cpu].word[i],
				      first[cpu].word[i]);
}

void guest_main(void)
{
	bool started = false;
	u32 before = 0;

	unusual(0);
	unusual_devices();
	look(&first[0], 0);
	if (!smp_start(1, other, NULL))
		serial_printf("state bad: CPU 1 does not start\n");
	for (;;) {
		for (u32 i = 0; i < 20; i++) {
			watch(0);
			wait_us(1000);
		}
		if (bad[0] || bad[1] || rounds[1] == before) {
			say_what(0);
			say_what(1);
		}
		serial_printf("state %u %s\n", rounds[0],
			      bad[0] || bad[1] || rounds[1] == before ? "bad" : "ok");
		before = rounds[1];
		if (!started && serial_read() >= 0) {
			started = true;
			if (!smp_start(2, late, NULL))
				serial_printf("state bad: CPU 2 does not start\n");
		}
	}
}
