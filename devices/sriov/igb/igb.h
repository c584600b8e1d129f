/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 82576 driver: finds and starts a physical function, moves the switch's frames through its own
 * pair of queues, hands out its VFs.
 */
#ifndef DEVICES_SRIOV_IGB_IGB_H
#define DEVICES_SRIOV_IGB_IGB_H

#include "devices/net/netbe.h"
#include "devices/pci/assign.h"
#include "devices/pci/host_irq.h"
#include "devices/sriov/igb/igb_hw.h"
#include "devices/sriov/igb/igb_pool.h"
#include "devices/sriov/igb/igb_ring.h"
#include "devices/sriov/sriov.h"
#include "kernel/core/config.h"
#include "kernel/core/lock.h"
#include "kernel/core/timer.h"

#define IGB_VECTORS 2u /* of the physical function: queue; link and mailbox */

/* Who gets received frames. Called in softirq context on the boot CPU, no lock held. */
struct igb_client {
	void *ctx;
	void (*rx_begin)(void *ctx);		/* a burst of at least one frame */
	void (*rx)(void *ctx, struct frame *f); /* f is the callee's during the call */
	void (*rx_end)(void *ctx);		/* that was the burst */
	/* igb_serve_pools() is due, with the switch's lock; true: there is more. */
	bool (*pools)(void *ctx);
	void (*link)(void *ctx, u32 mbps);	/* 0: down */
};

struct igb_guest;

/* Who owns the address of a pool. All with the switch's lock held. */
struct igb_pool_user {
	void *ctx;
	u8 *(*buffer)(void *ctx);	      /* IGB_POOL_FRAME bytes to be written, or NULL */
	void (*filled)(void *ctx, u32 len); /* the oldest of those; 0: its frame is damaged */
};

/* Rings and buffers of pools, in the block of the physical function's own. */
#define IGB_POOLS_AT  (2 * IGB_RING_BYTES + 2 * IGB_BUFS_BYTES)
#define IGB_VEC_QUEUE 0u /* of all receive queues */

/* A VF as a piece of hardware. Boot CPU, control. */
struct igb_slot {
	struct igb_guest *guest; /* NULL: free */
	bool lost;		 /* its queues did not stop: nobody gets it any more */
	struct assign_left left; /* its reset, which may not be over */
};

struct igb {
	/* Constant once started. */
	char name[CONFIG_NAME_LEN];
	const struct pci_func *func;
	volatile u8 *regs;
	hpa_t block;	/* rings and buffers */
	struct sriov sriov;
	struct host_irq irqs;
	u8 vfs;
	bool failover, backup;
	enum igb_head head; /* how rings are taken over; control */
	const char *dead; /* NULL, or what it did: it is not asked any more; for good */
	u8 vector[IGB_VECTORS]; /* of the host, 0: none */
	/* Filters and VFs. Rank LOCK_PF. */
	struct spinlock lock;
	struct igb_hw hw;
	struct igb_tx tx; /* switch's lock */
	/* Boot CPU's softirq alone. */
	struct igb_rx rx;
	struct igb_client client;
	bool rx_waits; /* frames stay in the queue for now */
	u32 mbps;
	u32 ticks; /* since the link came up, as far as they count */
	struct timer watch;
	struct {
		bool used;
		struct igb_posts posts;
		struct igb_pool_user user;
	} pool[IGB_POOLS]; /* switch's lock */
	u32 events; /* atomic, IGB_EVENT_* */
	u64 interrupts;
	struct igb_slot slot[IGB_MAX_VFS];
};

/** igb_matches() - is f a device of this driver? */
bool igb_matches(const struct pci_func *f);

/**
 * igb_start_nic() - take the device over and start it with vfs VFs (none when the machine cannot
 * isolate them: said in the log). Returns 0; why names the reason of a failure. Context: boot
 * CPU.
 */
int MUST_CHECK igb_start_nic(struct igb *g, const struct pci_func *f, const struct config_nic *cfg,
			     char *why, size_t why_size);

/**
 * igb_answers() - false: its function is gone, or lost its configuration; said in the log once, and
 * true of it from then on. Context: any.
 */
bool igb_answers(struct igb *g);

/** igb_look_soon() - igb_switch_look() is due. Context: any. */
void igb_look_soon(struct igb *g);

/** igb_kill() - reset the function behind its driver's back, for tests. No lock held. */
void igb_kill(const struct igb *g);

/** igb_trusted() - it has a link, and had it for some time. Boot CPU. */
bool igb_trusted(const struct igb *g);

/** igb_poll() - serve what the NIC has; the softirq's work. True: there is more. */
bool igb_poll(struct igb *g);

/**
 * igb_serve_locked() - hand what waits in the queue to the client's rx(), which is locked already.
 * Returns how many frames. Boot CPU.
 */
u32 igb_serve_locked(struct igb *g);

/** igb_netbe() - the uplink as the switch sees it. */
struct netbe igb_netbe(struct igb *g);

/**
 * igb_serve_pools() - frames that the NIC has sent are their senders' again; what came into pools
 * goes where it belongs. True: there is more. Locks: the switch's.
 */
bool igb_serve_pools(struct igb *g);

/**
 * igb_pool_open(), igb_pool_close() - what comes for mac has a queue of its own. -ENOSPC. No lock
 * held. Between them, with the switch's lock: igb_pool_begin() and igb_pool_end(), it is user's,
 * who is called until then; igb_pool_withdraw() - buffers that were given and not filled are
 * forgotten by the hardware.
 */
int MUST_CHECK igb_pool_open(struct igb *g, const u8 *mac, u8 *pool);
void igb_pool_close(struct igb *g, const u8 *mac, u8 pool);
void igb_pool_begin(struct igb *g, u8 pool, const struct igb_pool_user *user);
void igb_pool_end(struct igb *g, u8 pool);
void igb_pool_withdraw(struct igb *g, u8 pool);
bool igb_pools_serve(struct igb *g, u32 most);

/** igb_cut_off() - the NIC does not stop: it reaches no memory any more. */
void igb_cut_off(struct igb *g);

/** igb_mac_add(), igb_mac_remove() - frames to this address come to the uplink's queue. -ENOSPC. */
int MUST_CHECK igb_mac_add(struct igb *g, const u8 *mac);
void igb_mac_remove(struct igb *g, const u8 *mac);

/** igb_vlan_listen() - tagged frames of vid come to the uplink's queue. -ENOSPC. */
int MUST_CHECK igb_vlan_listen(struct igb *g, u16 vid);

#endif
