/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Advanced descriptors, one buffer each. Intel 82576 data sheet §7.1.5, §7.2.2.
 */
#include "devices/sriov/igb/igb_ring.h"

#include "devices/net/offload.h"
#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/str.h"

/* Send: lengths and command in the second quad word. */
#define TX_EOP	   BIT(24)
#define TX_IFCS	   BIT(25)
#define TX_RS	   BIT(27)
#define TX_DEXT	   BIT(29)
#define TX_TSE	   BIT(31)
#define TX_CONTEXT (2ull << 20)
#define TX_DATA	   (3ull << 20)
#define TX_IXSM	   BIT(40) /* IP checksum to be put in */
#define TX_TXSM	   BIT(41) /* TCP's or UDP's */
#define TX_PAYLEN  46 /* shift */
#define TX_DONE	   BIT(32)

/* Context: where headers are, and what. */
#define CTX_IPV4   BIT(10)
#define CTX_TCP	   BIT(11)
#define CTX_MACLEN 9  /* shift, first quad word; the IP header's length is below */
#define CTX_L4LEN  40 /* shift, second quad word */
#define CTX_MSS	   48
#define CTX_IP_MAX 511u

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

void igb_tx_init(struct igb_tx *t, const struct igb_ring_mem *m, iova_t (*dma)(const u8 *p))
{
	memset(t, 0, sizeof(*t));
	t->m = *m;
	t->dma = dma;
	memset(m->desc, 0, IGB_RING_BYTES);
}

static u32 used(const struct igb_tx *t)
{
	return (t->tail + IGB_RING - t->head) % IGB_RING;
}

static void release(struct igb_tx *t)
{
	struct frame_owner *o = &t->owner[t->head];

	t->head = (t->head + t->slots[t->head]) % IGB_RING;
	if (o->done)
		o->done(o->ctx, o->token);
}

u32 igb_tx_reclaim(struct igb_tx *t)
{
	while (t->head != t->tail) {
		u32 last = (t->head + t->slots[t->head] - 1u) % IGB_RING;

		if (!(atomic_load_acquire(desc_at(&t->m, last) + 1) & TX_DONE))
			break;
		release(t);
	}
	return IGB_RING - 1 - used(t);
}

void igb_tx_abort(struct igb_tx *t)
{
	while (t->head != t->tail)
		release(t);
	t->head = t->tail = 0;
	memset(t->m.desc, 0, IGB_RING_BYTES);
}

bool igb_tx_takes(const struct frame *f)
{
	struct offload_layout l;

	return offload_layout(f, &l) && !(f->gso && l.udp) && l.l4 - l.ip <= CTX_IP_MAX;
}

static void put(struct igb_tx *t, u64 d0, u64 d1)
{
	u64 *d = desc_at(&t->m, t->tail);

	d[0] = d0;
	d[1] = TX_DEXT | d1;
	t->tail = (t->tail + 1) % IGB_RING;
}

/* What is left undone, as a context, and in the head; returns the bits of the data descriptors. */
static u64 put_context(struct igb_tx *t, struct frame *f)
{
	struct offload_layout l;
	u64 kind, mss = 0, data = TX_TXSM, len = frame_len(f);

	if (!(f->flags & FRAME_CSUM) || !offload_layout(f, &l))
		return len << TX_PAYLEN;
	kind = (l.v6 ? 0 : CTX_IPV4) | (l.udp ? 0 : CTX_TCP);
	if (f->gso) {
		offload_for_nic(f, &l);
		mss = (u64)f->gso_size << CTX_MSS | (u64)(l.hdr - l.l4) << CTX_L4LEN;
		data |= TX_TSE | (l.v6 ? 0 : TX_IXSM);
		len -= l.hdr;
	}
	put(t, (u64)l.ip << CTX_MACLEN | (l.l4 - l.ip), TX_CONTEXT | kind | mss);
	return data | len << TX_PAYLEN;
}

/* The next piece of the body from off on, of at most IGB_TX_PIECE bytes; NULL: that was all. */
static const u8 *piece(const struct frame *f, u32 off, u32 *len)
{
	u32 skip = f->body_off + off, left = f->body_len - off;

	for (u32 i = 0; i < f->nseg && left; i++) {
		const struct virtq_seg *s = &f->seg[i];

		if (skip >= s->len) {
			skip -= s->len;
			continue;
		}
		*len = (u32)min_u64(min_u64(s->len - skip, left), IGB_TX_PIECE);
		return s->p + skip;
	}
	return NULL;
}

static u32 pieces(const struct frame *f)
{
	u32 n = 0, len;

	for (u32 off = 0; n <= IGB_TX_SLOTS_MAX && piece(f, off, &len); off += len)
		n++;
	return n;
}

/* The head, or with 'all' everything, through the slots' own buffers. */
static void put_copies(struct igb_tx *t, const struct frame *f, u64 bits, bool all)
{
	u32 len = all ? frame_len(f) : f->head_len;

	for (u32 off = 0, part; off < len; off += part) {
		u64 at = (u64)t->tail * IGB_BUF;

		part = frame_read(f, off, t->m.buf + at, (u32)min_u64(len - off, IGB_BUF));
		put(t, t->m.buf_dma + at, TX_DATA | TX_IFCS | bits | part);
	}
}

bool igb_tx_put(struct igb_tx *t, const struct frame *f)
{
	u32 len = frame_len(f), first = t->tail, n = pieces(f), last;
	bool direct = f->owner && f->body_len && n < IGB_TX_SLOTS_MAX - 2;
	struct frame g = *f;
	const u8 *p;
	u64 bits;

	n = (f->flags & FRAME_CSUM ? 1u : 0) + (direct ? n + 1 : (len + IGB_BUF - 1) / IGB_BUF);
	if (!len || n > IGB_TX_SLOTS_MAX || n > igb_tx_reclaim(t)) {
		t->full++;
		return false;
	}
	bits = put_context(t, &g);
	put_copies(t, &g, bits, !direct);
	for (u32 off = 0, part; direct && (p = piece(f, off, &part)) != NULL; off += part)
		put(t, t->dma(p), TX_DATA | TX_IFCS | bits | part);
	last = (t->tail + IGB_RING - 1) % IGB_RING;
	*(desc_at(&t->m, last) + 1) |= TX_EOP | TX_RS;
	t->owner[first] = (struct frame_owner){ .done = NULL };
	if (direct) {
		t->owner[first] = *f->owner;
		f->owner->uses++;
	}
	t->slots[first] = (u8)((t->tail + IGB_RING - first) % IGB_RING);
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

bool igb_rx_slot(const u64 *desc, const u8 *buf, struct frame *f, struct virtq_seg *seg, u32 *len)
{
	u64 w = atomic_load_acquire(desc + 1);

	if (!(w & RX_DONE))
		return false;
	*len = (w & (RX_EOP | RX_ERROR)) == RX_EOP && RX_LEN(w) <= IGB_BUF ? RX_LEN(w) : 0;
	if (*len && f)
		make_frame(buf, *len, w, f, seg);
	return true;
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
