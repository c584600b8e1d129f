/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Marks and rights of the log change together, under the lock of the second stage.
 */
#include "guest/mem/dirtylog.h"

#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"

int dirtylog_open(struct gmap *m, struct pgtable *pt, gpa_t gpa, struct pgtable_change *c)
{
	/* Only this page of a huge leaf: all others stay protected. */
	int rc = pgtable_protect(pt, align_down(gpa, PAGE_SIZE), PAGE_SIZE, DIRTYLOG_OPEN, c);

	if (!rc)
		gmap_mark_dirty(m, gpa);
	return rc;
}

u64 dirtylog_take(struct gmap *m, struct pgtable *pt, u64 i, u64 closed, struct pgtable_change *c)
{
	u64 taken = atomic_load_relaxed(&m->dirty[i]) ? atomic_swap(&m->dirty[i], 0) : 0;
	struct pgtable_leaf leaf;

	for (u64 left = taken; left; left &= left - 1) {
		gpa_t gpa = gmap_gpa(m, (i * 64 + (u64)__builtin_ctzll(left)) * PAGE_SIZE);

		/* What only the hypervisor wrote may lie in a huge leaf, which stays whole. */
		if (pgtable_lookup(pt, gpa, &leaf) || !(leaf.attrs & PG_W))
			continue;
		ASSERT(pgtable_protect(pt, gpa, PAGE_SIZE, closed, c) == 0);
	}
	return taken;
}
