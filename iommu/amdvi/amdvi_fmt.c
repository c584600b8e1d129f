/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD-Vi page-table entries. Bits 11:9 say the level of what an entry points to: 0 makes it
 * a leaf of its own level's size.
 */
#include "iommu/amdvi/amdvi_fmt.h"

#define AMDVI_PR	BIT(0)
#define AMDVI_NEXT_LOW	9
#define AMDVI_NEXT_HIGH 11
#define AMDVI_FC	BIT(60)	/* coherent: the walk's result is snooped */
#define AMDVI_IR	BIT(61)
#define AMDVI_IW	BIT(62)
#define AMDVI_ADDR	MASK(51, 12)

static u64 amdvi_leaf(hpa_t hpa, u64 attrs, u32 level)
{
	u64 e = hpa | AMDVI_PR | AMDVI_FC | AMDVI_IR;

	(void)level;
	return attrs & PG_W ? e | AMDVI_IW : e;
}

static u64 amdvi_table(hpa_t hpa, u32 level)
{
	return field_set(hpa | AMDVI_PR | AMDVI_IR | AMDVI_IW, AMDVI_NEXT_HIGH, AMDVI_NEXT_LOW,
			 level - 1);
}

static bool amdvi_present(u64 entry)
{
	return (entry & AMDVI_PR) != 0;
}

static bool amdvi_is_leaf(u64 entry, u32 level)
{
	(void)level;
	return field_get(entry, AMDVI_NEXT_HIGH, AMDVI_NEXT_LOW) == 0;
}

static hpa_t amdvi_addr(u64 entry, u32 level)
{
	(void)level;
	return entry & AMDVI_ADDR;
}

static u64 amdvi_leaf_attrs(u64 entry, u32 level)
{
	(void)level;
	return (entry & AMDVI_IR ? PG_R : 0) | (entry & AMDVI_IW ? PG_W : 0);
}

const struct pgfmt amdvi_fmt = {
	.name = "AMD-Vi",
	.levels = 4,
	.index_bits = 9,
	.va_bits = 48,
	.hpa_bits = 52,
	.leaf_levels = BIT(1) | BIT(2) | BIT(3),
	.attrs = PG_R | PG_W,
	.leaf = amdvi_leaf,
	.table = amdvi_table,
	.present = amdvi_present,
	.is_leaf = amdvi_is_leaf,
	.addr = amdvi_addr,
	.leaf_attrs = amdvi_leaf_attrs,
};
