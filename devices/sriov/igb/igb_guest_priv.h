/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's 82576 VF, shared by the files that give it hardware and those that do without.
 */
#ifndef DEVICES_SRIOV_IGB_IGB_GUEST_PRIV_H
#define DEVICES_SRIOV_IGB_IGB_GUEST_PRIV_H

#include "devices/pci/assign.h"
#include "devices/sriov/igb/igb_guest.h"
#include "devices/sriov/igb/igb_vf0.h"
#include "devices/sriov/vf_twin.h"
#include "guest/vm/vm.h"
#include "kernel/core/timer.h"

struct igb_guest {
	struct vm *vm;
	u8 net; /* which of its interfaces */
	struct assigned *a;
	/* What its queues are: VF n of g, or (g NULL) the twin. Changes with all vCPUs parked. */
	struct igb *g;
	u8 n;
	const char *why; /* NULL, or why it left the NIC that its configuration names */
	struct igb_vf0 page; /* vm->lock */
	/* The twin, with VF 0 of a controller without registers for policy and mailbox. */
	struct igb_hw soft;  /* vm->lock */
	struct vf_twin twin; /* switch's lock */
	struct virtq_mem mem;
	struct timer timer;
	u64 due; /* ns, when the timer is; switch's lock */
	struct timer look; /* at its hardware's registers, after the driver's reset */
	u32 look_ms;
	struct vdev vdev; /* the state that is neither configuration space nor MSI-X */
	u32 seen[21]; /* counters of its hardware, from IGB_VF_STAT on, as last read */
	bool has_port;
	u32 port;
	/* Of changes; control. */
	struct igb_switch_stat last;
	enum igb_head head; /* asked for, for a test */
	u8 hook;	    /* where it stops for a moment, for a test */
	struct igb *next;   /* waits for VF next_n of it until the rings are at their beginning */
	u8 next_n;
	struct timer next_timer;
};

/** igb_twin_init() - the twin of v, which stands still. */
void igb_twin_init(struct igb_guest *v);

/**
 * igb_twin_start() - frames for the policy's address come to the twin; of a VM that is coming in
 * when it goes on. -ENOSPC, -EEXIST.
 */
int MUST_CHECK igb_twin_start(struct igb_guest *v, const struct igb_vf *policy);
void igb_twin_stop(struct igb_guest *v);

/**
 * igb_twin_policy(), igb_twin_add_port(), igb_twin_listen() - the parts of it: what it may do; its
 * port, with the switch's lock held; its address in the uplink's filters.
 */
int MUST_CHECK igb_twin_policy(struct igb_guest *v, const struct igb_vf *policy);
int MUST_CHECK igb_twin_add_port(struct igb_guest *v);
void igb_twin_listen(struct igb_guest *v);

/**
 * igb_twin_show() - its frames come by another NIC from now on: the switches on the way are told.
 * No lock held.
 */
void igb_twin_show(struct igb_guest *v);

/**
 * igb_failover_look() - the driver has reset the hardware: its registers are read soon, and again
 * as it sets them up. igb_failover_due() - v->look's callback.
 */
void igb_failover_due(void *ctx);
void igb_failover_look(struct igb_guest *v);

/** igb_twin_mmio() - the guest's access behind page 0. Locks: vm->lock. */
void igb_twin_mmio(struct igb_guest *v, u32 off, unsigned size, bool write, u64 *value);

/** igb_switch_check() - v may have come to where its change waits. Locks: the switch's. */
void igb_switch_check(struct igb_guest *v);

/**
 * igb_switch_wait(), igb_switch_cancel() - VF n of g, which is ready, is v's when v's rings are at
 * their beginning; it waits for nothing any more. Control.
 */
int MUST_CHECK igb_switch_wait(struct igb_guest *v, struct igb *g, u8 n);
void igb_switch_cancel(struct igb_guest *v);

/** igb_switch_finish() - the waited for change; -EBUSY: the rings went on, nothing happened. */
int MUST_CHECK igb_switch_finish(struct igb_guest *v, char *why, size_t size);

/** igb_switch_give_up() - VF n, which was got ready for the twin v, is nobody's again. */
void igb_switch_give_up(struct igb_guest *v, struct igb *g, u8 n);

/**
 * igb_dummy_begin(), igb_dummy_advance(), igb_dummy_end() - VF n, cleaned, diverted and in no
 * domain, gets the twin's rings; its heads are brought to the twin's, once or more often; it is in
 * no domain again, its queues shut but on. After a failure of begin() or advance() end() is called,
 * too. -EBUSY: the driver has set up other rings; -ETIMEDOUT: the hardware does not move; errors of
 * iommu_map() (rings where no VF can have any), -ENOSPC. Control.
 */
int MUST_CHECK igb_dummy_begin(struct igb_guest *v, struct igb *g, u8 n, volatile u8 *bar);
int MUST_CHECK igb_dummy_advance(struct igb_guest *v, struct igb *g, u8 n, volatile u8 *bar);
int MUST_CHECK igb_dummy_end(struct igb_guest *v, struct igb *g, u8 n);

/** igb_twin_add_vdev() - v's state becomes the VM's. -ENOSPC. All vCPUs parked. */
int MUST_CHECK igb_twin_add_vdev(struct igb_guest *v);

/** igb_twin_power_on() - its registers as after a reset of the function. */
void igb_twin_power_on(struct igb_guest *v);

/** igb_twin_sync() - reset or mailbox changed what the driver may do. Locks: vm->lock. */
void igb_twin_sync(struct igb_guest *v);

/** igb_twin_recheck() - the guest looks at its rings. No lock held. */
void igb_twin_recheck(struct igb_guest *v);

/**
 * igb_plug() - it comes into its slot, as its configuration says, or out of it, whatever the guest
 * does with it. -ETIMEDOUT, errors of igb_guest_add(). Control.
 */
int MUST_CHECK igb_plug(struct vm *vm, u8 net, bool in, char *why, size_t why_size);

/** igb_move_init() - VFs get out of the way of their VM's moves. Once at boot. */
void igb_move_init(void);

/**
 * igb_go_home() - a twin that its VM's configuration wants at a NIC (only g, if that is not NULL)
 * goes there, if the NIC has link or is the only way; the log says why not. Control.
 */
void igb_go_home(struct vm *vm, u8 net, const struct igb *g);

/** igb_guest_clean(), igb_guest_take() - a VF as hardware: stop, clear it; and its filters. */
int MUST_CHECK igb_guest_clean(struct igb *g, u8 n);
void igb_guest_take(struct igb *g, u8 n);
/** igb_guest_info() - what assignment must know of VF n. Returns as assign_info_vf(). */
int MUST_CHECK igb_guest_info(struct igb *g, u8 n, struct assign_info *info, char *why,
			      size_t size);
/**
 * igb_guest_free() - a VF that nobody has; false: none. One whose reset is not over is waited for
 * if there is no other.
 */
bool igb_guest_free(struct igb *g, u8 *n);

#endif
