/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 82576 physical function: reset, start, pools with their address, VLAN and multicast filters,
 * rates, cleaning of a VF before it changes hands. Pure: registers and time by callbacks; the
 * owner's lock is held around every call.
 */
#ifndef DEVICES_SRIOV_IGB_IGB_HW_H
#define DEVICES_SRIOV_IGB_IGB_HW_H

#include "devices/sriov/igb/igb_regs.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define IGB_MAX_VFS    7u    /* one pool is the physical function's */
#define IGB_HASHES     30u   /* multicast hashes a VF may list */
#define IGB_VF_VLANS   4u    /* VLANs a trunk VF may listen to: 32 filters for 8 pools */
#define IGB_MIN_FRAME  64u
#define IGB_MAX_FRAME  9728u /* 9.5 KiB, without CRC stripping */
#define IGB_STD_FRAME  1522u
#define IGB_LINK_MBPS  1000u

/* How a queue comes to go on in the middle of its ring. */
enum igb_head {
	IGB_HEAD_PROBED, /* as igb_head_probe() found */
	IGB_HEAD_WRITE,	 /* its head is written */
	IGB_HEAD_DUMMY,	 /* it consumes descriptors of no effect until it is there */
	IGB_HEAD_WRAP,	 /* the twin goes on until it is at the ring's beginning */
};

struct igb_env {
	void *ctx;
	u32 (*rd)(void *ctx, u32 off);
	void (*wr)(void *ctx, u32 off, u32 value);
	void (*delay_us)(void *ctx, u32 us);
};

/* One receive address filter; the pools it leads to. */
struct igb_rar {
	u8 mac[6];
	u8 pools; /* 0: free */
};

struct igb_vlvf {
	u16 vid;
	u8 pools; /* 0: free */
};

/* What a VF may do (policy) and what its driver asked for (learned). */
struct igb_vf {
	bool used;
	bool diverted; /* what comes for it goes to the physical function */
	/* Policy. */
	u8 mac[6];
	u16 vlan;	/* port VLAN, 0: untagged */
	bool trunk;	/* without port VLAN: may tag */
	bool promisc;	/* may ask for all multicast */
	u64 rate_bps;	/* 0: no limit */
	/* Learned; forgotten at its reset. */
	bool cts;	/* it has reset itself and may talk */
	bool all_multi;
	u16 max_frame;
	u16 vlans[IGB_VF_VLANS]; /* 0: free */
	u32 hashes;
	u16 hash[IGB_HASHES];
};

struct igb_hw {
	struct igb_env env;
	u8 mac[6];
	u8 vfs;	    /* VFs switched on */
	u8 pf_pool; /* pool and queue of the physical function: = vfs */
	u8 pools;   /* bits: those behind it that are in use, igb_pool.h */
	u32 dtxswc;
	struct igb_rar rar[IGB_RARS];
	struct igb_vlvf vlvf[IGB_VLVFS];
	struct igb_vf vf[IGB_MAX_VFS];
};

/**
 * igb_reset() - stop the device, reset it, read its address. Wipes every VF: only before guests
 * use them. Returns 0; -EIO (it does not answer or has no valid address), -ETIMEDOUT.
 * Intel 82576 data sheet §4.2, §4.5.
 */
int MUST_CHECK igb_reset(struct igb_hw *hw, const struct igb_env *env);

/**
 * igb_start() - link, pools, filters, switch for vfs (0..IGB_MAX_VFS) virtual functions; queues are
 * not touched. other_vector: MSI-X vector for link and mailbox. -ETIMEDOUT: the PHY does not
 * answer.
 */
int MUST_CHECK igb_start(struct igb_hw *hw, u8 vfs, u8 other_vector);

/** igb_open() - everything is set up: receive and transmit, tell VFs that the reset is done. */
void igb_open(struct igb_hw *hw);

/** igb_link_mbps() - 0: down. */
u32 igb_link_mbps(struct igb_hw *hw);

/**
 * igb_rar_add(), igb_rar_remove() - frames to mac go to the pool (too). -ENOSPC: all IGB_RARS
 * filters are taken; removing what is not there does nothing.
 */
int MUST_CHECK igb_rar_add(struct igb_hw *hw, const u8 *mac, u8 pool);
void igb_rar_remove(struct igb_hw *hw, const u8 *mac, u8 pool);
/** igb_rar_move() - frames to mac go to pool 'to' instead of 'from', by one write. -ENOENT. */
int MUST_CHECK igb_rar_move(struct igb_hw *hw, const u8 *mac, u8 from, u8 to);

/** igb_vlan_add(), igb_vlan_remove() - frames of VLAN vid (1..4094) reach the pool. -ENOSPC. */
int MUST_CHECK igb_vlan_add(struct igb_hw *hw, u16 vid, u8 pool);
void igb_vlan_remove(struct igb_hw *hw, u16 vid, u8 pool);

/**
 * igb_vf_give() - VF n belongs to somebody who may do what 'policy' says: filters and checks set,
 * queues still shut. -EBUSY (used), -ENOSPC (filters), -EINVAL (group address). The VF was cleaned.
 */
int MUST_CHECK igb_vf_give(struct igb_hw *hw, u8 n, const struct igb_vf *policy);
/**
 * igb_vf_divert() - group frames do not reach VF n, and (uplink) those for its address go to the
 * physical function's queue; off: it gets both again. One write each: none comes to both. -ENOENT,
 * -ENOSPC: no filter has the address.
 */
int MUST_CHECK igb_vf_divert(struct igb_hw *hw, u8 n, bool on, bool uplink);

/** igb_vf_take() - nobody's any more: shut, filters gone. Clean it before giving it again. */
void igb_vf_take(struct igb_hw *hw, u8 n);

/** igb_vf_forget() - the VF was reset: what its driver asked for is void, its queues are shut. */
void igb_vf_forget(struct igb_hw *hw, u8 n);
/** igb_vf_hw_reset() - the same, and reset the VF: its queues stop. */
void igb_vf_hw_reset(struct igb_hw *hw, u8 n);
/** igb_vf_open() - its driver is there: queues may run. */
void igb_vf_open(struct igb_hw *hw, u8 n);

/** igb_vf_update() - multicast lists, frame size or promiscuity in hw->vf[n] changed. */
void igb_vf_update(struct igb_hw *hw, u8 n);
/** igb_vf_set_rate() - transmit at most bps bits a second; 0: no limit. */
void igb_vf_set_rate(struct igb_hw *hw, u8 n, u64 bps);

/**
 * igb_vf_clean() - stop the VF's queues and remove every trace in its registers. Returns 0;
 * -ETIMEDOUT: a queue does not stop, the VF must not be given away.
 */
int MUST_CHECK igb_vf_clean(struct igb_hw *hw, u8 n);

/**
 * igb_vf_private() - on: VF n, which is diverted, gets frames for this address, both its queues may
 * run; off: no more. -ENOSPC: no filter.
 */
int MUST_CHECK igb_vf_private(struct igb_hw *hw, u8 n, const u8 *mac, bool on);

/**
 * igb_head_probe() - does the device keep a head that is written to a queue which is off? Tried on
 * VF n, which nobody has, and cleaned away. IGB_HEAD_WRITE; IGB_HEAD_DUMMY: it does not. Before
 * igb_open(). Intel 82576 data sheet §8.10.7, §8.12.9 lists heads as to be written before a
 * queue is enabled; relatives of it reset them then.
 */
enum igb_head igb_head_probe(struct igb_hw *hw, u8 n);

/**
 * igb_ack_events() - acknowledge what hardware tells of VFs, and return which were reset (bits).
 * Resets come through the hypervisor (control page, configuration space), which has called
 * igb_vf_forget() before: nothing is forgotten here, where the driver may be back already.
 */
u32 igb_ack_events(struct igb_hw *hw);

#endif
