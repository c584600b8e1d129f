/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page-table format of 64-bit x86, four levels, supervisor pages only: the hypervisor's
 * own mappings.
 */
#ifndef ARCH_X86_PG64_FMT_H
#define ARCH_X86_PG64_FMT_H

#include "kernel/mm/pgfmt.h"

/* Entry bits, SDM vol. 3 §4.5.4, APM vol. 2 §5.3. */
#define PG64_P	 BIT(0)
#define PG64_RW	 BIT(1)
#define PG64_US	 BIT(2)
#define PG64_PWT BIT(3)
#define PG64_PCD BIT(4)
#define PG64_A	 BIT(5)
#define PG64_D	 BIT(6)
#define PG64_PS	 BIT(7)	/* a leaf of level 2 or 3 */
#define PG64_NX	 BIT(63)

/* PG_UC selects entry 3 of the PAT: UC, in the power-on value and in ours. */
extern const struct pgfmt pg64_fmt;

/* Shared with nested paging, which has the same entries but for US. */
u64 pg64_leaf(hpa_t hpa, u64 attrs, u32 level);
bool pg64_present(u64 entry);
bool pg64_is_leaf(u64 entry, u32 level);
hpa_t pg64_addr(u64 entry, u32 level);
u64 pg64_leaf_attrs(u64 entry, u32 level);

#endif
