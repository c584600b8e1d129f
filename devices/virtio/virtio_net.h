/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net behind a port of the switch. Pure; the lock of the switch is held around every call,
 * also those that reach another guest's NIC through it.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_NET_H
#define DEVICES_VIRTIO_VIRTIO_NET_H

#include "devices/net/vswitch.h"
#include "devices/virtio/virtio_pci.h"

#define VIRTIO_NET_MAX_PAIRS 4u
#define VIRTIO_NET_MACS	     32u
#define VIRTIO_NET_STEER     64u /* flows whose queue is remembered, by hash */
#define VIRTIO_NET_BATCH     64u /* chains in one go */
#define VIRTIO_NET_MTU	     1500u
/*
 * A driver that sends without receiving in between, this many times, is not asked to kick any
 * more: its queue is looked at in intervals until it is found empty.
 */
#define VIRTIO_NET_STREAK  6u
#define VIRTIO_NET_POLL_NS 250000ull
/* Sent chains are given back by the interval too, or when they fill this part of the ring. */
#define VIRTIO_NET_HELD	   4u
/* How long senders wait for a receiver to give buffers; from then on frames to it are dropped. */
#define VIRTIO_NET_PATIENCE_NS 2000000ull

/* Reception modes as the driver set them (Virtio 1.2 §5.1.6.5.1). */
#define VIRTIO_NET_PROMISC  0x01u
#define VIRTIO_NET_ALLMULTI 0x02u
#define VIRTIO_NET_ALLUNI   0x04u
#define VIRTIO_NET_NOMULTI  0x08u
#define VIRTIO_NET_NOUNI    0x10u
#define VIRTIO_NET_NOBCAST  0x20u
#define VIRTIO_NET_OVERFLOW 0x40u /* more addresses than the table holds */

struct virtio_net_used {
	u16 id, slots;
	u32 len;
};

/* Chains that were sent, in the order they came, while hardware still reads some of them. */
struct virtio_net_out {
	u16 first, count;
	struct {
		u16 id, slots;
		u32 uses;
	} at[VIRTQ_MAX_SIZE];
};

/* Receive buffers that hardware has or had, in the order it fills them. */
#define VIRTIO_NET_HW_MAX 64u
struct virtio_net_chain {
	u16 id, slots;
	u8 *p;
	gpa_t gpa;
};
struct virtio_net_in {
	u16 first, posted, count; /* posted: with the hardware now, the first ones */
	bool ending;
	struct virtio_net_chain at[VIRTIO_NET_HW_MAX];
};

/* Hardware that receives for this NIC alone. */
struct virtio_net_hw {
	void *ctx;
	/* withdraw() - NULL: there is none; or: it forgets buffers, after what it filled. */
	void (*withdraw)(void *ctx);
	u32 from;  /* port of the switch that the frames come by */
	u32 frame; /* bytes it may write to a buffer */
};

/* Room to work in; one for all NICs under the lock. */
struct virtio_net_scratch {
	struct virtq_chain tx, first, next;
	struct virtio_net_used used[VIRTQ_MAX_SIZE];
};

struct virtio_net_env {
	void *ctx;
	u64 (*now)(void *ctx); /* ns */
	/* defer() - virtio_net_work() soon, on this CPU; timer() - in ns at the latest. */
	void (*defer)(void *ctx);
	void (*timer)(void *ctx, u64 ns);
	/* room() - this NIC can receive again: virtio_net_work() of those that wait for it. */
	void (*room)(void *ctx);
};

struct virtio_net_config {
	u8 mac[6];
	u16 pairs; /* 1..VIRTIO_NET_MAX_PAIRS */
	u16 mtu;
	bool packed; /* offer packed rings too */
	u32 speed_mbps; /* as shown to the guest */
	bool standby; /* of another function with the same address (§5.1.3) */
};

struct virtio_net {
	struct virtio_dev dev;
	struct vswitch *sw;
	u32 port;
	struct virtio_net_env env;
	struct virtio_net_scratch *scratch;
	struct virtio_net_config cfg;
	u32 streak;	  /* kicks to send, less twice the frames received */
	u32 pending;	  /* bit per pair: its transmit queue has or may have work */
	u32 received;	  /* bit per pair: chains pushed, not flushed */
	bool stopped;	  /* nothing of the guest's is touched: paused, or going away */
	bool waiting;	  /* its frame in front waits for room at the receiver */
	bool dry;	  /* a receive queue asked to be kicked */
	u64 dry_since;	  /* ns */
	u8 steer[VIRTIO_NET_STEER];
	struct virtio_net_out out[VIRTIO_NET_MAX_PAIRS];
	struct virtio_net_in in;
	struct virtio_net_hw hw;

	/* The machine's state besides dev's. */
	u16 link;	  /* bits of the status register */
	u16 active_pairs;
	u8 modes;	  /* VIRTIO_NET_ */
	u8 unicast_macs, group_macs;
	u8 macs[VIRTIO_NET_MACS * 6]; /* unicast first */
	u8 vlans[VSWITCH_VLANS / 8];
};

/** virtio_net_init() - a NIC; the port must exist when the driver comes up. */
void virtio_net_init(struct virtio_net *n, const struct virtio_net_config *cfg,
		     const struct virtio_net_env *env, struct virtio_net_scratch *scratch,
		     const struct virtq_mem *mem, const struct virtio_env *pci);

/** virtio_net_attach() - it sends and receives at this port of sw; its netbe is virtio_net_be(). */
void virtio_net_attach(struct virtio_net *n, struct vswitch *sw, u32 port);
struct netbe virtio_net_be(struct virtio_net *n);

/** virtio_net_drain() - on return nobody reads what the guest has sent. */
void virtio_net_drain(struct virtio_net *n);

/** virtio_net_quiesce() - stop and make the saved fields true; virtio_net_resume() goes on. */
void virtio_net_quiesce(struct virtio_net *n);

/** virtio_net_work() - at most VIRTIO_NET_BATCH chains per queue; more: asks to be called again. */
void virtio_net_work(struct virtio_net *n);

/** virtio_net_set_link() - carrier, as the guest sees it. */
void virtio_net_set_link(struct virtio_net *n, bool up);

/** virtio_net_announce() - ask the guest to tell its neighbours where it is. */
void virtio_net_announce(struct virtio_net *n);

/** virtio_net_reset() - to power-on: no driver. */
void virtio_net_reset(struct virtio_net *n);
/** virtio_net_resume() - check the loaded fields and, if 'go', go on; -EINVAL. */
int MUST_CHECK virtio_net_resume(struct virtio_net *n, bool go);

extern const struct vmstate_field virtio_net_fields[];
extern const u32 virtio_net_nfields;

/*
 * virtio_net_hw.c: for n->hw. virtio_net_hw_buffer() - where the next frame may be written, NULL:
 * nowhere now. virtio_net_hw_filled() - len bytes are in the oldest buffer, 0: a damaged frame.
 * virtio_net_hw_end() - take all buffers back, and to the driver unless it forgot them.
 * virtio_net_halted() - hardware uses nothing of the driver's until it may again.
 */
u8 *virtio_net_hw_buffer(struct virtio_net *n);
void virtio_net_hw_filled(struct virtio_net *n, u32 len);
void virtio_net_hw_end(struct virtio_net *n, bool give_back);
void virtio_net_halted(struct virtio_dev *d);

/* virtio_net_ctl.c: the control queue, reception filter. */
void virtio_net_control(struct virtio_net *n, unsigned queue);
void virtio_net_ctl_reset(struct virtio_net *n);
bool virtio_net_listens(const struct virtio_net *n, const struct frame *f);

/* Feature bits (Virtio 1.2 §5.1.3). */
#define VIRTIO_NET_F_CSUM	    0u
#define VIRTIO_NET_F_GUEST_CSUM	    1u
#define VIRTIO_NET_F_MTU	    3u
#define VIRTIO_NET_F_MAC	    5u
#define VIRTIO_NET_F_GUEST_TSO4	    7u
#define VIRTIO_NET_F_GUEST_TSO6	    8u
#define VIRTIO_NET_F_GUEST_ECN	    9u
#define VIRTIO_NET_F_HOST_TSO4	    11u
#define VIRTIO_NET_F_HOST_TSO6	    12u
#define VIRTIO_NET_F_HOST_ECN	    13u
#define VIRTIO_NET_F_MRG_RXBUF	    15u
#define VIRTIO_NET_F_STATUS	    16u
#define VIRTIO_NET_F_CTRL_VQ	    17u
#define VIRTIO_NET_F_CTRL_RX	    18u
#define VIRTIO_NET_F_CTRL_VLAN	    19u
#define VIRTIO_NET_F_CTRL_RX_EXTRA  20u
#define VIRTIO_NET_F_GUEST_ANNOUNCE 21u
#define VIRTIO_NET_F_MQ		    22u
#define VIRTIO_NET_F_CTRL_MAC_ADDR  23u
#define VIRTIO_NET_F_GUEST_USO4	    54u
#define VIRTIO_NET_F_GUEST_USO6	    55u
#define VIRTIO_NET_F_HOST_USO	    56u
#define VIRTIO_NET_F_STANDBY	    62u
#define VIRTIO_NET_F_SPEED_DUPLEX   63u

#define VIRTIO_NET_S_LINK_UP  1u
#define VIRTIO_NET_S_ANNOUNCE 2u

#endif
