/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VT-d second-level entries.
 */
#include "iommu/vtd/vtd_fmt.h"

#define VTD_R	 BIT(0)
#define VTD_W	 BIT(1)
#define VTD_SP	 BIT(7)	/* a leaf of level 2 or 3 */
#define VTD_ADDR MASK(51, 12)

static u64 vtd_leaf(hpa_t hpa, u64 attrs, u32 level)
{
	u64 e = hpa | VTD_R;

	if (attrs & PG_W)
		e |= VTD_W;
	return level > 1 ? e | VTD_SP : e;
}

static u64 vtd_table(hpa_t hpa, u32 level)
{
	(void)level;
	return hpa | VTD_R | VTD_W;
}

static bool vtd_present(u64 entry)
{
	return (entry & (VTD_R | VTD_W)) != 0;
}

static bool vtd_is_leaf(u64 entry, u32 level)
{
	return level == 1 || (entry & VTD_SP);
}

static hpa_t vtd_addr(u64 entry, u32 level)
{
	(void)level;
	return entry & VTD_ADDR;
}

static u64 vtd_leaf_attrs(u64 entry, u32 level)
{
	(void)level;
	return (entry & VTD_R ? PG_R : 0) | (entry & VTD_W ? PG_W : 0);
}

#define VTD_FMT(text, n, bits)                                                       \
	{                                                                            \
		.name = text, .levels = n, .index_bits = 9, .va_bits = bits,         \
		.hpa_bits = 52, .leaf_levels = BIT(1) | BIT(2) | BIT(3),             \
		.attrs = PG_R | PG_W, .leaf = vtd_leaf, .table = vtd_table,          \
		.present = vtd_present, .is_leaf = vtd_is_leaf, .addr = vtd_addr,    \
		.leaf_attrs = vtd_leaf_attrs,                                        \
	}

const struct pgfmt vtd_fmt3 = VTD_FMT("VT-d 39", 3, 39);
const struct pgfmt vtd_fmt4 = VTD_FMT("VT-d 48", 4, 48);
