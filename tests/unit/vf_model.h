/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An 82576 VF as silicon is: what it does takes steps, descriptors are written back after the head
 * has moved, a queue that is told to stop ends what it has begun, tails count when they are written
 * and the queue is on.
 */
#ifndef TESTS_UNIT_VF_MODEL_H
#define TESTS_UNIT_VF_MODEL_H

#include <string.h>

#include "devices/sriov/igb/igb_vfregs.h"
#include "kernel/base/bits.h"
#include "vring_driver.h"

#define MODEL_FIFO 64u
#define MODEL_ON   BIT(25)
#define MODEL_LEN  60u /* bytes of a frame; its number is at MODEL_AT */
#define MODEL_AT   20u

struct vf_queue {
	u32 base; /* of its registers */
	u32 tail; /* the one that counts */
	u32 done; /* descriptors up to here are written back */
	bool ends;
};

struct vf_model {
	struct vd_ram *ram;
	u32 reg[0x4000 / 4];
	u32 eims, eicr, raised;
	struct vf_queue rx, tx;
	u32 fifo[MODEL_FIFO], nfifo; /* frames that are its own, not in memory yet */
	bool link, moderates;	     /* causes wait for a timer that never ends */
	u32 dropped, wait_us;
	void (*sent)(u32 number);
};

static inline u32 *model_reg(struct vf_model *m, u32 base, u32 reg)
{
	return &m->reg[(base + 4 * reg) / 4];
}

static inline bool model_on(struct vf_model *m, const struct vf_queue *q)
{
	return (*model_reg(m, q->base, VF_DCTL) & MODEL_ON) != 0;
}

static inline u8 *model_mem(struct vf_model *m, u64 gpa)
{
	u32 n = 16;
	u8 *p = vd_map(m->ram, gpa, &n);

	CHECK(p != NULL); /* the IOMMU would block it */
	return p;
}

static inline u32 *model_desc(struct vf_model *m, const struct vf_queue *q, u32 i)
{
	return (u32 *)(void *)model_mem(m, *model_reg(m, q->base, VF_BAL) + 16ull * i);
}

static inline void model_raise(struct vf_model *m)
{
	u32 fresh = m->moderates ? 0 : m->eicr & m->eims;

	m->raised |= fresh;
	m->eicr &= ~(fresh & m->reg[0x152c / 4]);
	m->eims &= ~(fresh & m->reg[0x1530 / 4]);
}

static inline void model_cause(struct vf_model *m, u32 vector)
{
	m->eicr |= 1u << vector;
	model_raise(m);
}

static inline u32 model_next(struct vf_model *m, const struct vf_queue *q, u32 i)
{
	return (i + 1) % (*model_reg(m, q->base, VF_LEN) / 16);
}

static inline bool model_write_back(struct vf_model *m, struct vf_queue *q)
{
	u32 *d;

	if (q->done == *model_reg(m, q->base, VF_HEAD))
		return false;
	d = model_desc(m, q, q->done);
	if (q == &m->rx) {
		const u32 w[4] = { 0, 0, 3, MODEL_LEN };

		memcpy(d, w, 16);
	} else {
		d[3] |= 1;
	}
	q->done = model_next(m, q, q->done);
	model_cause(m, q == &m->rx);
	return true;
}

static inline bool model_receive(struct vf_model *m)
{
	u32 *head = model_reg(m, m->rx.base, VF_HEAD);
	u8 *p;

	if (!m->nfifo)
		return false;
	if (model_on(m, &m->rx) && *head != m->rx.tail) {
		p = model_mem(m, model_desc(m, &m->rx, *head)[0]);
		memset(p, 0, MODEL_LEN);
		p[0] = 0x52;
		memcpy(p + MODEL_AT, &m->fifo[0], 4);
		*head = model_next(m, &m->rx, *head);
	} else {
		m->dropped++;
	}
	memmove(m->fifo, m->fifo + 1, --m->nfifo * sizeof(m->fifo[0]));
	return true;
}

static inline bool model_send(struct vf_model *m)
{
	u32 *head = model_reg(m, m->tx.base, VF_HEAD), number;

	if (!m->link || m->tx.ends || !model_on(m, &m->tx) || *head == m->tx.tail)
		return false;
	memcpy(&number, model_mem(m, model_desc(m, &m->tx, *head)[0]) + MODEL_AT, 4);
	*head = model_next(m, &m->tx, *head);
	m->sent(number);
	return true;
}

/* One thing of what it has to do; false: nothing. The newest first, so that old things get late. */
static inline bool model_step(struct vf_model *m)
{
	return model_receive(m) || model_send(m) || model_write_back(m, &m->rx) ||
	       model_write_back(m, &m->tx);
}

static inline void model_ending(struct vf_model *m, struct vf_queue *q)
{
	if (!q->ends || (q == &m->rx && m->nfifo) || q->done != *model_reg(m, q->base, VF_HEAD))
		return;
	q->ends = false;
	*model_reg(m, q->base, VF_DCTL) &= ~(u32)MODEL_ON;
}

static inline u32 model_rd(void *ctx, u32 off)
{
	struct vf_model *m = ctx;

	model_ending(m, &m->rx);
	model_ending(m, &m->tx);
	return off == 0x1524 ? 0 : m->reg[off / 4]; /* the mask is told elsewhere */
}

static inline void model_ring_wr(struct vf_model *m, struct vf_queue *q, u32 reg, u32 value)
{
	u32 *r = model_reg(m, q->base, reg);

	if (reg == VF_DCTL && (*r & ~value & MODEL_ON)) {
		q->ends = true;
		return;
	}
	CHECK(reg == VF_TAIL || reg == VF_DCTL || !model_on(m, q));
	*r = value;
	if (reg == VF_HEAD)
		q->done = value;
	else if (reg == VF_TAIL && model_on(m, q))
		q->tail = value;
	else if (reg == VF_DCTL)
		q->tail = *model_reg(m, q->base, VF_HEAD); /* until it is written */
}

static inline void model_wr(void *ctx, u32 off, u32 value)
{
	struct vf_model *m = ctx;

	if (off == 0x1520)
		m->eicr |= value;
	else if (off == 0x1524)
		m->eims |= value;
	else if (off == 0x1528)
		m->eims &= ~value;
	else if (off >= IGB_VF_RX)
		model_ring_wr(m, off < IGB_VF_TX ? &m->rx : &m->tx, (off & 0xff) / 4, value);
	else
		m->reg[off / 4] = value;
	model_raise(m);
}

static inline void model_delay(void *ctx, u32 us)
{
	struct vf_model *m = ctx;

	m->wait_us += us;
	(void)model_step(m);
}

/* A frame arrives that is the VF's. */
static inline void model_wire(struct vf_model *m, u32 number)
{
	CHECK(m->nfifo < MODEL_FIFO);
	m->fifo[m->nfifo++] = number;
}

/* As cleaned for the next owner. */
static inline void model_reset(struct vf_model *m)
{
	memset(m->reg, 0, sizeof(m->reg));
	m->eims = m->eicr = m->raised = 0;
	m->rx = (struct vf_queue){ .base = IGB_VF_RX };
	m->tx = (struct vf_queue){ .base = IGB_VF_TX };
	m->moderates = false;
}

#endif
