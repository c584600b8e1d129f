/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk over any backend that reads and writes sectors, at once or later. Pure; the owner's
 * lock is held around every call.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_BLK_H
#define DEVICES_VIRTIO_VIRTIO_BLK_H

#include "devices/virtio/virtio_pci.h"

#define VIRTIO_BLK_SECTOR     512u
#define VIRTIO_BLK_MAX_QUEUES 4u
#define VIRTIO_BLK_DEPTH      16u /* requests under way */
#define VIRTIO_BLK_ID_LEN     20u
/* The longest request is SEG_MAX * SIZE_MAX. */
#define VIRTIO_BLK_SEG_MAX    64u
#define VIRTIO_BLK_SIZE_MAX   16384u
#define VIRTIO_BLK_MAX_ZERO   (1u << 22) /* sectors in one discard or write-zeroes */
/* What one call does before the rest is put off: sectors, a request counting as some. */
#define VIRTIO_BLK_BUDGET     2048
#define VIRTIO_BLK_COST	      8

enum virtio_blk_op {
	VIRTIO_BLK_READ,
	VIRTIO_BLK_WRITE,
	VIRTIO_BLK_FLUSH,
	VIRTIO_BLK_ZERO,
	VIRTIO_BLK_DISCARD,
	VIRTIO_BLK_OPS
};

/* What a backend gets to do, and by which slot it is known until virtio_blk_done(). */
struct virtio_blk_io {
	enum virtio_blk_op op;
	u32 slot;
	u64 sector;
	u32 sectors;
	bool through; /* a write is to reach the medium, as the driver does not flush */
};

struct virtio_blk_be {
	void *ctx;
	u64 sectors;	/* capacity */
	u32 block;	/* bytes of a logical block: a power of two, VIRTIO_BLK_SECTOR or more */
	u32 piece;	/* most sectors of one read or write, in whole blocks */
	u32 zero_piece; /* likewise of zeroing and discarding */
	bool zero, discard, ro;
	char id[VIRTIO_BLK_ID_LEN];
	/*
	 * submit() - data come from virtio_blk_get() and go to virtio_blk_put(). Returns 0 (done),
	 * 1 (virtio_blk_done() follows, not from here), or an error.
	 */
	int (*submit)(void *ctx, const struct virtio_blk_io *io);
};

struct virtio_blk_req {
	u8 state;     /* enum in virtio_blk.c */
	bool orphan;  /* its ring is gone: nothing of the guest's is touched any more */
	u8 queue;
	enum virtio_blk_op op;
	u64 sector;   /* of the next piece */
	u32 left;     /* sectors */
	u32 piece;    /* sectors at the backend */
	u32 at;	      /* bytes in the chain's part, of the next piece */
	struct virtq_chain chain;
};

struct virtio_blk {
	struct virtio_dev dev;
	struct virtio_blk_be be;
	void *ctx;
	/* defer() - virtio_blk_work() soon, not from here. */
	void (*defer)(void *ctx);
	bool stopped; /* nothing new is taken: paused, or going away */
	int budget;
	u32 pushed;   /* bit per queue: chains given back but not shown */
	struct virtio_blk_req req[VIRTIO_BLK_DEPTH];
	u64 done[VIRTIO_BLK_OPS], bytes[2], errors; /* for people; bytes: read, written */

	u64 capacity; /* saved: the other side must have the same */
};

/** virtio_blk_init() - a disk with 1..VIRTIO_BLK_MAX_QUEUES queues; ctx and defer as above. */
void virtio_blk_init(struct virtio_blk *b, const struct virtio_blk_be *be, u16 queues,
		     const struct virtq_mem *mem, const struct virtio_env *pci);

/** virtio_blk_work() - takes requests, goes on with those under way, shows what is done. */
void virtio_blk_work(struct virtio_blk *b);

/** virtio_blk_done() - the backend ends what it has of a slot; virtio_blk_work() is to follow. */
void virtio_blk_done(struct virtio_blk *b, u32 slot, bool good);

/**
 * virtio_blk_get(), virtio_blk_put() - n bytes at off of the piece that the backend has of a slot:
 * what is to be written, what was read. Nothing happens when the guest took the ring away.
 */
void virtio_blk_get(struct virtio_blk *b, u32 slot, u32 off, void *dst, u32 n);
void virtio_blk_put(struct virtio_blk *b, u32 slot, u32 off, const void *src, u32 n);

/** virtio_blk_pending() - does the backend have something of this slot? */
bool virtio_blk_pending(const struct virtio_blk *b, u32 slot);

/** virtio_blk_busy() - are requests under way? */
bool virtio_blk_busy(const struct virtio_blk *b);

/** virtio_blk_reset() - to power-on: no driver. */
void virtio_blk_reset(struct virtio_blk *b);
/** virtio_blk_resume() - check the loaded fields and go on; -EINVAL. */
int MUST_CHECK virtio_blk_resume(struct virtio_blk *b);

extern const struct vmstate_field virtio_blk_fields[];
extern const u32 virtio_blk_nfields;

/* Feature bits (Virtio 1.2 §5.2.3). */
#define VIRTIO_BLK_F_SIZE_MAX	  1u
#define VIRTIO_BLK_F_SEG_MAX	  2u
#define VIRTIO_BLK_F_RO		  5u
#define VIRTIO_BLK_F_BLK_SIZE	  6u
#define VIRTIO_BLK_F_FLUSH	  9u
#define VIRTIO_BLK_F_MQ		  12u
#define VIRTIO_BLK_F_DISCARD	  13u
#define VIRTIO_BLK_F_WRITE_ZEROES 14u

/* Types of requests (§5.2.6), and how they end. */
#define VIRTIO_BLK_T_IN		  0u
#define VIRTIO_BLK_T_OUT	  1u
#define VIRTIO_BLK_T_FLUSH	  4u
#define VIRTIO_BLK_T_GET_ID	  8u
#define VIRTIO_BLK_T_DISCARD	  11u
#define VIRTIO_BLK_T_WRITE_ZEROES 13u

#define VIRTIO_BLK_S_OK	   0u
#define VIRTIO_BLK_S_IOERR 1u
#define VIRTIO_BLK_S_UNSUPP 2u

#endif
