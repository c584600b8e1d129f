/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page 0 of a VF's BAR 0 in software: reset, link status, mailbox, statistics. So all that two VFs
 * could differ in stays here, whichever hardware (or none) does the guest's queues. Pure; the
 * device's lock is held around every call.
 */
#ifndef DEVICES_SRIOV_IGB_IGB_VF0_H
#define DEVICES_SRIOV_IGB_IGB_VF0_H

#include "devices/sriov/igb/igb_mbox.h"
#include "guest/vm/vdev.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define IGB_VF_PAGE   0x1000u /* each group of a VF's registers has its page */
#define IGB_VF_STATS  9u

struct igb_vf0_env {
	void *ctx;
	/* reset() - the driver resets the VF: stop its queues, forget what it asked for. */
	void (*reset)(void *ctx);
	/* message() - the driver sent msg; the answer takes its place, its words are returned. */
	u32 (*message)(void *ctx, u32 msg[IGB_MBOX_WORDS]);
	/* link() - is the link up? */
	bool (*link)(void *ctx);
	/* stat() - the hardware's counter at offset off of page 0. */
	u32 (*stat)(void *ctx, u32 off);
};

struct igb_vf0 {
	struct igb_vf0_env env;
	u32 mem[IGB_MBOX_WORDS];
	u32 mbox;		   /* V2PMAILBOX */
	u32 stat_base[IGB_VF_STATS]; /* added to the hardware's counters */
	u64 messages;		   /* statistics of our own */
};

/** igb_vf0_init() - as after igb_vf0_reset(); *env is copied. */
void igb_vf0_init(struct igb_vf0 *v, const struct igb_vf0_env *env);

/** igb_vf0_reset() - power-on: as the driver finds a fresh VF. Counters start at 0. */
void igb_vf0_reset(struct igb_vf0 *v);

/** igb_vf0_io() - access to page 0; off below IGB_VF_PAGE, any size. */
void igb_vf0_io(struct igb_vf0 *v, u32 off, unsigned size, bool write, u64 *value);

/**
 * igb_vf0_ping() - put a message of the physical function's into the mailbox. False: the driver has
 * the buffer or has not read the last one; try at the next occasion. Else interrupt it.
 */
bool igb_vf0_ping(struct igb_vf0 *v, u32 word);

/**
 * igb_vf0_freeze_stats(), igb_vf0_thaw_stats() - before the hardware changes hands: base becomes
 * what the guest has seen; after: take off what the new hardware starts with.
 */
void igb_vf0_freeze_stats(struct igb_vf0 *v);
void igb_vf0_thaw_stats(struct igb_vf0 *v);

/** igb_vf0_resume() - check loaded state; -EINVAL. Counters are frozen ones: thaw them. */
int MUST_CHECK igb_vf0_resume(struct igb_vf0 *v);

extern const struct vmstate_field igb_vf0_fields[];
extern const u32 igb_vf0_nfields;

#endif
