/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Driver of virtio devices on PCI: discovery, queues whose buffers never change. Each slot of a
 * queue is one descriptor with a buffer of its own; interrupts only wake the loop.
 */
#ifndef GUEST_IMAGE_COURIER_VIRTIO_H
#define GUEST_IMAGE_COURIER_VIRTIO_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VIRTIO_NET     0x1041u
#define VIRTIO_CONSOLE 0x1043u
#define VIRTIO_VECTOR  0x40 /* of all queues */

struct virtio {
	u64 common, device, notify;
	u32 notify_step;
};

struct queue {
	u64 doorbell;
	u16 index, size;
	bool to_device, dirty;
	u32 slot_len;
	u8 *buf;
	struct {
		u64 addr;
		u32 len;
		u16 flags, next;
	} *desc;
	volatile u16 *avail; /* flags, index, ring */
	volatile u16 *used;  /* flags, index, then elements of two u32 */
	u16 added, seen;
	u16 vacant[256], vacancies; /* of a queue to the device: slots to be filled */
};

/** virtio_probe() - find the device, negotiate features (and VERSION_1); false: none. */
bool virtio_probe(struct virtio *d, u16 id, u64 features);

/** virtio_queue() - set up a queue of size slots; one from the device is given all of them. */
void virtio_queue(struct virtio *d, struct queue *q, u16 index, u16 size, u32 slot_len,
		  bool to_device);

/** virtio_ready() - all queues are set up. */
void virtio_ready(struct virtio *d);

/** queue_vacancies() - slots to be filled. */
u32 queue_vacancies(struct queue *q);

/** queue_slot() - a slot to be filled, -1: none; queue_buf() is its buffer. */
int queue_slot(struct queue *q);
static inline u8 *queue_buf(const struct queue *q, int slot)
{
	return q->buf + (u32)slot * q->slot_len;
}

/** queue_give() - to the device: len bytes of slot, or slot to be filled; seen at queue_flush(). */
void queue_give(struct queue *q, int slot, u32 len);

/** queue_flush() - ring the doorbell when something was given. */
void queue_flush(struct queue *q);

/** queue_take() - a slot that the device filled, and how far; -1: none. */
int queue_take(struct queue *q, u32 *len);

#endif
