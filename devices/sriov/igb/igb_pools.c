/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Free pools at work: which buffers are posted, who gets what came.
 */
#include "arch/x86/io.h"
#include "devices/sriov/igb/igb.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/log.h"

int igb_pool_open(struct igb *g, const u8 *mac, u8 *pool)
{
	int rc;

	spin_lock(&g->lock);
	rc = igb_pool_take(&g->hw, mac, pool);
	spin_unlock(&g->lock);
	return rc;
}

void igb_pool_close(struct igb *g, const u8 *mac, u8 pool)
{
	spin_lock(&g->lock);
	igb_pool_return(&g->hw, mac, pool);
	spin_unlock(&g->lock);
}

/* Buffers that the user gives, and its own for the rest: a burst finds room in either case. */
static void fill(struct igb *g, u8 pool)
{
	const struct igb_pool_user *u = &g->pool[pool].user;
	struct igb_posts *q = &g->pool[pool].posts;
	u32 tail = q->tail;

	while (igb_posts_count(q) < IGB_POSTS - 1) {
		u8 *p = u->buffer(u->ctx);

		igb_posts_add(q, p ? virt_to_phys(p) : 0);
	}
	if (q->tail != tail)
		mmio_write32(g->regs + IGB_RDT(pool), q->tail);
}

static u32 take(struct igb *g, u8 pool, u32 most)
{
	const struct igb_pool_user *u = &g->pool[pool].user;
	struct igb_posts *q = &g->pool[pool].posts;
	struct virtq_seg seg;
	struct frame f;
	u32 n = 0, len;
	bool given;

	for (; n < most && igb_posts_next(q, &given, &len, &f, &seg); n++) {
		if (given)
			u->filled(u->ctx, len);
		else if (len)
			g->client.rx(g->client.ctx, &f);
	}
	return n;
}

static void start(struct igb *g, u8 pool)
{
	hpa_t at = g->block + IGB_POOLS_AT + (pool - 1u) * IGB_POOL_BYTES; /* 0 is never free */
	u8 *host = phys_to_virt(at);
	const u32 bufs = IGB_POSTS * IGB_DESC_BYTES;
	const struct igb_ring_mem m = { (u64 *)host, host + bufs, at, at + bufs };

	igb_posts_init(&g->pool[pool].posts, &m);
	igb_pool_start(&g->hw, pool, at, IGB_VEC_QUEUE);
	fill(g, pool);
}

void igb_pool_begin(struct igb *g, u8 pool, const struct igb_pool_user *user)
{
	g->pool[pool].user = *user;
	g->pool[pool].used = true;
	start(g, pool);
}

static void stop(struct igb *g, u8 pool)
{
	if (igb_pool_stop(&g->hw, pool))
		igb_cut_off(g);
	(void)take(g, pool, IGB_POSTS);
}

void igb_pool_end(struct igb *g, u8 pool)
{
	stop(g, pool);
	g->pool[pool].used = false;
}

void igb_pool_withdraw(struct igb *g, u8 pool)
{
	stop(g, pool);
	start(g, pool);
}

bool igb_pools_serve(struct igb *g, u32 most)
{
	bool more = false;

	for (u8 pool = 0; pool < IGB_POOLS; pool++) {
		if (!g->pool[pool].used)
			continue;
		more |= take(g, pool, most) == most;
		fill(g, pool);
	}
	return more;
}
