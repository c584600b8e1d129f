/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encode and decode of 64-bit x86 page-table entries.
 */
#include "arch/x86/pg64_fmt.h"

#define PG64_ADDR MASK(51, 12)

u64 pg64_leaf(hpa_t hpa, u64 attrs, u32 level)
{
	u64 e = hpa | PG64_P;

	if (attrs & PG_W)
		e |= PG64_RW;
	if (!(attrs & PG_X))
		e |= PG64_NX;
	if (attrs & PG_UC)
		e |= PG64_PCD | PG64_PWT;
	return level > 1 ? e | PG64_PS : e;
}

/* Leaves decide the rights. */
static u64 pg64_table(hpa_t hpa, u32 level)
{
	(void)level;
	return hpa | PG64_P | PG64_RW;
}

bool pg64_present(u64 entry)
{
	return (entry & PG64_P) != 0;
}

bool pg64_is_leaf(u64 entry, u32 level)
{
	return level == 1 || (entry & PG64_PS);
}

hpa_t pg64_addr(u64 entry, u32 level)
{
	/* Bit 12 of a large leaf is its PAT bit. */
	if (level > 1 && (entry & PG64_PS))
		return entry & MASK(51, 21);
	return entry & PG64_ADDR;
}

u64 pg64_leaf_attrs(u64 entry, u32 level)
{
	(void)level;
	return PG_R | (entry & PG64_RW ? PG_W : 0) | (entry & PG64_NX ? 0 : PG_X) |
	       (entry & PG64_PCD ? PG_UC : 0);
}

const struct pgfmt pg64_fmt = {
	.name = "x86-64",
	.levels = 4,
	.index_bits = 9,
	.va_bits = 48,
	.hpa_bits = 52,
	.canonical = true,
	.leaf_levels = BIT(1) | BIT(2) | BIT(3),
	.attrs = PG_R | PG_W | PG_X | PG_UC,
	.accessed = PG64_A,
	.dirty = PG64_D,
	.leaf = pg64_leaf,
	.table = pg64_table,
	.present = pg64_present,
	.is_leaf = pg64_is_leaf,
	.addr = pg64_addr,
	.leaf_attrs = pg64_leaf_attrs,
};
