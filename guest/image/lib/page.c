/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page-table entries at any level. Tables are reached one to one.
 */
#include "guest/image/lib/page.h"

#include "guest/image/lib/boot.h"

u64 *page_entry(u64 va, u32 level)
{
	u64 *t = (u64 *)(read_cr3() & PTE_ADDR);

	for (u32 l = 4; l > level; l--) {
		u64 *e = &t[va >> (12 + 9 * (l - 1)) & 511];

		if (*e & PTE_P && *e & PTE_PS)
			return NULL;
		if (!(*e & PTE_P))
			*e = (u64)page_alloc(1) | PTE_P | PTE_W | PTE_U;
		t = (u64 *)(*e & PTE_ADDR);
	}
	return &t[va >> (12 + 9 * (level - 1)) & 511];
}

void page_map(u64 va, u64 pa, u32 level, u64 flags)
{
	u64 *e = page_entry(va, level);

	*e = pa | flags | PTE_P | (level > 1 ? PTE_PS : 0);
	invlpg(va);
}

void page_unmap(u64 va, u32 level)
{
	u64 *e = page_entry(va, level);

	if (e)
		*e = 0;
	invlpg(va);
}
