/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC registers through the page or through MSRs; the offsets are the same.
 */
#include "arch/x86/lapic.h"

#include "arch/x86/cpu.h"
#include "arch/x86/io.h"
#include "arch/x86/msr.h"

#define APIC_BASE_X2 BIT(10)
#define APIC_BASE_EN BIT(11)

#define REG_ID	       0x020
#define REG_TPR	       0x080
#define REG_EOI	       0x0b0
#define REG_LDR	       0x0d0
#define REG_DFR	       0x0e0
#define REG_SVR	       0x0f0
#define REG_ISR	       0x100
#define REG_ESR	       0x280
#define REG_LVT_CMCI   0x2f0
#define REG_ICR	       0x300
#define REG_ICR_HI     0x310
#define REG_LVT_TIMER  0x320
#define REG_LVT_THERM  0x330
#define REG_LVT_PERF   0x340
#define REG_LVT_LINT0  0x350
#define REG_LVT_LINT1  0x360
#define REG_LVT_ERROR  0x370
#define REG_TIMER_INIT 0x380
#define REG_TIMER_NOW  0x390
#define REG_TIMER_DIV  0x3e0
#define REG_VERSION    0x030

#define SVR_ENABLE	  BIT(8)
#define LVT_MASKED	  BIT(16)
#define LVT_NMI		  (4u << 8)
#define LVT_TIMER_DEADLINE (2u << 17)
#define TIMER_DIV_1	  0xb

#define ICR_NMI	     (4u << 8)
#define ICR_INIT     (5u << 8)
#define ICR_STARTUP  (6u << 8)
#define ICR_PENDING  BIT(12)
#define ICR_ASSERT   (1u << 14)
#define ICR_OTHERS   (3u << 18)
#define ICR_WAIT_MAX 100000

static volatile u8 *page;
static bool x2;
static u8 timer_vector;

static u32 reg_read(u32 reg)
{
	if (x2)
		return (u32)msr_read(MSR_X2APIC + (reg >> 4));
	return mmio_read32(page + reg);
}

static void reg_write(u32 reg, u32 v)
{
	if (x2)
		msr_write(MSR_X2APIC + (reg >> 4), v);
	else
		mmio_write32(page + reg, v);
}

static void icr_write(u32 dest, u32 low)
{
	u64 flags;

	/* Stores made before the IPI must be seen by its receiver; x2APIC writes do not order. */
	__asm__ volatile("mfence; lfence" : : : "memory");
	if (x2) {
		msr_write(MSR_X2APIC + (REG_ICR >> 4), (u64)dest << 32 | low);
		return;
	}
	for (u32 i = 0; i < ICR_WAIT_MAX && (reg_read(REG_ICR) & ICR_PENDING); i++)
		cpu_pause();
	/* An interrupt handler that sends an IPI of its own must not come between the two. */
	flags = irq_save();
	reg_write(REG_ICR_HI, dest << 24);
	reg_write(REG_ICR, low);
	irq_restore(flags);
}

hpa_t lapic_mmio_base(void)
{
	return msr_read(MSR_APIC_BASE) & MASK(51, 12);
}

void lapic_setup(volatile void *mmio)
{
	page = mmio;
	x2 = cpu_features()->x2apic;
}

bool lapic_is_x2apic(void)
{
	return x2;
}

void lapic_enable(const struct lapic_vectors *v)
{
	u64 base = msr_read(MSR_APIC_BASE);
	u32 max_lvt;

	/* Disabled to x2APIC is not a legal step: by xAPIC (SDM vol. 3 §11.12.5). */
	if (!(base & APIC_BASE_EN))
		msr_write(MSR_APIC_BASE, base |= APIC_BASE_EN);
	if (x2 && !(base & APIC_BASE_X2))
		msr_write(MSR_APIC_BASE, base | APIC_BASE_X2);
	timer_vector = v->timer;
	max_lvt = reg_read(REG_VERSION) >> 16 & 0xff;
	reg_write(REG_TPR, 0);
	reg_write(REG_SVR, SVR_ENABLE | v->spurious);
	reg_write(REG_LVT_TIMER, LVT_MASKED | v->timer);
	reg_write(REG_LVT_LINT0, LVT_MASKED);
	reg_write(REG_LVT_LINT1, LVT_NMI);
	if (max_lvt >= 4)
		reg_write(REG_LVT_PERF, LVT_MASKED);
	if (max_lvt >= 5)
		reg_write(REG_LVT_THERM, LVT_MASKED);
	if (max_lvt >= 6)
		reg_write(REG_LVT_CMCI, LVT_MASKED);
	reg_write(REG_LVT_ERROR, v->error);
	reg_write(REG_TIMER_DIV, TIMER_DIV_1);
	reg_write(REG_TIMER_INIT, 0);
	reg_write(REG_LVT_TIMER, v->timer);
	reg_write(REG_ESR, 0);
	lapic_eoi(); /* what firmware left in service */
}

void lapic_recheck(void)
{
	reg_write(REG_TPR, 0);
}

u32 lapic_id(void)
{
	u32 id = reg_read(REG_ID);

	return x2 ? id : id >> 24;
}

bool lapic_in_service(u8 vector)
{
	return (x2 || page) && (reg_read(REG_ISR + vector / 32 * 0x10u) >> vector % 32 & 1);
}

void lapic_eoi(void)
{
	reg_write(REG_EOI, 0);
}

u32 lapic_error(void)
{
	reg_write(REG_ESR, 0);
	return reg_read(REG_ESR);
}

void lapic_send_ipi(u32 dest, u8 vector)
{
	icr_write(dest, ICR_ASSERT | vector);
}

void lapic_send_nmi_others(void)
{
	icr_write(0, ICR_ASSERT | ICR_NMI | ICR_OTHERS);
}

void lapic_send_init(u32 dest)
{
	icr_write(dest, ICR_ASSERT | ICR_INIT);
}

void lapic_send_startup(u32 dest, u8 page_number)
{
	icr_write(dest, ICR_ASSERT | ICR_STARTUP | page_number);
}

void lapic_timer_count(u32 count)
{
	reg_write(REG_TIMER_INIT, count);
}

u32 lapic_timer_left(void)
{
	return reg_read(REG_TIMER_NOW);
}

void lapic_timer_use_deadline(void)
{
	reg_write(REG_LVT_TIMER, LVT_TIMER_DEADLINE | timer_vector);
	/* The mode must be in force before the first deadline (SDM vol. 3 §11.5.4.1). */
	__asm__ volatile("mfence" : : : "memory");
}

void lapic_timer_deadline(u64 tsc)
{
	msr_write(MSR_TSC_DEADLINE, tsc);
}
