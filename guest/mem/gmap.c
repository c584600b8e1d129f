/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dirty marks of the guest memory map.
 */
#include "guest/mem/gmap.h"

#include "kernel/base/atomic.h"

void gmap_mark_dirty(struct gmap *m, gpa_t gpa)
{
	u64 off = gmap_ram_offset(m, gpa);

	if (m->dirty && off != ~0ull)
		atomic_or(&m->dirty[off / PAGE_SIZE / 8], (u8)(1u << (off / PAGE_SIZE % 8)));
}
