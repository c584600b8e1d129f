/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 82576 pools that no VF has: each receives for one address of the host's, into buffers that the
 * owner of the address gives, or into some of its own. Pure.
 */
#ifndef DEVICES_SRIOV_IGB_IGB_POOL_H
#define DEVICES_SRIOV_IGB_IGB_POOL_H

#include "devices/sriov/igb/igb_hw.h"
#include "devices/sriov/igb/igb_ring.h"

#define IGB_POSTS      64u /* descriptors of a pool's ring */
#define IGB_POOL_BYTES (IGB_POSTS * (IGB_DESC_BYTES + IGB_BUF))
/* Bytes that a given buffer has at least: no longer frame comes into the pool. */
#define IGB_POOL_FRAME IGB_STD_FRAME

struct igb_posts {
	struct igb_ring_mem m;
	u32 next, tail; /* oldest slot posted, next free one */
	bool given[IGB_POSTS]; /* not the ring's own buffer */
};

/**
 * igb_pool_take() - a free pool gets what comes for mac, and only that. -ENOSPC: no pool, or no
 * address filter. igb_pool_return(): and no more. Locks: the owner's, as of igb_hw.h.
 */
int MUST_CHECK igb_pool_take(struct igb_hw *hw, const u8 *mac, u8 *pool);
void igb_pool_return(struct igb_hw *hw, const u8 *mac, u8 pool);

/** igb_pool_start() - the pool's queue runs from slot 0 of the ring at dma on. */
void igb_pool_start(struct igb_hw *hw, u8 pool, iova_t dma, u8 vector);
/** igb_pool_stop() - its queue writes nothing any more; -ETIMEDOUT: it does not stop. */
int MUST_CHECK igb_pool_stop(struct igb_hw *hw, u8 pool);

/** igb_posts_init() - nothing is posted. */
void igb_posts_init(struct igb_posts *q, const struct igb_ring_mem *m);
static inline u32 igb_posts_count(const struct igb_posts *q)
{
	return (q->tail + IGB_POSTS - q->next) % IGB_POSTS;
}
/** igb_posts_add() - a buffer at dma, 0: the ring's own; there are fewer than IGB_POSTS - 1. */
void igb_posts_add(struct igb_posts *q, iova_t dma);

/**
 * igb_posts_next() - what is in the oldest buffer, and whether that was given: *len bytes, 0: an
 * error. In an own one f is made of it, valid until the next igb_posts_add(). False: nothing yet.
 */
bool igb_posts_next(struct igb_posts *q, bool *given, u32 *len, struct frame *f,
		    struct virtq_seg *seg);

#endif
