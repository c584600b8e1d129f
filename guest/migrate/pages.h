/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM of a VM as page records of the migration stream: what has been written since it was last
 * sent, in passes, while the guest runs; and such records back into RAM.
 */
#ifndef GUEST_MIGRATE_PAGES_H
#define GUEST_MIGRATE_PAGES_H

#include "guest/mem/gmap.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct vm;

/*
 * The payload of a memory record is a sequence of runs, little-endian: this header, and behind
 * one of kind DATA the pages' bytes. A run is of consecutive pages, all of them RAM.
 */
struct mig_run {
	u64 gpa;   /* of the first page, multiple of 4096 */
	u32 pages; /* at least 1 */
	u32 kind;  /* MIG_RUN_* */
};

#define MIG_RUN_ZERO 0u
#define MIG_RUN_DATA 1u

/* Pages in a payload, zero ones included, so that handling one takes bounded time. */
#define MIG_PAGES_MAX 512u

/* The smallest buffer that mig_pages_next() can fill. */
#define MIG_PAGES_MIN (sizeof(struct mig_run) + PAGE_SIZE)

struct mig_pages_stats {
	u64 passes; /* begun, the first included */
	u64 data;   /* pages sent with their bytes */
	u64 zero;   /* pages sent as zero */
	u64 bytes;  /* of payload */
};

/* A sender. */
struct mig_pages {
	struct vm *vm;
	struct gmap *mem;
	u64 *todo; /* pages that this pass still has to send, a bit each by RAM offset */
	u64 words; /* of todo */
	u64 at;	   /* word where the search goes on */
	u64 left;  /* pages in todo */
	struct mig_pages_stats stats;
};

/**
 * mig_pages_start() - begin to log writes to vm's RAM; the first pass is all of it. The guest may
 * run; its pages get mapped again one by one. Returns 0; -EBUSY (logged already), -ENOMEM (no room
 * for bitmaps and tables on the VM's account), -ENOTSUP (a passed-through device writes RAM
 * unseen), with the reason in why; nothing is kept then. Context: control.
 */
int MUST_CHECK mig_pages_start(struct mig_pages *p, struct vm *vm, char *why, size_t why_size);

/**
 * mig_pages_next() - fill buf (size >= MIG_PAGES_MIN) with the next runs of the pass. The work of
 * one call is bounded (MIG_PAGES_MAX), so that it may return before buf is full. Returns the
 * bytes filled; 0: the pass is over; -EBUSY: a vCPU on another CPU has yet to drop its stale
 * translations (microseconds): call again; -ECANCELED: the VM was powered off. Context: control.
 */
int MUST_CHECK mig_pages_next(struct mig_pages *p, void *buf, u32 size);

/** mig_pages_fill() - mig_pages_next() once all vCPUs have flushed. Pure. */
u32 mig_pages_fill(struct mig_pages *p, void *buf, u32 size);

/**
 * mig_pages_harvest() - begin the next pass: what was written since the last one began, and what
 * this one has not sent yet. Returns how many pages that are (also p->left). With all vCPUs parked
 * and all devices quiesced before the call, what the pass sends is final. Context: control.
 */
u64 mig_pages_harvest(struct mig_pages *p);

/** mig_pages_stop() - end logging, huge pages come back; also after -ECANCELED. Context:
 * control. */
void mig_pages_stop(struct mig_pages *p);

/**
 * mig_pages_load() - a record's payload into RAM of a VM whose vCPUs do not run. Nothing of it is
 * believed. Returns 0; -EPROTO (cut short, unknown kind, empty or unaligned run, too many pages),
 * -EFAULT (a page that is not RAM); earlier runs of the payload are loaded then.
 */
int MUST_CHECK mig_pages_load(struct gmap *m, const void *payload, u32 len);

#endif
