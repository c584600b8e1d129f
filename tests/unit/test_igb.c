/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 82576 physical function against a register model: reset, pools, filters, VFs changing hands.
 */
#include "unit.h"

#include "igb_model.h"
#include "kernel/base/err.h"

static struct igb_model m;
static struct igb_hw hw;

static const struct igb_env env = { &m, igb_model_rd, igb_model_wr, igb_model_delay };

#define R(off) (*igb_model_reg(&m, (off)))

static const u8 mac_a[6] = { 0x52, 0x54, 0, 0, 0, 0x0a };
static const u8 mac_b[6] = { 0x52, 0x54, 0, 0, 0, 0x0b };

static void setup(u8 vfs)
{
	memset(&m, 0, sizeof(m));
	igb_model_power_on(&m);
	CHECK_EQ(igb_reset(&hw, &env), 0);
	CHECK_EQ(igb_start(&hw, vfs, 1), 0);
	igb_open(&hw);
}

static struct igb_vf policy(const u8 *mac, u16 vlan)
{
	struct igb_vf p = { .vlan = vlan };

	memcpy(p.mac, mac, 6);
	return p;
}

/* Pools of the valid filter for a MAC, 0: none. */
static u32 pools_of(const u8 *mac)
{
	u32 low = (u32)(mac[0] | mac[1] << 8 | mac[2] << 16) | (u32)mac[3] << 24;

	for (u32 i = 0; i < IGB_RARS; i++)
		if ((R(IGB_RAH(i)) & IGB_RAH_AV) && R(IGB_RAL(i)) == low &&
		    (R(IGB_RAH(i)) & 0xffff) == (u32)(mac[4] | mac[5] << 8))
			return R(IGB_RAH(i)) >> 18 & 0xff;
	return 0;
}

static u32 vlan_pools(u16 vid)
{
	if (!(R(IGB_VFTA(vid / 32u)) >> vid % 32 & 1))
		return 0;
	for (u32 i = 0; i < IGB_VLVFS; i++)
		if ((R(IGB_VLVF(i)) & IGB_VLVF_EN) && (R(IGB_VLVF(i)) & 0xfff) == vid)
			return R(IGB_VLVF(i)) >> 12 & 0xff;
	return 0;
}

TEST(reset)
{
	static const u8 want[6] = { 0x52, 0x54, 0, 0, 0x12, 0x01 };

	memset(&m, 0, sizeof(m));
	igb_model_power_on(&m);
	R(IGB_EIMS) = 0xff;
	CHECK_EQ(igb_reset(&hw, &env), 0);
	CHECK_EQ(m.resets, 1);
	CHECK(memcmp(hw.mac, want, 6) == 0);
	CHECK(m.us >= 10000 && m.us < 500000);
	m.no_mac = true;
	CHECK_EQ(igb_reset(&hw, &env), -EIO);
	memset(&m, 0xff, sizeof(m.reg)); /* gone from the bus */
	CHECK_EQ(igb_reset(&hw, &env), -EIO);
}

TEST(start)
{
	setup(7);
	CHECK_EQ(hw.pf_pool, 7);
	for (u32 q = 0; q < IGB_QUEUES; q++)
		CHECK(!((R(IGB_RXDCTL(q)) | R(IGB_TXDCTL(q))) & IGB_QUEUE_ON));
	CHECK_EQ(R(IGB_VFRE), 0x80);
	CHECK_EQ(R(IGB_VFTE), 0x80);
	CHECK_EQ(R(IGB_MRQC), 3);
	CHECK_EQ(R(IGB_VT_CTL), 0x40000000 | 7 << 7);
	CHECK_EQ(R(IGB_GPIE), 0xc0000010);
	CHECK_EQ(R(IGB_IVAR_MISC), 0x8100);
	CHECK_EQ(R(IGB_QDE), 0xffff);
	CHECK_EQ(R(IGB_DTXSWC), 0x80000000);
	CHECK(R(IGB_CTRL) & IGB_CTRL_SLU);
	CHECK(R(IGB_RCTL) & IGB_RCTL_EN);
	CHECK(R(IGB_CTRL_EXT) & IGB_CTRL_EXT_PFRSTD);
	CHECK_EQ(pools_of(hw.mac), 0x80);
	CHECK_EQ(igb_link_mbps(&hw), 0);
	R(IGB_STATUS) = 0x82;
	CHECK_EQ(igb_link_mbps(&hw), 1000);
	CHECK_EQ(igb_start(&hw, 8, 1), -EINVAL);
	m.dead_phy = true;
	CHECK_EQ(igb_start(&hw, 3, 1), -ETIMEDOUT);
}

TEST(address_filters)
{
	u8 mac[6] = { 0x52, 0x54, 1, 0, 0, 0 };

	setup(4);
	CHECK_EQ(igb_rar_add(&hw, mac_a, 0), 0);
	CHECK_EQ(igb_rar_add(&hw, mac_a, 2), 0);
	CHECK_EQ(pools_of(mac_a), 5);
	CHECK_EQ(igb_rar_move(&hw, mac_a, 2, 4), 0);
	CHECK_EQ(pools_of(mac_a), 0x11);
	CHECK_EQ(igb_rar_move(&hw, mac_a, 2, 4), -ENOENT);
	CHECK_EQ(igb_rar_move(&hw, mac_b, 2, 4), -ENOENT);
	igb_rar_remove(&hw, mac_a, 0);
	CHECK_EQ(pools_of(mac_a), 0x10);
	igb_rar_remove(&hw, mac_a, 4);
	CHECK_EQ(pools_of(mac_a), 0);
	igb_rar_remove(&hw, mac_a, 4);
	for (u8 i = 0; i < IGB_RARS - 1; i++) {
		mac[5] = i;
		CHECK_EQ(igb_rar_add(&hw, mac, 1), 0);
	}
	CHECK_EQ(igb_rar_add(&hw, mac_b, 1), -ENOSPC);
	for (u8 i = 0; i < IGB_RARS - 1; i++) {
		mac[5] = i;
		CHECK_EQ(pools_of(mac), 2);
		igb_rar_remove(&hw, mac, 1);
	}
	CHECK_EQ(pools_of(hw.mac), 0x10);
	CHECK_EQ(m.torn_filters, 0);
}

TEST(vlan_filters)
{
	setup(4);
	CHECK_EQ(igb_vlan_add(&hw, 10, 0), 0);
	CHECK_EQ(igb_vlan_add(&hw, 10, 4), 0);
	CHECK_EQ(igb_vlan_add(&hw, 42, 1), 0);
	CHECK_EQ(vlan_pools(10), 0x11);
	CHECK_EQ(vlan_pools(42), 2);
	igb_vlan_remove(&hw, 10, 0);
	CHECK_EQ(vlan_pools(10), 0x10);
	igb_vlan_remove(&hw, 10, 4);
	CHECK_EQ(vlan_pools(10), 0);
	CHECK_EQ(vlan_pools(42), 2);
	for (u16 v = 100; v < 131; v++)
		CHECK_EQ(igb_vlan_add(&hw, v, 0), 0);
	CHECK_EQ(igb_vlan_add(&hw, 200, 0), -ENOSPC);
	CHECK_EQ(igb_vlan_add(&hw, 42, 0), 0);
}

TEST(give_and_take)
{
	struct igb_vf p = policy(mac_a, 10);

	setup(4);
	p.rate_bps = 500000000;
	p.trunk = true; /* has no effect with a port VLAN */
	CHECK_EQ(igb_vf_give(&hw, 4, &p), -EINVAL); /* no such VF */
	CHECK_EQ(igb_vf_give(&hw, 1, &p), 0);
	CHECK_EQ(igb_vf_give(&hw, 1, &p), -EBUSY);
	CHECK(!hw.vf[1].trunk);
	CHECK_EQ(pools_of(mac_a), 2);
	CHECK_EQ(vlan_pools(10), 2);
	CHECK_EQ(R(IGB_VMVIR(1)), 0x40000000 | 10);
	CHECK_EQ(R(IGB_VMOLR(1)), (u32)(IGB_VMOLR_STRCRC | IGB_VMOLR_STRVLAN | IGB_VMOLR_BAM |
					IGB_VMOLR_LPE) | IGB_STD_FRAME);
	CHECK_EQ(R(IGB_DTXSWC), 0x80000202);
	CHECK_EQ(m.rate[1], 0x80000000 | 2 << 14); /* half of the link */
	CHECK_EQ(m.rate[9], m.rate[1]);
	CHECK_EQ(m.rate[0], 0);
	CHECK_EQ(R(IGB_VFRE), 0x10); /* shut until its driver resets it */
	igb_vf_open(&hw, 1);
	CHECK_EQ(R(IGB_VFRE), 0x12);
	CHECK_EQ(R(IGB_VFTE), 0x12);
	igb_vf_take(&hw, 1);
	CHECK_EQ(pools_of(mac_a), 0);
	CHECK_EQ(vlan_pools(10), 0);
	CHECK_EQ(R(IGB_VFTE), 0x10);
	CHECK_EQ(R(IGB_VMVIR(1)), 0);
	CHECK_EQ(m.rate[9], 0);
	CHECK_EQ(R(IGB_DTXSWC) & 0x202, 0x202); /* checks stay */
	CHECK(!(R(IGB_VMOLR(1)) & IGB_VMOLR_BAM));
	p = policy(mac_b, 0);
	CHECK_EQ(igb_vf_give(&hw, 1, &p), 0);
	CHECK(R(IGB_VMOLR(1)) & IGB_VMOLR_AUPE);
	p = policy((const u8[6]){ 1, 0, 0, 0, 0, 0 }, 0);
	CHECK_EQ(igb_vf_give(&hw, 2, &p), -EINVAL);
}

TEST(no_filter_left)
{
	struct igb_vf p = policy(mac_a, 4000);

	setup(2);
	for (u16 v = 1; v <= 32; v++)
		CHECK_EQ(igb_vlan_add(&hw, v, 2), 0);
	CHECK_EQ(igb_vf_give(&hw, 0, &p), -ENOSPC);
	CHECK_EQ(pools_of(mac_a), 0);
	CHECK(!hw.vf[0].used);
}

/* Whatever an owner left in any of the VF's registers is gone. */
TEST(clean)
{
	static const u32 queue_regs[] = { 0x0, 0x4, 0x8, 0xc, 0x10, 0x14, 0x18, 0x28, 0x38, 0x3c };

	setup(7);
	for (u32 k = 0; k < 2; k++) {
		for (u32 i = 0; i < ARRAY_SIZE(queue_regs); i++) {
			R(IGB_RDBAL(3 + 8 * k) + queue_regs[i]) = 0x2b5a5a58;
			R(IGB_TDBAL(3 + 8 * k) + queue_regs[i]) = 0x2b5a5a58;
		}
	}
	R(IGB_IVAR(3)) = R(IGB_VTIVAR(3)) = R(IGB_VTIVAR_MISC(3)) = 0x82818083;
	R(IGB_VTIVAR(4)) = R(IGB_RQDPC(3)) = 1;
	R(IGB_EIMS) = ~0u;
	R(IGB_EIAC) = R(IGB_EIAM) = ~0u;
	for (u32 i = 0; i < 3; i++)
		R(IGB_EITR(13 + i)) = 0x1e8;
	R(IGB_EITR(12)) = 7;
	R(IGB_EITR(16)) = 7;
	for (u32 i = 0; i < 16; i++)
		R(IGB_VMBMEM(3) + 4 * i) = 0x1234;
	R(IGB_PSRTYPE(3)) = 5;
	R(IGB_VFRE) = R(IGB_VFTE) = 0xff;
	CHECK_EQ(igb_vf_clean(&hw, 3), 0);
	for (u32 k = 0; k < 2; k++) {
		for (u32 i = 0; i < ARRAY_SIZE(queue_regs); i++) {
			if (queue_regs[i] != 0x38 && queue_regs[i] != 0x3c)
				CHECK_EQ(R(IGB_RDBAL(3 + 8 * k) + queue_regs[i]), 0);
			if (queue_regs[i] != 0xc) /* there is no such register for sending */
				CHECK_EQ(R(IGB_TDBAL(3 + 8 * k) + queue_regs[i]), 0);
		}
	}
	CHECK_EQ(R(IGB_IVAR(3)) | R(IGB_VTIVAR(3)) | R(IGB_VTIVAR_MISC(3)), 0);
	CHECK_EQ(R(IGB_VTIVAR(4)), 1);
	CHECK_EQ(R(IGB_RQDPC(3)), 0);
	CHECK_EQ(R(IGB_EIMS), ~(7u << 13));
	CHECK_EQ(R(IGB_EIAC), ~(7u << 13));
	CHECK_EQ(R(IGB_EIAM), ~(7u << 13));
	CHECK_EQ(R(IGB_EITR(13)) | R(IGB_EITR(14)) | R(IGB_EITR(15)), 0);
	CHECK_EQ(R(IGB_EITR(12)) + R(IGB_EITR(16)), 14); /* the neighbours' */
	CHECK_EQ(R(IGB_VMBMEM(3)) | R(IGB_VMBMEM(3) + 60), 0);
	CHECK_EQ(R(IGB_PSRTYPE(3)), 0);
	CHECK_EQ(R(IGB_VFRE), 0xf7);
	CHECK_EQ(R(IGB_VFTE), 0xf7);
	CHECK_EQ(igb_vf_clean(&hw, 7), -EINVAL);
	m.stuck_queue = true;
	R(IGB_RXDCTL(3)) = 0x02000000;
	m.us = 0;
	CHECK_EQ(igb_vf_clean(&hw, 3), -ETIMEDOUT);
	CHECK(m.us < 300000);
}

TEST(resets_of_a_vf)
{
	struct igb_vf p = policy(mac_a, 0);

	setup(4);
	CHECK_EQ(igb_vf_give(&hw, 2, &p), 0);
	igb_vf_open(&hw, 2);
	R(IGB_VFLRE) = 0x84; /* VF 7 does not exist */
	R(IGB_MBVFICR) = 0x00ff00ff;
	CHECK_EQ(igb_ack_events(&hw), 4);
	CHECK(hw.vf[2].cts); /* a late event undoes nothing */
	CHECK_EQ(R(IGB_VFLRE), 0x80);
	CHECK_EQ(R(IGB_MBVFICR), 0);
	CHECK_EQ(igb_ack_events(&hw), 0);
	R(IGB_VFLRE) = 4;
	igb_vf_hw_reset(&hw, 2);
	CHECK_EQ(R(IGB_VF_CTRL(2)), 0x04000000);
	CHECK_EQ(R(IGB_VFLRE), 0);
	CHECK(!hw.vf[2].cts);
	CHECK_EQ(R(IGB_VFTE), 0x10);
}

TEST(heads_are_probed)
{
	for (u32 way = 0; way < 3; way++) {
		memset(&m, 0, sizeof(m));
		igb_model_power_on(&m);
		CHECK_EQ(igb_reset(&hw, &env), 0);
		CHECK_EQ(igb_start(&hw, 7, 1), 0);
		m.heads_read_only = way == 1;
		m.heads_reset = way == 2;
		CHECK_EQ(igb_head_probe(&hw, 0), way ? IGB_HEAD_DUMMY : IGB_HEAD_WRITE);
		CHECK_EQ(R(IGB_RDH(0)) | R(IGB_TDH(0)) | R(IGB_RDLEN(0)) | R(IGB_TDLEN(0)), 0);
		CHECK_EQ((R(IGB_RXDCTL(0)) | R(IGB_TXDCTL(0))) & IGB_QUEUE_ON, 0);
	}
}

/* At no moment do frames for the address go to both or to none, and groups to the VF meanwhile. */
TEST(frames_are_diverted)
{
	const struct igb_vf p = policy(mac_a, 0);

	setup(7);
	CHECK_EQ(igb_vf_give(&hw, 2, &p), 0);
	igb_vf_open(&hw, 2);
	CHECK_EQ(pools_of(mac_a), 1 << 2);
	CHECK(R(IGB_VMOLR(2)) & IGB_VMOLR_BAM);
	CHECK_EQ(igb_vf_divert(&hw, 2, true, true), 0);
	CHECK_EQ(pools_of(mac_a), 1 << 7);
	hw.vf[2].all_multi = true;
	igb_vf_update(&hw, 2); /* what its driver asks for meanwhile changes nothing */
	CHECK_EQ(R(IGB_VMOLR(2)) & (IGB_VMOLR_BAM | IGB_VMOLR_ROMPE | IGB_VMOLR_MPME), 0);
	CHECK(R(IGB_VMOLR(2)) & IGB_VMOLR_AUPE); /* or a frame in between would be lost */
	CHECK_EQ(igb_vf_private(&hw, 2, mac_b, true), 0);
	CHECK_EQ(pools_of(mac_b), 1 << 2);
	CHECK_EQ(R(IGB_VFRE) >> 2 & 1, 1);
	CHECK_EQ(igb_vf_private(&hw, 2, mac_b, false), 0);
	CHECK_EQ(pools_of(mac_b), 0);
	CHECK_EQ((R(IGB_VFRE) | R(IGB_VFTE)) >> 2 & 1, 0);
	CHECK_EQ(igb_vf_divert(&hw, 2, false, true), 0);
	CHECK_EQ(pools_of(mac_a), 1 << 2);
	CHECK(R(IGB_VMOLR(2)) & IGB_VMOLR_BAM);
	CHECK_EQ(igb_vf_divert(&hw, 2, true, false), 0);
	CHECK_EQ(pools_of(mac_a), 1 << 2); /* another NIC is the uplink */
	CHECK_EQ(igb_vf_divert(&hw, 2, false, false), 0);
	CHECK_EQ(igb_vf_divert(&hw, 2, true, true), 0);
	igb_rar_remove(&hw, mac_a, 7); /* it became the uplink meanwhile */
	CHECK_EQ(pools_of(mac_a), 0);
	CHECK_EQ(igb_vf_divert(&hw, 2, false, false), 0);
	CHECK_EQ(pools_of(mac_a), 1 << 2);
	CHECK_EQ(m.torn_filters, 0);
}

UNIT_MAIN({ "heads_are_probed", heads_are_probed },
	  { "frames_are_diverted", frames_are_diverted },
	  { "reset", reset }, { "start", start }, { "address_filters", address_filters },
	  { "vlan_filters", vlan_filters }, { "give_and_take", give_and_take },
	  { "no_filter_left", no_filter_left }, { "clean", clean },
	  { "resets_of_a_vf", resets_of_a_vf })
