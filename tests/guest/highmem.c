/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM on both sides of the hole below 4 GiB: the map tells the truth, every part is memory of its
 * own, and page tables, strings and clocks may lie above.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/test.h"
#include "kernel/base/bits.h"

#define STRIDE (16ull << 20)

static u64 high_end;

TEST(memory_map)
{
	high_end = boot_high_end();
	CHECK(high_end > SIZE_4G);
	CHECK(boot_ram(0x100000, boot_memory_end() - 0x100000));
	CHECK(boot_ram(SIZE_4G, high_end - SIZE_4G));
	CHECK(!boot_ram(0xfec00000, 4096));
	CHECK(!boot_ram(0xfee00000, 4096));
	CHECK(!boot_ram(high_end, 4096));
}

/* Each place keeps what is its own after all have been written. */
TEST(every_part_is_its_own)
{
	u64 low_end = boot_memory_end();

	SKIP_IF(high_end <= SIZE_4G, "no high memory");
	for (u64 pa = 64ull << 20; pa < low_end; pa += STRIDE)
		*(volatile u64 *)pa = ~pa;
	*(volatile u64 *)(low_end - 8) = 0x1234567;
	for (u64 pa = SIZE_4G; pa < high_end; pa += STRIDE) {
		page_map(PAGE_TEST_VA, pa, 2, PTE_W);
		*(volatile u64 *)PAGE_TEST_VA = ~pa;
	}
	for (u64 pa = 64ull << 20; pa < low_end; pa += STRIDE)
		CHECK_EQ(*(volatile u64 *)pa, ~pa);
	CHECK_EQ(*(volatile u64 *)(low_end - 8), 0x1234567);
	for (u64 pa = SIZE_4G; pa < high_end; pa += STRIDE) {
		page_map(PAGE_TEST_VA, pa, 2, PTE_W);
		CHECK_EQ(*(volatile u64 *)PAGE_TEST_VA, ~pa);
	}
	page_map(PAGE_TEST_VA, align_down(high_end - 1, SIZE_2M), 2, PTE_W);
	*(volatile u64 *)(PAGE_TEST_VA + ((high_end - 8) & (SIZE_2M - 1))) = 5;
}

TEST(emulation_reaches_high_memory)
{
	u64 s = APIC_BASE + APIC_VERSION, d = PAGE_TEST_VA, c = 32;

	SKIP_IF(high_end <= SIZE_4G, "no high memory");
	page_map(PAGE_TEST_VA, SIZE_4G, 2, PTE_W);
	__asm__ volatile("movsl" : "+S"(s), "+D"(d) : : "memory");
	CHECK_EQ(mmio_read(PAGE_TEST_VA), mmio_read(APIC_BASE + APIC_VERSION));
	outb(COM1 + 7, 0x3c);
	d = PAGE_TEST_VA + 4096 - 16;
	__asm__ volatile("rep insb" : "+D"(d), "+c"(c) : "d"(COM1 + 7) : "memory");
	CHECK_EQ(mmio_read(PAGE_TEST_VA + 4096), 0x3c3c3c3c);
}

/* A whole tree of page tables above 4 GiB, with code and MMIO under it. */
TEST(page_tables_in_high_memory)
{
	u64 cr3 = read_cr3();
	volatile u64 *t = (volatile u64 *)PAGE_TEST_VA;

	SKIP_IF(high_end <= SIZE_4G, "no high memory");
	page_map(PAGE_TEST_VA, SIZE_4G, 2, PTE_W);
	for (u32 i = 0; i < 6 * 512; i++)
		t[i] = 0;
	t[0] = (SIZE_4G + 4096) | PTE_P | PTE_W;
	for (u32 i = 0; i < 4; i++)
		t[512 + i] = (SIZE_4G + 4096 * (2 + i)) | PTE_P | PTE_W;
	for (u32 i = 0; i < 4 * 512; i++)
		t[2 * 512 + i] = (u64)i << 21 | PTE_P | PTE_W | PTE_PS;
	write_cr3(SIZE_4G);
	mmio_write(APIC_BASE + APIC_TMICT, 0x5555);
	__asm__ volatile("addl $1, (%0)" : : "r"(APIC_BASE + APIC_TMICT) : "memory");
	CHECK_EQ(mmio_read(APIC_BASE + APIC_TMICT), 0x5556);
	cpuid(0, 0);
	write_cr3(cr3);
	apic_write(APIC_TMICT, 0);
	CHECK(t[512 + 3] & PTE_A);
}

TEST(clock_page_in_high_memory)
{
	volatile u32 *p = (volatile u32 *)(PAGE_TEST_VA + 0x8000);

	SKIP_IF(boot_platform() != PLATFORM_GODWIT || high_end <= SIZE_4G, "no kvmclock");
	page_map(PAGE_TEST_VA, SIZE_4G, 2, PTE_W);
	p[0] = 0;
	wrmsr(0x4b564d01, (SIZE_4G + 0x8000) | 1);
	CHECK(p[0] != 0 && p[6] != 0);
	wrmsr(0x4b564d01, 0);
}

TEST(beyond_is_nothing)
{
	SKIP_IF(high_end <= SIZE_4G || boot_platform() == PLATFORM_TCG, "no high memory, or QEMU");
	page_map(PAGE_TEST_VA, align_up(high_end, SIZE_2M), 2, PTE_W);
	*(volatile u64 *)PAGE_TEST_VA = 0;
	CHECK_EQ(*(volatile u64 *)PAGE_TEST_VA, ~0ull);
	page_unmap(PAGE_TEST_VA, 2);
}
