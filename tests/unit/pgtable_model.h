/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fake memory that sees every store to a page table, a mock format with four entries a table, and
 * walkers of all formats, written from the manuals' bit layouts and not from the encoders.
 */
#ifndef TESTS_UNIT_PGTABLE_MODEL_H
#define TESTS_UNIT_PGTABLE_MODEL_H

#include "kernel/mm/pgtable.h"

#include <stdint.h>

#include "arch/svm/npt_fmt.h"
#include "arch/vmx/ept_fmt.h"
#include "arch/x86/pg64_fmt.h"
#include "iommu/amdvi/amdvi_fmt.h"
#include "iommu/vtd/vtd_fmt.h"
#include "kernel/base/err.h"
#include "unit.h"

/* ---- the mock format ------------------------------------------------------------------ */

#define MOCK_P	  BIT(2)
#define MOCK_LEAF BIT(3)
#define MOCK_W	  BIT(4)
#define MOCK_X	  BIT(5)
#define MOCK_UC	  BIT(6)
#define MOCK_A	  BIT(7)
#define MOCK_D	  BIT(8)

static u64 mock_leaf(hpa_t hpa, u64 attrs, u32 level)
{
	(void)level;
	return hpa | MOCK_P | MOCK_LEAF | (attrs & PG_W ? MOCK_W : 0) |
	       (attrs & PG_X ? MOCK_X : 0) | (attrs & PG_UC ? MOCK_UC : 0);
}

static u64 mock_table(hpa_t hpa, u32 level)
{
	(void)level;
	return hpa | MOCK_P;
}

static bool mock_present(u64 e)
{
	return (e & MOCK_P) != 0;
}

static bool mock_is_leaf(u64 e, u32 level)
{
	(void)level;
	return (e & MOCK_LEAF) != 0;
}

static hpa_t mock_addr(u64 e, u32 level)
{
	(void)level;
	return e & MASK(51, 12);
}

static u64 mock_attrs(u64 e, u32 level)
{
	(void)level;
	return PG_R | (e & MOCK_W ? PG_W : 0) | (e & MOCK_X ? PG_X : 0) | (e & MOCK_UC ? PG_UC : 0);
}

static const struct pgfmt mock_fmt = {
	.name = "mock", .levels = 4, .index_bits = 2, .va_bits = 20, .hpa_bits = 52,
	.leaf_levels = BIT(1) | BIT(2) | BIT(3), .attrs = PG_R | PG_W | PG_X | PG_UC,
	.accessed = MOCK_A, .dirty = MOCK_D,
	.leaf = mock_leaf, .table = mock_table, .present = mock_present,
	.is_leaf = mock_is_leaf, .addr = mock_addr, .leaf_attrs = mock_attrs,
};

/* ---- walkers, independent of the encoders ------------------------------------------------ */

struct xlat {
	bool present;
	hpa_t hpa;
	u64 attrs;
	u64 size;
	u64 *entry;
};

struct hw {
	const struct pgfmt *fmt;
	/* One entry: 0 not present, 1 table, 2 leaf; narrows *attrs. */
	int (*entry)(u64 e, u32 level, u64 *attrs);
	u32 levels, bits;
	bool canonical;
	u64 base; /* where the random test has its window */
	u64 set_ad; /* what the walker sets on a write */
};

static int hw_x86(u64 e, u32 level, u64 *attrs)
{
	if (!(e & 1))
		return 0;
	if (!(e & 2))
		*attrs &= ~PG_W;
	if (e >> 63)
		*attrs &= ~PG_X;
	if (level > 1 && !(e & 0x80))
		return 1;
	CHECK(level < 4);
	if (level > 1)
		CHECK_EQ(e & ((1ull << (12 + 9 * (level - 1))) - 1) & ~0xfffull, 0);
	if ((e & 0x18) != 0x18) {
		CHECK_EQ(e & 0x18, 0);
		*attrs &= ~PG_UC;
	}
	return 2;
}

static int hw_host(u64 e, u32 level, u64 *attrs)
{
	if (e & 1)
		CHECK_EQ(e & 4, 0);
	return hw_x86(e, level, attrs);
}

static int hw_npt(u64 e, u32 level, u64 *attrs)
{
	if (e & 1)
		CHECK_EQ(e & 4, 4);
	return hw_x86(e, level, attrs);
}

static int hw_ept(u64 e, u32 level, u64 *attrs)
{
	if (!(e & 7))
		return 0;
	CHECK(e & 1);
	if (!(e & 2))
		*attrs &= ~PG_W;
	if (!(e & 4))
		*attrs &= ~PG_X;
	if (level > 1 && !(e & 0x80)) {
		CHECK_EQ(e & 0xf8, 0);
		return 1;
	}
	CHECK(level < 4);
	if (level > 1)
		CHECK_EQ(e & ((1ull << (12 + 9 * (level - 1))) - 1) & ~0xfffull, 0);
	CHECK_EQ(e & 0x40, 0);
	CHECK((e >> 3 & 7) == 6 || (e >> 3 & 7) == 0);
	if ((e >> 3 & 7) == 6)
		*attrs &= ~PG_UC;
	return 2;
}

static int hw_vtd(u64 e, u32 level, u64 *attrs)
{
	if (!(e & 3))
		return 0;
	CHECK(e & 1);
	CHECK_EQ(e & 0x800, 0);
	*attrs &= ~(PG_X | PG_UC);
	if (!(e & 2))
		*attrs &= ~PG_W;
	if (level > 1 && !(e & 0x80))
		return 1;
	CHECK(level < 4);
	if (level > 1)
		CHECK_EQ(e & ((1ull << (12 + 9 * (level - 1))) - 1) & ~0xfffull, 0);
	return 2;
}

static int hw_amdvi(u64 e, u32 level, u64 *attrs)
{
	u32 next = e >> 9 & 7;

	if (!(e & 1))
		return 0;
	CHECK(e >> 61 & 1);
	*attrs &= ~(PG_X | PG_UC);
	if (!(e >> 62 & 1))
		*attrs &= ~PG_W;
	if (next) {
		CHECK_EQ(next, level - 1);
		return 1;
	}
	CHECK(level < 4);
	return 2;
}

static int hw_mock(u64 e, u32 level, u64 *attrs)
{
	(void)level;
	if (!(e & MOCK_P))
		return 0;
	if (!(e & MOCK_LEAF))
		return 1;
	*attrs = mock_attrs(e, level);
	return 2;
}

static const struct hw hws[] = {
	{ &mock_fmt, hw_mock, 4, 2, false, 0, MOCK_A | MOCK_D },
	{ &pg64_fmt, hw_host, 4, 9, true, 0xffff80007fe00000ull, 0x60 },
	{ &npt_fmt, hw_npt, 4, 9, false, 0, 0x60 },
	{ &ept_fmt, hw_ept, 4, 9, false, 0x7ffff0000000ull & ~(SIZE_1G - 1), 0x300 },
	{ &vtd_fmt3, hw_vtd, 3, 9, false, 0, 0 },
	{ &vtd_fmt4, hw_vtd, 4, 9, false, SIZE_1G * 511, 0 },
	{ &amdvi_fmt, hw_amdvi, 4, 9, false, SIZE_1G * 3, 0 },
};

/* ---- fake memory ------------------------------------------------------------------------ */

#define MEM_PAGES 8192
#define MEM_BASE  0x123400000ull

struct state {
	bool present;
	hpa_t hpa;
	u64 attrs;
};

static struct {
	u64 (*page)[512];
	u8 used[MEM_PAGES];
	u32 next, live, allowed; /* allowed: allocations left before -ENOMEM */
	u64 stores;
	const struct hw *hw;
	struct pgtable pt;
	/* model, a 4 KiB page each */
	u64 base, pages;
	struct state *now, *then; /* before and after the operation that runs */
	u8 *seen_new, *dirty;
	u64 op_first, op_pages;
	bool watch, race;
} t;

static u32 rng_state;

static u32 rnd(u32 n)
{
	rng_state = rng_state * 1664525u + 1013904223u;
	return (u32)(((u64)(rng_state >> 8) * n) >> 24);
}

static u64 *mem_map(void *ctx, hpa_t hpa)
{
	u64 i = (hpa - MEM_BASE) / PAGE_SIZE;

	(void)ctx;
	CHECK(hpa >= MEM_BASE && i < MEM_PAGES && t.used[i]);
	return t.page[i];
}

static int mem_alloc(void *ctx, hpa_t *out)
{
	(void)ctx;
	if (t.allowed == 0)
		return -ENOMEM;
	t.allowed--;
	for (u32 n = 0; n < MEM_PAGES; n++) {
		u32 i = (t.next + n) % MEM_PAGES;

		if (t.used[i])
			continue;
		t.used[i] = 1;
		t.next = i + 1;
		t.live++;
		memset(t.page[i], 0, 4096);
		*out = MEM_BASE + i * PAGE_SIZE;
		return 0;
	}
	return -ENOMEM;
}

static void mem_free(void *ctx, hpa_t hpa)
{
	memset(mem_map(ctx, hpa), 0xa5, 4096);
	t.used[(hpa - MEM_BASE) / PAGE_SIZE] = 0;
	t.live--;
}

static struct xlat walk_from(hpa_t table, u32 level, u64 va)
{
	struct xlat x = { .attrs = PG_R | PG_W | PG_X | PG_UC };

	for (; level > 0; level--) {
		u32 shift = 12 + t.hw->bits * (level - 1);
		u64 *e = &mem_map(NULL, table)[va >> shift & ((1u << t.hw->bits) - 1)];
		int kind = t.hw->entry(*e, level, &x.attrs);

		if (kind == 0)
			return (struct xlat){ 0 };
		if (kind == 2) {
			x.present = true;
			x.size = 1ull << shift;
			x.hpa = (*e & MASK(51, 12)) + (va & (x.size - 1) & ~0xfffull);
			x.entry = e;
			return x;
		}
		CHECK(level > 1);
		table = *e & MASK(51, 12);
	}
	return (struct xlat){ 0 };
}

static struct xlat walk(u64 va)
{
	return walk_from(t.pt.root, t.hw->levels, va);
}

static bool same(const struct xlat *x, const struct state *s)
{
	if (x->present != s->present)
		return false;
	return !x->present || (x->hpa == s->hpa && x->attrs == s->attrs);
}

static void check_page(u64 i)
{
	struct xlat x = walk(t.base + i * PAGE_SIZE);
	bool old = same(&x, &t.now[i]), new = same(&x, &t.then[i]);

	CHECK(old || new);
	/* Once new it stays new. */
	CHECK(new || !t.seen_new[i]);
	if (new && !old)
		t.seen_new[i] = 1;
}

static void check_some(void)
{
	if (t.pages <= 256) {
		for (u64 i = 0; i < t.pages; i++)
			check_page(i);
		return;
	}
	check_page(t.op_first);
	check_page(t.op_first + t.op_pages - 1);
	if (t.op_first)
		check_page(t.op_first - 1);
	if (t.op_first + t.op_pages < t.pages)
		check_page(t.op_first + t.op_pages);
	for (int n = 0; n < 3; n++)
		check_page(t.op_first + rnd((u32)t.op_pages));
	check_page(rnd((u32)t.pages));
}

/* A walker on another CPU writes to a page. */
static void hardware_write(void)
{
	u64 i = t.op_first + rnd((u32)t.op_pages);
	struct xlat x = walk(t.base + i * PAGE_SIZE);

	if (!t.hw->set_ad || !x.present || !(x.attrs & PG_W))
		return;
	*x.entry |= t.hw->set_ad;
	i -= i & (x.size / PAGE_SIZE - 1);
	for (u64 n = 0; n < x.size / PAGE_SIZE; n++)
		t.dirty[i + n] = 1;
}

static bool mem_cas(void *ctx, u64 *entry, u64 old, u64 new)
{
	(void)ctx;
	if (t.race && rnd(4) == 0)
		hardware_write();
	if (*entry != old)
		return false;
	*entry = new;
	t.stores++;
	if (t.watch)
		check_some();
	return true;
}

static const struct pgtable_env env = {
	.alloc = mem_alloc, .free = mem_free, .map = mem_map, .cas = mem_cas,
};

static void setup(const struct hw *hw, u64 pages)
{
	memset(&t, 0, sizeof(t));
	t.page = aligned_alloc(4096, MEM_PAGES * 4096ull);
	t.hw = hw;
	t.allowed = ~0u;
	t.base = hw->base;
	t.pages = pages;
	t.now = calloc(pages, sizeof(*t.now));
	t.then = calloc(pages, sizeof(*t.then));
	t.seen_new = calloc(pages, 1);
	t.dirty = calloc(pages, 1);
	rng_state = 12345;
	CHECK_EQ(pgtable_init(&t.pt, hw->fmt, &env, 0), 0);
}

static void teardown(void)
{
	pgtable_destroy(&t.pt);
	CHECK_EQ(t.live, 0);
	free(t.page);
	free(t.now);
	free(t.then);
	free(t.seen_new);
	free(t.dirty);
}

#endif
