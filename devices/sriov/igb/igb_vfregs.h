/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of a VF's rings and interrupts, from hardware to its twin and back: what is read,
 * written and waited for in which order. Pure; the driver is held. Intel 82576 data sheet §8.
 */
#ifndef DEVICES_SRIOV_IGB_IGB_VFREGS_H
#define DEVICES_SRIOV_IGB_IGB_VFREGS_H

#include "devices/sriov/igb/igb_hw.h"
#include "devices/sriov/vf_twin.h"

/* Of the twin, what hardware has. */
struct igb_vfregs {
	u32 rx[VF_TWIN_RING], tx[VF_TWIN_RING], irq[VF_TWIN_INTS];
};

/**
 * igb_vfregs_stop() - nothing of the VF's moves any more as far as rings are concerned; e: its BAR.
 * With 'drain' what the driver rang for is sent first, if that does not take long. -ETIMEDOUT.
 */
int MUST_CHECK igb_vfregs_stop(const struct igb_env *e, bool drain);

/**
 * igb_vfregs_read() - what a driver's rings and interrupts are, causes excepted. The mask is the
 * caller's: a VF's own copy may say what was written last.
 */
void igb_vfregs_read(const struct igb_env *e, struct igb_vfregs *r);

/**
 * igb_vfregs_write() - all that does not begin to work by being written. placed: bases and heads
 * are there. False: heads are not kept. igb_vfregs_go() - the rest: tails, mask, and an interrupt
 * of each queue, as one too many does no harm and one lost does.
 */
bool MUST_CHECK igb_vfregs_write(const struct igb_env *e, const struct vf_twin *t, bool placed);
void igb_vfregs_go(const struct igb_env *e, const struct vf_twin *t);

#endif
