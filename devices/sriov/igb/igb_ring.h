/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The physical function's own pair of descriptor rings, with a buffer in each slot. Pure: memory
 * that the device reads and writes is handed in; tails go to registers by the owner.
 */
#ifndef DEVICES_SRIOV_IGB_IGB_RING_H
#define DEVICES_SRIOV_IGB_IGB_RING_H

#include "devices/net/frame.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define IGB_RING	 256u  /* descriptors in each direction */
#define IGB_BUF		 2048u /* bytes of a buffer */
#define IGB_DESC_BYTES	 16u
#define IGB_RING_BYTES	 (IGB_RING * IGB_DESC_BYTES)
#define IGB_BUFS_BYTES	 (IGB_RING * IGB_BUF)
#define IGB_TX_SLOTS_MAX 40u   /* slots one frame may take */
#define IGB_TX_PIECE	 16384u /* bytes of one slot that points to its sender's memory */

/* Memory of one ring, host address and what the device is told. */
struct igb_ring_mem {
	u64 *desc;
	u8 *buf;
	iova_t desc_dma, buf_dma;
};

struct igb_tx {
	struct igb_ring_mem m;
	/* dma() - what the device is told of a byte of its sender's memory. */
	iova_t (*dma)(const u8 *p);
	u32 head; /* oldest slot not known to be finished */
	u32 tail; /* next free one */
	/* By a frame's first slot: how many it has; whose its body is, done NULL: copied. */
	u8 slots[IGB_RING];
	struct frame_owner owner[IGB_RING];
	u64 frames, bytes, full;
};

struct igb_rx {
	struct igb_ring_mem m;
	u32 next; /* slot that the device fills next */
	bool skipping; /* in the middle of a frame that did not fit one buffer */
	u64 frames, bytes, errors;
};

/** igb_tx_init() - empty; write its memory's address, length, 0 and 0 to the registers. */
void igb_tx_init(struct igb_tx *t, const struct igb_ring_mem *m, iova_t (*dma)(const u8 *p));

/** igb_tx_takes() - can the device itself finish what f's sender left undone? */
bool igb_tx_takes(const struct frame *f);

/**
 * igb_tx_put() - f into free slots: its head as a copy, its body where it is when it has an owner,
 * in few enough pieces. f is finished or igb_tx_takes() it. False: no room (counted), or longer
 * than a frame may be. Publish with igb_tx_tail() afterwards.
 */
bool igb_tx_put(struct igb_tx *t, const struct frame *f);

/** igb_tx_reclaim() - free what the device has sent; how many slots are free now. */
u32 igb_tx_reclaim(struct igb_tx *t);

/** igb_tx_abort() - the device was stopped: free all, begin at slot 0. */
void igb_tx_abort(struct igb_tx *t);

/** igb_rx_init() - all slots hold buffers for the device; the first tail is igb_rx_tail(). */
void igb_rx_init(struct igb_rx *r, const struct igb_ring_mem *m);

/**
 * igb_rx_next() - the next frame, whole and without error, its tag put back into the bytes. Its
 * body
 * (*seg) lies in the ring until igb_rx_done(). False: none. Bounded: passes over at most
 * IGB_RING slots.
 */
bool igb_rx_next(struct igb_rx *r, struct frame *f, struct virtq_seg *seg);
void igb_rx_done(struct igb_rx *r);

/**
 * igb_rx_slot() - did the device fill this descriptor? Then *len: bytes of the frame, 0 when it is
 * damaged or goes on in the next one, and unless f is NULL, f made of them, which are at buf.
 */
bool igb_rx_slot(const u64 *desc, const u8 *buf, struct frame *f, struct virtq_seg *seg, u32 *len);

static inline u32 igb_tx_tail(const struct igb_tx *t)
{
	return t->tail;
}

/* One slot stays empty: head = tail means that the device has nothing. */
static inline u32 igb_rx_tail(const struct igb_rx *r)
{
	return (r->next + IGB_RING - 1) % IGB_RING;
}

#endif
