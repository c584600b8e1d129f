/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mailbox of a VF: what its driver may ask of the physical function's, and the answers. Pure; the
 * PF's lock is held. Every message is foreign data and costs a bounded amount of work.
 */
#ifndef DEVICES_SRIOV_IGB_IGB_MBOX_H
#define DEVICES_SRIOV_IGB_IGB_MBOX_H

#include "devices/sriov/igb/igb_hw.h"

#define IGB_MBOX_WORDS 16u

#define IGB_MBOX_ACK  BIT(31)
#define IGB_MBOX_NACK BIT(30)
#define IGB_MBOX_CTS  BIT(29) /* the VF is configured */

enum igb_mbox_msg {
	IGB_MBOX_VF_RESET = 1,
	IGB_MBOX_SET_MAC = 2,
	IGB_MBOX_SET_MULTICAST = 3,
	IGB_MBOX_SET_VLAN = 4,
	IGB_MBOX_SET_LPE = 5,
	IGB_MBOX_SET_PROMISC = 6,
	IGB_MBOX_PF_CONTROL = 0x100, /* to the VF: look at the link */
};

/**
 * igb_mbox_handle() - VF n sent msg; the reply takes its place. Returns the reply's length in
 * words.
 */
u32 igb_mbox_handle(struct igb_hw *hw, u8 n, u32 msg[IGB_MBOX_WORDS]);

/** igb_mbox_control() - the word the physical function sends when the link changed. */
u32 igb_mbox_control(const struct igb_hw *hw, u8 n);

#endif
