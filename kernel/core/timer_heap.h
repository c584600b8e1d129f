/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A binary heap of timers by deadline. Each timer knows its place, so that removing one
 * is as cheap as adding it.
 */
#ifndef KERNEL_CORE_TIMER_HEAP_H
#define KERNEL_CORE_TIMER_HEAP_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct timer {
	void (*fn)(void *ctx);
	void *ctx;
	u64 deadline;	/* host TSC */
	u32 cpu;	/* where it is armed */
	u32 slot;	/* position in that CPU's heap, 0 = not armed */
};

struct timer_heap {
	struct timer **at; /* at[1..count]; at[1] is due first; at[0] unused */
	u32 count;
	u32 capacity; /* timers that fit: entries of at[] less one */
};

/** timer_heap_init() - an empty heap over an array of entries (>= 2) pointers. */
void timer_heap_init(struct timer_heap *h, struct timer **array, u32 entries);

/** timer_heap_add() - add t (slot 0) by its deadline; -ENOSPC when full. */
int MUST_CHECK timer_heap_add(struct timer_heap *h, struct timer *t);

/** timer_heap_remove() - take t (slot not 0, in this heap) out; its slot becomes 0. */
void timer_heap_remove(struct timer_heap *h, struct timer *t);

/** timer_heap_first() - the timer due first, or NULL. */
struct timer *timer_heap_first(const struct timer_heap *h);

#endif
