/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 82576 VFs in guests: 'netN = vf ...' of the configuration becomes an assigned function whose
 * control page is software.
 */
#ifndef DEVICES_SRIOV_IGB_IGB_GUEST_H
#define DEVICES_SRIOV_IGB_IGB_GUEST_H

#include "devices/sriov/igb/igb.h"

struct vm;

/** igb_guest_init() - register with the PC; once at boot, after assign_init(). */
void igb_guest_init(void);

/**
 * igb_guest_add() - give vm, which is being built or paused, the VF that interface 'index' of its
 * configuration asks for, or the function that it names. Returns as assign_add(); why names the
 * reason.
 */
int MUST_CHECK igb_guest_add(struct vm *vm, u8 index, char *why, size_t why_size);

/** igb_guest_remove() - take it away again, if it has one. All vCPUs parked. */
void igb_guest_remove(struct vm *vm, u8 index);

/**
 * igb_guest_twin(), igb_guest_direct() - a guest's VF goes on in software, goes on as a VF of nic
 * (NULL: any), under its driver. vm may run: it is held for some register accesses
 * (igb_guest_switched()); paused it may be, too. Returns 0; -ENOENT (no such VF), -EBUSY (it is so
 * already), -ETIMEDOUT (a vCPU or a queue does not stop), errors of assign_back() and of the
 * switch; why names the reason, and then all is as before. Context: control, no lock held.
 */
int MUST_CHECK igb_guest_twin(struct vm *vm, u8 index, char *why, size_t why_size);
int MUST_CHECK igb_guest_direct(struct vm *vm, u8 index, const char *nic, char *why,
				size_t why_size);

/**
 * igb_guest_replace() - as igb_guest_direct(), also for a VF that another NIC has: it goes there by
 * its twin. When that fails it goes back.
 */
int MUST_CHECK igb_guest_replace(struct vm *vm, u8 index, const char *nic, char *why,
				 size_t why_size);

/**
 * igb_failover() - g has no link: its guests' VFs become their twins, if those reach the wire by
 * another NIC; if g is dead, in any case, and a VM whose VF does not is stopped. igb_failback() -
 * VFs that wait for g go there. Softirq, no lock held.
 */
void igb_failover(struct igb *g);
void igb_failback(const struct igb *g);

/**
 * igb_guest_head() - how that VF's rings are to be taken over by hardware from now on: "write",
 * "dummy" or "wrap" (then igb_guest_direct() returns at once, and igb_guest_twin() ends the wait);
 * NULL: as the NIC was found to need it. -ENOENT, -EINVAL. For tests. Control.
 */
int MUST_CHECK igb_guest_head(struct vm *vm, u8 index, const char *how);

/** igb_guest_hook() - its changes stop for 20 ms at this point, 0: nowhere. For tests. Control. */
void igb_guest_hook(struct vm *vm, u8 index, u8 point);

/** igb_switch_look() - keep what g's VFs' registers say, in case it dies. Softirq, no lock held. */
void igb_switch_look(struct igb *g);

/** igb_switch_poll() - changes that waited. Softirq of the NICs, boot CPU. */
void igb_switch_poll(void);

/* The last one: all of it, its part in which no vCPU ran, frames that the host's queue had then. */
struct igb_switch_stat {
	u32 us, stopped_us, frames;
};

/** igb_guest_switched() - of that VF; zeros before the first time. Control context. */
struct igb_switch_stat igb_guest_switched(const struct vm *vm, u8 index);

/** igb_guests_link() - the link changed: tell all guests that have a VF. Softirq, no lock held. */
void igb_guests_link(struct igb *g);

/* One VF, for 'vf list'. */
struct igb_vf_stat {
	const char *nic, *vm; /* vm NULL: free */
	const char *wants;    /* the NIC that a twin would rather be at, or NULL */
	const char *why;      /* it is not there, or NULL */
	u8 n, net;
	u16 bdf;
	u8 mac[6];
	u16 vlan;
	u64 rate_bps;
	bool open; /* its driver runs */
	u64 messages;
	u32 rx_packets, tx_packets, rx_bytes, tx_bytes; /* as the guest's driver reads them */
};

/** igb_vf_stat() - of VF n. -ENOENT: the NIC has not so many. Control context. */
int MUST_CHECK igb_vf_stat(struct igb *g, u8 n, struct igb_vf_stat *out);
/** igb_twin_stat() - of a guest's VF that is in software or not in its slot; false: none. */
bool igb_twin_stat(const struct vm *vm, u8 index, struct igb_vf_stat *out);
/** igb_guest_of() - its VF, NULL: none. */
struct igb_guest *igb_guest_of(const struct vm *vm, u8 index);

#endif
