/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended page-table entries.
 */
#include "arch/vmx/ept_fmt.h"

#define EPT_R	  BIT(0)
#define EPT_W	  BIT(1)
#define EPT_X	  BIT(2)
#define EPT_RWX	  (EPT_R | EPT_W | EPT_X)
#define EPT_MT_WB (6ull << 3) /* bits 5:3, memory type of a leaf */
#define EPT_MT_UC (0ull << 3)
#define EPT_LARGE BIT(7)
#define EPT_A	  BIT(8)
#define EPT_D	  BIT(9)
#define EPT_ADDR  MASK(51, 12)

/* "Ignore PAT" (bit 6) stays 0: the guest's PAT narrows write-back as it would on metal. */
static u64 ept_leaf(hpa_t hpa, u64 attrs, u32 level)
{
	u64 e = hpa | EPT_R;

	/* What is not to be logged counts as written: nothing is logged that nobody asks for. */
	if (attrs & PG_W)
		e |= attrs & PG_LOG ? EPT_W : EPT_W | EPT_D;
	if (attrs & PG_X)
		e |= EPT_X;
	e |= attrs & PG_UC ? EPT_MT_UC : EPT_MT_WB;
	return level > 1 ? e | EPT_LARGE : e;
}

static u64 ept_table(hpa_t hpa, u32 level)
{
	(void)level;
	return hpa | EPT_RWX;
}

static bool ept_present(u64 entry)
{
	return (entry & EPT_RWX) != 0;
}

static bool ept_is_leaf(u64 entry, u32 level)
{
	return level == 1 || (entry & EPT_LARGE);
}

static hpa_t ept_addr(u64 entry, u32 level)
{
	(void)level;
	return entry & EPT_ADDR;
}

static u64 ept_leaf_attrs(u64 entry, u32 level)
{
	(void)level;
	return (entry & EPT_R ? PG_R : 0) | (entry & EPT_W ? PG_W : 0) |
	       (entry & EPT_X ? PG_X : 0) | (field_get(entry, 5, 3) == 0 ? PG_UC : 0) |
	       ((entry & (EPT_W | EPT_D)) == EPT_W ? PG_LOG : 0);
}

const struct pgfmt ept_fmt = {
	.name = "EPT",
	.levels = 4,
	.index_bits = 9,
	.va_bits = 48,
	.hpa_bits = 52,
	.leaf_levels = BIT(1) | BIT(2) | BIT(3),
	.attrs = PG_R | PG_W | PG_X | PG_UC | PG_LOG,
	.accessed = EPT_A,
	.dirty = EPT_D,
	.leaf = ept_leaf,
	.table = ept_table,
	.present = ept_present,
	.is_leaf = ept_is_leaf,
	.addr = ept_addr,
	.leaf_attrs = ept_leaf_attrs,
};
