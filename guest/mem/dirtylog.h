/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of writes to guest RAM (gmap.dirty): what the guest writes is seen page by page, by write
 * protection in the second stage or, where the format has PG_LOG, by the CPU's own log; what the
 * hypervisor writes it marks itself. Pure.
 *
 * A page is clean (closed, not marked), written (open, marked or in the CPU's log), or marked by
 * the hypervisor alone. Taking a mark closes the page again; once every vCPU has dropped its old
 * translations the page is read, and what is written from then on is marked anew.
 */
#ifndef GUEST_MEM_DIRTYLOG_H
#define GUEST_MEM_DIRTYLOG_H

#include "guest/mem/gmap.h"
#include "kernel/base/compiler.h"
#include "kernel/mm/pgtable.h"

/* Rights of RAM in the second stage: open, and closed in the way that always works. */
#define DIRTYLOG_OPEN	   (PG_R | PG_W | PG_X)
#define DIRTYLOG_PROTECTED (PG_R | PG_X)

/** dirtylog_closed() - rights of a page whose first write is to be seen with the least effort. */
static inline u64 dirtylog_closed(const struct pgfmt *f)
{
	return f->attrs & PG_LOG ? DIRTYLOG_OPEN | PG_LOG : DIRTYLOG_PROTECTED;
}

/**
 * dirtylog_open() - the guest is about to write a page of RAM that is mapped: mark it, let it. A
 * huge leaf is split. Returns 0; -ENOMEM (no page for the table). Locks: the owner's of pt.
 */
int MUST_CHECK dirtylog_open(struct gmap *m, struct pgtable *pt, gpa_t gpa,
			     struct pgtable_change *c);

/**
 * dirtylog_take() - the marks of word i of the log, which are cleared; their pages are closed
 * again, by these rights. The caller makes all vCPUs flush before the first of these pages is read.
 * Locks: as above.
 */
u64 dirtylog_take(struct gmap *m, struct pgtable *pt, u64 i, u64 closed, struct pgtable_change *c);

#endif
