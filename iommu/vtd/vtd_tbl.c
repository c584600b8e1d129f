/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VT-d's table entries and capability fields.
 */
#include "iommu/vtd/vtd_tbl.h"

#include "kernel/base/bits.h"

#define VTD_PRESENT	BIT(0)
#define VTD_TABLE_ADDR	MASK(51, 12)
#define VTD_TT_SECOND	0ull /* bits 3:2: untranslated requests only, through the table */
#define VTD_AW_LOW	0    /* high half, bits 2:0: levels - 2 */
#define VTD_DOMAIN_LOW	8    /* high half, bits 23:8 */

#define VTD_MSI_BASE	0xfee00000u
#define VTD_MSI_REMAP	BIT(4)
#define VTD_MSI_SHV	BIT(3)

struct vtd_entry vtd_root(hpa_t context_table)
{
	return (struct vtd_entry){ context_table | VTD_PRESENT, 0 };
}

hpa_t vtd_root_table(struct vtd_entry e)
{
	return e.lo & VTD_PRESENT ? e.lo & VTD_TABLE_ADDR : 0;
}

struct vtd_entry vtd_context(hpa_t root, u32 levels, u16 domain)
{
	return (struct vtd_entry){
		root | VTD_TT_SECOND << 2 | VTD_PRESENT,
		(u64)domain << VTD_DOMAIN_LOW | (u64)(levels - 2) << VTD_AW_LOW,
	};
}

u16 vtd_context_domain(struct vtd_entry e)
{
	return (u16)field_get(e.hi, 23, 8);
}

struct vtd_entry vtd_irte(const struct vtd_irq *q)
{
	/* In xAPIC mode the 8-bit id is in bits 15:8 of the destination. */
	u64 dest = q->x2apic ? q->dest : (u64)(q->dest & 0xff) << 8;
	u64 lo = VTD_PRESENT | (u64)q->vector << 16 | dest << 32;

	if (q->level)
		lo |= BIT(4);
	/* SVT 1: source id is verified, SQ 0: all 16 bits of it. */
	return (struct vtd_entry){ lo, (u64)q->source | 1ull << 18 };
}

u32 vtd_msi_address(u16 index)
{
	return (u32)(VTD_MSI_BASE | VTD_MSI_REMAP | VTD_MSI_SHV | (index & 0x7fffu) << 5 |
		     (u32)(index >> 15) << 2);
}

u32 vtd_msi_data(u16 sub)
{
	return sub;
}

u64 vtd_rte(u16 index, u8 vector, bool level, bool active_low)
{
	u64 rte = vector | BIT(48) | (u64)(index & 0x7fff) << 49 | (u64)(index >> 15) << 11;

	if (level)
		rte |= BIT(15);
	return active_low ? rte | BIT(13) : rte;
}

struct vtd_caps vtd_caps(u64 cap, u64 ecap)
{
	u64 leaves = field_get(cap, 37, 34);

	return (struct vtd_caps){
		.domains = 1u << (4 + 2 * min_u64(field_get(cap, 2, 0), 6)),
		.addr_bits = (u8)(field_get(cap, 21, 16) + 1),
		.levels3 = (cap & BIT(9)) != 0,
		.levels4 = (cap & BIT(10)) != 0,
		.max_leaf = !(leaves & 1) ? PAGE_SIZE : leaves & 2 ? SIZE_1G : SIZE_2M,
		.caching = (cap & BIT(7)) != 0,
		.write_flush = (cap & BIT(4)) != 0,
		.protected_memory = (cap & (BIT(5) | BIT(6))) != 0,
		.page_flush = (cap & BIT(39)) != 0,
		.flush_order = (u8)field_get(cap, 53, 48),
		.drain_write = (cap & BIT(54)) != 0,
		.drain_read = (cap & BIT(55)) != 0,
		.fault_offset = (u32)field_get(cap, 33, 24) * 16,
		.faults = (u32)field_get(cap, 47, 40) + 1,
		.coherent = (ecap & BIT(0)) != 0,
		.queued = (ecap & BIT(1)) != 0,
		.irq_remap = (ecap & BIT(3)) != 0,
		.x2apic = (ecap & BIT(4)) != 0,
		.iotlb_offset = (u32)field_get(ecap, 17, 8) * 16,
	};
}

bool vtd_fault(struct vtd_entry e, struct vtd_fault *out)
{
	u8 reason = (u8)field_get(e.hi, 39, 32);

	if (!(e.hi & BIT(63)))
		return false;
	*out = (struct vtd_fault){
		.source = (u16)field_get(e.hi, 15, 0),
		.reason = reason,
		.read = (e.hi & BIT(62)) != 0,
		.irq = reason >= 0x20 && reason < 0x30,
	};
	out->addr = out->irq ? field_get(e.lo, 63, 48) : e.lo & MASK(63, 12);
	return true;
}

const char *vtd_fault_text(u8 reason)
{
	static const char *const dma[] = {
		[1] = "no root entry: device is blocked",
		[2] = "no context entry: device is blocked",
		[3] = "context entry malformed",
		[4] = "address beyond the domain's width",
		[5] = "write not allowed",
		[6] = "read not allowed",
		[7] = "second-level table not readable",
		[8] = "root table not readable",
		[9] = "context table not readable",
		[10] = "root entry has reserved bits set",
		[11] = "context entry has reserved bits set",
		[12] = "second-level entry has reserved bits set",
		[13] = "translated request blocked",
	};
	static const char *const irq[] = {
		[0] = "interrupt request malformed", [1] = "interrupt index beyond the table",
		[2] = "interrupt is blocked",	     [3] = "interrupt table not readable",
		[4] = "interrupt entry malformed",   [5] = "compatibility-format interrupt blocked",
		[6] = "interrupt from a wrong source",
	};

	if (reason > 0 && reason < ARRAY_SIZE(dma))
		return dma[reason];
	if (reason >= 0x20 && reason - 0x20u < ARRAY_SIZE(irq))
		return irq[reason - 0x20];
	return "unknown reason";
}
