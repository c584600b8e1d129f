/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame pool: layouts, accounts, contiguity, and a long random run against a model that
 * knows the owner of every frame.
 */
#include "kernel/mm/pool.h"

#include <sys/mman.h>

#include "kernel/base/err.h"
#include "unit.h"

#define RAM_MAX (6ull << 30)

static struct {
	u8 *ram; /* backing of host-physical 0..RAM_MAX, touched sparsely */
	struct pool p;
	struct pool_range usable[16], reserved[16];
	struct pool_layout l;
	void *meta;
	struct pool_owner a, b; /* no limit; 64 MiB */
} t;

static void *ram_map(void *ctx, hpa_t hpa)
{
	(void)ctx;
	CHECK(hpa < RAM_MAX);
	return t.ram + hpa;
}

static void layout(size_t nu, size_t nr)
{
	t.l = (struct pool_layout){ t.usable, nu, t.reserved, nr };
}

static int start(void)
{
	struct pool_env env = { .map = ram_map };
	size_t n = pool_meta_bytes(&t.l);
	int err;

	if (!t.ram)
		t.ram = mmap(NULL, RAM_MAX, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(t.ram != MAP_FAILED);
	free(t.meta);
	t.meta = malloc(n);
	CHECK_EQ(-pool_init(&t.p, &env, &t.l, t.meta, n - 1), EINVAL);
	err = pool_init(&t.p, &env, &t.l, t.meta, n);
	if (!err) {
		CHECK_EQ(pool_owner_add(&t.p, &t.a, "a", POOL_NO_QUOTA), 0);
		CHECK_EQ(pool_owner_add(&t.p, &t.b, "b", 64 << 20), 0);
		CHECK(pool_audit(&t.p));
	}
	return err;
}

static void simple(u64 bytes)
{
	t.usable[0] = (struct pool_range){ 0, bytes };
	layout(1, 0);
	CHECK_EQ(start(), 0);
}

/* A map as firmware gives it: low memory, a hole, odd ends, overlaps, a second bank. */
TEST(layouts)
{
	struct pool_stats s;
	hpa_t h;

	t.usable[0] = (struct pool_range){ 0x100000, 0x1ff00000 - 0x21000 };
	t.usable[1] = (struct pool_range){ 0, 0x9fc00 };
	t.usable[2] = (struct pool_range){ SIZE_4G, SIZE_1G + 0x800 };
	t.usable[3] = (struct pool_range){ SIZE_4G + 0x1000, 0x5000 };	/* twice the same */
	t.usable[4] = (struct pool_range){ 2ull << 40, SIZE_1G };	/* beyond the limit */
	t.usable[5] = (struct pool_range){ ~0ull - 0xfff, 0x2000 };	/* wraps */
	t.reserved[0] = (struct pool_range){ 0x100000, 0x123456 };	/* image */
	t.reserved[1] = (struct pool_range){ 0x300800, 1 };		/* one byte */
	t.reserved[2] = (struct pool_range){ 0xf0000, 0x10000 };
	t.reserved[3] = (struct pool_range){ 0, 0 };
	t.reserved[4] = (struct pool_range){ 5ull << 40, ~0ull };
	layout(6, 5);
	CHECK_EQ(start(), 0);
	pool_stats(&t.p, &s);
	CHECK_EQ(s.ignored, SIZE_1G);
	/*
	 * Low: frames 1..9e. Image: to 224000, so 224..2ff and 301.. of that block; 132 KiB at the
	 * top.
	 */
	CHECK_EQ(s.total, (0x9full - 1) * 4096 + (0x1ffdf000ull - 0x224000 - 0x1000) + SIZE_1G);
	CHECK_EQ(s.largest_run, SIZE_1G);
	CHECK_EQ(s.split_blocks, 3);
	CHECK_EQ(s.overhead, 3 * 4096);
	CHECK_EQ(s.free, s.total - s.overhead);

	/* Every frame once, none of them reserved. */
	for (u64 n = 0;; n++) {
		int err = pool_alloc_frames(&t.p, &t.a, 1, &h);

		if (err) {
			pool_stats(&t.p, &s);
			CHECK_EQ(-err, ENOMEM);
			CHECK_EQ(s.free, 0);
			CHECK_EQ(n * 4096, s.used);
			CHECK_EQ(s.used + s.overhead, s.total);
			break;
		}
		CHECK(h >= 0x1000 && h != 0x300000);
		CHECK(h < 0x9f000 || (h >= 0x224000 && h < 0x1ffdf000) ||
		      (h >= SIZE_4G && h < SIZE_4G + SIZE_1G));
	}
	CHECK(pool_audit(&t.p));
}

TEST(nothing_usable)
{
	t.usable[0] = (struct pool_range){ 0, 0x1fff };
	t.reserved[0] = (struct pool_range){ 0, SIZE_4G };
	layout(1, 1);
	CHECK_EQ(-start(), ENOMEM);
	layout(1, 0);
	CHECK_EQ(-start(), ENOMEM);
	layout(0, 0);
	CHECK_EQ(pool_meta_bytes(&t.l), 0);
}

TEST(find_space)
{
	hpa_t h = 5;

	t.usable[0] = (struct pool_range){ 0x100000, 0x10000000 };
	t.usable[1] = (struct pool_range){ 0, 0x9fc00 };
	t.reserved[0] = (struct pool_range){ 0x200000, 0x100000 };
	t.reserved[1] = (struct pool_range){ 0x100000, 0x80001 };
	t.reserved[2] = (struct pool_range){ 0x182000, 0x1000 };
	layout(2, 3);
	CHECK_EQ(pool_find_space(&t.l, 0x10000, 0, &h), 0);
	CHECK_EQ(h, 0x1000);
	CHECK_EQ(pool_find_space(&t.l, 1, 0x100000, &h), 0);
	CHECK_EQ(h, 0x181000);
	CHECK_EQ(pool_find_space(&t.l, 0x2000, 0x100000, &h), 0);
	CHECK_EQ(h, 0x183000);
	CHECK_EQ(pool_find_space(&t.l, 0x80000, 0x100000, &h), 0);
	CHECK_EQ(h, 0x300000);
	CHECK_EQ(-pool_find_space(&t.l, 0x10000000, 0, &h), ENOMEM);
	CHECK_EQ(-pool_find_space(&t.l, 0x1000, 0x10100000, &h), ENOMEM);
	t.reserved[0] = (struct pool_range){ 0x100000, ~0ull - 0x100000 };
	CHECK_EQ(-pool_find_space(&t.l, 0x1000, 0x100000, &h), ENOMEM);
	CHECK_EQ(h, 0x300000);
}

TEST(accounts)
{
	static struct pool_owner many[POOL_OWNERS];
	hpa_t h[64], f, g;
	u32 n = 0;

	simple(512 << 20);
	/* b has a quota of 32 blocks. */
	CHECK_EQ(-pool_alloc_blocks(&t.p, &t.b, 33, h), ENOMEM);
	CHECK_EQ(pool_alloc_blocks(&t.p, &t.b, 31, h), 0);
	CHECK_EQ(pool_alloc_frames(&t.p, &t.b, 511, &f), 0);
	CHECK_EQ(pool_alloc_frames(&t.p, &t.b, 1, &g), 0);
	CHECK_EQ(t.b.used, 64 << 20);
	CHECK_EQ(t.b.peak, 64 << 20);
	CHECK_EQ(-pool_alloc_frames(&t.p, &t.b, 1, &g), ENOMEM);
	CHECK_EQ(-pool_owner_remove(&t.p, &t.b), EBUSY);

	/* Wrong owner, twice, misaligned, out of range, the header frame, no frame at all. */
	CHECK_EQ(-pool_free_block(&t.p, &t.a, h[0]), EINVAL);
	CHECK_EQ(-pool_free_frames(&t.p, &t.a, f, 1), EINVAL);
	CHECK_EQ(-pool_free_block(&t.p, &t.b, h[0] + PAGE_SIZE), EINVAL);
	CHECK_EQ(-pool_free_block(&t.p, &t.b, 512 << 20), EINVAL);
	CHECK_EQ(-pool_free_frames(&t.p, &t.b, f - PAGE_SIZE, 1), EINVAL);
	CHECK_EQ(-pool_free_frames(&t.p, &t.b, f, 0), EINVAL);
	CHECK_EQ(-pool_free_frames(&t.p, &t.b, f + 1, 1), EINVAL);
	CHECK_EQ(-pool_free_frames(&t.p, &t.b, f + PAGE_SIZE, 511), EINVAL);
	CHECK_EQ(-pool_free_frames(&t.p, &t.b, h[0], 1), EINVAL);
	CHECK_EQ(-pool_free_block(&t.p, &t.b, f - PAGE_SIZE), EINVAL);
	CHECK_EQ(t.b.used, 64 << 20);
	CHECK_EQ(pool_free_block(&t.p, &t.b, h[0]), 0);
	CHECK_EQ(-pool_free_block(&t.p, &t.b, h[0]), EINVAL);
	CHECK_EQ(pool_free_frames(&t.p, &t.b, f + PAGE_SIZE, 100), 0);
	CHECK_EQ(-pool_free_frames(&t.p, &t.b, f + PAGE_SIZE * 100, 2), EINVAL);
	CHECK(pool_audit(&t.p));
	for (int i = 1; i < 31; i++)
		CHECK_EQ(pool_free_block(&t.p, &t.b, h[i]), 0);
	CHECK_EQ(pool_free_frames(&t.p, &t.b, f, 1), 0);
	CHECK_EQ(pool_free_frames(&t.p, &t.b, f + 101 * PAGE_SIZE, 410), 0);
	CHECK_EQ(pool_free_frames(&t.p, &t.b, g, 1), 0);
	CHECK_EQ(t.b.used, 0);
	CHECK(pool_audit(&t.p));
	CHECK_EQ(t.p.overhead, 4096); /* only the block with frame 0 stays split */
	CHECK_EQ(pool_owner_remove(&t.p, &t.b), 0);
	CHECK_EQ(-pool_owner_remove(&t.p, &t.b), EBUSY);
	while (n < POOL_OWNERS &&
	       pool_owner_add(&t.p, &many[n], "a name that is far too long for it", 0) == 0)
		n++;
	CHECK_EQ(n, POOL_OWNERS - 2);
	CHECK_EQ(strlen(many[0].name), 31);
	CHECK_EQ(-pool_alloc_frames(&t.p, &many[0], 1, &g), ENOMEM);
}

TEST(zeroed)
{
	hpa_t h, g;

	simple(16 << 20);
	CHECK_EQ(pool_alloc_frames(&t.p, &t.a, 3, &h), 0);
	memset(t.ram + h, 0xee, 3 * 4096);
	CHECK_EQ(pool_free_frames(&t.p, &t.a, h, 3), 0);
	CHECK_EQ(pool_alloc_frames(&t.p, &t.a, 3, &g), 0);
	CHECK_EQ(g, h);
	for (int i = 0; i < 3 * 4096; i++)
		CHECK_EQ(t.ram[g + (u64)i], 0);
	/* 512 frames are a block, given back either way. */
	CHECK_EQ(pool_alloc_frames(&t.p, &t.a, 512, &g), 0);
	CHECK(g % SIZE_2M == 0);
	CHECK_EQ(pool_free_frames(&t.p, &t.a, g, 512), 0);
	CHECK_EQ(-pool_alloc_frames(&t.p, &t.a, 513, &g), EINVAL);
	CHECK_EQ(-pool_alloc_frames(&t.p, &t.a, 0, &g), EINVAL);
}

TEST(contiguity)
{
	static hpa_t h[3000], k[3000], one;
	struct pool_stats s;

	simple(6ull << 30);
	/* 3 GiB and some: three aligned GiBs, then the rest in one piece. */
	CHECK_EQ(pool_alloc_blocks(&t.p, &t.a, 3 * 512 + 100, h), 0);
	for (u64 i = 0; i < 3 * 512 + 100; i++) {
		CHECK_EQ(h[i] % SIZE_2M, 0);
		if (i % 512 == 0 && i < 1536)
			CHECK_EQ(h[i] % SIZE_1G, 0);
		else if (i != 1536)
			CHECK_EQ(h[i], h[i - 1] + SIZE_2M);
	}
	/* A small request takes the smallest hole. */
	CHECK_EQ(pool_free_block(&t.p, &t.a, h[20]), 0);
	CHECK_EQ(pool_alloc_blocks(&t.p, &t.b, 1, &one), 0);
	CHECK_EQ(one, h[20]);
	CHECK_EQ(-pool_alloc_blocks(&t.p, &t.a, 3000, k), ENOMEM);
	pool_stats(&t.p, &s);
	CHECK_EQ(s.free_blocks, 3071 - 1636);
	CHECK_EQ(pool_alloc_blocks(&t.p, &t.a, 3071 - 1636, k), 0);
	CHECK_EQ(-pool_alloc_blocks(&t.p, &t.a, 1, k), ENOMEM);
	CHECK(pool_audit(&t.p));
	CHECK_EQ(pool_alloc_blocks(&t.p, &t.a, 0, k), 0);
}

/* One TiB: metadata small, and a frame comes at once. */
TEST(huge)
{
	struct pool_stats s;
	static hpa_t h[4096];

	t.usable[0] = (struct pool_range){ 0, 1ull << 40 };
	layout(1, 0);
	CHECK_EQ(pool_meta_bytes(&t.l), 524288 * sizeof(struct pool_block));
	CHECK(pool_meta_bytes(&t.l) <= 4 << 20);
	CHECK_EQ(start(), 0);
	for (int i = 0; i < 4096; i++)
		CHECK_EQ(pool_alloc_frames(&t.p, &t.a, 1, &h[i]), 0);
	for (int i = 0; i < 4096; i++)
		CHECK_EQ(pool_free_frames(&t.p, &t.a, h[i], 1), 0);
	pool_stats(&t.p, &s);
	CHECK_EQ(s.total, (1ull << 40) - 4096);
	CHECK_EQ(s.largest_run, (1ull << 40) - SIZE_2M);
}

/* ---- random run ------------------------------------------------------------------------------ */

#define R_BLOCKS 64
#define R_LIVE	 512

static struct live {
	hpa_t hpa;
	u32 frames;
	struct pool_owner *o;
} live[R_LIVE];
static u8 taken[R_BLOCKS * 512];

static void mark(hpa_t hpa, u32 frames, u8 v)
{
	for (u32 i = 0; i < frames; i++) {
		u64 f = hpa / 4096 + i;

		CHECK(f > 0 && f < sizeof(taken));
		CHECK_EQ(taken[f], !v);
		taken[f] = v;
	}
}

TEST(random_run)
{
	struct pool_owner *o[3] = { &t.a, &t.b, NULL };
	static struct pool_owner c;
	u32 n = 0, refused = 0;

	t.usable[0] = (struct pool_range){ 0, R_BLOCKS * SIZE_2M };
	t.reserved[0] = (struct pool_range){ 0x540000, 0x3000 };
	layout(1, 1);
	CHECK_EQ(start(), 0);
	CHECK_EQ(pool_owner_add(&t.p, &c, "c", 5 << 20), 0);
	o[2] = &c;
	srand(7);
	for (int i = 0; i < 20000; i++) {
		struct live *l = &live[n];

		if (n < R_LIVE && rand() % 100 < (i / 2000 % 2 ? 35 : 65)) {
			l->frames = rand() % 8 ? 1 + (u32)rand() % 4 : 1 + (u32)rand() % 512;
			l->o = o[rand() % 3];
			if (pool_alloc_frames(&t.p, l->o, l->frames, &l->hpa) == 0) {
				mark(l->hpa, l->frames, 1);
				CHECK(l->hpa + l->frames * 4096 <= 0x540000 || l->hpa >= 0x543000);
				n++;
			} else {
				refused++;
			}
		} else if (n > 0) {
			struct live *x = &live[(u32)rand() % n];

			CHECK_EQ(-pool_free_frames(&t.p, x->o == &t.a ? &t.b : &t.a, x->hpa,
						   x->frames),
				 EINVAL);
			mark(x->hpa, x->frames, 0);
			CHECK_EQ(pool_free_frames(&t.p, x->o, x->hpa, x->frames), 0);
			*x = live[--n];
		}
		if (i % 16 == 0)
			CHECK(pool_audit(&t.p));
	}
	CHECK(refused > 0);
	while (n-- > 0)
		CHECK_EQ(pool_free_frames(&t.p, live[n].o, live[n].hpa, live[n].frames), 0);
	CHECK(pool_audit(&t.p));
	CHECK_EQ(t.a.used + t.b.used + c.used, 0);
	CHECK_EQ(t.a.loose + t.b.loose + c.loose, 0);
	CHECK_EQ(t.p.free, t.p.total - 2 * 4096);
}

UNIT_MAIN({ "layouts", layouts }, { "nothing_usable", nothing_usable },
	  { "find_space", find_space }, { "accounts", accounts }, { "zeroed", zeroed },
	  { "contiguity", contiguity }, { "huge", huge }, { "random_run", random_run })
