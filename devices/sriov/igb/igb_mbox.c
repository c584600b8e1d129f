/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of a VF's driver.
 */
#include "devices/sriov/igb/igb_mbox.h"

#include "kernel/base/str.h"

#define TYPE(w) ((w) & 0xffff)
#define INFO(w) ((w) >> 16 & 0xff)

/* SET_MAC's kinds. */
#define MAC_SET	  0u
#define MAC_CLEAR 1u

/* SET_PROMISC: bits of the info field. */
#define PROMISC_MULTICAST 2u

#define VLAN_VID     0xfffu
#define HASH_BITS    0xfffu
#define HASHES_INMSG ((IGB_MBOX_WORDS - 1) * 2)

static bool set_mac(struct igb_vf *v, const u32 *msg)
{
	u8 mac[6];

	for (u32 i = 0; i < 6; i++)
		mac[i] = (u8)(msg[1 + i / 4] >> (i % 4 * 8));
	switch (INFO(msg[0])) {
	case MAC_SET:
		/* The address is the configuration's: a driver may only confirm it. */
		return memcmp(mac, v->mac, 6) == 0;
	case MAC_CLEAR: /* of additional addresses: there are none */
		return true;
	default:
		return false;
	}
}

static bool set_multicast(struct igb_hw *hw, u8 n, const u32 *msg)
{
	struct igb_vf *v = &hw->vf[n];
	u32 count = INFO(msg[0]);

	if (count > IGB_HASHES || count > HASHES_INMSG)
		count = IGB_HASHES; /* the hash is a coarse filter anyway */
	for (u32 i = 0; i < count; i++)
		v->hash[i] = (u16)(msg[1 + i / 2] >> (i % 2 * 16)) & HASH_BITS;
	v->hashes = count;
	igb_vf_update(hw, n);
	return true;
}

static bool add_vlan(struct igb_hw *hw, u8 n, u16 vid)
{
	struct igb_vf *v = &hw->vf[n];
	u32 slot = IGB_VF_VLANS;

	for (u32 i = 0; i < IGB_VF_VLANS; i++) {
		if (v->vlans[i] == vid)
			return true;
		if (!v->vlans[i])
			slot = i;
	}
	if (slot == IGB_VF_VLANS || igb_vlan_add(hw, vid, n))
		return false;
	v->vlans[slot] = vid;
	return true;
}

static bool set_vlan(struct igb_hw *hw, u8 n, const u32 *msg)
{
	struct igb_vf *v = &hw->vf[n];
	u16 vid = msg[1] & VLAN_VID;

	if (!vid) /* priority tags: no filter is concerned */
		return true;
	if (!v->trunk || vid == VLAN_VID)
		return false;
	if (INFO(msg[0]))
		return add_vlan(hw, n, vid);
	for (u32 i = 0; i < IGB_VF_VLANS; i++) {
		if (v->vlans[i] != vid)
			continue;
		v->vlans[i] = 0;
		igb_vlan_remove(hw, vid, n);
	}
	return true;
}

static bool set_max_frame(struct igb_hw *hw, u8 n, u32 bytes)
{
	if (bytes < IGB_MIN_FRAME || bytes > IGB_MAX_FRAME)
		return false;
	/* The tag comes on top of what the driver counts. */
	hw->vf[n].max_frame = (u16)(bytes + 4 > IGB_MAX_FRAME ? IGB_MAX_FRAME : bytes + 4);
	igb_vf_update(hw, n);
	return true;
}

static bool set_promisc(struct igb_hw *hw, u8 n, u32 info)
{
	struct igb_vf *v = &hw->vf[n];

	if (info & ~PROMISC_MULTICAST)
		return false;
	if ((info & PROMISC_MULTICAST) && !v->promisc)
		return false;
	v->all_multi = (info & PROMISC_MULTICAST) != 0;
	igb_vf_update(hw, n);
	return true;
}

static u32 vf_reset(struct igb_hw *hw, u8 n, u32 *msg)
{
	const u8 *mac = hw->vf[n].mac;

	igb_vf_forget(hw, n);
	igb_vf_open(hw, n);
	msg[0] = IGB_MBOX_VF_RESET | (u32)IGB_MBOX_ACK;
	msg[1] = (u32)(mac[0] | mac[1] << 8 | mac[2] << 16) | (u32)mac[3] << 24;
	msg[2] = (u32)(mac[4] | mac[5] << 8);
	return 3;
}

u32 igb_mbox_handle(struct igb_hw *hw, u8 n, u32 msg[IGB_MBOX_WORDS])
{
	struct igb_vf *v = &hw->vf[n];
	bool ok = false;

	msg[0] &= ~(u32)(IGB_MBOX_ACK | IGB_MBOX_NACK | IGB_MBOX_CTS);
	if (TYPE(msg[0]) == IGB_MBOX_VF_RESET)
		return vf_reset(hw, n, msg);
	if (!v->cts) { /* makes the driver start with a reset */
		msg[0] |= (u32)IGB_MBOX_NACK;
		return 1;
	}
	switch (TYPE(msg[0])) {
	case IGB_MBOX_SET_MAC:
		ok = set_mac(v, msg);
		break;
	case IGB_MBOX_SET_MULTICAST:
		ok = set_multicast(hw, n, msg);
		break;
	case IGB_MBOX_SET_VLAN:
		ok = set_vlan(hw, n, msg);
		break;
	case IGB_MBOX_SET_LPE:
		ok = set_max_frame(hw, n, msg[1]);
		break;
	case IGB_MBOX_SET_PROMISC:
		ok = set_promisc(hw, n, INFO(msg[0]));
		break;
	default:
		break;
	}
	msg[0] |= (u32)(IGB_MBOX_CTS | (ok ? IGB_MBOX_ACK : IGB_MBOX_NACK));
	return 1;
}

u32 igb_mbox_control(const struct igb_hw *hw, u8 n)
{
	return IGB_MBOX_PF_CONTROL | (hw->vf[n].cts ? (u32)IGB_MBOX_CTS : 0);
}
