/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net: what the driver asks for by its control queue (Virtio 1.2 §5.1.6.5), and which
 * frames it therefore gets.
 */
#include "devices/virtio/virtio_net.h"

#include "kernel/base/bytes.h"
#include "kernel/base/str.h"

#define CLASS_RX 0u
#define CLASS_MAC 1u
#define CLASS_VLAN 2u
#define CLASS_ANNOUNCE 3u
#define CLASS_MQ 4u

#define MAC_TABLE_SET 0u
#define MAC_ADDR_SET 1u
#define VLAN_ADD 0u
#define VLAN_DEL 1u

/* The largest command: two tables of addresses. */
#define COMMAND_MAX (2u + 2u * 4u + VIRTIO_NET_MACS * 6u)

void virtio_net_ctl_reset(struct virtio_net *n)
{
	/* Until it says otherwise, a driver gets what the switch has for it. */
	n->modes = VIRTIO_NET_PROMISC;
	n->active_pairs = 1;
	n->unicast_macs = n->group_macs = 0;
	n->link &= (u16)~VIRTIO_NET_S_ANNOUNCE;
	memset(n->macs, 0, sizeof(n->macs));
	memset(n->vlans, 0, sizeof(n->vlans));
}

static bool rx_mode(struct virtio_net *n, u8 command, struct reader *r)
{
	bool on = reader_u8(r) != 0;

	if (command > 5 || r->overrun)
		return false;
	n->modes = (u8)(on ? n->modes | 1u << command : n->modes & ~(1u << command));
	return true;
}

/* Too many addresses are no error: then all are listened to. */
static bool mac_table(struct virtio_net *n, struct reader *r)
{
	u32 unicast = reader_u32(r), group = 0;
	const u8 *p = NULL, *q = NULL;

	if (unicast <= VIRTIO_NET_MACS) {
		p = reader_bytes(r, unicast * 6);
		group = reader_u32(r);
	}
	if (r->overrun)
		return false;
	n->modes |= VIRTIO_NET_OVERFLOW;
	n->unicast_macs = n->group_macs = 0;
	if (!p || group > VIRTIO_NET_MACS - unicast)
		return true;
	q = reader_bytes(r, group * 6);
	if (!q)
		return false;
	memcpy(n->macs, p, unicast * 6);
	memcpy(n->macs + unicast * 6, q, group * 6);
	n->unicast_macs = (u8)unicast;
	n->group_macs = (u8)group;
	n->modes &= (u8)~VIRTIO_NET_OVERFLOW;
	return true;
}

static bool command(struct virtio_net *n, struct reader *r)
{
	u8 class = reader_u8(r), cmd = reader_u8(r);
	const u8 *p;
	u16 v;

	switch (class) {
	case CLASS_RX:
		return rx_mode(n, cmd, r);
	case CLASS_MAC:
		if (cmd == MAC_TABLE_SET)
			return mac_table(n, r);
		/* The port's address is its own: the switch would drop frames from another. */
		p = reader_bytes(r, 6);
		return cmd == MAC_ADDR_SET && p && !memcmp(p, n->cfg.mac, 6);
	case CLASS_VLAN:
		v = reader_u16(r);
		if (cmd > VLAN_DEL || r->overrun || v >= VSWITCH_VLANS)
			return false;
		n->vlans[v / 8] = (u8)(cmd == VLAN_ADD ? n->vlans[v / 8] | 1u << v % 8
						       : n->vlans[v / 8] & ~(1u << v % 8));
		return true;
	case CLASS_ANNOUNCE:
		n->link &= (u16)~VIRTIO_NET_S_ANNOUNCE;
		return cmd == 0;
	case CLASS_MQ:
		v = reader_u16(r);
		if (cmd != 0 || r->overrun || !v || v > n->cfg.pairs ||
		    !virtio_has(&n->dev, VIRTIO_NET_F_MQ))
			return false;
		n->active_pairs = v;
		memset(n->steer, 0, sizeof(n->steer));
		return true;
	default:
		return false;
	}
}

void virtio_net_control(struct virtio_net *n, unsigned queue)
{
	struct virtq_chain *c = &n->scratch->tx;
	struct virtq *q = &n->dev.vq[queue];
	unsigned done = 0;

	do {
		while (done < VIRTIO_NET_BATCH && virtio_pop(&n->dev, queue, c)) {
			u8 bytes[COMMAND_MAX], ack;
			struct reader r;

			r = reader_make(bytes, virtq_read(c, 0, bytes, sizeof(bytes)));
			ack = !command(n, &r);
			virtq_push(q, c->id, c->slots, virtq_write(q, c, 0, &ack, 1));
			done++;
		}
		virtio_flush(&n->dev, queue);
	} while (virtq_kicks_on(q) && done < VIRTIO_NET_BATCH);
	/* Whoever sends more commands than that at once waits for its next kick. */
}

static bool in_table(const u8 *macs, u32 count, const u8 *mac)
{
	for (u32 i = 0; i < count; i++)
		if (!memcmp(macs + i * 6, mac, 6))
			return true;
	return false;
}

bool virtio_net_listens(const struct virtio_net *n, const struct frame *f)
{
	static const u8 broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	const u8 *mac = f->head;

	if (f->head_len >= ETH_HEADER + VLAN_TAG && virtio_has(&n->dev, VIRTIO_NET_F_CTRL_VLAN) &&
	    f->head[12] == 0x81 && f->head[13] == 0) {
		u32 vlan = (u32)(f->head[14] << 8 | f->head[15]) & 0xfff;

		if (!(n->vlans[vlan / 8] >> vlan % 8 & 1))
			return false;
	}
	if (n->modes & (VIRTIO_NET_PROMISC | VIRTIO_NET_OVERFLOW))
		return true;
	if (!memcmp(mac, broadcast, 6))
		return !(n->modes & VIRTIO_NET_NOBCAST);
	if (mac_is_group(mac))
		return !(n->modes & VIRTIO_NET_NOMULTI) &&
		       ((n->modes & VIRTIO_NET_ALLMULTI) ||
			in_table(n->macs + n->unicast_macs * 6u, n->group_macs, mac));
	return !(n->modes & VIRTIO_NET_NOUNI) &&
	       ((n->modes & VIRTIO_NET_ALLUNI) || !memcmp(mac, n->cfg.mac, 6) ||
		in_table(n->macs, n->unicast_macs, mac));
}
