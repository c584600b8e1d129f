/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of writes to guest RAM (gmap.dirty): what the guest writes is seen by write protection
 * in the second stage, page by page; what the hypervisor writes it marks itself. Pure.
 *
 * A page is clean (write-protected, not marked), written (writable, marked), or marked by the
 * hypervisor alone. Taking a mark protects the page again; once every vCPU has dropped its old
 * translations the page is read, and what is written from then on is marked anew.
 */
#ifndef GUEST_MEM_DIRTYLOG_H
#define GUEST_MEM_DIRTYLOG_H

#include "guest/mem/gmap.h"
#include "kernel/base/compiler.h"
#include "kernel/mm/pgtable.h"

/* Rights of RAM in the second stage, and of pages whose first write is to be seen. */
#define DIRTYLOG_OPEN	(PG_R | PG_W | PG_X)
#define DIRTYLOG_CLOSED (PG_R | PG_X)

/**
 * dirtylog_open() - the guest is about to write a page of RAM that is mapped: mark it, let it. A
 * huge leaf is split. Returns 0; -ENOMEM (no page for the table). Locks: the owner's of pt.
 */
int MUST_CHECK dirtylog_open(struct gmap *m, struct pgtable *pt, gpa_t gpa,
			     struct pgtable_change *c);

/**
 * dirtylog_take() - the marks of word i of the log, which are cleared; their pages are protected
 * again. The caller makes all vCPUs flush before the first of these pages is read. Locks: as above.
 */
u64 dirtylog_take(struct gmap *m, struct pgtable *pt, u64 i, struct pgtable_change *c);

#endif
