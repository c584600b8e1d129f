/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8259, 8254, RTC and ACPI timer access, and waiting.
 */
#include "guest/image/lib/pc.h"

#include "guest/vm/machine.h"

static u8 pic_base = 0x20;
static u64 khz;

void pic_init(u8 base)
{
	pic_base = base;
	outb(PIC1, 0x11);
	outb(PIC2, 0x11);
	outb(PIC1 + 1, base);
	outb(PIC2 + 1, (u8)(base + 8));
	outb(PIC1 + 1, 4);
	outb(PIC2 + 1, 2);
	outb(PIC1 + 1, 1);
	outb(PIC2 + 1, 1);
	pic_mask(0xffff);
}

void pic_mask(u16 mask)
{
	outb(PIC1 + 1, (u8)mask);
	outb(PIC2 + 1, (u8)(mask >> 8));
}

void pic_eoi(u8 vector)
{
	if (vector >= pic_base + 8)
		outb(PIC2, 0x20);
	outb(PIC1, 0x20);
}

static u16 pic_pair(u8 ocw3)
{
	outb(PIC1, ocw3);
	outb(PIC2, ocw3);
	return (u16)(inb(PIC1) | inb(PIC2) << 8);
}

u16 pic_irr(void)
{
	return pic_pair(0x0a);
}

u16 pic_isr(void)
{
	return pic_pair(0x0b);
}

void pit_set(u32 channel, u32 mode, u16 count)
{
	outb(0x43, (u8)(channel << 6 | 0x30 | mode << 1));
	outb((u16)(0x40 + channel), (u8)count);
	outb((u16)(0x40 + channel), (u8)(count >> 8));
}

u16 pit_read(u32 channel)
{
	u8 lo;

	outb(0x43, (u8)(channel << 6));
	lo = inb((u16)(0x40 + channel));
	return (u16)(lo | inb((u16)(0x40 + channel)) << 8);
}

u8 rtc_read(u8 reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

void rtc_write(u8 reg, u8 v)
{
	outb(0x70, reg);
	outb(0x71, v);
}

u32 pm_timer(void)
{
	return inl(MACHINE_PM_TMR);
}

/* Rate over 5 ms; wrong when an emulated machine was held up between two of the readings. */
static u64 sample_khz(void)
{
	u32 start = pm_timer(), ticks = 0;
	u64 t = rdtsc();

	for (u32 i = 0; i < 10000000 && ticks < PM_TMR_HZ / 200; i++)
		ticks = (pm_timer() - start) & 0xffffff;
	t = rdtsc() - t;
	return ticks ? t * PM_TMR_HZ / ticks / 1000 : 0;
}

u64 tsc_khz(void)
{
	u64 s[5];

	for (u32 i = 0; !khz && i < ARRAY_SIZE(s); i++)
		s[i] = sample_khz();
	if (!khz)
		khz = stat_of(s, ARRAY_SIZE(s)).median;
	if (!khz)
		khz = 1;
	return khz;
}

void wait_us(u32 us)
{
	u64 end = rdtsc() + tsc_khz() * us / 1000;

	while ((s64)(rdtsc() - end) < 0)
		pause();
}

struct stat2 stat_of(u64 *s, u32 n)
{
	for (u32 i = 1; i < n; i++) {
		u64 v = s[i];
		u32 j = i;

		for (; j && s[j - 1] > v; j--)
			s[j] = s[j - 1];
		s[j] = v;
	}
	return (struct stat2){ s[0], s[n / 2] };
}
