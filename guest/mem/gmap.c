/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dirty marks of the guest memory map.
 */
#include "guest/mem/gmap.h"

#include "kernel/base/atomic.h"

void gmap_mark_dirty(struct gmap *m, gpa_t gpa)
{
	u64 *log = atomic_load_acquire(&m->dirty);
	u64 page = gmap_ram_offset(m, gpa) / PAGE_SIZE;

	if (log && page < m->blocks * GMAP_DIRTY_WORDS * 64)
		atomic_or(&log[page / 64], BIT(page % 64));
}
