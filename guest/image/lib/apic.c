/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC and I/O APIC access.
 */
#include "guest/image/lib/apic.h"

#define BASE_X2 0x400u
#define BASE_EN 0x800u
#define POLLS	100000

bool apic_x2(void)
{
	return (rdmsr(MSR_APIC_BASE) & BASE_X2) != 0;
}

void apic_x2_enable(void)
{
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_X2 | BASE_EN);
}

u32 apic_read(u32 reg)
{
	return apic_x2() ? (u32)rdmsr(MSR_X2APIC + reg / 16) : mmio_read(APIC_BASE + reg);
}

void apic_write(u32 reg, u32 v)
{
	if (apic_x2())
		wrmsr(MSR_X2APIC + reg / 16, v);
	else
		mmio_write(APIC_BASE + reg, v);
}

u32 apic_id(void)
{
	return apic_x2() ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_eoi(void)
{
	apic_write(APIC_EOI, 0);
}

void apic_icr(u32 dest, u32 cmd)
{
	if (apic_x2()) {
		wrmsr(MSR_X2APIC + APIC_ICR / 16, (u64)dest << 32 | cmd);
		return;
	}
	mmio_write(APIC_BASE + APIC_ICR2, dest << 24);
	mmio_write(APIC_BASE + APIC_ICR, cmd);
	for (u32 i = 0; i < POLLS && mmio_read(APIC_BASE + APIC_ICR) & ICR_BUSY; i++)
		pause();
}

bool apic_bit(u32 reg, u8 vector)
{
	return apic_read(reg + vector / 32 * 16) >> vector % 32 & 1;
}

void apic_init_cpu(void)
{
	static const u16 lvt[] = { APIC_LVT_TMR, APIC_LVT_PMC, APIC_LVT_LINT0, APIC_LVT_LINT1,
				   APIC_LVT_ERR };

	if (!(rdmsr(MSR_APIC_BASE) & BASE_EN))
		wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | BASE_EN);
	for (u32 i = 0; i < ARRAY_SIZE(lvt); i++)
		apic_write(lvt[i], APIC_LVT_MASKED);
	apic_write(APIC_TMICT, 0);
	apic_write(APIC_TPR, 0);
	apic_write(APIC_SVR, 0x100 | APIC_SPURIOUS);
	if (!apic_x2())
		apic_write(APIC_LDR, 1u << (24 + apic_id() % 8));
}

u32 ioapic_read(u32 reg)
{
	mmio_write(IOAPIC_BASE, reg);
	return mmio_read(IOAPIC_BASE + 0x10);
}

void ioapic_write(u32 reg, u32 v)
{
	mmio_write(IOAPIC_BASE, reg);
	mmio_write(IOAPIC_BASE + 0x10, v);
}

void ioapic_set(u32 pin, u32 low, u32 dest)
{
	ioapic_write(0x10 + 2 * pin, IOAPIC_MASKED);
	ioapic_write(0x11 + 2 * pin, dest << 24);
	ioapic_write(0x10 + 2 * pin, low);
}
