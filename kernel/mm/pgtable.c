/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Radix page tables. Every change is prepared first (tables made, huge leaves split at the
 * ends: nothing translates differently) and then done in a pass that cannot fail.
 */
#include "kernel/mm/pgtable.h"

#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"

/* What the visitor of an entry answers, if not an error. */
#define WALK_NEXT    0
#define WALK_DESCEND 1

/* One entry met by the walk: addresses are input addresses cut to fmt->va_bits. */
struct slot {
	u64 *entry;
	u32 level;
	u64 va;		 /* first byte that the entry covers */
	u64 first, last; /* part of it inside the range */
};

struct op {
	struct pgtable *pt;
	struct pgtable_change *c;
	/* visit() - WALK_NEXT, WALK_DESCEND (the entry is now a table) or an error. */
	int (*visit)(struct op *op, const struct slot *s);
	/* leave() - after the table below s was walked; NULL: nothing to do. */
	void (*leave)(struct op *op, const struct slot *s);
	const struct pgtable_map *map; /* map, remap: with va cut to va_bits */
	u64 attrs;
	int (*leaf_fn)(void *ctx, const struct pgtable_leaf *leaf);
	void *ctx;
	int result; /* of leaf_fn */
};

static u64 slot_size(const struct op *op, const struct slot *s)
{
	return pgfmt_size(op->pt->fmt, s->level);
}

static bool slot_whole(const struct op *op, const struct slot *s)
{
	return s->first == s->va && s->last - s->va == slot_size(op, s) - 1;
}

static u64 *table_ptr(const struct pgtable *pt, u64 entry, u32 level)
{
	return pt->env.map(pt->env.ctx, pt->fmt->addr(entry, level));
}

static bool entry_cas(const struct pgtable *pt, u64 *entry, u64 old, u64 new_entry)
{
	if (pt->env.cas)
		return pt->env.cas(pt->env.ctx, entry, old, new_entry);
	return atomic_cas(entry, old, new_entry);
}

/* Write an entry that hardware does not change meanwhile: it is not present, or a table. */
static void entry_set(const struct pgtable *pt, u64 *entry, u64 new_entry)
{
	u64 old = atomic_load_relaxed(entry);

	/* A table entry may still get its accessed bit. */
	while (!entry_cas(pt, entry, old, new_entry))
		old = atomic_load_relaxed(entry);
}

/* Input address as the user sees it. */
static u64 va_extend(const struct pgfmt *f, u64 va)
{
	if (f->canonical && (va >> (f->va_bits - 1)) != 0)
		return va | ~MASK(f->va_bits - 1, 0);
	return va;
}

static u64 va_cut(const struct pgfmt *f, u64 va)
{
	return va & MASK(f->va_bits - 1, 0);
}

static void change_note(struct op *op, u64 first, u64 last, bool flush)
{
	struct pgtable_change *c = op->c;

	first = va_extend(op->pt->fmt, first);
	last = va_extend(op->pt->fmt, last);
	if (!c->flush && !c->added) {
		c->first = first;
		c->last = last;
	} else {
		c->first = min_u64(c->first, first);
		c->last = max_u64(c->last, last);
	}
	if (flush)
		c->flush = true;
	else
		c->added = true;
}

/* Recursion as deep as the table: fmt->levels at most. */
static int walk_table(struct op *op, u64 *table, u32 level, u64 first, u64 last)
{
	const struct pgfmt *f = op->pt->fmt;
	u64 size = pgfmt_size(f, level);
	u64 va = align_down(first, size);

	for (;;) {
		struct slot s = {
			.entry = &table[pgfmt_index(f, va, level)],
			.level = level,
			.va = va,
			.first = max_u64(first, va),
			.last = min_u64(last, va + (size - 1)),
		};
		int r = op->visit(op, &s);

		if (r == WALK_DESCEND) {
			u64 *child = table_ptr(op->pt, atomic_load_relaxed(s.entry), level);

			r = walk_table(op, child, level - 1, s.first, s.last);
			if (r == 0 && op->leave)
				op->leave(op, &s);
		}
		if (r)
			return r;
		if (last - va < size)
			return 0;
		va += size;
	}
}

static int walk_range(struct op *op, u64 va, u64 len)
{
	const struct pgtable *pt = op->pt;

	va = va_cut(pt->fmt, va);
	return walk_table(op, pt->env.map(pt->env.ctx, pt->root), pt->fmt->levels, va,
			  va + (len - 1));
}

/* Entries of the level below that translate as the huge leaf does. */
static void split_fill(const struct pgtable *pt, u64 *child, u64 leaf, u32 level)
{
	const struct pgfmt *f = pt->fmt;
	hpa_t hpa = f->addr(leaf, level);
	u64 attrs = f->leaf_attrs(leaf, level);
	u64 size = pgfmt_size(f, level - 1);
	/* What was dirty as a whole is dirty in each part. */
	u64 keep = leaf & (f->accessed | f->dirty);

	for (size_t i = 0; i < 1u << f->index_bits; i++)
		entry_set(pt, &child[i], f->leaf(hpa + i * size, attrs, level - 1) | keep);
}

static int split_leaf(struct op *op, const struct slot *s)
{
	struct pgtable *pt = op->pt;
	hpa_t page;
	u64 old;
	int err = pt->env.alloc(pt->env.ctx, &page);

	if (err)
		return err;
	do {
		old = atomic_load_relaxed(s->entry);
		split_fill(pt, pt->env.map(pt->env.ctx, page), old, s->level);
	} while (!entry_cas(pt, s->entry, old, pt->fmt->table(page, s->level)));
	change_note(op, s->va, s->va + (slot_size(op, s) - 1), true);
	return 0;
}

/* Make a present entry above level 1 a table, if it is not one. */
static int descend(struct op *op, const struct slot *s, u64 e)
{
	int err = op->pt->fmt->is_leaf(e, s->level) ? split_leaf(op, s) : 0;

	return err ? err : WALK_DESCEND;
}

/* The chain goes through entry 0 of each page; a walker that still holds it sees not-present. */
static void retire_page(struct op *op, hpa_t page)
{
	u64 *p = op->pt->env.map(op->pt->env.ctx, page);

	atomic_store_release(&p[0], op->c->retired);
	op->c->retired = page;
	op->c->retired_pages++;
}

static void retire_tree(struct op *op, hpa_t page, u32 level)
{
	const struct pgfmt *f = op->pt->fmt;
	u64 *p = op->pt->env.map(op->pt->env.ctx, page);

	for (size_t i = 0; level > 1 && i < 1u << f->index_bits; i++)
		if (f->present(p[i]) && !f->is_leaf(p[i], level))
			retire_tree(op, f->addr(p[i], level), level - 1);
	retire_page(op, page);
}

static bool table_empty(const struct pgtable *pt, const u64 *table)
{
	for (size_t i = 0; i < 1u << pt->fmt->index_bits; i++)
		if (pt->fmt->present(table[i]))
			return false;
	return true;
}

/* leave(): unlink a table in which nothing is left. */
static void leave_prune(struct op *op, const struct slot *s)
{
	u64 e = atomic_load_relaxed(s->entry);

	if (!table_empty(op->pt, table_ptr(op->pt, e, s->level)))
		return;
	entry_set(op->pt, s->entry, 0);
	change_note(op, s->first, s->last, true);
	retire_page(op, op->pt->fmt->addr(e, s->level));
}

/* Only tables; never fails. */
static int visit_tables(struct op *op, const struct slot *s)
{
	const struct pgfmt *f = op->pt->fmt;
	u64 e = atomic_load_relaxed(s->entry);

	return f->present(e) && !f->is_leaf(e, s->level) ? WALK_DESCEND : WALK_NEXT;
}

/* Split what is large and only partly inside the range. */
static int visit_edge(struct op *op, const struct slot *s)
{
	const struct pgfmt *f = op->pt->fmt;
	u64 e = atomic_load_relaxed(s->entry);

	if (!f->present(e) || slot_whole(op, s))
		return WALK_NEXT;
	return descend(op, s, e);
}

static int visit_clear(struct op *op, const struct slot *s)
{
	const struct pgfmt *f = op->pt->fmt;
	u64 e = atomic_load_relaxed(s->entry);

	if (!f->present(e))
		return WALK_NEXT;
	if (!slot_whole(op, s))
		return WALK_DESCEND;
	entry_set(op->pt, s->entry, 0);
	change_note(op, s->first, s->last, true);
	if (!f->is_leaf(e, s->level))
		retire_tree(op, f->addr(e, s->level), s->level - 1);
	return WALK_NEXT;
}

static int visit_none(struct op *op, const struct slot *s)
{
	const struct pgfmt *f = op->pt->fmt;
	u64 e = atomic_load_relaxed(s->entry);

	if (!f->present(e))
		return WALK_NEXT;
	return f->is_leaf(e, s->level) ? -EEXIST : WALK_DESCEND;
}

/* Will the mapping have its leaf in this very entry? */
static bool slot_takes_leaf(const struct op *op, const struct slot *s)
{
	const struct pgfmt *f = op->pt->fmt;
	u64 e = atomic_load_relaxed(s->entry);
	hpa_t hpa = op->map->hpa + (s->first - op->map->va);

	if (s->level == 1)
		return true;
	if (f->present(e) && !f->is_leaf(e, s->level))
		return false;
	return (f->leaf_levels & BIT(s->level)) && slot_size(op, s) <= op->pt->max_leaf &&
	       slot_whole(op, s) && is_aligned(hpa, slot_size(op, s));
}

/* Make the tables that the leaves will stand in. */
static int visit_prepare(struct op *op, const struct slot *s)
{
	struct pgtable *pt = op->pt;
	u64 e = atomic_load_relaxed(s->entry);
	hpa_t page;
	int err;

	if (slot_takes_leaf(op, s))
		return WALK_NEXT;
	if (pt->fmt->present(e))
		return descend(op, s, e);
	err = pt->env.alloc(pt->env.ctx, &page);
	if (err)
		return err;
	entry_set(pt, s->entry, pt->fmt->table(page, s->level));
	return WALK_DESCEND;
}

/* Does new_entry take something away from what old allowed? */
static bool entry_narrows(const struct pgfmt *f, u64 old, u64 new_entry, u32 level)
{
	u64 was, is;

	if (!f->present(old))
		return false;
	was = f->leaf_attrs(old, level);
	is = f->leaf_attrs(new_entry, level);
	return f->addr(old, level) != f->addr(new_entry, level) ||
	       ((was ^ is) & (PG_UC | PG_LOG)) || (was & ~is);
}

/* The same page with other rights: what was written stays known as written, unless writes are to be
 * logged anew. */
static u64 entry_keeps(const struct pgfmt *f, u64 old, u64 attrs)
{
	return old & (f->accessed | (attrs & PG_LOG ? 0 : f->dirty));
}

static int visit_write(struct op *op, const struct slot *s)
{
	const struct pgfmt *f = op->pt->fmt;
	u64 e, old;

	if (!slot_takes_leaf(op, s))
		return WALK_DESCEND;
	e = f->leaf(op->map->hpa + (s->first - op->map->va), op->map->attrs, s->level);
	do {
		old = atomic_load_relaxed(s->entry);
		if (f->present(old) && f->addr(old, s->level) == f->addr(e, s->level))
			e |= entry_keeps(f, old, op->map->attrs);
	} while (!entry_cas(op->pt, s->entry, old, e));
	change_note(op, s->first, s->last, entry_narrows(f, old, e, s->level));
	return WALK_NEXT;
}

static int visit_protect(struct op *op, const struct slot *s)
{
	const struct pgfmt *f = op->pt->fmt;
	u64 e, old = atomic_load_relaxed(s->entry);

	if (!f->present(old))
		return WALK_NEXT;
	if (!f->is_leaf(old, s->level))
		return WALK_DESCEND;
	do {
		old = atomic_load_relaxed(s->entry);
		e = f->leaf(f->addr(old, s->level), op->attrs, s->level) |
		    entry_keeps(f, old, op->attrs);
		if (e == old)
			return WALK_NEXT;
	} while (!entry_cas(op->pt, s->entry, old, e));
	change_note(op, s->first, s->last, entry_narrows(f, old, e, s->level));
	return WALK_NEXT;
}

static struct pgtable_leaf leaf_make(const struct pgfmt *f, u64 e, u64 va, u32 level)
{
	return (struct pgtable_leaf){
		.va = va_extend(f, va),
		.hpa = f->addr(e, level),
		.size = pgfmt_size(f, level),
		.attrs = f->leaf_attrs(e, level),
		.accessed = (e & f->accessed) != 0,
		.dirty = (e & f->dirty) != 0,
	};
}

static int visit_leaf(struct op *op, const struct slot *s)
{
	const struct pgfmt *f = op->pt->fmt;
	u64 e = atomic_load_relaxed(s->entry);
	struct pgtable_leaf leaf;

	if (!f->present(e))
		return WALK_NEXT;
	if (!f->is_leaf(e, s->level))
		return WALK_DESCEND;
	leaf = leaf_make(f, e, s->va, s->level);
	op->result = op->leaf_fn(op->ctx, &leaf);
	return op->result ? -ECANCELED : WALK_NEXT;
}

static int range_check(const struct pgtable *pt, u64 va, u64 len)
{
	const struct pgfmt *f = pt->fmt;
	u64 last = va + (len - 1);

	if (len == 0 || !is_aligned(va | len, PAGE_SIZE) || last < va)
		return -EINVAL;
	if (va_extend(f, va_cut(f, va)) != va || va_extend(f, va_cut(f, last)) != last)
		return -EINVAL;
	/* From the low half to the high half of a sign-extended space is no range. */
	return f->canonical && ((va ^ last) >> 63) ? -EINVAL : 0;
}

static int attrs_check(const struct pgfmt *f, u64 attrs)
{
	return (attrs & PG_R) && !(attrs & ~f->attrs) ? 0 : -EINVAL;
}

static int map_check(const struct pgtable *pt, const struct pgtable_map *m)
{
	u64 end;

	if (range_check(pt, m->va, m->len) || attrs_check(pt->fmt, m->attrs))
		return -EINVAL;
	if (!is_aligned(m->hpa, PAGE_SIZE) || !checked_add(m->hpa, m->len, &end) ||
	    end > BIT(pt->fmt->hpa_bits))
		return -EINVAL;
	return 0;
}

static int map_range(struct op *op, const struct pgtable_map *m)
{
	struct pgtable_map cut = *m;
	int err;

	cut.va = va_cut(op->pt->fmt, m->va);
	op->map = &cut;
	op->visit = visit_prepare;
	err = walk_range(op, m->va, m->len);
	if (err) {
		/* Take back the empty tables made for it. Leaves that were split stay split. */
		struct op undo = { .pt = op->pt, .c = op->c, .visit = visit_tables,
				   .leave = leave_prune };

		int r = walk_range(&undo, m->va, m->len);

		ASSERT(r == 0);
		return err;
	}
	op->visit = visit_write;
	err = walk_range(op, m->va, m->len);
	ASSERT(err == 0);
	return 0;
}

int pgtable_init(struct pgtable *pt, const struct pgfmt *fmt, const struct pgtable_env *env,
		 u64 max_leaf)
{
	hpa_t root;
	int err = env->alloc(env->ctx, &root);

	if (err)
		return err;
	*pt = (struct pgtable){ .fmt = fmt, .root = root, .env = *env,
				.max_leaf = max_leaf ? max_leaf : ~0ull };
	return 0;
}

void pgtable_destroy(struct pgtable *pt)
{
	struct pgtable_change c = { 0 };
	struct op op = { .pt = pt, .c = &c };

	retire_tree(&op, pt->root, pt->fmt->levels);
	pgtable_release(pt, &c);
	pt->root = 0;
}

int pgtable_map(struct pgtable *pt, const struct pgtable_map *m, struct pgtable_change *c)
{
	struct op op = { .pt = pt, .c = c, .visit = visit_none };
	int err = map_check(pt, m);

	if (!err)
		err = walk_range(&op, m->va, m->len);
	return err ? err : map_range(&op, m);
}

int pgtable_remap(struct pgtable *pt, const struct pgtable_map *m, struct pgtable_change *c)
{
	struct op op = { .pt = pt, .c = c };
	int err = map_check(pt, m);

	return err ? err : map_range(&op, m);
}

int pgtable_unmap(struct pgtable *pt, u64 va, u64 len, struct pgtable_change *c)
{
	struct op op = { .pt = pt, .c = c, .visit = visit_edge };
	int err = range_check(pt, va, len);

	if (!err)
		err = walk_range(&op, va, len);
	if (err)
		return err;
	op.visit = visit_clear;
	op.leave = leave_prune;
	return walk_range(&op, va, len);
}

int pgtable_protect(struct pgtable *pt, u64 va, u64 len, u64 attrs, struct pgtable_change *c)
{
	struct op op = { .pt = pt, .c = c, .visit = visit_edge, .attrs = attrs };

	if (range_check(pt, va, len) || attrs_check(pt->fmt, attrs))
		return -EINVAL;
	if (walk_range(&op, va, len))
		return -ENOMEM;
	op.visit = visit_protect;
	return walk_range(&op, va, len);
}

int pgtable_lookup(const struct pgtable *pt, u64 va, struct pgtable_leaf *out)
{
	const struct pgfmt *f = pt->fmt;
	u64 *table = pt->env.map(pt->env.ctx, pt->root);
	u64 cut = va_cut(f, va);

	if (va_extend(f, cut) != va)
		return -EFAULT;
	for (u32 level = f->levels; level > 0; level--) {
		u64 e = atomic_load_relaxed(&table[pgfmt_index(f, cut, level)]);

		if (!f->present(e))
			return -EFAULT;
		if (f->is_leaf(e, level)) {
			*out = leaf_make(f, e, align_down(cut, pgfmt_size(f, level)), level);
			return 0;
		}
		table = table_ptr(pt, e, level);
	}
	return -EFAULT;
}

int pgtable_visit(const struct pgtable *pt, u64 va, u64 len,
		  int (*fn)(void *ctx, const struct pgtable_leaf *leaf), void *ctx)
{
	struct pgtable self = *pt;
	struct op op = { .pt = &self, .visit = visit_leaf, .leaf_fn = fn, .ctx = ctx };

	if (range_check(pt, va, len))
		return -EINVAL;
	return walk_range(&op, va, len) ? op.result : 0;
}

void pgtable_release(struct pgtable *pt, struct pgtable_change *c)
{
	hpa_t page = c->retired;

	while (page) {
		hpa_t next = pt->env.map(pt->env.ctx, page)[0];

		pt->env.free(pt->env.ctx, page);
		page = next;
	}
	*c = (struct pgtable_change){ 0 };
}
