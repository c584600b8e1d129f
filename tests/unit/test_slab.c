/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/mm/slab.h"
#include "unit.h"

static u32 live, limit;

static void *frame_get(void *ctx)
{
	(void)ctx;
	if (live == limit)
		return NULL;
	live++;
	return aligned_alloc(4096, 4096);
}

static void frame_put(void *ctx, void *p)
{
	(void)ctx;
	live--;
	free(p);
}

static const struct slab_env env = { NULL, frame_get, frame_put };

static u32 rnd(void)
{
	static u32 x = 99;

	x = x * 1664525 + 1013904223;
	return x >> 8;
}

/* Objects of random sizes keep what was written, are zero when fresh, and all frames come back. */
TEST(random_use)
{
	static struct {
		u8 *p;
		size_t n;
		u8 tag;
	} o[300];
	struct slab s = { 0 };

	limit = 100000;
	for (u32 round = 0; round < 60000; round++) {
		u32 i = rnd() % 300;

		if (o[i].p) {
			for (size_t k = 0; k < o[i].n; k++)
				CHECK_EQ(o[i].p[k], o[i].tag);
			slab_free(&s, &env, o[i].p, o[i].n);
			o[i].p = NULL;
			continue;
		}
		o[i].n = 1 + rnd() % SLAB_MAX_OBJECT;
		o[i].tag = (u8)rnd();
		o[i].p = slab_alloc(&s, &env, o[i].n);
		CHECK(o[i].p && (uintptr_t)o[i].p % 64 == 0);
		for (size_t k = 0; k < o[i].n; k++)
			CHECK_EQ(o[i].p[k], 0);
		memset(o[i].p, o[i].tag, o[i].n);
		CHECK_EQ(s.frames, live);
	}
	for (u32 i = 0; i < 300; i++)
		if (o[i].p)
			slab_free(&s, &env, o[i].p, o[i].n);
	CHECK_EQ(live, 0);
	CHECK_EQ(s.frames, 0);
}

TEST(no_memory)
{
	struct slab s = { 0 };
	void *p[3];

	live = 0;
	limit = 1;
	p[0] = slab_alloc(&s, &env, 1900);
	p[1] = slab_alloc(&s, &env, 1984);
	p[2] = slab_alloc(&s, &env, 1984);
	CHECK(p[0] && p[1] && !p[2]);
	CHECK(!slab_alloc(&s, &env, 8));
	slab_free(&s, &env, p[0], 1900);
	p[2] = slab_alloc(&s, &env, 1950);
	CHECK(p[2] == p[0]);
	slab_free(&s, &env, p[1], 1984);
	slab_free(&s, &env, p[2], 1950);
	CHECK_EQ(live, 0);
}

UNIT_MAIN({ "random_use", random_use }, { "no_memory", no_memory })
