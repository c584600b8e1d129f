/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device's side of a virtqueue, split or packed: takes chains, gives them back, decides who
 * wakes whom. Pure; the guest writes the same memory at any time, so each word is read once.
 */
#ifndef DEVICES_VIRTIO_VIRTQ_H
#define DEVICES_VIRTIO_VIRTQ_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VIRTQ_MAX_SIZE 256u /* descriptors in a ring, and in one chain */
/* Each descriptor may be cut where the host's memory is: some more than descriptors. */
#define VIRTQ_SEGS     272u
#define VIRTQ_MAX_BYTES (1u << 28) /* in one chain */

struct virtq_mem {
	void *ctx;
	/*
	 * map() - host address of guest RAM at gpa. *len: bytes wanted, at least 1; set to how many
	 * of them follow there without a gap. NULL: not RAM.
	 */
	u8 *(*map)(void *ctx, gpa_t gpa, u32 *len);
	/* dirty() - len bytes of guest RAM at gpa, all mapped, were written. */
	void (*dirty)(void *ctx, gpa_t gpa, u32 len);
};

enum virtq_part { VIRTQ_DESC, VIRTQ_DRIVER, VIRTQ_DEVICE, VIRTQ_PARTS };

/* What the driver set up, and the features that change the ring's format. */
struct virtq_setup {
	u16 size;
	bool packed, event_idx, indirect;
	gpa_t part[VIRTQ_PARTS];
};

/* Where the device is: enough, with the setup, to go on elsewhere. Wrap counters: packed only. */
struct virtq_pos {
	u16 avail, used; /* split: free-running; packed: slot */
	bool avail_wrap, used_wrap;
};

struct virtq {
	const struct virtq_mem *mem;
	struct virtq_setup s;
	struct virtq_pos pos;
	u8 *host[VIRTQ_PARTS];	/* where a part lies in one piece, else NULL */
	bool running;
	const char *broken;	/* what the driver did wrong; NULL: nothing */
	u16 seen;		/* split: last avail.idx read */
	u16 done;		/* split: elements, packed: slots written but not published */
	u16 first_flags;	/* packed: of the first unpublished slot */
	bool kicks_off;
};

struct virtq_seg {
	u8 *p;
	gpa_t gpa;
	u32 len;
};

/* seg[0..nout) is for the device to read, seg[nout..nout+nin) to write. */
struct virtq_chain {
	u16 id;	   /* head or buffer ID */
	u16 slots; /* of the ring: 1 for split */
	u32 nout, nin;
	u32 out_len, in_len; /* bytes */
	struct virtq_seg seg[VIRTQ_SEGS];
};

/**
 * virtq_start() - the driver enabled the queue. Returns 0; -EINVAL (size 0 or beyond
 * VIRTQ_MAX_SIZE, a split size no power of two, misaligned part), -EFAULT (a part is not RAM).
 * Virtio 1.2 §2.7, §2.8.
 */
int MUST_CHECK virtq_start(struct virtq *q, const struct virtq_mem *mem,
			   const struct virtq_setup *s);

/** virtq_stop() - forget the ring: device reset, queue reset. */
void virtq_stop(struct virtq *q);

/** virtq_set_pos() - go on where another device left the ring. -EINVAL: not a place in it. */
int MUST_CHECK virtq_set_pos(struct virtq *q, const struct virtq_pos *pos);

/** virtq_empty() - nothing to take now (also when stopped or broken). */
bool virtq_empty(struct virtq *q);

/**
 * virtq_pop() - take the next chain, all of it mapped and bounded. Returns 1; 0 (none);
 * -EPROTO: the ring is malformed, q->broken says how and the queue stays shut until virtq_stop().
 */
int MUST_CHECK virtq_pop(struct virtq *q, struct virtq_chain *c);

/** virtq_rewind() - back to a position saved before some virtq_pop(); nothing was pushed since. */
void virtq_rewind(struct virtq *q, const struct virtq_pos *pos);

/** virtq_push() - give a chain back with len bytes written; not visible before virtq_flush(). */
void virtq_push(struct virtq *q, u16 id, u16 slots, u32 len);

/** virtq_flush() - publish what was pushed; true: the driver wants an interrupt. */
bool virtq_flush(struct virtq *q);

/** virtq_kicks_off() - the driver need not notify while the device is at it. */
void virtq_kicks_off(struct virtq *q);
/** virtq_kicks_on() - ask for notification; true: chains came meanwhile, take them first. */
bool virtq_kicks_on(struct virtq *q);

/** virtq_read() - n bytes at off of the readable part. Returns how many there were. */
u32 virtq_read(const struct virtq_chain *c, u32 off, void *dst, u32 n);
/** virtq_write() - n bytes to off of the writable part. Returns how many fitted. */
u32 virtq_write(struct virtq *q, const struct virtq_chain *c, u32 off, const void *src, u32 n);

#endif
