/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes over a VM's RAM by its log of writes.
 */
#include "guest/mem/stage2.h"
#include "guest/migrate/pages.h"
#include "guest/vm/vm.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"

int mig_pages_start(struct mig_pages *p, struct vm *vm, char *why, size_t why_size)
{
	struct gmap *m = &vm->mem;
	u64 words = m->blocks * GMAP_DIRTY_WORDS;
	int rc = stage2_log_start(vm, p, why, why_size);

	if (rc)
		return rc;
	*p = (struct mig_pages){ .vm = vm, .mem = m, .words = words, .stats.passes = 1 };
	p->todo = kalloc(hv_owner(), words * sizeof(u64));
	if (!p->todo) {
		stage2_log_stop(vm, p);
		str_copy(why, why_size, "no memory for the map of pages to send");
		return -ENOMEM;
	}
	for (u64 page = 0; page < words * 64; page++) {
		if (gmap_ram_offset(m, gmap_gpa(m, page * PAGE_SIZE)) == ~0ull)
			continue; /* hidden by the VGA hole */
		p->todo[page / 64] |= BIT(page % 64);
		p->left++;
	}
	return 0;
}

int mig_pages_next(struct mig_pages *p, void *buf, u32 size)
{
	if (p->vm->log_user != p)
		return -ECANCELED;
	if (!stage2_log_settled(p->vm))
		return -EBUSY;
	return (int)mig_pages_fill(p, buf, size);
}

u64 mig_pages_harvest(struct mig_pages *p)
{
	if (p->vm->log_user == p)
		p->left = stage2_log_take(p->vm, p->todo);
	p->at = 0;
	p->stats.passes++;
	return p->left;
}

void mig_pages_stop(struct mig_pages *p)
{
	p->vm->page_ns = 0;
	stage2_log_stop(p->vm, p);
	kfree(hv_owner(), p->todo, p->words * sizeof(u64));
	p->todo = NULL;
}
