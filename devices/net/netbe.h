/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the switch asks of whatever is behind a port: a guest's NIC, the physical uplink, the
 * host. Pure declarations; all calls with the switch's lock held.
 */
#ifndef DEVICES_NET_NETBE_H
#define DEVICES_NET_NETBE_H

#include "devices/net/frame.h"

/* Why a frame went no further; counted per port. */
enum net_drop {
	NET_OK,
	NET_DROP_RUNT,	    /* shorter than an Ethernet header */
	NET_DROP_OVERSIZE,  /* longer than the MTU, or than the receiver's buffers */
	NET_DROP_OFFLOAD,   /* offload metadata that does not fit the frame */
	NET_DROP_SPOOF,	    /* source address is not the port's, or belongs to another */
	NET_DROP_VLAN,	    /* tag not allowed here */
	NET_DROP_STORM,	    /* beyond the broadcast and multicast limit */
	NET_DROP_RATE,	    /* beyond the receiver's rate */
	NET_DROP_LINK,	    /* port is down */
	NET_DROP_BUFFER,    /* receiver had no buffer just now */
	NET_DROP_STALLED,   /* receiver has had no buffer for long */
	NET_DROP_FILTER,    /* receiver does not listen to this address */
	NET_DROP_RESERVED,  /* link-local group address: stays on its link */
	NET_DROP_RING,	    /* sender's or receiver's ring is malformed */
	NET_DROPS,
};

/** net_drop_name() - the reason in a word, for counters. */
const char *net_drop_name(enum net_drop why);

/* What a port takes unfinished; the switch finishes the rest in software. */
#define NETBE_CSUM 0x1u
#define NETBE_TCP4 0x2u
#define NETBE_TCP6 0x4u
#define NETBE_UDP  0x8u

struct netbe_ops {
	/* caps() - NETBE_ bits, now, for f. */
	u32 (*caps)(void *ctx, const struct frame *f);
	/* send() - take f out of the switch; its bytes are valid during the call only, unless
	 * it has an owner, and the switch must not be called back. */
	enum net_drop (*send)(void *ctx, const struct frame *f);
	/* flush() - a burst is over: publish, interrupt, ring the doorbell. */
	void (*flush)(void *ctx);
	/* link() - NULL, or: the operator wants the link up or down; calls vswitch_set_up(). */
	void (*link)(void *ctx, bool up);
	/* drain() - NULL, or: on return no frame's bytes are in use any more, by whatever means. */
	void (*drain)(void *ctx);
};

struct netbe {
	const struct netbe_ops *ops;
	void *ctx;
};

#endif
