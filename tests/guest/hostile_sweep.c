/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything written: every port, every MSR with hostile values, every CPUID leaf, all of
 * physical space and 16 GiB beyond, the local APIC's registers. The guest itself survives it.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "guest/vm/machine.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"

static u64 seed = 0x9e3779b97f4a7c15;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Writing these ends or resets the machine, as it should. */
static bool deadly(u32 port, u32 size)
{
	return ranges_overlap(port, size, MACHINE_PM1_CNT, 2) ||
	       ranges_overlap(port, size, MACHINE_RESET_PORT, 1) ||
	       ranges_overlap(port, size, 0x92, 1) || ranges_overlap(port, size, 0x64, 1) ||
	       ranges_overlap(port, size, 0xf4, 1);
}

/* Every size that does not straddle; each port is reached. */
static void hit_port(u32 port, u32 v)
{
	(void)inb((u16)port);
	if (!deadly(port, 1))
		outb((u16)port, (u8)v);
	if (port % 2)
		return;
	(void)inw((u16)port);
	if (!deadly(port, 2))
		outw((u16)port, (u16)v);
	if (port % 4)
		return;
	(void)inl((u16)port);
	if (!deadly(port, 4))
		outl((u16)port, v);
}

TEST(every_port)
{
	for (u32 port = 0; port < 65536; port++)
		if (port < COM1 - 3 || port > COM1 + 7) /* its output goes to the log */
			hit_port(port, (u32)rnd());
	for (u32 v = 0; v < 2000; v++) { /* the known devices, at random */
		u32 port = (u32)rnd() % 0x500;

		if (port < COM1 - 3 || port > COM1 + 7)
			hit_port(port, (u32)rnd());
	}
	outb(COM1 + 4, 0x10);
	for (u32 v = 0; v < 4000; v++) {
		u32 reg = (u32)rnd() % 8;

		if (v & 1)
			(void)inb((u16)(COM1 + reg));
		else
			outb((u16)(COM1 + reg), (u8)(reg == 4 ? rnd() | 0x10 : rnd()));
	}
	serial_init();
	pic_init(0x20);
	CHECK(true);
}

TEST(port_wrap_and_strings)
{
	static u8 buf[4096];
	void *p = buf;
	u64 c = 3000;

	__asm__ volatile("rep insb" : "+D"(p), "+c"(c) : "d"(0x71) : "memory");
	p = buf;
	c = 1000;
	__asm__ volatile("rep insl" : "+D"(p), "+c"(c) : "d"(0xfffe) : "memory");
	p = buf;
	c = 1000;
	__asm__ volatile("rep outsl" : "+S"(p), "+c"(c) : "d"(0x8fff) : "memory");
	CHECK_EQ(c, 0);
}

/* What would take the ground away under the test itself. */
static bool own(u32 msr)
{
	return msr == MSR_EFER || msr == MSR_APIC_BASE || msr == 0x11 || msr == 0x12 ||
	       (msr >= 0x4b564d00 && msr <= 0x4b564dff) || (msr >= 0x800 && msr <= 0x8ff);
}

TEST(every_msr_hostile_values)
{
	static const u32 range[][2] = { { 0, 0x1fff }, { 0x40000000, 0x400000ff },
					{ 0xc0000000, 0xc0001fff }, { 0xc0010000, 0xc0011fff } };
	u64 tsc = rdtsc();

	for (u32 r = 0; r < ARRAY_SIZE(range); r++)
		for (u32 msr = range[r][0]; msr <= range[r][1]; msr++) {
			const u64 v[] = { 0, ~0ull, rnd(), 1ull << (rnd() & 63) };

			for (u32 i = 0; i < ARRAY_SIZE(v) && !own(msr); i++) {
				int t = TRAP_OF(wrmsr(msr, v[i]));

				CHECK(t == TRAP_NONE || t == VEC_GP);
				if (t == VEC_GP && i == 0)
					break;
			}
		}
	for (u32 i = 0; i < 2000; i++) {
		u32 msr = (u32)rnd();
		int t = own(msr) ? TRAP_NONE : TRAP_OF(wrmsr(msr, rnd()));

		CHECK(t == TRAP_NONE || t == VEC_GP);
	}
	wrmsr(MSR_PAT, 0x0007040600070406);
	TRAP_OF(wrmsr(MSR_TSC, tsc + 1000000));
	CHECK_EQ(rdmsr(MSR_PAT), 0x0007040600070406);
}

TEST(every_cpuid_leaf)
{
	for (u32 leaf = 0; leaf < 0x100; leaf++)
		for (u32 sub = 0; sub < 16; sub++) {
			cpuid(leaf, sub);
			cpuid(0x80000000 | leaf, sub);
			cpuid(0x40000000 | leaf, sub);
		}
	for (u32 i = 0; i < 5000; i++)
		cpuid((u32)rnd(), (u32)rnd());
	CHECK(true);
}

/* One read and one write of each size. */
static void hit(u64 va)
{
	(void)*(volatile u64 *)va;
	(void)*(volatile u8 *)(va + 3);
	*(volatile u64 *)va = rnd();
	*(volatile u32 *)(va + 4) = (u32)rnd();
	*(volatile u16 *)(va + 2) = (u16)rnd();
	*(volatile u8 *)(va + 1) = (u8)rnd();
	__asm__ volatile("lock xaddl %0, (%1)" : : "r"((u32)rnd()), "r"(va) : "memory");
}

TEST(own_memory_and_below)
{
	u64 used = (u64)page_alloc(1) + 4096, end = boot_memory_end();

	for (u64 pa = 0xa0000; pa < 0x100000; pa += 4096) /* firmware area */
		(void)*(volatile u64 *)pa;
	for (u64 pa = used; pa < end; pa += 4096)
		hit(pa);
	CHECK(end > used);
}

TEST(up_to_4g)
{
	for (u64 pa = align_up(boot_memory_end() + 0x100000, SIZE_2M); pa < SIZE_4G; pa += 0x100000)
		if (align_down(pa, SIZE_2M) != APIC_BASE)
			hit(pa + (rnd() & 0xffff0));
	for (u64 pa = IOAPIC_BASE; pa < IOAPIC_BASE + 0x2000; pa += 8)
		hit(pa);
	for (u64 pa = MACHINE_ECAM_BASE; pa < MACHINE_ECAM_BASE + 0x200000; pa += 4096 + 8)
		hit(pa & ~7ull);
	CHECK(true);
}

TEST(beyond_4g)
{
	u64 start = max_u64(SIZE_4G, boot_high_end()), end = start + (16ull << 30);

	for (u64 pa = start; pa < end; pa += 2 * SIZE_2M) {
		page_map(PAGE_TEST_VA, pa, 2, PTE_W);
		hit(PAGE_TEST_VA + (rnd() & 0x1ffff0));
	}
	/* and at the far end of what page tables can name */
	for (u32 bit = 35; bit < (cpuid(0x80000008, 0).eax & 0xff); bit++) {
		page_map(PAGE_TEST_VA, 1ull << bit, 2, PTE_W);
		hit(PAGE_TEST_VA + 0x1000);
	}
	page_unmap(PAGE_TEST_VA, 2);
	CHECK(true);
}

/* Every register of the local APIC but those that would reset this CPU. */
TEST(apic_page)
{
	for (u32 round = 0; round < 4; round++)
		for (u32 off = 0; off < 4096; off += 4) {
			(void)*(volatile u32 *)(APIC_BASE + off);
			(void)*(volatile u8 *)(APIC_BASE + off + 1);
			if (off == APIC_LVT_TMR)
				mmio_write(APIC_BASE + off, (u32)rnd() | APIC_LVT_MASKED);
			else if (off / 16 != APIC_ICR / 16)
				mmio_write(APIC_BASE + off, (u32)rnd());
		}
	cli();
	for (u32 i = 0; i < 8; i++)
		apic_eoi();
	apic_init_cpu();
	CHECK_EQ(apic_read(APIC_SVR) & 0x1ff, 0x1ff);
}

static void ignore(struct trap_frame *f)
{
	(void)f;
	apic_eoi();
}

/* Commands with reserved modes, bad vectors, and targets that are or are not there. */
TEST(malformed_icr)
{
	for (u32 v = 32; v < 256; v++)
		trap_set((u8)v, ignore);
	trap_set(VEC_NMI, trap_count_only);
	for (u32 i = 0; i < 5000; i++) {
		u32 cmd = (u32)rnd() & 0xfffff, dest = (u32)rnd() & (i & 1 ? 0xff : 7);
		u32 kind = cmd >> 8 & 7;

		/* 16 to 31 arrive, but some of these stubs look for an error code */
		if ((cmd & 0xf0) == 0x10)
			cmd |= 0x20;
		if (kind == 6) /* a CPU that starts there finds RAM, mostly zeros */
			cmd = (cmd & ~0xffu) | (0x20 + (cmd & 0x3f));

		/* INIT to this CPU is a reset of the machine: to others only */
		if (kind == 5)
			cmd = (cmd & ~0xc0800u) | (i & 2 ? ICR_OTHERS : 0);
		if (kind == 5 && (dest == apic_id() || dest == 0xff))
			dest = 0x33;
		mmio_write(APIC_BASE + APIC_ICR2, dest << 24);
		mmio_write(APIC_BASE + APIC_ICR, cmd);
		if (i % 64 == 0)
			sti_nop_cli();
	}
	for (u32 i = 0; i < 300; i++)
		sti_nop_cli();
	apic_init_cpu();
	CHECK(true);
}

static void idle(void *arg)
{
	(void)arg;
}

TEST(others_still_start)
{
	SKIP_IF(boot_cpus() < 2, "one processor");
	for (u32 i = 1; i < boot_cpus(); i++) {
		CHECK(smp_start(i, idle, NULL));
		CHECK(smp_wait(i, 1000));
	}
}

/* INIT and SIPI at random moments, to a CPU that never gets its code finished. */
TEST(init_sipi_storm)
{
	SKIP_IF(boot_cpus() < 2, "one processor");
	for (u32 i = 0; i < 300; i++) {
		apic_icr(boot_apic_id(1), ICR_INIT | ICR_ASSERT | (u32)(rnd() & 0xff));
		for (u32 n = (u32)rnd() & 3; n; n--)
			apic_icr(boot_apic_id(1), ICR_SIPI | ICR_ASSERT | SMP_TRAMPOLINE >> 12);
		if (i & 1)
			apic_icr(boot_apic_id(1), ICR_INIT | ICR_LEVEL); /* de-assert */
	}
	CHECK(smp_start(1, idle, NULL));
	CHECK(smp_wait(1, 1000));
}

TEST(x2apic_registers)
{
	SKIP_IF(!(cpuid(1, 0).ecx >> 21 & 1) || boot_platform() == PLATFORM_TCG, "no x2APIC");
	apic_x2_enable();
	for (u32 i = 0; i < 5000; i++) {
		u32 reg = (u32)rnd() & 0xff;
		int t = TRAP_OF(rdmsr(MSR_X2APIC + reg));

		CHECK(t == TRAP_NONE || t == VEC_GP);
		if (reg != 0x30 && reg != 0x3f && reg != 0x32)
			t = TRAP_OF(wrmsr(MSR_X2APIC + reg, i & 1 ? rnd() : rnd() & 0x1ff));
		CHECK(t == TRAP_NONE || t == VEC_GP);
	}
	apic_init_cpu();
	CHECK(apic_x2());
}
