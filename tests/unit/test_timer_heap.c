/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/base/err.h"
#include "kernel/core/timer_heap.h"
#include "unit.h"

#define N 200

static struct timer *array[N + 1];
static struct timer timers[N + 1];

static void check_heap(const struct timer_heap *h)
{
	for (u32 i = 1; i <= h->count; i++) {
		CHECK_EQ(h->at[i]->slot, i);
		if (i > 1)
			CHECK(h->at[i / 2]->deadline <= h->at[i]->deadline);
	}
}

static u32 rnd(void)
{
	static u32 x = 12345;

	x = x * 1664525 + 1013904223;
	return x >> 8;
}

TEST(sorts)
{
	struct timer_heap h;
	u64 last = 0;
	u32 n = 0;

	timer_heap_init(&h, array, N + 1);
	CHECK(!timer_heap_first(&h));
	for (u32 i = 0; i < N; i++) {
		timers[i].deadline = rnd() % 50;
		CHECK_EQ(timer_heap_add(&h, &timers[i]), 0);
		check_heap(&h);
	}
	CHECK(timer_heap_add(&h, &timers[N]) == -ENOSPC);
	CHECK_EQ(timers[N].slot, 0);
	while (timer_heap_first(&h)) {
		struct timer *t = timer_heap_first(&h);

		CHECK(t->deadline >= last);
		last = t->deadline;
		timer_heap_remove(&h, t);
		CHECK_EQ(t->slot, 0);
		check_heap(&h);
		n++;
	}
	CHECK_EQ(n, N);
}

/* Random adds and removes against a plain search for the least deadline. */
TEST(random_removal)
{
	struct timer_heap h;

	timer_heap_init(&h, array, N + 1);
	for (u32 round = 0; round < 20000; round++) {
		struct timer *t = &timers[rnd() % N];
		u64 least = ~0ull;
		u32 armed = 0;

		if (t->slot) {
			timer_heap_remove(&h, t);
		} else {
			t->deadline = rnd() % 1000;
			CHECK_EQ(timer_heap_add(&h, t), 0);
		}
		check_heap(&h);
		for (u32 i = 0; i < N; i++) {
			if (timers[i].slot && timers[i].deadline < least)
				least = timers[i].deadline;
			armed += timers[i].slot != 0;
		}
		CHECK_EQ(armed, h.count);
		if (armed)
			CHECK_EQ(timer_heap_first(&h)->deadline, least);
	}
}

UNIT_MAIN({ "sorts", sorts }, { "random_removal", random_removal })
