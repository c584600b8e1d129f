/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD-Vi's table entries.
 */
#include "iommu/amdvi/amdvi_tbl.h"

#include "kernel/base/bits.h"

/* First quadword */
#define DTE_V	 BIT(0)
#define DTE_TV	 BIT(1)
#define DTE_IR	 BIT(61)
#define DTE_IW	 BIT(62)
#define DTE_MODE_LOW 9
#define DTE_LEVELS   4ull

/* Third quadword: interrupts */
#define DTE_IV	       BIT(0)
#define DTE_LEN_LOW    1
#define DTE_INIT_PASS  BIT(56)
#define DTE_EINT_PASS  BIT(57)
#define DTE_NMI_PASS   BIT(58)
#define DTE_REMAP      (2ull << 60) /* IntCtl: through the table; 0: all blocked */
#define DTE_LINT0_PASS BIT(62)
#define DTE_LINT1_PASS BIT(63)

#define IRTE_REMAP BIT(0)

/* Bits of the settings are as the IVRS table has them. */
static u64 pass_bits(u8 settings)
{
	u64 q = 0;

	if (settings & 0x01)
		q |= DTE_INIT_PASS;
	if (settings & 0x02)
		q |= DTE_EINT_PASS;
	if (settings & 0x04)
		q |= DTE_NMI_PASS;
	if (settings & 0x40)
		q |= DTE_LINT0_PASS;
	if (settings & 0x80)
		q |= DTE_LINT1_PASS;
	return q;
}

struct amdvi_dte amdvi_dte(const struct amdvi_device *d)
{
	struct amdvi_dte e = { { 0 } };

	/* Rights here are ANDed with those of the table. */
	e.q[0] = DTE_V | DTE_TV | DTE_IR | DTE_IW | DTE_LEVELS << DTE_MODE_LOW | d->root;
	e.q[1] = d->domain | (u64)(d->settings >> 4 & 3) << 40;
	/* IV without IntCtl: every interrupt is aborted and logged. */
	e.q[2] = DTE_IV | pass_bits(d->settings);
	if (d->irqs)
		e.q[2] |= DTE_REMAP | (u64)d->irq_order << DTE_LEN_LOW | d->irqs;
	return e;
}

u32 amdvi_irte32(u8 vector, u32 dest)
{
	return (u32)(IRTE_REMAP | (dest & 0xff) << 8 | (u32)vector << 16);
}

struct amdvi_irte amdvi_irte128(u8 vector, u32 dest)
{
	return (struct amdvi_irte){
		IRTE_REMAP | (u64)(dest & 0xffffff) << 8,
		vector | (u64)(dest >> 24) << 56,
	};
}

u64 amdvi_rte(u16 index, bool level, bool active_low)
{
	/* The vector and delivery mode fields together are the index. */
	u64 rte = index & 0x7ffu;

	if (level)
		rte |= BIT(15);
	return active_low ? rte | BIT(13) : rte;
}

struct amdvi_caps amdvi_caps(u64 efr)
{
	return (struct amdvi_caps){
		.x2apic = (efr & BIT(2)) != 0,
		.wide_irq = (efr & BIT(7)) != 0,
		.invalidate_all = (efr & BIT(6)) != 0,
		.levels = (u8)(4 + field_get(efr, 11, 10)),
	};
}

bool amdvi_event(u64 lo, u64 hi, struct amdvi_event *out)
{
	static const char *const text[] = {
		[1] = "device table entry malformed", [2] = "page not mapped or right missing",
		[3] = "device table not readable",    [4] = "page table not readable",
		[5] = "illegal command",	      [6] = "command buffer not readable",
		[7] = "device does not answer to an invalidation",
		[8] = "request of a kind that is not allowed",
	};
	u8 code = (u8)field_get(lo, 63, 60);

	if (code == 0)
		return false;
	*out = (struct amdvi_event){
		.code = code,
		.source = (u16)field_get(lo, 15, 0),
		.domain = (u16)field_get(lo, 47, 32),
		.addr = hi,
		.irq = (lo & BIT(51)) != 0,
		.present = (lo & BIT(52)) != 0,
		.write = (lo & BIT(53)) != 0,
		.fault = code == 1 || code == 2 || code == 8,
		.text = code < ARRAY_SIZE(text) ? text[code] : "unknown event",
	};
	if (out->irq && code == 2)
		out->text = "interrupt is blocked";
	return true;
}
