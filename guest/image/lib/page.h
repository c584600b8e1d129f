/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables of guest kernels: the boot map (4 GiB one to one, 2 MiB pages) and more on request.
 */
#ifndef GUEST_IMAGE_LIB_PAGE_H
#define GUEST_IMAGE_LIB_PAGE_H

#include "guest/image/lib/cpu.h"

#define PTE_P	 0x1ull
#define PTE_W	 0x2ull
#define PTE_U	 0x4ull
#define PTE_PWT	 0x8ull
#define PTE_PCD	 0x10ull
#define PTE_A	 0x20ull
#define PTE_D	 0x40ull
#define PTE_PS	 0x80ull
#define PTE_G	 0x100ull
#define PTE_NX	 (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

/* Free for tests: nothing is mapped from here on. */
#define PAGE_TEST_VA 0x8000000000ull /* 512 GiB: an entry of the root of its own */

/**
 * page_entry() - address of the entry for va at level (1: 4K, 2: 2M, 3: 1G, 4: root), making tables
 * on the way. NULL: a large page is in the way.
 */
u64 *page_entry(u64 va, u32 level);

/** page_map() - map va to pa: level as above, flags PTE_*; flushes va. */
void page_map(u64 va, u64 pa, u32 level, u64 flags);

/** page_unmap() - clear the entry of va at level. */
void page_unmap(u64 va, u32 level);

#endif
