/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reset from inside, in every way there is: the machine starts anew with clean devices, other CPUs
 * off, and goes on with the next way. A counter in CMOS, which a reset leaves, says how far.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/page.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/power.h"
#include "guest/image/lib/smp.h"
#include "guest/image/lib/test.h"
#include "guest/vm/machine.h"

#define CMOS_MAGIC 0x60
#define CMOS_STEP  0x61
#define MAGIC	   0xa7
#define STEPS	   4

static u32 data = 0x1234; /* as linked: the kernel is loaded again */

static void spin(void *arg)
{
	(void)arg;
	for (;;)
		outb(0x80, 1);
}

static u8 step(void)
{
	return rtc_read(CMOS_MAGIC) == MAGIC ? rtc_read(CMOS_STEP) : 0;
}

/* Leave traces everywhere, then go. */
static void disturb(void)
{
	data = 0;
	if (boot_cpus() > 1)
		smp_start(1, spin, NULL);
	pic_init(0x30);
	pic_mask(0);
	pit_set(0, 2, 1000);
	ioapic_set(2, 0x55, 0);
	outb(COM1 + 1, 0x0f);
	wrmsr(MSR_PAT, 0);
	wrmsr(MSR_STAR, 0x5555);
	outl(0xcf8, 0x80001234);
	write_dr0(0x1111);
	if (cpuid(1, 0).ecx >> 21 & 1 && step() & 1)
		apic_x2_enable();
	else
		apic_write(APIC_TPR, 0x20);
	if (boot_platform() == PLATFORM_GODWIT)
		wrmsr(0x4b564d01, (u64)page_alloc(1) | 1);
}

static void leave(u8 way)
{
	rtc_write(CMOS_MAGIC, MAGIC);
	rtc_write(CMOS_STEP, (u8)(way + 1));
	serial_printf("reset %u\n", way);
	disturb();
	switch (way) {
	case 0:
		power_reset();
	case 1:
		outb(0x92, inb(0x92) | 1);
		break;
	case 2:
		outb(MACHINE_RESET_PORT, 2);
		outb(MACHINE_RESET_PORT, 0x0e);
		break;
	default:
		apic_icr(apic_id(), ICR_INIT | ICR_ASSERT);
		break;
	}
	wait_us(1000000);
	serial_printf("FAIL reset: way %u did nothing\n", way);
}

TEST(fresh_state)
{
	CHECK_EQ(data, 0x1234);
	CHECK(!apic_x2());
	CHECK_EQ(rdmsr(MSR_APIC_BASE) & 0xfff, 0x900);
	CHECK_EQ(rdmsr(MSR_STAR), 0);
	CHECK_EQ(rdmsr(MSR_PAT), 0x0007040600070406);
	CHECK_EQ(read_dr0(), 0);
	CHECK_EQ(read_cr8(), 0);
	CHECK_EQ(ioapic_read(0x14) & IOAPIC_MASKED, IOAPIC_MASKED);
	CHECK_EQ(inb(COM1 + 1) & 0x0f, 0);
	CHECK_EQ(boot_cpus() > 1 ? cpuid(1, 0).ebx >> 24 : 0, 0);
	if (boot_platform() == PLATFORM_GODWIT)
		CHECK_EQ(rdmsr(0x4b564d01), 0);
}

static void nothing(void *arg)
{
	(void)arg;
}

TEST(others_start)
{
	SKIP_IF(boot_cpus() < 2, "one processor");
	CHECK(smp_start(1, nothing, NULL));
	CHECK(smp_wait(1, 1000));
}

void guest_main(void)
{
	u8 n = step();

	test_run_all();
	if (n < STEPS)
		leave(n);
	rtc_write(CMOS_MAGIC, 0);
}
