/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net whose frames hardware writes straight into the guest's receive buffers. Chains leave
 * the ring before the frames of others that come later: only without IN_ORDER.
 */
#include "devices/virtio/virtio_net.h"

#include "kernel/base/bits.h"
#include "kernel/base/str.h"

#define HDR_LEN	  12u
#define RX_QUEUE  0u
#define MOST_PART 4u /* of the ring at most: others send to this guest as well */

static struct virtio_net_chain *chain_at(struct virtio_net_in *in, u32 i)
{
	return &in->at[(in->first + i) % VIRTIO_NET_HW_MAX];
}

static bool usable(const struct virtio_net *n)
{
	const struct virtq *q = &n->dev.vq[RX_QUEUE];

	return n->hw.withdraw && q->running &&
	       virtio_has(&n->dev, VIRTIO_NET_F_MRG_RXBUF) &&
	       !virtio_has(&n->dev, VIRTIO_F_IN_ORDER) &&
	       n->in.count < min_u64(VIRTIO_NET_HW_MAX, q->s.size / MOST_PART);
}

u8 *virtio_net_hw_buffer(struct virtio_net *n)
{
	struct virtq *q = &n->dev.vq[RX_QUEUE];
	struct virtq_chain *c = &n->scratch->first;
	const struct virtq_pos pos = q->pos;
	struct virtio_net_in *in = &n->in;
	struct virtio_net_chain *e;

	if (in->ending || n->stopped || !virtio_live(&n->dev))
		return NULL;
	if (in->posted < in->count)
		return chain_at(in, in->posted++)->p + HDR_LEN;
	if (!usable(n) || !virtio_pop(&n->dev, RX_QUEUE, c))
		return NULL;
	if (c->nout || c->seg[0].len < HDR_LEN + n->hw.frame) {
		virtq_rewind(q, &pos);
		return NULL;
	}
	e = chain_at(in, in->count++);
	*e = (struct virtio_net_chain){ c->id, c->slots, c->seg[0].p, c->seg[0].gpa };
	in->posted++;
	return e->p + HDR_LEN;
}

/* The switch's rules, asked when the frame is there already: what is refused is not shown. */
static bool admit(struct virtio_net *n, const struct virtio_net_chain *e, u32 len)
{
	struct virtq_seg seg;
	struct frame f;

	if (len < ETH_HEADER || !virtio_live(&n->dev))
		return false;
	memset(&f, 0, sizeof(f));
	f.head_len = (u32)min_u64(len, FRAME_HEAD_IN);
	memcpy(f.head, e->p + HDR_LEN, f.head_len);
	seg = (struct virtq_seg){ .p = e->p + HDR_LEN + f.head_len, .len = len - f.head_len };
	f.seg = &seg;
	f.nseg = 1;
	f.body_len = seg.len;
	return virtio_net_listens(n, &f) &&
	       vswitch_arrived(n->sw, n->hw.from, n->port, &f, n->env.now(n->env.ctx)) == NET_OK;
}

void virtio_net_hw_filled(struct virtio_net *n, u32 len)
{
	struct virtq *q = &n->dev.vq[RX_QUEUE];
	struct virtio_net_in *in = &n->in;
	struct virtio_net_chain e = *chain_at(in, 0);

	in->first = (u16)((in->first + 1u) % VIRTIO_NET_HW_MAX);
	in->posted--;
	in->count--;
	q->mem->dirty(q->mem->ctx, e.gpa, HDR_LEN + (len ? len : n->hw.frame));
	if (!admit(n, &e, len)) {
		*chain_at(in, in->count++) = e; /* for another frame */
		return;
	}
	memset(e.p, 0, HDR_LEN);
	e.p[10] = 1; /* buffers */
	virtq_push(q, e.id, e.slots, HDR_LEN + len);
	n->received |= 1u;
	n->streak -= (u32)min_u64(n->streak, 2);
}

static void withdraw(struct virtio_net *n)
{
	struct virtio_net_in *in = &n->in;

	if (!in->posted)
		return;
	in->ending = true;
	n->hw.withdraw(n->hw.ctx);
	in->ending = false;
	in->posted = 0;
}

/* A driver takes a buffer without a frame for a damaged one, and gives another. */
void virtio_net_hw_end(struct virtio_net *n, bool give_back)
{
	struct virtq *q = &n->dev.vq[RX_QUEUE];
	struct virtio_net_in *in = &n->in;

	if (!in->count)
		return;
	withdraw(n);
	for (u32 i = 0; give_back && i < in->count; i++)
		virtq_push(q, chain_at(in, i)->id, chain_at(in, i)->slots, 0);
	in->count = 0;
	if (give_back)
		virtio_flush(&n->dev, RX_QUEUE);
}

void virtio_net_halted(struct virtio_dev *d)
{
	struct virtio_net *n = container_of(d, struct virtio_net, dev);

	virtio_net_drain(n);
	withdraw(n);
}
