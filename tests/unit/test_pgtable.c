/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One suite over all page-table formats and a mock with four entries a table. The fake memory
 * sees every store to a table: after each one, walkers written from the manuals' bit layouts
 * must find each address translated as before the operation or as after it.
 */
#include "pgtable_model.h"

/* ---- the random test ---------------------------------------------------------------------- */

enum kind { K_MAP, K_REMAP, K_UNMAP, K_PROTECT, KINDS };

static u64 random_attrs(void)
{
	u64 a = PG_R;

	if (rnd(3))
		a |= PG_W;
	if (rnd(2))
		a |= PG_X;
	if (rnd(5) == 0)
		a |= PG_UC;
	return a & t.hw->fmt->attrs;
}

static void pick_range(u64 *first, u64 *n)
{
	u32 big = 1u << t.hw->bits, huge = big * big;

	*n = 1 + rnd((u32)t.pages / 3);
	if (rnd(2))
		*n = 1 + rnd(big * 3);
	*first = rnd((u32)t.pages);
	if (rnd(2)) {
		u32 unit = rnd(2) ? big : huge;

		*first &= ~(u64)(unit - 1);
		*n = (*n + unit - 1) & ~(u64)(unit - 1);
	}
	if (*n > t.pages - *first)
		*n = t.pages - *first;
}

/* What a walker that cached any table of the old path finds after the change. */
static hpa_t stale[256][4];

static void stale_record(void)
{
	for (u64 i = 0; i < t.pages && t.pages <= 256; i++) {
		hpa_t table = t.pt.root;

		memset(stale[i], 0, sizeof(stale[i]));
		for (u32 level = 4; level > 0; level--) {
			u64 attrs = 0;
			u64 e = mem_map(NULL, table)[i >> (2 * (level - 1)) & 3];

			stale[i][level - 1] = table;
			if (hw_mock(e, level, &attrs) != 1)
				break;
			table = e & MASK(51, 12);
		}
	}
}

static void stale_check(void)
{
	for (u64 i = 0; i < t.pages && t.pages <= 256; i++)
		for (u32 level = 4; level > 0; level--) {
			struct xlat x;

			if (!stale[i][level - 1])
				continue;
			x = walk_from(stale[i][level - 1], level, i * PAGE_SIZE);
			CHECK(same(&x, &t.now[i]) || same(&x, &t.then[i]));
		}
}

/* Did the change ask for the flush that this page needs? */
static void flush_check(u64 i, const struct pgtable_change *c)
{
	const struct state *o = &t.now[i], *n = &t.then[i];
	u64 va = t.base + i * PAGE_SIZE;
	bool lost = o->present && (!n->present || o->hpa != n->hpa ||
				   (o->attrs & ~n->attrs) || ((o->attrs ^ n->attrs) & PG_UC));
	bool more = n->present && (!o->present || (n->attrs & ~o->attrs));

	if (lost)
		CHECK(c->flush);
	else if (more)
		CHECK(c->added || c->flush);
	if (lost || more)
		CHECK(c->first <= va && va <= c->last);
}

static void model(enum kind k, const struct pgtable_map *m)
{
	for (u64 n = 0; n < t.op_pages; n++) {
		u64 i = t.op_first + n;

		t.then[i] = t.now[i];
		if (k == K_MAP || k == K_REMAP)
			t.then[i] = (struct state){ true, m->hpa + n * PAGE_SIZE, m->attrs };
		else if (k == K_UNMAP)
			t.then[i] = (struct state){ 0 };
		else if (k == K_PROTECT && t.now[i].present)
			t.then[i].attrs = m->attrs;
	}
}

static int run_op(enum kind k, const struct pgtable_map *m, struct pgtable_change *c)
{
	switch (k) {
	case K_MAP:
		return pgtable_map(&t.pt, m, c);
	case K_REMAP:
		return pgtable_remap(&t.pt, m, c);
	case K_UNMAP:
		return pgtable_unmap(&t.pt, m->va, m->len, c);
	case K_PROTECT:
	case KINDS:
	default:
		return pgtable_protect(&t.pt, m->va, m->len, m->attrs, c);
	}
}

static void settle(int err, const struct pgtable_change *c)
{
	for (u64 i = t.op_first; i < t.op_first + t.op_pages; i++) {
		if (err)
			t.then[i] = t.now[i];
		else
			flush_check(i, c);
		if (!t.then[i].present || !t.now[i].present || t.then[i].hpa != t.now[i].hpa)
			t.dirty[i] = 0;
		t.now[i] = t.then[i];
		t.seen_new[i] = 0;
		if (t.dirty[i])
			CHECK(*walk(t.base + i * PAGE_SIZE).entry & t.hw->fmt->dirty);
	}
}

static bool model_empty(void)
{
	for (u64 i = t.op_first; i < t.op_first + t.op_pages; i++)
		if (t.now[i].present)
			return false;
	return true;
}

static void one_op(void)
{
	struct pgtable_change c = { 0 };
	enum kind k = (enum kind)rnd(KINDS);
	struct pgtable_map m;
	bool empty, starve;
	int err;

	pick_range(&t.op_first, &t.op_pages);
	m.va = t.base + t.op_first * PAGE_SIZE;
	m.len = t.op_pages * PAGE_SIZE;
	m.hpa = 0x4000000000ull + t.op_first * PAGE_SIZE + (rnd(3) ? 0 : rnd(64) * PAGE_SIZE);
	m.attrs = random_attrs();
	empty = model_empty();
	model(k, &m);
	starve = rnd(4) == 0;
	if (starve)
		t.allowed = rnd(6);
	stale_record();
	t.watch = true;
	err = run_op(k, &m, &c);
	t.watch = false;
	t.allowed = ~0u;
	stale_check();
	if (k == K_MAP && !empty) {
		CHECK_EQ(-err, EEXIST);
	} else if (err) {
		CHECK(starve);
		CHECK_EQ(-err, ENOMEM);
	}
	settle(err, &c);
	pgtable_release(&t.pt, &c);
	CHECK_EQ(c.retired, 0);
	for (u64 i = 0; i < t.pages; i += t.pages <= 256 ? 1 : 97) {
		struct xlat x = walk(t.base + i * PAGE_SIZE);

		CHECK(same(&x, &t.now[i]));
	}
}

static int on_leaf(void *ctx, const struct pgtable_leaf *l)
{
	u64 *expect = ctx;
	u64 i = (l->va - t.base) / PAGE_SIZE;

	for (; *expect < i; ++*expect)
		CHECK(!t.now[*expect].present);
	for (u64 n = 0; n < l->size / PAGE_SIZE; n++, ++*expect) {
		struct pgtable_leaf f;

		CHECK(t.now[*expect].present);
		CHECK_EQ(t.now[*expect].hpa, l->hpa + n * PAGE_SIZE);
		CHECK_EQ(t.now[*expect].attrs, l->attrs);
		if (n < 2) {
			CHECK_EQ(pgtable_lookup(&t.pt, l->va + n * PAGE_SIZE, &f), 0);
			CHECK_EQ(f.va, l->va);
			CHECK_EQ(f.hpa, l->hpa);
			CHECK_EQ(f.size, l->size);
		}
	}
	return 0;
}

static void random_run(const struct hw *hw, u64 pages, int ops)
{
	struct pgtable_change c = { 0 };
	u64 expect = 0;

	setup(hw, pages);
	t.race = true;
	for (int i = 0; i < ops; i++)
		one_op();
	t.race = false;
	CHECK_EQ(pgtable_visit(&t.pt, t.base, t.pages * PAGE_SIZE, on_leaf, &expect), 0);
	for (; expect < t.pages; expect++)
		CHECK(!t.now[expect].present);
	CHECK(t.stores > 100);
	/* All gone: only the root may be left. */
	CHECK_EQ(pgtable_unmap(&t.pt, t.base, t.pages * PAGE_SIZE, &c), 0);
	pgtable_release(&t.pt, &c);
	CHECK_EQ(t.live, 1);
	teardown();
}

TEST(random_mock)
{
	random_run(&hws[0], 256, 4000);
}

TEST(random_formats)
{
	/* 3 GiB and some, across a boundary of the highest level where there is one. */
	for (size_t i = 1; i < sizeof(hws) / sizeof(hws[0]); i++)
		random_run(&hws[i], (3 * SIZE_1G + 5 * SIZE_2M) / PAGE_SIZE, 100);
}

/* ---- single facts ------------------------------------------------------------------------ */

static int count_leaf(void *ctx, const struct pgtable_leaf *l)
{
	u64 *n = ctx;

	n[l->size == PAGE_SIZE ? 0 : l->size == SIZE_2M ? 1 : 2]++;
	return 0;
}

TEST(largest_leaf)
{
	for (size_t i = 1; i < sizeof(hws) / sizeof(hws[0]); i++) {
		struct pgtable_map m = { .va = 2 * SIZE_1G - SIZE_2M - PAGE_SIZE, .hpa = m.va,
					 .len = SIZE_1G + 2 * SIZE_2M + 3 * PAGE_SIZE,
					 .attrs = PG_R | PG_W };
		struct pgtable_change c = { 0 };
		u64 n[3] = { 0 };

		setup(&hws[i], 1);
		CHECK_EQ(pgtable_map(&t.pt, &m, &c), 0);
		CHECK(!c.flush && c.added && !c.retired);
		CHECK_EQ(c.first, m.va);
		CHECK_EQ(c.last, m.va + m.len - 1);
		CHECK_EQ(pgtable_visit(&t.pt, 0, 4 * SIZE_1G, count_leaf, n), 0);
		CHECK_EQ(n[0], 3);
		CHECK_EQ(n[1], 2);
		CHECK_EQ(n[2], 1);
		CHECK_EQ(pgtable_unmap(&t.pt, m.va, m.len, &c), 0);
		CHECK(c.flush && c.retired);
		pgtable_release(&t.pt, &c);
		CHECK(!c.flush && !c.added);

		t.pt.max_leaf = SIZE_2M;
		memset(n, 0, sizeof(n));
		CHECK_EQ(pgtable_map(&t.pt, &m, &c), 0);
		CHECK_EQ(pgtable_visit(&t.pt, 0, 4 * SIZE_1G, count_leaf, n), 0);
		CHECK_EQ(n[0], 3);
		CHECK_EQ(n[1], 514);
		CHECK_EQ(n[2], 0);
		CHECK_EQ(pgtable_unmap(&t.pt, m.va, m.len, &c), 0);
		pgtable_release(&t.pt, &c);

		/* Host address out of step with the input address: small pages only. */
		t.pt.max_leaf = SIZE_1G;
		m.hpa += PAGE_SIZE;
		m.len = SIZE_2M * 2;
		memset(n, 0, sizeof(n));
		CHECK_EQ(pgtable_map(&t.pt, &m, &c), 0);
		CHECK_EQ(pgtable_visit(&t.pt, 0, 4 * SIZE_1G, count_leaf, n), 0);
		CHECK_EQ(n[0], 1024);
		CHECK_EQ(n[1] + n[2], 0);
		teardown();
	}
}

TEST(refusals)
{
	for (size_t i = 0; i < sizeof(hws) / sizeof(hws[0]); i++) {
		const struct pgfmt *f = hws[i].fmt;
		u64 end = f->canonical ? BIT(f->va_bits - 1) : BIT(f->va_bits);
		struct pgtable_map ok = { .va = 0, .hpa = 0, .len = PAGE_SIZE, .attrs = PG_R };
		struct pgtable_map bad[] = { ok, ok, ok, ok, ok, ok, ok, ok, ok, ok };
		struct pgtable_change c = { 0 };
		struct pgtable_leaf leaf = { .va = 7 };

		bad[0].va = 1;
		bad[1].hpa = 0x800;
		bad[2].len = 0;
		bad[3].len = 0xfff;
		bad[4].va = end;
		bad[5].va = end - PAGE_SIZE, bad[5].len = 2 * PAGE_SIZE;
		bad[6].attrs = PG_W;
		bad[7].attrs = PG_R | BIT(20);
		bad[8].hpa = BIT(52) - PAGE_SIZE, bad[8].len = 2 * PAGE_SIZE;
		bad[9].va = ~0xfffull, bad[9].len = 2 * PAGE_SIZE;
		setup(&hws[i], 1);
		for (size_t n = 0; n < ARRAY_SIZE(bad); n++)
			CHECK_EQ(-pgtable_map(&t.pt, &bad[n], &c), EINVAL);
		if (!(f->attrs & PG_X)) {
			ok.attrs |= PG_X;
			CHECK_EQ(-pgtable_map(&t.pt, &ok, &c), EINVAL);
			ok.attrs = PG_R;
		}
		CHECK_EQ(t.live, 1);
		CHECK_EQ(-pgtable_lookup(&t.pt, 0, &leaf), EFAULT);
		CHECK_EQ(-pgtable_lookup(&t.pt, end, &leaf), EFAULT);
		CHECK_EQ(leaf.va, 7);
		/* The last page of the space works. */
		ok.va = end - PAGE_SIZE;
		CHECK_EQ(pgtable_map(&t.pt, &ok, &c), 0);
		CHECK_EQ(-pgtable_map(&t.pt, &ok, &c), EEXIST);
		CHECK_EQ(pgtable_lookup(&t.pt, end - 1, &leaf), 0);
		CHECK_EQ(leaf.va, end - PAGE_SIZE);
		CHECK_EQ(-pgtable_protect(&t.pt, ok.va, PAGE_SIZE, PG_W, &c), EINVAL);
		CHECK_EQ(-pgtable_unmap(&t.pt, ok.va, 2 * PAGE_SIZE, &c), EINVAL);
		teardown();
	}
}

TEST(high_half)
{
	struct pgtable_map m = { .va = 0xffffffffffe00000ull, .hpa = 0x200000, .len = SIZE_2M,
				 .attrs = PG_R | PG_X };
	struct pgtable_change c = { 0 };
	struct pgtable_leaf leaf;

	setup(&hws[1], 1);
	CHECK_EQ(pgtable_map(&t.pt, &m, &c), 0);
	CHECK_EQ(c.first, 0xffffffffffe00000ull);
	CHECK_EQ(c.last, ~0ull);
	CHECK_EQ(pgtable_lookup(&t.pt, ~0ull, &leaf), 0);
	CHECK_EQ(leaf.va, 0xffffffffffe00000ull);
	CHECK_EQ(leaf.size, SIZE_2M);
	/* The two halves do not touch. */
	CHECK_EQ(-pgtable_unmap(&t.pt, 0x7ffffffff000ull,
				0xffff800000000000ull - 0x7ffffffff000ull + PAGE_SIZE, &c),
		 EINVAL);
	CHECK_EQ(-pgtable_lookup(&t.pt, 0x800000000000ull, &leaf), EFAULT);
	teardown();
}

/* Widening needs no flush of processors, narrowing does. */
TEST(flush_rules)
{
	struct pgtable_map m = { .va = SIZE_2M, .hpa = SIZE_2M, .len = SIZE_2M,
				 .attrs = PG_R | PG_W };
	struct pgtable_change c = { 0 };

	setup(&hws[2], 1);
	CHECK_EQ(pgtable_map(&t.pt, &m, &c), 0);
	pgtable_release(&t.pt, &c);
	CHECK_EQ(pgtable_protect(&t.pt, SIZE_2M, SIZE_2M, PG_R, &c), 0);
	CHECK(c.flush && !c.added);
	pgtable_release(&t.pt, &c);
	CHECK_EQ(pgtable_protect(&t.pt, SIZE_2M, SIZE_2M, PG_R, &c), 0);
	CHECK(!c.flush && !c.added);
	CHECK_EQ(pgtable_protect(&t.pt, SIZE_2M, SIZE_2M, PG_R | PG_W, &c), 0);
	CHECK(!c.flush && c.added);
	pgtable_release(&t.pt, &c);
	/* A part of a leaf: it is split, whatever its rights. */
	CHECK_EQ(pgtable_protect(&t.pt, SIZE_2M, PAGE_SIZE, PG_R | PG_W, &c), 0);
	CHECK(c.flush);
	teardown();
}

static int stop_at(void *ctx, const struct pgtable_leaf *l)
{
	(void)ctx;
	return l->va == 2 * PAGE_SIZE ? 1 : 0;
}

TEST(visit_stops)
{
	struct pgtable_map m = { .va = 0, .hpa = SIZE_4G, .len = 8 * PAGE_SIZE, .attrs = PG_R };
	struct pgtable_change c = { 0 };

	setup(&hws[6], 1);
	CHECK_EQ(pgtable_map(&t.pt, &m, &c), 0);
	CHECK_EQ(pgtable_visit(&t.pt, 0, SIZE_1G, stop_at, NULL), 1);
	CHECK_EQ(pgtable_visit(&t.pt, 0, 2 * PAGE_SIZE, stop_at, NULL), 0);
	teardown();
}

/* Plain atomics, as most tables run with. */
TEST(default_store)
{
	struct pgtable_env plain = env;
	struct pgtable_map m = { .va = 0, .hpa = 0, .len = SIZE_1G, .attrs = PG_R | PG_W | PG_X };
	struct pgtable_change c = { 0 };

	setup(&hws[2], 1);
	pgtable_destroy(&t.pt);
	plain.cas = NULL;
	CHECK_EQ(pgtable_init(&t.pt, &npt_fmt, &plain, SIZE_2M), 0);
	CHECK_EQ(pgtable_map(&t.pt, &m, &c), 0);
	CHECK_EQ(pgtable_unmap(&t.pt, PAGE_SIZE, PAGE_SIZE, &c), 0);
	CHECK(!walk(PAGE_SIZE).present);
	CHECK_EQ(walk(3 * PAGE_SIZE).hpa, 3 * PAGE_SIZE);
	CHECK_EQ(walk(SIZE_1G - 1).size, SIZE_2M);
	t.allowed = 0;
	CHECK_EQ(-pgtable_init(&t.pt, &npt_fmt, &plain, 0), ENOMEM);
	teardown();
}

UNIT_MAIN({ "random_mock", random_mock }, { "random_formats", random_formats },
	  { "largest_leaf", largest_leaf }, { "refusals", refusals }, { "high_half", high_half },
	  { "flush_rules", flush_rules }, { "visit_stops", visit_stops },
	  { "default_store", default_store })
