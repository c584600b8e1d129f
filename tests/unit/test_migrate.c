/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page records, the log of writes they come from, and the convergence policy.
 */
#include "unit.h"

#include "arch/svm/npt_fmt.h"
#include "arch/vmx/ept_fmt.h"
#include "guest/mem/dirtylog.h"
#include "guest/mem/gmem.h"
#include "guest/migrate/pages.h"
#include "guest/migrate/policy.h"
#include "kernel/base/err.h"

#define BLOCKS 3
#define PAGES  (BLOCKS * 512u)
#define VGA    0xa0000ull
#define VGA_END 0xc0000ull
#define VCPUS  2
#define TABLES 64

/* ---- two machines ------------------------------------------------------------------------- */

struct ram {
	u8 *block[BLOCKS];
	u64 raw[1];
	struct gmap m;
};

static struct ram src, dst;
static u64 log_words[BLOCKS * GMAP_DIRTY_WORDS], todo[BLOCKS * GMAP_DIRTY_WORDS];
static u64 rng = 1;

static u64 rnd(u64 n)
{
	rng = rng * 6364136223846793005ull + 1442695040888963407ull;
	return (rng >> 33) % n;
}

static void clear_raw(void *ctx, u64 i)
{
	struct ram *r = ctx;

	memset(r->block[i], 0, SIZE_2M);
	r->raw[0] &= ~BIT(i);
}

static void ram_make(struct ram *r)
{
	for (int i = 0; i < BLOCKS; i++) {
		free(r->block[i]);
		r->block[i] = aligned_alloc(SIZE_2M, SIZE_2M);
		memset(r->block[i], 0xa5, SIZE_2M); /* what an earlier owner left */
	}
	r->raw[0] = BIT(BLOCKS) - 1;
	r->m = (struct gmap){ .block = r->block, .blocks = BLOCKS, .low_blocks = 2,
			      .vga_base = VGA, .vga_len = VGA_END - VGA, .raw = r->raw,
			      .clear = clear_raw, .ctx = r };
}

static bool is_ram(u64 page)
{
	return page < VGA / PAGE_SIZE || (page >= VGA_END / PAGE_SIZE && page < PAGES);
}

static struct mig_pages sender(void)
{
	struct mig_pages p = { .mem = &src.m, .todo = todo, .words = BLOCKS * GMAP_DIRTY_WORDS };

	memset(todo, 0, sizeof(todo));
	for (u64 i = 0; i < PAGES; i++)
		if (is_ram(i))
			todo[i / 64] |= BIT(i % 64), p.left++;
	return p;
}

static bool same_ram(void)
{
	for (u64 i = 0; i < PAGES; i++) {
		gpa_t gpa = gmap_gpa(&src.m, i * PAGE_SIZE);

		if (is_ram(i) && memcmp(gmap_ptr(&src.m, gpa), gmap_ptr(&dst.m, gpa), PAGE_SIZE))
			return false;
	}
	return true;
}

/* ---- records ------------------------------------------------------------------------------- */

static u8 buf[65536];

static void send_all(struct mig_pages *p, u32 size)
{
	u32 n;

	while ((n = mig_pages_fill(p, buf, size)) > 0) {
		CHECK(n <= size);
		CHECK_EQ(mig_pages_load(&dst.m, buf, n), 0);
	}
	CHECK_EQ(p->left, 0);
}

TEST(first_pass)
{
	struct mig_pages p;

	ram_make(&src);
	ram_make(&dst);
	for (u64 i = 0; i < 40; i++)
		CHECK_EQ(gmem_fill(&src.m, 0x9f000 - i * 2 * PAGE_SIZE, (u8)(i + 1), 17), 0);
	CHECK_EQ(gmem_fill(&src.m, SIZE_2M - 3, 9, 1), 0);
	p = sender();
	send_all(&p, sizeof(buf));
	CHECK_EQ(p.stats.data, 41);
	CHECK_EQ(p.stats.zero, PAGES - 41 - (VGA_END - VGA) / PAGE_SIZE);
	/* At most 5 % over the bytes that are not zero; there are no shorter runs than these. */
	CHECK(p.stats.bytes < 41 * PAGE_SIZE * 105 / 100);
	CHECK_EQ(src.raw[0], 6); /* block 1 and the one above the hole were never touched */
	CHECK_EQ(dst.raw[0], 6);
	CHECK(same_ram());
}

/* A page that is zero again must become zero at the receiver. */
TEST(zero_again)
{
	struct mig_pages p;

	ram_make(&src);
	ram_make(&dst);
	CHECK_EQ(gmem_fill(&src.m, SIZE_4G, 7, 3 * PAGE_SIZE), 0);
	p = sender();
	send_all(&p, MIG_PAGES_MIN); /* the smallest buffer: one page at a time */
	CHECK(same_ram());
	CHECK_EQ(gmem_fill(&src.m, SIZE_4G, 0, 2 * PAGE_SIZE), 0);
	p = sender();
	send_all(&p, sizeof(buf));
	CHECK_EQ(p.stats.data, 1);
	CHECK(same_ram());
}

static int load_run(u64 gpa, u32 pages, u32 kind, u32 data)
{
	struct mig_run r = { gpa, pages, kind };

	memcpy(buf, &r, sizeof(r));
	return mig_pages_load(&dst.m, buf, (u32)sizeof(r) + data);
}

TEST(hostile_runs)
{
	ram_make(&dst);
	memset(buf, 0x77, sizeof(buf));
	CHECK_EQ(load_run(0, 1, MIG_RUN_DATA, PAGE_SIZE), 0);
	CHECK_EQ(load_run(0, 1, MIG_RUN_DATA, PAGE_SIZE - 1), -EPROTO);
	CHECK_EQ(load_run(0, 1, MIG_RUN_DATA, PAGE_SIZE + 1), -EPROTO);
	CHECK_EQ(load_run(0, 2, MIG_RUN_DATA, PAGE_SIZE), -EPROTO);
	CHECK_EQ(load_run(0, 0, MIG_RUN_ZERO, 0), -EPROTO);
	CHECK_EQ(load_run(0, 1, 2, 0), -EPROTO);
	CHECK_EQ(load_run(8, 1, MIG_RUN_ZERO, 0), -EPROTO);
	CHECK_EQ(load_run(0x9f000, 2, MIG_RUN_ZERO, 0), -EFAULT);
	CHECK_EQ(load_run(VGA, 1, MIG_RUN_DATA, PAGE_SIZE), -EFAULT);
	CHECK_EQ(load_run(2 * SIZE_2M, 1, MIG_RUN_ZERO, 0), -EFAULT);
	CHECK_EQ(load_run(SIZE_4G + SIZE_2M - PAGE_SIZE, 2, MIG_RUN_ZERO, 0), -EFAULT);
	CHECK_EQ(load_run(~0ull - 4095, 2, MIG_RUN_ZERO, 0), -EFAULT);
	CHECK_EQ(load_run(VGA_END, MIG_PAGES_MAX, MIG_RUN_ZERO, 0), 0);
	CHECK_EQ(load_run(VGA_END, MIG_PAGES_MAX + 1, MIG_RUN_ZERO, 0), -EPROTO);
	CHECK_EQ(mig_pages_load(&dst.m, buf, sizeof(struct mig_run) - 1), -EPROTO);
}

/* ---- no write is ever lost ----------------------------------------------------------------- */

/*
 * vCPUs with translations of their own, which only a flush makes forget; a device that writes and
 * marks in two steps; all of them between any two stores of the log to the table. Whoever needs
 * the lock while the log holds it has to wait.
 */
enum tlb { TLB_NONE, TLB_RO, TLB_RW };

static struct pgtable pt;
static u8 *table_mem;
static u32 tables;
static u8 tlb[VCPUS][PAGES];
static bool must_flush[VCPUS];
static u64 unmarked; /* page that the device wrote and has not marked, ~0: none */
static bool locked, racing;
static u64 faults, splits, logged;
static bool throttled; /* pages are closed by protection, whatever the format */
static u64 cpu_log[VCPUS][PAGES];
static u32 cpu_logged[VCPUS];

static int table_alloc(void *ctx, hpa_t *out)
{
	(void)ctx;
	CHECK(tables < TABLES);
	*out = (hpa_t)(uintptr_t)(table_mem + tables++ * PAGE_SIZE);
	return 0;
}

static void table_free(void *ctx, hpa_t page)
{
	(void)ctx, (void)page;
}

static u64 *table_map(void *ctx, hpa_t page)
{
	(void)ctx;
	return (u64 *)(uintptr_t)page;
}

static void others(void);

static bool table_cas(void *ctx, u64 *entry, u64 old, u64 new_entry)
{
	(void)ctx;
	if (racing && locked)
		others();
	if (*entry != old)
		return false;
	*entry = new_entry;
	return true;
}

static void map_block(u64 i)
{
	struct pgtable_change c = { 0 };
	struct pgtable_map part = { .va = gmap_gpa(&src.m, i * SIZE_2M),
				    .hpa = (hpa_t)(uintptr_t)src.block[i], .len = SIZE_2M,
				    .attrs = dirtylog_closed(pt.fmt) };

	(void)gmap_ptr(&src.m, part.va);
	if (i) {
		CHECK_EQ(pgtable_map(&pt, &part, &c), 0);
		return;
	}
	part.len = VGA;
	CHECK_EQ(pgtable_map(&pt, &part, &c), 0);
	part.va += VGA_END;
	part.hpa += VGA_END;
	part.len = SIZE_2M - VGA_END;
	CHECK_EQ(pgtable_map(&pt, &part, &c), 0);
}

static void store(u64 page)
{
	u64 off = page * PAGE_SIZE + rnd(512) * 8;

	*(u64 *)(void *)(src.block[off / SIZE_2M] + off % SIZE_2M) = rnd(5);
}

/* What the CPU does at the first write through a leaf whose dirty bit is clear. */
static void cpu_writes_dirty(u64 v, gpa_t gpa)
{
	u64 *table = (u64 *)(uintptr_t)pt.root;

	for (u32 level = 4; level > 1; level--)
		table = table_map(NULL, pt.fmt->addr(table[pgfmt_index(pt.fmt, gpa, level)],
						     level));
	table[pgfmt_index(pt.fmt, gpa, 1)] |= pt.fmt->dirty;
	cpu_log[v][cpu_logged[v]++] = gpa;
	logged++;
}

static void take_written(u64 v);

static void vcpu_store(u64 v, u64 page)
{
	gpa_t gpa = gmap_gpa(&src.m, page * PAGE_SIZE);
	struct pgtable_change c = { 0 };
	struct pgtable_leaf leaf;

	if (tlb[v][page] != TLB_RW) {
		bool mapped = pgtable_lookup(&pt, gpa, &leaf) == 0;

		if (!mapped || !(leaf.attrs & PG_W)) {
			if (locked)
				return; /* it faults and waits for the lock */
			locked = true;
			if (!mapped)
				map_block(page / 512);
			take_written(v);
			CHECK_EQ(dirtylog_open(&src.m, &pt, gpa, &c), 0);
			faults++;
			splits += c.flush;
			locked = false;
			CHECK_EQ(pgtable_lookup(&pt, gpa, &leaf), 0);
		}
		if (leaf.attrs & PG_LOG)
			cpu_writes_dirty(v, gpa);
		tlb[v][page] = TLB_RW;
	}
	store(page);
}

/* After each exit, and it must have been one before the vCPU flushes. */
static void take_written(u64 v)
{
	while (cpu_logged[v])
		gmap_mark_dirty(&src.m, cpu_log[v][--cpu_logged[v]]);
}

static u64 any_page(void)
{
	u64 page;

	do
		page = rnd(4) ? rnd(BLOCKS) * 512 + rnd(8) + 152 : rnd(PAGES);
	while (!is_ram(page));
	return page;
}

static void mark(void)
{
	if (unmarked != ~0ull)
		gmap_mark_dirty(&src.m, gmap_gpa(&src.m, unmarked * PAGE_SIZE));
	unmarked = ~0ull;
}

/* One step of somebody else. */
static void other(void)
{
	u64 v = rnd(VCPUS), page = any_page();

	switch (rnd(6)) {
	case 0:
		take_written(v);
		if (must_flush[v])
			memset(tlb[v], TLB_NONE, sizeof(tlb[v]));
		must_flush[v] = false;
		break;
	case 1:
		tlb[v][page] = TLB_NONE;
		break;
	case 2:
		mark();
		if (!gmap_is_raw(&src.m, page / 512)) {
			unmarked = page;
			store(page);
		}
		break;
	case 3:
		mark();
		break;
	default:
		vcpu_store(v, page);
	}
}

static void others(void)
{
	for (u64 n = rnd(4); n; n--)
		other();
}

static void harvest(struct mig_pages *p)
{
	u64 closed = throttled ? DIRTYLOG_PROTECTED : dirtylog_closed(pt.fmt);
	struct pgtable_change c = { 0 };

	p->left = p->at = 0;
	for (u64 i = 0; i < p->words; i++) {
		locked = true;
		p->todo[i] |= dirtylog_take(&src.m, &pt, i, closed, &c);
		locked = false;
		if (racing)
			others();
		p->left += (u64)__builtin_popcountll(p->todo[i]);
	}
	for (int v = 0; v < VCPUS; v++)
		must_flush[v] = true;
}

static void settle(void)
{
	for (u64 v = 0; v < VCPUS; v++)
		while (must_flush[v])
			other();
}

static void epochs(const struct pgfmt *fmt)
{
	static const struct pgtable_env env = { .alloc = table_alloc, .free = table_free,
						.map = table_map, .cas = table_cas };
	struct mig_pages p;
	u32 n;

	ram_make(&src);
	ram_make(&dst);
	tables = 0;
	memset(table_mem, 0, TABLES * PAGE_SIZE);
	memset(tlb, 0, sizeof(tlb));
	memset(must_flush, 0, sizeof(must_flush));
	memset(log_words, 0, sizeof(log_words));
	unmarked = ~0ull;
	racing = false;
	CHECK_EQ(pgtable_init(&pt, fmt, &env, fmt->attrs & PG_LOG ? PAGE_SIZE : 0), 0);
	src.m.dirty = log_words;
	p = sender();
	racing = true;
	for (u64 pass = 0; pass < 4; pass++) {
		settle();
		for (u64 cut = rnd(3) ? ~0ull : rnd(50); cut; cut--) {
			n = mig_pages_fill(&p, buf, rnd(2) ? sizeof(buf) : MIG_PAGES_MIN);
			CHECK_EQ(mig_pages_load(&dst.m, buf, n), 0);
			others();
			if (!n)
				break;
		}
		throttled = pass > 1;
		harvest(&p);
	}
	/* All parked, devices quiet: what they did is marked. */
	racing = false;
	mark();
	for (u64 v = 0; v < VCPUS; v++)
		take_written(v);
	harvest(&p);
	send_all(&p, sizeof(buf));
	CHECK(same_ram());
	pgtable_destroy(&pt);
}

TEST(no_write_is_lost)
{
	table_mem = aligned_alloc(PAGE_SIZE, TABLES * PAGE_SIZE);
	for (u64 i = 1; i <= 150; i++) {
		rng = i;
		epochs(&npt_fmt);
	}
	CHECK(faults > 1000);
	CHECK(splits > 100);
	CHECK_EQ(logged, 0);
	for (u64 i = 1; i <= 150; i++) {
		rng = i;
		epochs(&ept_fmt);
	}
	CHECK(logged > 1000);
	free(table_mem);
}

/* ---- policy -------------------------------------------------------------------------------- */

static const struct mig_limits limits = { .downtime_ns = 30000000, .downtime_max_ns = 300000000,
					  .passes = 10, .slowest = 16 };

TEST(policy_idle)
{
	/* 100 MB/s, 500 pages left: 20 ms. */
	struct mig_pass p = { .pass = 1, .vcpus = 2, .bytes = 100000000, .ns = 1000000000,
			      .left = 500, .before = 60000, .fixed_ns = 5000000 };
	u32 slow = 0;
	struct mig_verdict v = mig_policy(&limits, &p, &slow);

	CHECK_EQ(v.step, MIG_STOP);
	CHECK_EQ(v.bytes_per_s, 100000000);
	CHECK(v.downtime_ns > 25000000 && v.downtime_ns < 26000000);
	p.left = 1000;
	CHECK_EQ(mig_policy(&limits, &p, &slow).step, MIG_CONTINUE);
	CHECK_EQ(slow, 0);
	/* What any stop costs is part of the pause; passes go on for what they can change. */
	p.left = 600;
	CHECK_EQ(mig_policy(&limits, &p, &slow).step, MIG_STOP);
	p.fixed_ns = 10000000;
	CHECK_EQ(mig_policy(&limits, &p, &slow).step, MIG_CONTINUE);
	p.left = 360;
	p.fixed_ns = 400000000;
	v = mig_policy(&limits, &p, &slow);
	CHECK_EQ(v.step, MIG_STOP);
	CHECK(v.downtime_ns > 414000000 && v.downtime_ns < 416000000);
	p.left = 380;
	CHECK_EQ(mig_policy(&limits, &p, &slow).step, MIG_CONTINUE);
}

TEST(policy_first_stop)
{
	/* 10 MB/s, 20 pages left: 8 ms, two answers of 2 ms, and what the stream holds. */
	struct mig_pass p = { .pass = 3, .vcpus = 2, .bytes = 10000000, .ns = 1000000000,
			      .left = 20, .before = 100, .rtt_ns = 2000000 };
	u32 slow = 0;
	struct mig_verdict v = mig_policy(&limits, &p, &slow);

	CHECK_EQ(v.step, MIG_STOP);
	CHECK(v.downtime_ns > 51000000 && v.downtime_ns < 52000000);
	p.left = 40; /* half of what is allowed is for pages */
	CHECK_EQ(mig_policy(&limits, &p, &slow).step, MIG_CONTINUE);
	/* At 1 Gb/s that is little, and what was measured counts instead. */
	p.left = 20;
	p.bytes = 125000000;
	v = mig_policy(&limits, &p, &slow);
	CHECK(v.downtime_ns > 7500000 && v.downtime_ns < 8000000);
	p.fixed_ns = 6000000;
	v = mig_policy(&limits, &p, &slow);
	CHECK(v.downtime_ns > 6500000 && v.downtime_ns < 7000000);
	p.fixed_ns = 1000000; /* less than the answers take: no */
	v = mig_policy(&limits, &p, &slow);
	CHECK(v.downtime_ns > 4500000 && v.downtime_ns < 5000000);
}

/* A writer of 'rate' pages/s, a link of 25000 pages/s: passes until it stops; -1: aborts. */
static int converge(u64 pages_per_s, u64 working_set, struct mig_limits l, u32 *slow)
{
	struct mig_pass p = { .pass = 0, .vcpus = 1, .left = 65536 };
	u64 page_ns = 0;

	*slow = 0;
	for (;;) {
		u64 ns, r = pages_per_s;
		struct mig_verdict v;

		p.pass++;
		p.before = p.left;
		ns = p.before * 40000;
		p.bytes += p.before * 4112;
		p.ns += ns;
		if (page_ns && r > 1000000000 / page_ns)
			r = 1000000000 / page_ns;
		p.left = r * (ns / 1000) / 1000000;
		if (p.left > working_set)
			p.left = working_set;
		v = mig_policy(&l, &p, slow);
		page_ns = v.page_ns;
		if (v.step != MIG_CONTINUE)
			return v.step == MIG_STOP ? (int)p.pass : -1;
	}
}

TEST(policy_writers)
{
	struct mig_limits l = limits;
	u32 slow;

	CHECK_EQ(converge(10, 65536, l, &slow), 1);
	CHECK_EQ(slow, 0);
	CHECK(converge(2500, 65536, l, &slow) <= 3); /* 10 MB/s */
	CHECK_EQ(slow, 0);
	/* Twice what the link carries, into a small and a large working set. */
	CHECK(converge(50000, 2000, l, &slow) > 0);
	CHECK(slow > 0 && slow <= l.slowest);
	CHECK(converge(50000, 65536, l, &slow) > 0);
	l.slowest = 1;
	CHECK_EQ(converge(50000, 65536, l, &slow), -1);
	CHECK_EQ(slow, 0);
	l.downtime_max_ns = 5000000000;
	CHECK_EQ(converge(50000, 65536, l, &slow), 10);
}

TEST(policy_extremes)
{
	struct mig_limits l = limits;
	struct mig_pass p = { .pass = 1, .left = ~0ull, .before = ~0ull };
	u32 slow = 0;

	CHECK_EQ(mig_policy(&l, &p, &slow).step, MIG_CONTINUE);
	p.pass = 10;
	CHECK_EQ(mig_policy(&l, &p, &slow).step, MIG_ABORT);
	p.bytes = ~0ull;
	p.ns = 1;
	CHECK_EQ(mig_policy(&l, &p, &slow).bytes_per_s, ~0ull);
	l.bytes_per_s = 125000000;
	CHECK_EQ(mig_policy(&l, &p, &slow).bytes_per_s, 125000000);
	p.left = 0;
	CHECK_EQ(mig_policy(&l, &p, &slow).step, MIG_STOP);
	CHECK_EQ(mig_policy_defaults().downtime_ns, 30000000);
}

UNIT_MAIN({ "first_pass", first_pass }, { "zero_again", zero_again },
	  { "hostile_runs", hostile_runs }, { "no_write_is_lost", no_write_is_lost },
	  { "policy_idle", policy_idle }, { "policy_first_stop", policy_first_stop },
	  { "policy_writers", policy_writers }, { "policy_extremes", policy_extremes })
