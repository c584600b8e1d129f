/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Merging of event rings: backwards to find where to begin, then forwards.
 */
#include "kernel/core/trace_ring.h"

#define RINGS_MAX 64

static const struct trace_event *at(const struct trace_ring *r, u64 i)
{
	return &r->event[i % TRACE_EVENTS];
}

static u64 oldest(const struct trace_ring *r)
{
	return r->total > TRACE_EVENTS ? r->total - TRACE_EVENTS : 0;
}

/* Take one step back on the ring whose event before its place is the newest. */
static bool step_back(struct trace_ring *const *rings, u32 n, u64 *from)
{
	u32 best = n;

	for (u32 i = 0; i < n; i++) {
		if (!rings[i] || from[i] == oldest(rings[i]))
			continue;
		if (best == n ||
		    at(rings[i], from[i] - 1)->tsc > at(rings[best], from[best] - 1)->tsc)
			best = i;
	}
	if (best == n)
		return false;
	from[best]--;
	return true;
}

/* The ring whose next event is the oldest; n: none has one. */
static u32 next_ring(struct trace_ring *const *rings, u32 n, const u64 *from)
{
	u32 best = n;

	for (u32 i = 0; i < n; i++) {
		if (!rings[i] || from[i] == rings[i]->total)
			continue;
		if (best == n || at(rings[i], from[i])->tsc < at(rings[best], from[best])->tsc)
			best = i;
	}
	return best;
}

u64 trace_merge(struct trace_ring *const *rings, u32 n, u64 want,
		void (*fn)(void *ctx, u32 cpu, const struct trace_event *e), void *ctx)
{
	u64 from[RINGS_MAX];
	u64 count = 0;
	u32 k;

	if (n > RINGS_MAX)
		n = RINGS_MAX;
	for (u32 i = 0; i < n; i++)
		from[i] = rings[i] ? rings[i]->total : 0;
	while (count < want && step_back(rings, n, from))
		count++;
	while ((k = next_ring(rings, n, from)) != n)
		fn(ctx, k, at(rings[k], from[k]++));
	return count;
}
