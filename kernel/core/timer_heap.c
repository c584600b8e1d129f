/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heap operations; deadlines are absolute, so a plain comparison orders them.
 */
#include "kernel/core/timer_heap.h"

#include "kernel/base/assert.h"
#include "kernel/base/err.h"

void timer_heap_init(struct timer_heap *h, struct timer **array, u32 entries)
{
	ASSERT(entries >= 2);
	*h = (struct timer_heap){ .at = array, .capacity = entries - 1 };
}

static void place(struct timer_heap *h, u32 slot, struct timer *t)
{
	h->at[slot] = t;
	t->slot = slot;
}

static void sift_up(struct timer_heap *h, u32 slot, struct timer *t)
{
	while (slot > 1 && h->at[slot / 2]->deadline > t->deadline) {
		place(h, slot, h->at[slot / 2]);
		slot /= 2;
	}
	place(h, slot, t);
}

static void sift_down(struct timer_heap *h, u32 slot, struct timer *t)
{
	while (2 * slot <= h->count) {
		u32 child = 2 * slot;

		if (child < h->count && h->at[child + 1]->deadline < h->at[child]->deadline)
			child++;
		if (h->at[child]->deadline >= t->deadline)
			break;
		place(h, slot, h->at[child]);
		slot = child;
	}
	place(h, slot, t);
}

int timer_heap_add(struct timer_heap *h, struct timer *t)
{
	ASSERT(!t->slot);
	if (h->count == h->capacity)
		return -ENOSPC;
	sift_up(h, ++h->count, t);
	return 0;
}

void timer_heap_remove(struct timer_heap *h, struct timer *t)
{
	u32 slot = t->slot;
	struct timer *last;

	ASSERT(slot && slot <= h->count && h->at[slot] == t);
	last = h->at[h->count--];
	t->slot = 0;
	if (last == t)
		return;
	if (slot > 1 && h->at[slot / 2]->deadline > last->deadline)
		sift_up(h, slot, last);
	else
		sift_down(h, slot, last);
}

struct timer *timer_heap_first(const struct timer_heap *h)
{
	return h->count ? h->at[1] : NULL;
}
