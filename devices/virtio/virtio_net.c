/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net: transmit queues into the switch, frames from the switch into receive queues. One
 * copy, from the sender's memory to the receiver's, none to hardware that reads the sender's;
 * work left undone travels as metadata.
 */
#include "devices/virtio/virtio_net.h"

#include "kernel/base/assert.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

/* The header of each packet (Virtio 1.2 §5.1.6). */
#define HDR_LEN 12u
#define HDR_NEEDS_CSUM 1u
#define HDR_DATA_VALID 2u
#define HDR_ECN 0x80u

#define CONFIG_LEN 17u

#define RX_QUEUE(pair) ((pair)*2u)
#define TX_QUEUE(pair) ((pair)*2u + 1u)

/* ---- negotiation, registers ------------------------------------------------------------ */

static u64 offered(const struct virtio_net_config *c)
{
	u64 f = BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_MTU) |
		BIT(VIRTIO_NET_F_MAC) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
		BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_GUEST_ECN) |
		BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
		BIT(VIRTIO_NET_F_HOST_ECN) | BIT(VIRTIO_NET_F_MRG_RXBUF) |
		BIT(VIRTIO_NET_F_STATUS) | BIT(VIRTIO_NET_F_CTRL_VQ) | BIT(VIRTIO_NET_F_CTRL_RX) |
		BIT(VIRTIO_NET_F_CTRL_VLAN) | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) |
		BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR) |
		BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6) |
		BIT(VIRTIO_NET_F_HOST_USO) | BIT(VIRTIO_NET_F_SPEED_DUPLEX);

	if (c->standby)
		f |= BIT(VIRTIO_NET_F_STANDBY);
	return c->pairs > 1 ? f | BIT(VIRTIO_NET_F_MQ) : f;
}

/* Virtio 1.2 §5.1.3.1: what needs which. */
static bool features_ok(struct virtio_dev *d, u64 f)
{
	static const struct {
		u64 these;
		u8 need;
	} rule[] = {
		{ BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |
			  BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6),
		  VIRTIO_NET_F_GUEST_CSUM },
		{ BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_HOST_TSO6) |
			  BIT(VIRTIO_NET_F_HOST_USO),
		  VIRTIO_NET_F_CSUM },
		{ BIT(VIRTIO_NET_F_CTRL_RX) | BIT(VIRTIO_NET_F_CTRL_VLAN) |
			  BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_MQ) |
			  BIT(VIRTIO_NET_F_CTRL_MAC_ADDR),
		  VIRTIO_NET_F_CTRL_VQ },
		{ BIT(VIRTIO_NET_F_CTRL_RX_EXTRA), VIRTIO_NET_F_CTRL_RX },
	};

	(void)d;
	for (unsigned i = 0; i < ARRAY_SIZE(rule); i++)
		if ((f & rule[i].these) && !(f & BIT(rule[i].need)))
			return false;
	return true;
}

static void config(struct virtio_dev *d, u32 off, unsigned size, bool write, u64 *value)
{
	struct virtio_net *n = container_of(d, struct virtio_net, dev);
	u8 regs[CONFIG_LEN] = { 0 };

	if (write)
		return;
	memcpy(regs, n->cfg.mac, 6);
	put_le16(regs + 6, n->link);
	put_le16(regs + 8, n->cfg.pairs);
	put_le16(regs + 10, n->cfg.mtu);
	put_le32(regs + 12, n->cfg.speed_mbps);
	regs[16] = 1; /* full duplex */
	memcpy(value, regs + off, size);
}

/* Without several pairs the control queue is the third. */
static unsigned control_queue(const struct virtio_net *n)
{
	return virtio_has(&n->dev, VIRTIO_NET_F_MQ) ? n->cfg.pairs * 2u : 2u;
}

/* ---- flows ----------------------------------------------------------------------------- */

/* The same for both directions of a flow. */
static u32 flow_hash(const struct frame *f)
{
	const u8 *ip = f->head + ETH_HEADER;
	u32 h = 0, from = 0, n = 0;

	if (f->head[12] == 0x08 && f->head[13] == 0 && f->head_len >= ETH_HEADER + 24) {
		from = 12;
		n = (ip[0] & 15) == 5 ? 12 : 8; /* ports too, where they are at a fixed place */
	} else if (f->head[12] == 0x86 && f->head[13] == 0xdd && f->head_len >= ETH_HEADER + 44) {
		from = 8;
		n = 36;
	}
	for (u32 i = 0; i < n; i += 2)
		h ^= (u32)(ip[from + i] << 8 | ip[from + i + 1]);
	return (h ^ h >> 8) % VIRTIO_NET_STEER;
}

/* ---- transmit -------------------------------------------------------------------------- */

static bool gso_negotiated(const struct virtio_net *n, u8 gso)
{
	switch (gso) {
	case FRAME_NO_GSO:
		return true;
	case FRAME_TCP4:
		return virtio_has(&n->dev, VIRTIO_NET_F_HOST_TSO4);
	case FRAME_TCP6:
		return virtio_has(&n->dev, VIRTIO_NET_F_HOST_TSO6);
	case FRAME_UDP:
		return virtio_has(&n->dev, VIRTIO_NET_F_HOST_USO);
	default:
		return false;
	}
}

static enum net_drop parse(const struct virtio_net *n, const struct virtq_chain *c, struct frame *f)
{
	u8 h[HDR_LEN];

	if (virtq_read(c, 0, h, HDR_LEN) < HDR_LEN)
		return NET_DROP_RUNT;
	if (c->out_len - HDR_LEN > FRAME_MAX)
		return NET_DROP_OVERSIZE;
	f->flags = h[0] & HDR_NEEDS_CSUM ? FRAME_CSUM : 0;
	f->flags |= h[1] & HDR_ECN ? FRAME_ECN : 0;
	f->gso = h[1] & (u8)~HDR_ECN;
	f->gso_size = f->gso ? get_le16(h + 4) : 0;
	f->csum_start = get_le16(h + 6);
	f->csum_offset = get_le16(h + 8);
	if (!gso_negotiated(n, f->gso) ||
	    ((f->flags & FRAME_CSUM) && !virtio_has(&n->dev, VIRTIO_NET_F_CSUM)))
		return NET_DROP_OFFLOAD;
	f->head_len = virtq_read(c, HDR_LEN, f->head, FRAME_HEAD_IN);
	f->seg = c->seg;
	f->nseg = c->nout;
	f->body_off = HDR_LEN + f->head_len;
	f->body_len = c->out_len - f->body_off;
	return NET_OK;
}

/* In the order they came, which is what IN_ORDER promises. */
static void give_back(struct virtio_net *n, unsigned pair)
{
	struct virtio_net_out *o = &n->out[pair];

	struct virtq *q = &n->dev.vq[TX_QUEUE(pair)];

	while (o->count && !o->at[o->first].uses) {
		virtq_push(q, o->at[o->first].id, o->at[o->first].slots, 0);
		o->first = (o->first + 1u) % VIRTQ_MAX_SIZE;
		o->count--;
	}
}

/* Hardware has read what it was given of this chain. */
static void sent(void *ctx, u32 token)
{
	struct virtio_net *n = ctx;
	unsigned pair = token / VIRTQ_MAX_SIZE;

	n->out[pair].at[token % VIRTQ_MAX_SIZE].uses--;
	give_back(n, pair);
	n->env.timer(n->env.ctx, VIRTIO_NET_POLL_NS);
}

void virtio_net_drain(struct virtio_net *n)
{
	bool used = false;

	for (unsigned pair = 0; pair < n->cfg.pairs; pair++)
		used |= n->out[pair].count != 0;
	if (used)
		vswitch_drain(n->sw);
}

/* One chain into the switch; false: its frame has to wait. */
static bool transmit(struct virtio_net *n, unsigned pair, const struct virtq_chain *c, u64 now)
{
	struct virtio_net_out *o = &n->out[pair];
	u32 slot = ((u32)o->first + o->count) % VIRTQ_MAX_SIZE;
	struct frame_owner owner = { sent, n, pair * VIRTQ_MAX_SIZE + slot, 0 };
	struct frame f;
	enum net_drop rc = parse(n, c, &f);

	if (rc) {
		vswitch_drop(n->sw, n->port, rc);
	} else {
		f.owner = &owner;
		if (n->active_pairs > 1 && f.head_len >= ETH_HEADER)
			n->steer[flow_hash(&f)] = (u8)pair;
		n->waiting = vswitch_send(n->sw, n->port, &f, true, now) == NET_DROP_BUFFER;
		/* Not for ever: the receiver soon counts as stalled. */
		if (n->waiting) {
			n->env.timer(n->env.ctx, VIRTIO_NET_PATIENCE_NS);
			return false;
		}
	}
	o->at[slot].id = c->id;
	o->at[slot].slots = c->slots;
	o->at[slot].uses = owner.uses;
	o->count++;
	give_back(n, pair);
	return true;
}

/*
 * Is a queue that is dry to be looked at again instead of kicking? Not when polling found nothing.
 */
static bool keep_polling(struct virtio_net *n, bool found)
{
	if (n->streak < VIRTIO_NET_STREAK)
		return false;
	if (found)
		n->env.timer(n->env.ctx, VIRTIO_NET_POLL_NS);
	else
		n->streak -= 2; /* a pause: soon back, unless it listens from now on */
	return found;
}

/* Up to VIRTIO_NET_BATCH chains; true: the queue is dry and will kick. */
static bool transmit_queue(struct virtio_net *n, unsigned pair)
{
	unsigned queue = TX_QUEUE(pair), done = 0;
	struct virtq *q = &n->dev.vq[queue];
	struct virtq_chain *c = &n->scratch->tx;
	u64 now = n->env.now(n->env.ctx);

	virtq_kicks_off(q);
	while (done < VIRTIO_NET_BATCH) {
		u64 wait = vswitch_tx_wait(n->sw, n->port, now);
		struct virtq_pos pos = q->pos;

		if (wait) {
			n->env.timer(n->env.ctx, wait);
			return false;
		}
		if (!virtio_pop(&n->dev, queue, c)) {
			if (virtio_live(&n->dev) && keep_polling(n, done > 0))
				return false;
			if (!virtio_live(&n->dev) || !virtq_kicks_on(q))
				return true;
			virtq_kicks_off(q);
			continue;
		}
		if (n->out[pair].count == q->s.size) {
			virtio_break(&n->dev, queue, "more chains under way than descriptors");
			return true;
		}
		done++;
		if (!transmit(n, pair, c, now)) {
			virtq_rewind(q, &pos);
			return false;
		}
	}
	n->env.defer(n->env.ctx);
	return false;
}

/* 'held': chains may be given back later. */
static void transmit_pending(struct virtio_net *n, bool held)
{
	for (unsigned pair = 0; pair < n->cfg.pairs; pair++)
		if ((n->pending >> pair & 1) && (!virtio_live(&n->dev) || transmit_queue(n, pair)))
			n->pending &= ~(1u << pair);
	vswitch_flush(n->sw); /* hardware may be done with it at once */
	for (unsigned pair = 0; pair < n->cfg.pairs; pair++) {
		struct virtq *q = &n->dev.vq[TX_QUEUE(pair)];

		if (q->done && held && q->done < q->s.size / VIRTIO_NET_HELD)
			n->env.timer(n->env.ctx, VIRTIO_NET_POLL_NS);
		else
			virtio_flush(&n->dev, TX_QUEUE(pair));
	}
}

void virtio_net_work(struct virtio_net *n)
{
	if (!n->stopped)
		transmit_pending(n, false);
}

static void kick(struct virtio_dev *d, unsigned queue)
{
	struct virtio_net *n = container_of(d, struct virtio_net, dev);

	if (queue == control_queue(n) && virtio_has(d, VIRTIO_NET_F_CTRL_VQ)) {
		virtio_net_control(n, queue);
	} else if (queue / 2 >= n->cfg.pairs) {
		return;
	} else if (queue % 2) {
		n->pending |= 1u << queue / 2;
		n->streak += n->streak < VIRTIO_NET_STREAK;
		if (!n->stopped)
			transmit_pending(n, true);
	} else if (n->dry) {
		n->dry = false;
		virtq_kicks_off(&d->vq[queue]);
		n->env.room(n->env.ctx);
	}
}

/* ---- receive --------------------------------------------------------------------------- */

static u32 be_caps(void *ctx, const struct frame *f)
{
	const struct virtio_net *n = ctx;
	u64 uso = BIT(VIRTIO_NET_F_GUEST_USO4) | BIT(VIRTIO_NET_F_GUEST_USO6);

	(void)f;
	return (virtio_has(&n->dev, VIRTIO_NET_F_GUEST_CSUM) ? NETBE_CSUM : 0) |
	       (virtio_has(&n->dev, VIRTIO_NET_F_GUEST_TSO4) ? NETBE_TCP4 : 0) |
	       (virtio_has(&n->dev, VIRTIO_NET_F_GUEST_TSO6) ? NETBE_TCP6 : 0) |
	       ((n->dev.features & uso) == uso ? NETBE_UDP : 0);
}

static void fill_header(const struct virtio_net *n, const struct frame *f, u16 buffers, u8 *h)
{
	memset(h, 0, HDR_LEN);
	if (f->flags & FRAME_CSUM) {
		h[0] = HDR_NEEDS_CSUM;
		put_le16(h + 6, f->csum_start);
		put_le16(h + 8, f->csum_offset);
	} else if ((f->flags & FRAME_VALID) && virtio_has(&n->dev, VIRTIO_NET_F_GUEST_CSUM)) {
		h[0] = HDR_DATA_VALID;
	}
	if (f->gso != FRAME_NO_GSO) {
		u32 tcp = f->csum_start + 12u;
		u32 l4 = f->gso == FRAME_UDP ? 8u
			 : tcp < f->head_len ? (u32)(f->head[tcp] >> 4) * 4u
					     : 20u;

		h[1] = f->gso;
		if ((f->flags & FRAME_ECN) && virtio_has(&n->dev, VIRTIO_NET_F_GUEST_ECN))
			h[1] |= HDR_ECN;
		put_le16(h + 2, (u16)(f->csum_start + l4));
		put_le16(h + 4, f->gso_size);
	}
	put_le16(h + 10, buffers);
}

/* Bytes of the frame from off on, into c behind its first skip bytes; returns how many. */
static u32 fill(struct virtq *q, const struct virtq_chain *c, u32 skip, const struct frame *f,
		u32 off)
{
	u32 done = 0;

	for (u32 i = c->nout; i < c->nout + c->nin; i++) {
		const struct virtq_seg *s = &c->seg[i];
		u32 n;

		if (skip >= s->len) {
			skip -= s->len;
			continue;
		}
		n = frame_read(f, off + done, s->p + skip, s->len - skip);
		if (!n)
			break;
		q->mem->dirty(q->mem->ctx, s->gpa + skip, n);
		done += n;
		skip = 0;
	}
	return done;
}

/*
 * The frame into as many chains as it needs; all or none. Without mergeable buffers one chain has
 * to do.
 */
static enum net_drop receive(struct virtio_net *n, unsigned queue, const struct frame *f)
{
	struct virtq *q = &n->dev.vq[queue];
	struct virtio_net_scratch *s = n->scratch;
	struct virtq_chain *c = &s->first;
	const struct virtq_pos pos = q->pos;
	u32 len = frame_len(f), off = 0, chains = 0;
	u8 h[HDR_LEN];

	do {
		u32 skip = chains ? 0 : HDR_LEN;

		if (chains == VIRTQ_MAX_SIZE || !virtio_pop(&n->dev, queue, c)) {
			if (!virtio_live(&n->dev))
				return NET_DROP_RING;
			virtq_rewind(q, &pos);
			return NET_DROP_BUFFER;
		}
		if (c->in_len < skip + 1) {
			virtio_break(&n->dev, queue, "receive buffer too small");
			return NET_DROP_RING;
		}
		if (c->in_len - skip < len && !virtio_has(&n->dev, VIRTIO_NET_F_MRG_RXBUF)) {
			virtq_rewind(q, &pos);
			return NET_DROP_OVERSIZE;
		}
		s->used[chains] = (struct virtio_net_used){ c->id, c->slots, skip };
		s->used[chains].len += fill(q, c, skip, f, off);
		off += s->used[chains].len - skip;
		chains++;
		c = &s->next;
	} while (off < len);
	fill_header(n, f, (u16)chains, h);
	virtq_write(q, &s->first, 0, h, HDR_LEN);
	for (u32 i = 0; i < chains; i++)
		virtq_push(q, s->used[i].id, s->used[i].slots, s->used[i].len);
	return NET_OK;
}

static enum net_drop no_buffer(struct virtio_net *n)
{
	u64 now = n->env.now(n->env.ctx);

	if (!n->dry)
		n->dry_since = now;
	n->dry = true;
	return now - n->dry_since < VIRTIO_NET_PATIENCE_NS ? NET_DROP_BUFFER : NET_DROP_STALLED;
}

static enum net_drop be_send(void *ctx, const struct frame *f)
{
	struct virtio_net *n = ctx;
	unsigned pair = 0, queue;
	enum net_drop rc;

	if (!virtio_live(&n->dev))
		return NET_DROP_LINK;
	if (!virtio_net_listens(n, f))
		return NET_DROP_FILTER;
	if (n->active_pairs > 1)
		pair = (u32)n->steer[flow_hash(f)] % (u32)n->active_pairs;
	queue = RX_QUEUE(pair);
	if (!n->dev.vq[queue].running)
		return NET_DROP_STALLED;
	rc = n->stopped ? NET_DROP_BUFFER : receive(n, queue, f);
	/* Ask for a kick, and look once more: buffers may have come in between. */
	if (rc == NET_DROP_BUFFER && !n->stopped && virtq_kicks_on(&n->dev.vq[queue]))
		rc = receive(n, queue, f);
	if (!rc) {
		n->received |= 1u << pair;
		n->streak -= (u32)min_u64(n->streak, 2);
	}
	return rc == NET_DROP_BUFFER ? no_buffer(n) : rc;
}

static void be_flush(void *ctx)
{
	struct virtio_net *n = ctx;

	for (unsigned pair = 0; pair < n->cfg.pairs; pair++)
		if (n->received >> pair & 1)
			virtio_flush(&n->dev, RX_QUEUE(pair));
	n->received = 0;
}

static void be_link(void *ctx, bool up)
{
	virtio_net_set_link(ctx, up);
}

struct netbe virtio_net_be(struct virtio_net *n)
{
	static const struct netbe_ops ops = { be_caps, be_send, be_flush, be_link, NULL };

	return (struct netbe){ &ops, n };
}

/* ---- life ------------------------------------------------------------------------------ */

static void started(struct virtio_dev *d, unsigned queue)
{
	/* Buffers are looked for when a frame comes. */
	if (queue % 2 == 0 && queue != control_queue(container_of(d, struct virtio_net, dev)))
		virtq_kicks_off(&d->vq[queue]);
}

static void stopped(struct virtio_dev *d, unsigned queue)
{
	struct virtio_net *n = container_of(d, struct virtio_net, dev);

	n->received &= ~(1u << queue / 2);
	virtio_net_drain(n); /* what was sent is the driver's again */
	if (!queue)
		virtio_net_hw_end(n, false);
}

static void on_reset(struct virtio_dev *d)
{
	struct virtio_net *n = container_of(d, struct virtio_net, dev);

	n->pending = n->received = n->streak = 0;
	n->waiting = n->dry = false;
	memset(n->steer, 0, sizeof(n->steer));
	virtio_net_ctl_reset(n);
}

void virtio_net_init(struct virtio_net *n, const struct virtio_net_config *cfg,
		     const struct virtio_net_env *env, struct virtio_net_scratch *scratch,
		     const struct virtq_mem *mem, const struct virtio_env *pci)
{
	static const struct virtio_ops ops = { .type = VIRTIO_ID_NET,
					       .class_code = 0x020000,
					       .config_len = CONFIG_LEN,
					       .features_ok = features_ok,
					       .started = started,
					       .stopped = stopped,
					       .kick = kick,
					       .halted = virtio_net_halted,
					       .reset = on_reset,
					       .config = config };

	ASSERT(cfg->pairs && cfg->pairs <= VIRTIO_NET_MAX_PAIRS);
	memset(n, 0, sizeof(*n));
	n->cfg = *cfg;
	n->env = *env;
	n->scratch = scratch;
	n->link = VIRTIO_NET_S_LINK_UP;
	virtio_pci_init(&n->dev, &ops, offered(cfg), (u16)(cfg->pairs * 2u + 1u), mem, pci);
	if (!cfg->packed)
		n->dev.offered &= ~BIT(VIRTIO_F_RING_PACKED);
}

void virtio_net_attach(struct virtio_net *n, struct vswitch *sw, u32 port)
{
	n->sw = sw;
	n->port = port;
}

void virtio_net_set_link(struct virtio_net *n, bool up)
{
	u16 now = (u16)(up ? n->link | VIRTIO_NET_S_LINK_UP : n->link & ~VIRTIO_NET_S_LINK_UP);

	if (now == n->link)
		return;
	n->link = now;
	vswitch_set_up(n->sw, n->port, up);
	virtio_config_changed(&n->dev);
}

void virtio_net_announce(struct virtio_net *n)
{
	if (!virtio_has(&n->dev, VIRTIO_NET_F_GUEST_ANNOUNCE))
		return;
	n->link |= VIRTIO_NET_S_ANNOUNCE;
	virtio_config_changed(&n->dev);
}

void virtio_net_reset(struct virtio_net *n)
{
	virtio_pci_reset(&n->dev);
}

void virtio_net_quiesce(struct virtio_net *n)
{
	n->stopped = true;
	virtio_net_drain(n);
	virtio_net_hw_end(n, true);
	for (unsigned pair = 0; pair < n->cfg.pairs; pair++)
		virtio_flush(&n->dev, TX_QUEUE(pair));
	virtio_pci_quiesce(&n->dev);
}

int virtio_net_resume(struct virtio_net *n, bool go)
{
	if (!n->active_pairs || n->active_pairs > n->cfg.pairs || (n->link & ~3u) ||
	    n->unicast_macs + n->group_macs > VIRTIO_NET_MACS)
		return -EINVAL;
	n->stopped = !go;
	return virtio_pci_resume(&n->dev);
}

const struct vmstate_field virtio_net_fields[] = {
	VIRTIO_VMSTATE(struct virtio_net, dev),
	VMSTATE(struct virtio_net, link, VMS_U16),
	VMSTATE(struct virtio_net, active_pairs, VMS_U16),
	VMSTATE(struct virtio_net, modes, VMS_U8),
	VMSTATE(struct virtio_net, unicast_macs, VMS_U8),
	VMSTATE(struct virtio_net, group_macs, VMS_U8),
	VMSTATE_ARRAY(struct virtio_net, macs, VMS_U8),
	VMSTATE_ARRAY(struct virtio_net, vlans, VMS_U8),
};
const u32 virtio_net_nfields = ARRAY_SIZE(virtio_net_fields);
