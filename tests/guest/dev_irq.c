/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt controllers and what drives them: 8259 pair, I/O APIC edge and level, 8254 in its
 * modes, serial port interrupts, RTC interrupts, the ACPI timer's interrupt.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/test.h"
#include "guest/vm/machine.h"
#include "kernel/base/atomic.h"

#define V_PIC  0x20 /* and 15 more */
#define V_PIT  0x71
#define V_COM  0x72
#define V_RTC  0x73
#define V_SCI  0x74

#define IRQ(n) (u16)~(1u << (n))

static void drain(void)
{
	for (u32 i = 0; i < 16; i++)
		sti_nop_cli();
}

/* ---- 8259 ------------------------------------------------------------------------------- */

static void extint(bool on)
{
	apic_write(APIC_LVT_LINT0, on ? 0x700 : APIC_LVT_MASKED);
}

TEST(pic_registers)
{
	pic_mask(0xa55a);
	CHECK_EQ(inb(PIC1 + 1), 0x5a);
	CHECK_EQ(inb(PIC2 + 1), 0xa5);
	pic_init(V_PIC);
	CHECK_EQ(inb(PIC1 + 1), 0xff);
	CHECK_EQ(pic_isr(), 0);
}

TEST(pic_delivers_pit)
{
	pic_init(V_PIC);
	extint(true);
	trap_set(V_PIC, trap_count_pic);
	trap_clear();
	pic_mask(IRQ(0));
	pit_set(0, 0, 1193); /* 1 ms */
	CHECK(trap_wait(V_PIC, 1, 1000));
	wait_us(5000);
	drain();
	CHECK_EQ(trap_counted(V_PIC), 1); /* mode 0: once */
	pit_set(0, 2, 1193);
	CHECK(trap_wait(V_PIC, 5, 1000));
	pic_mask(0xffff);
	drain();
	trap_clear();
	wait_us(5000);
	drain();
	CHECK_EQ(trap_counted(V_PIC), 0);
	pit_set(0, 0, 0);
}

/* A line that went away before the CPU answered: vector of line 7, without ISR bit. */
TEST(pic_request_latched)
{
	trap_clear();
	pic_init(V_PIC);
	pic_mask(IRQ(0));
	pit_set(0, 0, 100);
	wait_us(1000);
	CHECK(pic_irr() & 1);
	pic_mask(0xffff);
	drain();
	CHECK_EQ(trap_counted(V_PIC), 0);
	pic_mask(IRQ(0));
	CHECK(trap_wait(V_PIC, 1, 1000));
	CHECK_EQ(pic_isr(), 0);
	pic_mask(0xffff);
	extint(false);
}

/* ---- I/O APIC ----------------------------------------------------------------------------- */

TEST(ioapic_registers)
{
	u32 v = ioapic_read(1);

	CHECK((v & 0xff) >= 0x11 && (v & 0xff) <= 0x20);
	CHECK_EQ(v >> 16 & 0xff, 23);
	for (u32 pin = 0; pin < 24; pin++) {
		ioapic_write(0x10 + 2 * pin, IOAPIC_MASKED | 0x30);
		ioapic_write(0x11 + 2 * pin, 0x5a000000);
		CHECK_EQ(ioapic_read(0x10 + 2 * pin), IOAPIC_MASKED | 0x30);
		CHECK_EQ(ioapic_read(0x11 + 2 * pin) & 0xff000000, 0x5a000000);
		ioapic_write(0x11 + 2 * pin, 0);
	}
	mmio_write(IOAPIC_BASE, 0xff); /* an index without register */
	mmio_read(IOAPIC_BASE + 0x10);
	mmio_write(IOAPIC_BASE + 0x10, 0);
}

TEST(ioapic_pit_edge)
{
	trap_set(V_PIT, trap_count_apic);
	trap_clear();
	ioapic_set(MACHINE_PIT_GSI, V_PIT, apic_id());
	pit_set(0, 2, 2386);
	CHECK(trap_wait(V_PIT, 5, 1000));
	ioapic_set(MACHINE_PIT_GSI, IOAPIC_MASKED | V_PIT, apic_id());
	drain();
	trap_clear();
	wait_us(5000);
	drain();
	CHECK_EQ(trap_counted(V_PIT), 0);
	/* from HLT, by count */
	pit_set(0, 0, 0);
	ioapic_set(MACHINE_PIT_GSI, V_PIT, apic_id());
	drain();
	trap_clear();
	for (u32 i = 0; i < 5; i++) {
		pit_set(0, 0, 1193);
		sti_hlt_cli();
		CHECK_EQ(trap_counted(V_PIT), i + 1);
	}
	ioapic_set(MACHINE_PIT_GSI, IOAPIC_MASKED, apic_id());
	pit_set(0, 0, 0);
}

/* The serial port's transmitter-empty interrupt stays until it is read or turned off. */
static void com_clear(struct trap_frame *f)
{
	(void)inb(COM1 + 2);
	trap_count_apic(f);
}

/* EOI first, cause later: the level comes again. */
static u32 rounds;

static void com_late(struct trap_frame *f)
{
	if (++rounds == 3) {
		outb(COM1 + 1, 0);
		(void)inb(COM1 + 2);
	}
	trap_count_apic(f);
}

TEST(ioapic_level)
{
	trap_clear();
	outb(COM1 + 4, 0x0b); /* OUT2: the interrupt is let through */
	trap_set(V_COM, com_clear);
	ioapic_set(MACHINE_COM1_IRQ, V_COM | IOAPIC_LEVEL, apic_id());
	outb(COM1 + 1, 2); /* transmitter empty: at once */
	CHECK(trap_wait(V_COM, 1, 1000));
	drain();
	CHECK_EQ(trap_counted(V_COM), 1);
	outb(COM1 + 1, 0);
	CHECK_EQ(ioapic_read(0x10 + 2 * MACHINE_COM1_IRQ) & IOAPIC_REMOTE_IRR, 0);
	/* Remote IRR between delivery and EOI */
	trap_set(V_COM, trap_count_only);
	outb(COM1 + 1, 2);
	CHECK(trap_wait(V_COM, 2, 1000));
	CHECK_EQ(ioapic_read(0x10 + 2 * MACHINE_COM1_IRQ) & IOAPIC_REMOTE_IRR, IOAPIC_REMOTE_IRR);
	CHECK(apic_bit(APIC_TMR, V_COM));
	(void)inb(COM1 + 2);
	outb(COM1 + 1, 0);
	apic_eoi();
	CHECK_EQ(ioapic_read(0x10 + 2 * MACHINE_COM1_IRQ) & IOAPIC_REMOTE_IRR, 0);
	drain();
	CHECK_EQ(trap_counted(V_COM), 2);
	/* again and again until the cause is gone */
	trap_clear();
	rounds = 0;
	trap_set(V_COM, com_late);
	outb(COM1 + 1, 2);
	CHECK(trap_wait(V_COM, 3, 1000));
	drain();
	CHECK_EQ(trap_counted(V_COM), 3);
	/* raised while masked: comes at unmask */
	trap_set(V_COM, com_clear);
	ioapic_set(MACHINE_COM1_IRQ, V_COM | IOAPIC_LEVEL | IOAPIC_MASKED, apic_id());
	trap_clear();
	outb(COM1 + 1, 2);
	drain();
	CHECK_EQ(trap_counted(V_COM), 0);
	ioapic_set(MACHINE_COM1_IRQ, V_COM | IOAPIC_LEVEL, apic_id());
	CHECK(trap_wait(V_COM, 1, 1000));
	outb(COM1 + 1, 0);
	ioapic_set(MACHINE_COM1_IRQ, IOAPIC_MASKED, apic_id());
}

/* ---- 8254 ---------------------------------------------------------------------------------- */

static u8 pit_status(u32 channel)
{
	outb(0x43, (u8)(0xe0 | 2u << channel)); /* read-back, status only */
	return inb((u16)(0x40 + channel));
}

TEST(pit_counts_down)
{
	u16 a, b;

	pit_set(0, 2, 0);
	a = pit_read(0);
	wait_us(5000); /* ~6000 ticks */
	b = pit_read(0);
	CHECK((u16)(a - b) > 3000);
	CHECK_EQ(pit_status(0) & 0x3f, 0x34); /* both bytes, mode 2 */
	pit_set(0, 3, 1000);
	CHECK_EQ(pit_status(0) & 0x3f, 0x36);
}

TEST(pit_latch_and_access_modes)
{
	u8 lo, hi;

	pit_set(0, 2, 0);
	outb(0x43, 0x00); /* latch */
	wait_us(1000);
	lo = inb(0x40);
	outb(0x43, 0x00); /* ignored: the latch was not read out */
	hi = inb(0x40);
	CHECK((u16)(lo | hi << 8) != 0);
	outb(0x43, 0x10); /* low byte only, mode 0 */
	outb(0x40, 0x20);
	CHECK_EQ(pit_status(0) & 0x30, 0x10);
	outb(0x43, 0x20); /* high byte only */
	outb(0x40, 0x20);
	CHECK_EQ(pit_status(0) & 0x30, 0x20);
	pit_set(0, 0, 0);
}

static bool out2(void)
{
	return inb(0x61) & 0x20;
}

static bool wait_out2(bool level, u32 us)
{
	for (u32 i = 0; i < us / 10; i++) {
		if (out2() == level)
			return true;
		wait_us(10);
	}
	return out2() == level;
}

TEST(pit_channel2_gate)
{
	outb(0x61, inb(0x61) & 0xfc); /* gate low */
	pit_set(2, 0, 1193);
	CHECK(!out2());
	wait_us(3000);
	if (boot_platform() != PLATFORM_TCG) /* QEMU's channel counts on */
		CHECK(!out2());
	outb(0x61, (inb(0x61) & 0xfc) | 1);
	CHECK(wait_out2(true, 100000)); /* terminal count */
	/* mode 1: the gate's rising edge starts the pulse */
	outb(0x61, inb(0x61) & 0xfc);
	pit_set(2, 1, 5965); /* 5 ms */
	if (boot_platform() != PLATFORM_TCG)
		CHECK(out2());
	outb(0x61, (inb(0x61) & 0xfc) | 1);
	CHECK(wait_out2(false, 1000));
	CHECK(wait_out2(true, 100000));
	/* mode 3: square */
	pit_set(2, 3, 11931); /* 10 ms */
	CHECK(wait_out2(false, 100000) && wait_out2(true, 100000) && wait_out2(false, 100000));
	outb(0x61, inb(0x61) & 0xfc);
}

/* How Linux calibrates: TSC over 10 ms of channel 2 agrees with the ACPI timer. */
TEST(pit_against_pm_timer)
{
	bool good = false;

	/* An emulated machine is held up now and then between two readings; not every time. */
	for (u32 tries = 0; tries < 10 && !good; tries++) {
		u32 pm, n;

		outb(0x61, (inb(0x61) & 0xfc) | 1);
		pit_set(2, 0, 59659); /* 50 ms */
		pm = pm_timer();
		for (u32 i = 0; i < 10000000 && !out2(); i++)
			;
		n = (pm_timer() - pm) & 0xffffff;
		good = n > PM_TMR_HZ / 20 * 9 / 10 && n < PM_TMR_HZ / 20 * 12 / 10;
	}
	CHECK(good);
}

/* ---- RTC ------------------------------------------------------------------------------------ */

static void rtc_handler(struct trap_frame *f)
{
	(void)rtc_read(0x0c);
	trap_count_apic(f);
}

TEST(rtc_time)
{
	u8 b = rtc_read(0x0b), s = rtc_read(0);

	CHECK(rtc_read(0x0d) & 0x80); /* battery */
	CHECK((b & 4 ? s : (s >> 4) * 10 + (s & 15)) < 60);
	CHECK(rtc_read(8) >= 1 && rtc_read(8) <= 0x12);
	rtc_write(0x50, 0x5a); /* CMOS RAM */
	CHECK_EQ(rtc_read(0x50), 0x5a);
	rtc_write(0x50, 0);
}

TEST(rtc_periodic_interrupt)
{
	u8 a = rtc_read(0x0a), b = rtc_read(0x0b);

	trap_clear();
	trap_set(V_RTC, rtc_handler);
	ioapic_set(MACHINE_RTC_IRQ, V_RTC, apic_id());
	rtc_write(0x0a, (a & 0xf0) | 9); /* 128 Hz */
	(void)rtc_read(0x0c);
	rtc_write(0x0b, b | 0x40);
	CHECK(trap_wait(V_RTC, 5, 2000));
	rtc_write(0x0b, b);
	(void)rtc_read(0x0c);
	drain();
	trap_clear();
	wait_us(30000);
	drain();
	CHECK_EQ(trap_counted(V_RTC), 0);
	rtc_write(0x0a, a);
}

TEST(rtc_update_interrupt)
{
	u8 b = rtc_read(0x0b);

	trap_clear();
	(void)rtc_read(0x0c);
	rtc_write(0x0b, b | 0x10);
	CHECK(trap_wait(V_RTC, 1, 3000));
	rtc_write(0x0b, b);
	(void)rtc_read(0x0c);
	ioapic_set(MACHINE_RTC_IRQ, IOAPIC_MASKED, apic_id());
}

/* ---- ACPI ------------------------------------------------------------------------------------ */

TEST(pm_timer_goes_on)
{
	u32 a = pm_timer(), b;

	wait_us(2000);
	b = pm_timer();
	CHECK(((b - a) & 0xffffff) > 3000 && ((b - a) & 0xffffff) < 3000000);
}

static void sci(struct trap_frame *f)
{
	outw(MACHINE_PM1_EVT, 1); /* TMR_STS */
	trap_count_apic(f);
}

/* The timer's top bit changes every 2.3 s and asks for an SCI. */
TEST(pm_timer_interrupt)
{
	trap_clear();
	trap_set(V_SCI, sci);
	outw(MACHINE_PM1_CNT, inw(MACHINE_PM1_CNT) | 1); /* SCI_EN */
	SKIP_IF(!(inw(MACHINE_PM1_CNT) & 1), "no SCI_EN");
	ioapic_set(MACHINE_SCI_IRQ, V_SCI | IOAPIC_LEVEL, apic_id());
	outw(MACHINE_PM1_EVT, 1);
	outw(MACHINE_PM1_EVT + 2, 1);
	CHECK_EQ(inw(MACHINE_PM1_EVT + 2) & 1, 1);
	CHECK(trap_wait(V_SCI, 1, 5000));
	outw(MACHINE_PM1_EVT + 2, 0);
	drain();
	CHECK(trap_counted(V_SCI) <= 2);
	CHECK_EQ(inw(MACHINE_PM1_EVT) & 1, 0);
	ioapic_set(MACHINE_SCI_IRQ, IOAPIC_MASKED, apic_id());
}

/* ---- serial port --------------------------------------------------------------------- */

TEST(serial_registers)
{
	u8 lcr = inb(COM1 + 3);

	outb(COM1 + 7, 0xa5);
	CHECK_EQ(inb(COM1 + 7), 0xa5);
	CHECK_EQ(inb(COM1 + 2) & 0xc0, 0xc0); /* FIFO of a 16550A */
	outb(COM1 + 3, lcr | 0x80);
	outb(COM1 + 0, 3);
	outb(COM1 + 1, 0);
	CHECK_EQ(inb(COM1 + 0), 3);
	outb(COM1 + 0, 1);
	outb(COM1 + 3, lcr);
	CHECK_EQ(inb(COM1 + 3), lcr);
	CHECK_EQ(inb(COM1 + 5) & 0x60, 0x60);
}

TEST(serial_loopback)
{
	u8 mcr = inb(COM1 + 4);

	outb(COM1 + 4, 0x10);
	outb(COM1, 0x5a);
	wait_us(2000);
	CHECK_EQ(inb(COM1 + 5) & 1, 1);
	CHECK_EQ(inb(COM1), 0x5a);
	outb(COM1 + 4, 0x10 | 0x0a); /* RTS and OUT2 come back as CTS and DCD */
	CHECK_EQ(inb(COM1 + 6) & 0xf0, 0x90);
	outb(COM1 + 4, mcr);
}

/* ---- x2APIC: no way back, so last --------------------------------------------------------- */

TEST(x2apic_level)
{
	SKIP_IF(!(cpuid(1, 0).ecx >> 21 & 1), "no x2APIC");
	apic_x2_enable();
	test_ioapic_level();
	test_pic_delivers_pit();
}
