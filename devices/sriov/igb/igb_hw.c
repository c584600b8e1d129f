/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 82576 physical function: reset, start, link.
 */
#include "devices/sriov/igb/igb_hw.h"

#include "devices/sriov/igb/igb_priv.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define MASTER_US 100000u
#define RESET_US  20000u /* §4.2.1.6: at least 1 ms, the rest for the EEPROM */
#define EEPROM_US 50000u
#define MDIC_US	  10000u
#define STEP_US	  100u

/* PHY register 0: restart autonegotiation, full duplex, 1000 Mbit/s. */
#define MDIC_WRITE_BMCR (1u << 26 | 1u << 21 | 0x1340u)

/* Until bits of reg are as wanted; false: not within us. */
static bool wait_bits(struct igb_hw *hw, u32 reg, u64 bits, bool set, u32 us)
{
	for (u32 t = 0; t < us; t += STEP_US) {
		if (((igb_rd(hw, reg) & bits) != 0) == set)
			return true;
		hw->env.delay_us(hw->env.ctx, STEP_US);
	}
	return false;
}

static void mask_all(struct igb_hw *hw)
{
	igb_wr(hw, IGB_IMC, ~0u);
	igb_wr(hw, IGB_EIMC, ~0u);
	(void)igb_rd(hw, IGB_ICR); /* clears what is pending */
}

static int read_mac(struct igb_hw *hw)
{
	u32 low = igb_rd(hw, IGB_RAL(0)), high = igb_rd(hw, IGB_RAH(0));

	for (unsigned i = 0; i < 6; i++)
		hw->mac[i] = (u8)(i < 4 ? low >> (8 * i) : high >> (8 * (i - 4)));
	if ((!low && !(high & 0xffff)) || (hw->mac[0] & 1))
		return -EIO;
	return 0;
}

int igb_reset(struct igb_hw *hw, const struct igb_env *env)
{
	memset(hw, 0, sizeof(*hw));
	hw->env = *env;
	if (igb_rd(hw, IGB_STATUS) == ~0u)
		return -EIO;
	mask_all(hw);
	igb_wr(hw, IGB_RCTL, 0);
	igb_wr(hw, IGB_TCTL, (u32)IGB_TCTL_PSP);
	igb_set(hw, IGB_CTRL, IGB_CTRL_NO_MASTER);
	/* A device that does not let go is reset all the same: the IOMMU keeps it in bounds. */
	(void)wait_bits(hw, IGB_STATUS, IGB_STATUS_MASTER, false, MASTER_US);
	igb_set(hw, IGB_CTRL, IGB_CTRL_RST);
	hw->env.delay_us(hw->env.ctx, RESET_US);
	if (!wait_bits(hw, IGB_CTRL, IGB_CTRL_RST, false, EEPROM_US))
		return -ETIMEDOUT;
	/* Boards without EEPROM never set it; the address tells. */
	(void)wait_bits(hw, IGB_EECD, IGB_EECD_AUTO_RD, true, EEPROM_US);
	mask_all(hw);
	return read_mac(hw);
}

static int start_link(struct igb_hw *hw)
{
	igb_set(hw, IGB_CTRL, IGB_CTRL_SLU | IGB_CTRL_FD);
	igb_wr(hw, IGB_MDIC, MDIC_WRITE_BMCR);
	return wait_bits(hw, IGB_MDIC, IGB_MDIC_READY, true, MDIC_US) ? 0 : -ETIMEDOUT;
}

static void clear_filters(struct igb_hw *hw)
{
	for (u32 i = 0; i < IGB_RARS; i++) {
		igb_wr(hw, IGB_RAH(i), 0);
		igb_wr(hw, IGB_RAL(i), 0);
	}
	for (u32 i = 0; i < IGB_VLVFS; i++)
		igb_wr(hw, IGB_VLVF(i), 0);
	for (u32 i = 0; i < IGB_VFTA_WORDS; i++)
		igb_wr(hw, IGB_VFTA(i), 0);
	for (u32 i = 0; i < IGB_MTA_WORDS; i++)
		igb_wr(hw, IGB_MTA(i), 0);
	for (u32 i = 0; i < IGB_POOLS; i++) {
		igb_wr(hw, IGB_VMOLR(i), (u32)IGB_VMOLR_STRCRC);
		igb_wr(hw, IGB_VMVIR(i), 0);
	}
}

/* A reset leaves the first pair of queues running. */
static void stop_queues(struct igb_hw *hw)
{
	for (u32 q = 0; q < IGB_QUEUES; q++) {
		igb_wr(hw, IGB_RXDCTL(q), 0);
		igb_wr(hw, IGB_TXDCTL(q), 0);
	}
	igb_wr(hw, IGB_VFRE, 0);
	igb_wr(hw, IGB_VFTE, 0);
}

int igb_start(struct igb_hw *hw, u8 vfs, u8 other_vector)
{
	int rc;

	if (vfs > IGB_MAX_VFS)
		return -EINVAL;
	hw->vfs = vfs;
	hw->pf_pool = vfs;
	stop_queues(hw);
	clear_filters(hw);
	rc = start_link(hw);
	if (rc)
		return rc;
	/* Without 'multiple' no VF interrupt of any kind is sent. */
	igb_wr(hw, IGB_GPIE, (u32)(IGB_GPIE_MULTIPLE | IGB_GPIE_EIAME | IGB_GPIE_PBA));
	igb_wr(hw, IGB_IVAR_MISC, (IGB_IVAR_VALID | other_vector) << 8);
	igb_wr(hw, IGB_VT_CTL, (u32)IGB_VT_REPLICATE | IGB_VT_POOL(hw->pf_pool));
	igb_wr(hw, IGB_MRQC, IGB_MRQC_VMDQ);
	igb_wr(hw, IGB_QDE, 0xffff); /* a VF without buffers must not hold up the others */
	igb_set(hw, IGB_DTXCTL, IGB_DTXCTL_VLAN);
	igb_set(hw, IGB_RPLOLR, IGB_RPLOLR_STRIP);
	igb_wr(hw, IGB_IOVCTL, 0);
	hw->dtxswc = vfs ? (u32)IGB_DTXSWC_VMDQ : 0;
	igb_wr(hw, IGB_DTXSWC, hw->dtxswc);
	/*
	 * The physical function is the uplink of a switch: broadcast, all multicast, untagged and
	 * the VLANs asked for. Some models know no multicast promiscuity, hence the full hash
	 * table; VFs select by their own bit.
	 */
	for (u32 i = 0; i < IGB_MTA_WORDS; i++)
		igb_wr(hw, IGB_MTA(i), ~0u);
	igb_wr(hw, IGB_VMOLR(hw->pf_pool),
	       (u32)(IGB_VMOLR_STRCRC | IGB_VMOLR_STRVLAN | IGB_VMOLR_BAM | IGB_VMOLR_AUPE |
		     IGB_VMOLR_ROMPE | IGB_VMOLR_MPME | IGB_VMOLR_LPE) |
		       IGB_STD_FRAME);
	return igb_rar_add(hw, hw->mac, hw->pf_pool);
}

void igb_open(struct igb_hw *hw)
{
	igb_set(hw, IGB_VFRE, BIT(hw->pf_pool));
	igb_set(hw, IGB_VFTE, BIT(hw->pf_pool));
	igb_wr(hw, IGB_TCTL, (u32)(IGB_TCTL_EN | IGB_TCTL_PSP) | IGB_TCTL_CT);
	igb_wr(hw, IGB_RCTL,
	       (u32)(IGB_RCTL_EN | IGB_RCTL_LPE | IGB_RCTL_BAM | IGB_RCTL_SECRC | IGB_RCTL_VFE));
	igb_wr(hw, IGB_IMS, (u32)(IGB_ICR_LSC | IGB_ICR_VMMB | IGB_ICR_DRSTA | IGB_ICR_DOUTSYNC));
	igb_set(hw, IGB_CTRL_EXT, IGB_CTRL_EXT_PFRSTD); /* last */
}

u32 igb_link_mbps(struct igb_hw *hw)
{
	static const u16 mbps[4] = { 10, 100, 1000, 1000 };
	u32 s = igb_rd(hw, IGB_STATUS);

	/* All ones: the function is gone. */
	return s != ~0u && (s & IGB_STATUS_LU) ? mbps[IGB_STATUS_SPEED(s)] : 0;
}

/* ---- address and VLAN filters ---------------------------------------------------------- */

static void write_rar(struct igb_hw *hw, u32 i)
{
	const struct igb_rar *r = &hw->rar[i];
	u32 low = (u32)(r->mac[0] | r->mac[1] << 8 | r->mac[2] << 16) | (u32)r->mac[3] << 24;
	u32 high = (u32)(r->mac[4] | r->mac[5] << 8) | (u32)r->pools << 18;

	/* Invalid while the two halves do not belong together. */
	if (!r->pools || igb_rd(hw, IGB_RAL(i)) != low) {
		igb_wr(hw, IGB_RAH(i), 0);
		igb_wr(hw, IGB_RAL(i), r->pools ? low : 0);
	}
	if (r->pools)
		igb_wr(hw, IGB_RAH(i), high | (u32)IGB_RAH_AV);
}

static struct igb_rar *find_rar(struct igb_hw *hw, const u8 *mac)
{
	for (u32 i = 0; i < IGB_RARS; i++)
		if (hw->rar[i].pools && memcmp(hw->rar[i].mac, mac, 6) == 0)
			return &hw->rar[i];
	return NULL;
}

int igb_rar_add(struct igb_hw *hw, const u8 *mac, u8 pool)
{
	struct igb_rar *r = find_rar(hw, mac);

	for (u32 i = 0; !r && i < IGB_RARS; i++) {
		if (hw->rar[i].pools)
			continue;
		r = &hw->rar[i];
		memcpy(r->mac, mac, 6);
	}
	if (!r)
		return -ENOSPC;
	r->pools |= (u8)BIT(pool);
	write_rar(hw, (u32)(r - hw->rar));
	return 0;
}

void igb_rar_remove(struct igb_hw *hw, const u8 *mac, u8 pool)
{
	struct igb_rar *r = find_rar(hw, mac);

	if (!r)
		return;
	r->pools &= (u8)~BIT(pool);
	write_rar(hw, (u32)(r - hw->rar));
}

int igb_rar_move(struct igb_hw *hw, const u8 *mac, u8 from, u8 to)
{
	struct igb_rar *r = find_rar(hw, mac);

	if (!r || !(r->pools & BIT(from)))
		return -ENOENT;
	r->pools = (u8)((r->pools & ~BIT(from)) | BIT(to));
	write_rar(hw, (u32)(r - hw->rar));
	return 0;
}

static void write_vlvf(struct igb_hw *hw, u32 i)
{
	const struct igb_vlvf *v = &hw->vlvf[i];
	u32 word = v->vid / 32u, bit = 1u << v->vid % 32, old = igb_rd(hw, IGB_VFTA(word));

	igb_wr(hw, IGB_VFTA(word), v->pools ? old | bit : old & ~bit);
	igb_wr(hw, IGB_VLVF(i),
	       v->pools ? (u32)IGB_VLVF_EN | v->vid | (u32)v->pools << 12 : 0);
}

static struct igb_vlvf *find_vlvf(struct igb_hw *hw, u16 vid)
{
	for (u32 i = 0; i < IGB_VLVFS; i++)
		if (hw->vlvf[i].pools && hw->vlvf[i].vid == vid)
			return &hw->vlvf[i];
	return NULL;
}

int igb_vlan_add(struct igb_hw *hw, u16 vid, u8 pool)
{
	struct igb_vlvf *v = find_vlvf(hw, vid);

	for (u32 i = 0; !v && i < IGB_VLVFS; i++) {
		if (hw->vlvf[i].pools)
			continue;
		v = &hw->vlvf[i];
		v->vid = vid;
	}
	if (!v)
		return -ENOSPC;
	v->pools |= (u8)BIT(pool);
	write_vlvf(hw, (u32)(v - hw->vlvf));
	return 0;
}

void igb_vlan_remove(struct igb_hw *hw, u16 vid, u8 pool)
{
	struct igb_vlvf *v = find_vlvf(hw, vid);

	if (!v)
		return;
	v->pools &= (u8)~BIT(pool);
	write_vlvf(hw, (u32)(v - hw->vlvf));
}
