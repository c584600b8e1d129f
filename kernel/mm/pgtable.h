/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Radix page tables of any format (kernel/mm/pgfmt.h): the hypervisor's own, nested, IOMMU.
 * Pure: memory comes by callbacks, and flushing is the caller's, told so by struct pgtable_change.
 */
#ifndef KERNEL_MM_PGTABLE_H
#define KERNEL_MM_PGTABLE_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/mm/pgfmt.h"

struct pgtable_env {
	void *ctx;
	/* alloc() - a zeroed 4 KiB table page; -ENOMEM. */
	int (*alloc)(void *ctx, hpa_t *out) MUST_CHECK;
	void (*free)(void *ctx, hpa_t page);
	/* map() - address of a table page; never fails for a page that alloc() gave. */
	u64 *(*map)(void *ctx, hpa_t page);
	/*
	 * cas() - the only way an entry is written: *entry: old -> new in one 64-bit store, false
	 * when it was not old. NULL: plain atomics. For table walkers that do not snoop, it
	 * also writes the cache line back.
	 */
	bool (*cas)(void *ctx, u64 *entry, u64 old, u64 new_entry);
};

/*
 * One writer at a time: the owner's lock. Hardware walks the table meanwhile and may set
 * accessed and dirty bits; no change loses such a bit, and after every single store each
 * address translates as before the call or as after it.
 */
struct pgtable {
	const struct pgfmt *fmt;
	hpa_t root;
	u64 max_leaf; /* largest leaf that map may write, bytes; the owner may change it */
	struct pgtable_env env;
};

/*
 * What a change asks of its caller; accumulates over calls, start with { 0 }. Order: flush
 * what walkers cached (when 'flush'; also when 'added' and they cache not-present entries),
 * for [first, last] at least, and only then pgtable_release().
 */
struct pgtable_change {
	bool flush;	   /* a translation went, narrowed, moved or was split */
	bool added;	   /* a translation came or was widened */
	u64 first, last;   /* input addresses concerned; valid when flush or added */
	hpa_t retired;	   /* chain of table pages no longer used, 0: none */
	u32 retired_pages;
};

struct pgtable_leaf {
	u64 va; /* start of the leaf */
	hpa_t hpa;
	u64 size;
	u64 attrs; /* PG_* */
	bool accessed, dirty;
};

/** pgtable_init() - an empty table; max_leaf in bytes, 0: whatever fmt can. Returns 0, -ENOMEM. */
int MUST_CHECK pgtable_init(struct pgtable *pt, const struct pgfmt *fmt,
			    const struct pgtable_env *env, u64 max_leaf);

/** pgtable_destroy() - free every table page, root included. No walker may use pt any more. */
void pgtable_destroy(struct pgtable *pt);

struct pgtable_map {
	u64 va;
	hpa_t hpa;
	u64 len; /* bytes; all three multiples of 4 KiB */
	u64 attrs;
};

/**
 * pgtable_map() - map a range that is wholly unmapped, with the largest leaves that fit.
 * Returns 0; -EINVAL (unaligned, empty, outside fmt's widths, attrs fmt cannot express);
 * -EEXIST (something is mapped there); -ENOMEM. Nothing is mapped on failure, but 'c' may
 * have collected retired pages.
 */
int MUST_CHECK pgtable_map(struct pgtable *pt, const struct pgtable_map *m,
			   struct pgtable_change *c);

/**
 * pgtable_remap() - as pgtable_map(), over whatever is mapped there. Existing tables are kept:
 * where one is, smaller leaves are written. Errors as pgtable_map() but for -EEXIST.
 */
int MUST_CHECK pgtable_remap(struct pgtable *pt, const struct pgtable_map *m,
			     struct pgtable_change *c);

/**
 * pgtable_unmap() - remove what is mapped in [va, va+len); holes are fine. Tables that become
 * empty are retired. Returns 0; -EINVAL; -ENOMEM (a huge leaf had to be split at an
 * end of the range; nothing was unmapped).
 */
int MUST_CHECK pgtable_unmap(struct pgtable *pt, u64 va, u64 len, struct pgtable_change *c);

/**
 * pgtable_protect() - give all that is mapped in [va, va+len) these attrs; holes stay holes.
 * Returns 0; -EINVAL; -ENOMEM as pgtable_unmap() (no attribute was changed).
 */
int MUST_CHECK pgtable_protect(struct pgtable *pt, u64 va, u64 len, u64 attrs,
			       struct pgtable_change *c);

/** pgtable_lookup() - the leaf that maps va. -EFAULT: none does. */
int MUST_CHECK pgtable_lookup(const struct pgtable *pt, u64 va, struct pgtable_leaf *out);

/**
 * pgtable_visit() - fn for each leaf in [va, va+len), ascending; a non-zero result of fn ends
 * the visit and is returned. -EINVAL as pgtable_unmap().
 */
int MUST_CHECK pgtable_visit(const struct pgtable *pt, u64 va, u64 len,
			     int (*fn)(void *ctx, const struct pgtable_leaf *leaf), void *ctx);

/** pgtable_release() - free the retired pages of c, after the flush, and empty c. */
void pgtable_release(struct pgtable *pt, struct pgtable_change *c);

#endif
