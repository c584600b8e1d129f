/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/core/trace_ring.h"

#include "tests/unit/unit.h"

static struct trace_ring a, b;
static u64 seen[3 * TRACE_EVENTS];
static u32 cpus[3 * TRACE_EVENTS];
static u64 n;

static void collect(void *ctx, u32 cpu, const struct trace_event *e)
{
	CHECK(ctx == &n);
	cpus[n] = cpu;
	seen[n++] = e->tsc;
}

static u64 merge(struct trace_ring *x, struct trace_ring *y, u64 want)
{
	struct trace_ring *const rings[] = { x, NULL, y };

	n = 0;
	return trace_merge(rings, 3, want, collect, &n);
}

static void put(struct trace_ring *r, u64 tsc)
{
	const struct trace_event e = { .tsc = tsc };

	trace_ring_put(r, &e);
}

static void clear(void)
{
	a.total = b.total = 0;
}

TEST(empty)
{
	clear();
	CHECK_EQ(merge(&a, &b, 5), 0);
	CHECK_EQ(merge(NULL, NULL, 5), 0);
	CHECK_EQ(n, 0);
}

TEST(in_order)
{
	clear();
	for (u64 i = 1; i <= 10; i++)
		put(i % 3 ? &a : &b, i * 100);
	CHECK_EQ(merge(&a, &b, 100), 10);
	CHECK_EQ(n, 10);
	for (u64 i = 1; i <= 10; i++) {
		CHECK_EQ(seen[i - 1], i * 100);
		CHECK_EQ(cpus[i - 1], i % 3 ? 0 : 2);
	}
	CHECK_EQ(merge(&a, &b, 4), 4);
	CHECK_EQ(n, 4);
	CHECK_EQ(seen[0], 700);
	CHECK_EQ(seen[3], 1000);
}

TEST(wrapped)
{
	clear();
	for (u64 i = 0; i < 3 * TRACE_EVENTS; i++)
		put(&a, i);
	put(&b, TRACE_EVENTS);
	put(&b, 2 * TRACE_EVENTS + 7);
	CHECK_EQ(merge(&a, &b, ~0ull), TRACE_EVENTS + 2);
	CHECK_EQ(seen[0], TRACE_EVENTS);
	CHECK_EQ(seen[1], 2 * TRACE_EVENTS);
	CHECK_EQ(seen[n - 1], 3 * TRACE_EVENTS - 1);
	for (u64 i = 1; i < n; i++)
		CHECK(seen[i] >= seen[i - 1]);
}

UNIT_MAIN({ "empty", empty }, { "in_order", in_order }, { "wrapped", wrapped })
