/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a page-table format is: a const description with encode and decode per level. Each format
 * is one pure file; the algorithms over all of them are kernel/mm/pgtable.
 */
#ifndef KERNEL_MM_PGFMT_H
#define KERNEL_MM_PGFMT_H

#include "kernel/base/bits.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* Rights and properties of a mapping. Every mapping is readable; a format may lack the rest. */
#define PG_R  BIT(0)
#define PG_W  BIT(1)
#define PG_X  BIT(2)
#define PG_UC BIT(3) /* uncached; else write-back */
#define PG_LOG BIT(4) /* the CPU logs the next write, and takes this away */

/*
 * Levels count from 1 (entries map 4 KiB) upwards; a table has 2^index_bits entries of 8 bytes.
 * 0 is a not-present entry of every format, and so is every 4 KiB-aligned address below 2^52:
 * retired tables are chained by such entries.
 */
struct pgfmt {
	const char *name;
	u8 levels;	 /* of the root table */
	u8 index_bits;	 /* 9 in all hardware formats */
	u8 va_bits;	 /* width of an input address */
	u8 hpa_bits;	 /* widest output address the entry can hold */
	bool canonical;	 /* input addresses are sign-extended from va_bits */
	u8 leaf_levels;	 /* BIT(level): an entry of that level may be a leaf */
	u64 attrs;	 /* PG_* that can be expressed */
	u64 accessed;	 /* bit of a leaf that the hardware sets, 0: none */
	u64 dirty;	 /* same, for writes */

	/* leaf() - entry of a level that maps hpa (aligned to the level's size). */
	u64 (*leaf)(hpa_t hpa, u64 attrs, u32 level);
	/* table() - entry of a level that points to a table of level - 1. */
	u64 (*table)(hpa_t hpa, u32 level);
	bool (*present)(u64 entry);
	/* is_leaf(), addr(), leaf_attrs() - of a present entry. */
	bool (*is_leaf)(u64 entry, u32 level);
	hpa_t (*addr)(u64 entry, u32 level);
	u64 (*leaf_attrs)(u64 entry, u32 level);
};

/** pgfmt_shift() - log2 of the bytes that an entry of a level covers. */
static inline u32 pgfmt_shift(const struct pgfmt *f, u32 level)
{
	return PAGE_SHIFT + (u32)f->index_bits * (level - 1);
}

/** pgfmt_size() - bytes that an entry of a level covers. */
static inline u64 pgfmt_size(const struct pgfmt *f, u32 level)
{
	return 1ull << pgfmt_shift(f, level);
}

/** pgfmt_index() - index of va in its table of a level. */
static inline size_t pgfmt_index(const struct pgfmt *f, u64 va, u32 level)
{
	return (size_t)(va >> pgfmt_shift(f, level)) & ((1u << f->index_bits) - 1);
}

#endif
