/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nested page-table entries.
 */
#include "arch/svm/npt_fmt.h"

#include "arch/x86/pg64_fmt.h"

static u64 npt_leaf(hpa_t hpa, u64 attrs, u32 level)
{
	return pg64_leaf(hpa, attrs, level) | PG64_US;
}

static u64 npt_table(hpa_t hpa, u32 level)
{
	(void)level;
	return hpa | PG64_P | PG64_RW | PG64_US;
}

const struct pgfmt npt_fmt = {
	.name = "NPT",
	.levels = 4,
	.index_bits = 9,
	.va_bits = 48,
	.hpa_bits = 52,
	.leaf_levels = BIT(1) | BIT(2) | BIT(3),
	.attrs = PG_R | PG_W | PG_X | PG_UC,
	.accessed = PG64_A,
	.dirty = PG64_D,
	.leaf = npt_leaf,
	.table = npt_table,
	.present = pg64_present,
	.is_leaf = pg64_is_leaf,
	.addr = pg64_addr,
	.leaf_attrs = pg64_leaf_attrs,
};
