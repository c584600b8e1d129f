/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual switch: learns where addresses are, keeps VLANs apart, holds ports to their
 * addresses and rates, counts. Pure; one lock of the owner is held around every call.
 */
#ifndef DEVICES_NET_VSWITCH_H
#define DEVICES_NET_VSWITCH_H

#include "devices/net/bucket.h"
#include "devices/net/netbe.h"

#define VSWITCH_PORTS	  64u
#define VSWITCH_SETS	  128u /* of the address table */
#define VSWITCH_WAYS	  8u
#define VSWITCH_NAME_LEN  40u
#define VSWITCH_VLANS	  4096u
#define VSWITCH_NO_PORT	  0xffu
#define VSWITCH_AGE_NS	  (300ull * BUCKET_SECOND)
/* Broadcast and multicast frames a second that a port may send unless it says otherwise. */
#define VSWITCH_STORM_PPS 2000u

struct vswitch_config {
	const char *name;
	u8 mac[6];	/* of a guest port: only frames from it pass, and its frames go there */
	bool open;	/* no fixed address: learns, and gets unknown addresses (uplink) */
	bool trunk;	/* tagged frames of vlans[] pass; else untagged only */
	u16 vlan;	/* of untagged frames; 0: the untagged network */
	u16 mtu;	/* bytes of payload of an unsegmented frame */
	u64 tx_bps, rx_bps; /* bits a second sent by, delivered to the port; 0: no limit */
	u32 storm_pps;	/* 0: VSWITCH_STORM_PPS */
};

struct vswitch_counters {
	u64 tx_frames, tx_bytes; /* from the port into the switch */
	u64 rx_frames, rx_bytes; /* out of the switch */
	u64 rx_direct; /* bytes that hardware reads or writes where the guest has them */
	u64 tx_drop[NET_DROPS], rx_drop[NET_DROPS];
};

struct vswitch_port {
	bool used, up;
	bool away; /* its address is behind an open port, see vswitch_set_away() */
	struct netbe be;
	char name[VSWITCH_NAME_LEN];
	struct vswitch_config cfg;
	struct bucket tx, rx, storm;
	struct vswitch_counters count;
	u8 vlans[VSWITCH_VLANS / 8]; /* of a trunk */
};

struct vswitch_entry {
	u8 mac[6];
	u16 vlan;
	u8 port;    /* VSWITCH_NO_PORT: free */
	bool fixed; /* a port's own: never ages, never moves */
	u64 seen;   /* ns */
};

struct vswitch {
	struct vswitch_port port[VSWITCH_PORTS];
	struct vswitch_entry table[VSWITCH_SETS][VSWITCH_WAYS];
	u64 flush;  /* bit per port: got frames since vswitch_flush() */
	u8 mirror;  /* port that gets a copy of each forwarded frame, or VSWITCH_NO_PORT */
	/* Of the delivery in progress. */
	u8 to;
	u16 tag; /* to be put into the frame, 0: none */
	bool may_wait;
	enum net_drop result;
};

/** vswitch_init() - no ports. */
void vswitch_init(struct vswitch *sw);

/**
 * vswitch_add() - a port, up. *id: its number. -ENOSPC (VSWITCH_PORTS, or its set of the address
 * table is full), -EEXIST (the address is another port's in this VLAN), -EINVAL (VLAN, group
 * address).
 */
int MUST_CHECK vswitch_add(struct vswitch *sw, const struct vswitch_config *cfg,
			   const struct netbe *be, u64 now, u32 *id);

/** vswitch_remove() - and all addresses behind it. */
void vswitch_remove(struct vswitch *sw, u32 id);

/** vswitch_set_up() - a port that is down neither sends nor gets; what was learned there goes. */
void vswitch_set_up(struct vswitch *sw, u32 id, bool up);

/**
 * vswitch_set_away() - the station of the port that owns mac in vlan (nobody's: nothing happens) is
 * reached, and sends, by an open port from now on, or by its own again. True: that is a change.
 */
bool vswitch_set_away(struct vswitch *sw, const u8 *mac, u16 vlan, bool away);

/** vswitch_set_rate() - bits a second, 0: none; in both directions. */
void vswitch_set_rate(struct vswitch *sw, u32 id, u64 tx_bps, u64 rx_bps, u64 now);

/** vswitch_set_vlan() - access VLAN of a port that is no trunk. Returns as vswitch_add(). */
int MUST_CHECK vswitch_set_vlan(struct vswitch *sw, u32 id, u16 vlan);

/** vswitch_allow() - let tagged frames of vlan 1..4094 pass at a trunk port. -EINVAL. */
int MUST_CHECK vswitch_allow(struct vswitch *sw, u32 id, u16 vlan);

/** vswitch_tx_wait() - ns until the port may send by its rate; 0: now. */
u64 vswitch_tx_wait(struct vswitch *sw, u32 id, u64 now);

/**
 * vswitch_send() - port id sends f (its tag, if any, in the bytes; f is changed). It was counted
 * and delivered, or dropped and counted: the answer says why, for the first receiver. With
 * may_wait, NET_DROP_BUFFER means that the only receiver has no buffer now, that nothing was
 * counted, and that the sender may try again.
 */
enum net_drop vswitch_send(struct vswitch *sw, u32 id, struct frame *f, bool may_wait, u64 now);

/**
 * vswitch_arrived() - f came in at port 'from' and hardware has put it at port 'to' already: may
 * that port show it? It was counted, or dropped and counted, and mirrored, as by vswitch_send().
 */
enum net_drop vswitch_arrived(struct vswitch *sw, u32 from, u32 to, struct frame *f, u64 now);

/**
 * vswitch_show() - so that switches on the way learn at once where a port's address is: a request
 * of reverse ARP (RFC 903), which nobody answers. vswitch_announcement() - the frame itself.
 */
void vswitch_announcement(const u8 *mac, struct frame *f);
void vswitch_show(struct vswitch *sw, u32 id, u64 now);

/** vswitch_flush() - the burst is over: all receivers publish what they got. */
void vswitch_flush(struct vswitch *sw);

/** vswitch_drain() - on return nobody uses bytes of any frame that was sent. */
void vswitch_drain(struct vswitch *sw);

/** vswitch_drop() - count a frame that did not even get into the switch. */
void vswitch_drop(struct vswitch *sw, u32 id, enum net_drop why);

/** vswitch_lookup() - port behind mac in vlan, VSWITCH_NO_PORT: unknown or aged. */
u8 vswitch_lookup(struct vswitch *sw, const u8 *mac, u16 vlan, u64 now);

#endif
