/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advanced descriptors, one buffer each. Intel 82576 data sheet §7.1.5, §7.2.2.
 */
#include "devices/sriov/igb/igb_ring.h"

#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/str.h"

/* Send: lengths and command in the second quad word. */
#define TX_EOP	   BIT(24)
#define TX_IFCS	   BIT(25)
#define TX_RS	   BIT(27)
#define TX_DEXT	   BIT(29)
#define TX_DATA	   (3ull << 20)
#define TX_PAYLEN  46 /* shift */
#define TX_DONE	   BIT(32)

/* Receive: status, errors and length in the second quad word. */
#define RX_DONE	   BIT(0)
#define RX_EOP	   BIT(1)
#define RX_ERROR   BIT(31)
#define RX_TAGGED  BIT(3)
#define RX_TAG(w)  ((u16)((w) >> 48))
#define RX_LEN(w)  ((u32)((w) >> 32 & 0xffff))

#define TAG_AT	   12u
#define TPID	   0x8100u

static u64 *desc_at(const struct igb_ring_mem *m, u32 i)
{
	return m->desc + (size_t)i * 2;
}

/* ---- sending --------------------------------------------------------------------------- */

void igb_tx_init(struct igb_tx *t, const struct igb_ring_mem *m)
{
	memset(t, 0, sizeof(*t));
	t->m = *m;
	memset(m->desc, 0, IGB_RING_BYTES);
}

static u32 used(const struct igb_tx *t)
{
	return (t->tail + IGB_RING - t->head) % IGB_RING;
}

u32 igb_tx_reclaim(struct igb_tx *t)
{
	while (t->head != t->tail) {
		u32 n = t->slots[t->head], last = (t->head + n - 1) % IGB_RING;

		if (!(atomic_load_acquire(desc_at(&t->m, last) + 1) & TX_DONE))
			break;
		t->head = (t->head + n) % IGB_RING;
	}
	return IGB_RING - 1 - used(t);
}

/* Bytes [off, off+n) of the frame as it goes out: with its tag behind the addresses. */
static void copy_out(const struct frame *f, u32 off, u8 *dst, u32 n)
{
	u16 tci = (u16)((u32)f->priority << 13 | f->vlan);
	const u8 tag[VLAN_TAG] = { TPID >> 8, TPID & 0xff, (u8)(tci >> 8), (u8)tci };
	u32 part;

	if (!f->vlan && !f->priority) {
		(void)frame_read(f, off, dst, n);
		return;
	}
	for (u32 i = 0; i < n; i += part) {
		u32 at = off + i;

		if (at < TAG_AT) {
			part = (u32)min_u64(n - i, TAG_AT - at);
			(void)frame_read(f, at, dst + i, part);
		} else if (at < TAG_AT + VLAN_TAG) {
			part = (u32)min_u64(n - i, TAG_AT + VLAN_TAG - at);
			memcpy(dst + i, tag + (at - TAG_AT), part);
		} else {
			part = n - i;
			(void)frame_read(f, at - VLAN_TAG, dst + i, part);
		}
	}
}

bool igb_tx_put(struct igb_tx *t, const struct frame *f)
{
	u32 len = frame_len(f) + (f->vlan || f->priority ? VLAN_TAG : 0);
	u32 n = (len + IGB_BUF - 1) / IGB_BUF, off = 0;

	if (!n || n > IGB_TX_SLOTS_MAX || n > igb_tx_reclaim(t)) {
		t->full++;
		return false;
	}
	t->slots[t->tail] = (u8)n;
	for (u32 i = 0; i < n; i++) {
		u32 slot = (t->tail + i) % IGB_RING, part = (u32)min_u64(len - off, IGB_BUF);
		u64 *d = desc_at(&t->m, slot), word = TX_DEXT | TX_DATA | TX_IFCS | part;

		copy_out(f, off, t->m.buf + (size_t)slot * IGB_BUF, part);
		if (i + 1 == n)
			word |= TX_EOP | TX_RS;
		d[0] = t->m.buf_dma + (u64)slot * IGB_BUF;
		d[1] = word | (u64)len << TX_PAYLEN;
		off += part;
	}
	t->tail = (t->tail + n) % IGB_RING;
	t->frames++;
	t->bytes += len;
	return true;
}

/* ---- receiving ------------------------------------------------------------------------- */

static void repost(struct igb_rx *r, u32 i)
{
	u64 *d = desc_at(&r->m, i);

	d[1] = 0;
	d[0] = r->m.buf_dma + (u64)i * IGB_BUF;
}

void igb_rx_init(struct igb_rx *r, const struct igb_ring_mem *m)
{
	memset(r, 0, sizeof(*r));
	r->m = *m;
	for (u32 i = 0; i < IGB_RING; i++)
		repost(r, i);
}

void igb_rx_done(struct igb_rx *r)
{
	repost(r, r->next);
	r->next = (r->next + 1) % IGB_RING;
}

/* The head is copied, the rest stays in its buffer. */
static void make_frame(const u8 *p, u32 len, u64 word, struct frame *f, struct virtq_seg *seg)
{
	u32 head = (u32)min_u64(len, FRAME_HEAD_IN), tag = 0;

	*seg = (struct virtq_seg){ .p = (u8 *)p + head, .len = len - head };
	memset(f, 0, sizeof(*f));
	if ((word & RX_TAGGED) && len >= ETH_HEADER) {
		u16 tci = RX_TAG(word);

		tag = VLAN_TAG;
		f->head[TAG_AT] = TPID >> 8;
		f->head[TAG_AT + 1] = TPID & 0xff;
		f->head[TAG_AT + 2] = (u8)(tci >> 8);
		f->head[TAG_AT + 3] = (u8)tci;
		memcpy(f->head, p, TAG_AT);
		memcpy(f->head + TAG_AT + VLAN_TAG, p + TAG_AT, head - TAG_AT);
	} else {
		memcpy(f->head, p, head);
	}
	f->head_len = head + tag;
	f->body_len = len - head;
	f->seg = seg;
	f->nseg = 1;
}

bool igb_rx_next(struct igb_rx *r, struct frame *f, struct virtq_seg *seg)
{
	for (u32 i = 0; i < IGB_RING; i++) {
		u64 w = atomic_load_acquire(desc_at(&r->m, r->next) + 1);
		bool whole = (w & RX_EOP) && !r->skipping;
		u32 len = RX_LEN(w);

		if (!(w & RX_DONE))
			return false;
		r->skipping = !(w & RX_EOP);
		if (whole && !(w & RX_ERROR) && len && len <= IGB_BUF) {
			r->frames++;
			r->bytes += len;
			make_frame(r->m.buf + (size_t)r->next * IGB_BUF, len, w, f, seg);
			return true;
		}
		r->errors += !r->skipping;
		igb_rx_done(r);
	}
	return false;
}
