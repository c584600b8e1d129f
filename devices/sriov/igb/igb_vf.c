/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 82576: the VFs' pools, seen from the physical function.
 */
#include "devices/sriov/igb/igb_hw.h"
#include "devices/sriov/igb/igb_priv.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define QUEUE_STOP_US 100000u
#define STEP_US 100u
#define MBPS 1000000u
#define PROBE_BYTES 128u
#define PROBE_HEAD 3u
/* Factor of the rate limiter: link speed / rate, 14 bits before and 14 behind the point. */
#define RATE_POINT 14
#define RATE_MAX (MASK(27, 0))

#define VMBMEM_WORDS 16u

static void write_vmolr(struct igb_hw *hw, u8 n)
{
	const struct igb_vf *v = &hw->vf[n];
	u64 w = IGB_VMOLR_STRCRC | IGB_VMOLR_BAM | IGB_VMOLR_LPE | v->max_frame;

	/* With a port VLAN nothing untagged comes in, and the tag is nobody's business. */
	w |= v->vlan ? IGB_VMOLR_STRVLAN : IGB_VMOLR_AUPE;
	if (v->hashes)
		w |= IGB_VMOLR_ROMPE;
	if (v->all_multi)
		w |= IGB_VMOLR_ROMPE | IGB_VMOLR_MPME;
	if (v->diverted) /* its own are decided by the address filter alone */
		w &= ~(IGB_VMOLR_BAM | IGB_VMOLR_ROMPE | IGB_VMOLR_MPME);
	igb_wr(hw, IGB_VMOLR(n), v->used ? (u32)w : (u32)IGB_VMOLR_STRCRC);
}

/*
 * The hash table is the physical function's (all ones, igb_start()); a VF that listed addresses
 * gets the groups of others too, as on any hash filter, and drops them in its driver.
 */
void igb_vf_update(struct igb_hw *hw, u8 n)
{
	write_vmolr(hw, n);
}

static void set_checks(struct igb_hw *hw, u8 n, bool on)
{
	u32 bits = (u32)(IGB_DTXSWC_MAC(n) | IGB_DTXSWC_VLAN(n));

	hw->dtxswc = on ? hw->dtxswc | bits : hw->dtxswc & ~bits;
	igb_wr(hw, IGB_DTXSWC, hw->dtxswc);
}

static void set_queues(struct igb_hw *hw, u8 n, bool on)
{
	if (on) {
		igb_set(hw, IGB_VFTE, BIT(n));
		igb_set(hw, IGB_VFRE, BIT(n));
	} else {
		igb_clear(hw, IGB_VFTE, BIT(n));
		igb_clear(hw, IGB_VFRE, BIT(n));
	}
}

void igb_vf_set_rate(struct igb_hw *hw, u8 n, u64 bps)
{
	u64 link = (u64)IGB_LINK_MBPS * MBPS, factor = bps ? (link << RATE_POINT) / bps : 0;
	u32 word = 0;

	if (bps && bps < link)
		word = (u32)(IGB_RTT_ON | min_u64(factor, RATE_MAX));
	igb_wr(hw, IGB_RTTBCNRM, IGB_RTT_MEMORY);
	for (u32 q = n; q < IGB_QUEUES; q += 8) {
		igb_wr(hw, IGB_RTTDQSEL, q);
		igb_wr(hw, IGB_RTTBCNRC, word);
	}
	hw->vf[n].rate_bps = bps;
}

static void forget_vlans(struct igb_hw *hw, u8 n)
{
	struct igb_vf *v = &hw->vf[n];

	for (u32 i = 0; i < IGB_VF_VLANS; i++) {
		if (v->vlans[i])
			igb_vlan_remove(hw, v->vlans[i], n);
		v->vlans[i] = 0;
	}
}

void igb_vf_forget(struct igb_hw *hw, u8 n)
{
	struct igb_vf *v = &hw->vf[n];

	set_queues(hw, n, false);
	forget_vlans(hw, n);
	v->cts = false;
	v->all_multi = false;
	v->hashes = 0;
	v->max_frame = IGB_STD_FRAME;
	write_vmolr(hw, n);
}

void igb_vf_hw_reset(struct igb_hw *hw, u8 n)
{
	igb_vf_forget(hw, n);
	igb_wr(hw, IGB_VF_CTRL(n), (u32)IGB_VF_CTRL_RST);
	(void)igb_rd(hw, IGB_STATUS); /* it has happened */
	igb_wr(hw, IGB_VFLRE, (u32)BIT(n));
}

void igb_vf_open(struct igb_hw *hw, u8 n)
{
	hw->vf[n].cts = true;
	set_queues(hw, n, true);
}

int igb_vf_give(struct igb_hw *hw, u8 n, const struct igb_vf *policy)
{
	struct igb_vf *v = &hw->vf[n];
	int rc;

	if (n >= hw->vfs || (policy->mac[0] & 1) || policy->vlan > 4094)
		return -EINVAL;
	if (v->used)
		return -EBUSY;
	rc = igb_rar_add(hw, policy->mac, n);
	if (rc)
		return rc;
	if (policy->vlan)
		rc = igb_vlan_add(hw, policy->vlan, n);
	if (rc)
		goto out_rar;
	*v = (struct igb_vf){ .used = true,
			      .vlan = policy->vlan,
			      .promisc = policy->promisc,
			      .trunk = policy->trunk && !policy->vlan };
	memcpy(v->mac, policy->mac, 6);
	igb_vf_forget(hw, n);
	igb_wr(hw, IGB_VMVIR(n), policy->vlan ? (u32)IGB_VMVIR_ALWAYS | policy->vlan : 0);
	set_checks(hw, n, true);
	igb_vf_set_rate(hw, n, policy->rate_bps);
	return 0;
out_rar:
	igb_rar_remove(hw, policy->mac, n);
	return rc;
}

int igb_vf_private(struct igb_hw *hw, u8 n, const u8 *mac, bool on)
{
	int rc = on ? igb_rar_add(hw, mac, n) : 0;

	if (rc)
		return rc;
	if (!on)
		igb_rar_remove(hw, mac, n);
	igb_wr(hw, IGB_VMOLR(n),
	       (u32)IGB_VMOLR_STRCRC | (on ? (u32)IGB_VMOLR_AUPE | IGB_STD_FRAME : 0));
	set_queues(hw, n, on);
	return 0;
}

int igb_vf_divert(struct igb_hw *hw, u8 n, bool on, bool uplink)
{
	struct igb_vf *v = &hw->vf[n];

	v->diverted = on;
	write_vmolr(hw, n);
	if (on)
		return uplink ? igb_rar_move(hw, v->mac, n, hw->pf_pool) : 0;
	if (igb_rar_move(hw, v->mac, hw->pf_pool, n)) /* not, or no more, the uplink's */
		return igb_rar_add(hw, v->mac, n);
	return 0;
}

void igb_vf_take(struct igb_hw *hw, u8 n)
{
	struct igb_vf *v = &hw->vf[n];

	if (!v->used)
		return;
	igb_vf_forget(hw, n);
	for (u32 i = 0; i < IGB_RARS; i++) /* its own and what it was lent */
		if (hw->rar[i].pools & BIT(n))
			igb_rar_remove(hw, hw->rar[i].mac, n);
	if (v->vlan)
		igb_vlan_remove(hw, v->vlan, n);
	igb_vf_set_rate(hw, n, 0);
	igb_wr(hw, IGB_VMVIR(n), 0);
	memset(v, 0, sizeof(*v));
	write_vmolr(hw, n);
	/* The checks stay on: nothing may leave by a pool that is nobody's. */
}

/* ---- cleaning -------------------------------------------------------------------------- */

static bool queue_stopped(struct igb_hw *hw, u32 q)
{
	igb_wr(hw, IGB_RXDCTL(q), 0);
	igb_wr(hw, IGB_TXDCTL(q), 0);
	for (u32 us = 0; us < QUEUE_STOP_US; us += STEP_US) {
		if (!((igb_rd(hw, IGB_RXDCTL(q)) | igb_rd(hw, IGB_TXDCTL(q))) & IGB_QUEUE_ON))
			return true;
		hw->env.delay_us(hw->env.ctx, STEP_US);
	}
	return false;
}

static void clear_queue(struct igb_hw *hw, u32 q)
{
	const u32 regs[] = { IGB_SRRCTL(q), IGB_RXCTL(q),  IGB_TXCTL(q), IGB_TDWBAL(q),
			     IGB_RQDPC(q),  IGB_TDWBAH(q), IGB_RDBAL(q), IGB_RDBAH(q),
			     IGB_RDLEN(q),  IGB_RDH(q),    IGB_RDT(q),   IGB_TDBAL(q),
			     IGB_TDBAH(q),  IGB_TDLEN(q),  IGB_TDH(q),   IGB_TDT(q) };

	for (u32 i = 0; i < ARRAY_SIZE(regs); i++)
		igb_wr(hw, regs[i], 0);
}

/* Bytes of the vector allocation: 0, 1 of queue n's register, 2, 3 of queue n + 8's. */
static void clear_interrupts(struct igb_hw *hw, u8 n)
{
	u32 bits = IGB_VF_EICR(n);

	igb_wr(hw, IGB_EIMC, bits);
	igb_clear(hw, IGB_EIAC, bits);
	igb_clear(hw, IGB_EIAM, bits);
	igb_wr(hw, IGB_EICR, bits);
	igb_wr(hw, IGB_IVAR(n), 0);
	igb_wr(hw, IGB_VTIVAR(n), 0);
	igb_wr(hw, IGB_VTIVAR_MISC(n), 0);
	for (u32 i = 0; i < 3; i++)
		igb_wr(hw, IGB_EITR(IGB_VF_EITR(n) + i), 0);
}

int igb_vf_clean(struct igb_hw *hw, u8 n)
{
	u32 second = IGB_VF_QUEUE2(n);

	if (n >= hw->vfs)
		return -EINVAL;
	set_queues(hw, n, false);
	if (!queue_stopped(hw, n) || !queue_stopped(hw, second))
		return -ETIMEDOUT;
	clear_queue(hw, n);
	clear_queue(hw, second);
	clear_interrupts(hw, n);
	igb_wr(hw, IGB_PSRTYPE(n), 0);
	igb_wr(hw, IGB_P2VMAILBOX(n), (u32)IGB_P2V_RVFU);
	for (u32 i = 0; i < VMBMEM_WORDS; i++)
		igb_wr(hw, IGB_VMBMEM(n) + 4 * i, 0);
	igb_wr(hw, IGB_MBVFICR, (u32)(BIT(n) | BIT(16 + n)));
	igb_wr(hw, IGB_VFLRE, (u32)BIT(n));
	return 0;
}

static bool head_sticks(struct igb_hw *hw, u32 len, u32 head, u32 ctl)
{
	igb_wr(hw, len, PROBE_BYTES);
	igb_wr(hw, head, PROBE_HEAD);
	igb_wr(hw, ctl, (u32)IGB_QUEUE_ON);
	hw->env.delay_us(hw->env.ctx, STEP_US);
	return igb_rd(hw, head) == PROBE_HEAD;
}

enum igb_head igb_head_probe(struct igb_hw *hw, u8 n)
{
	bool rx = head_sticks(hw, IGB_RDLEN(n), IGB_RDH(n), IGB_RXDCTL(n));
	bool tx = head_sticks(hw, IGB_TDLEN(n), IGB_TDH(n), IGB_TXDCTL(n));

	return igb_vf_clean(hw, n) == 0 && rx && tx ? IGB_HEAD_WRITE : IGB_HEAD_DUMMY;
}

u32 igb_ack_events(struct igb_hw *hw)
{
	u32 bits = igb_rd(hw, IGB_VFLRE) & (u32)(BIT(hw->vfs) - 1);

	if (bits)
		igb_wr(hw, IGB_VFLRE, bits);
	/* Mailboxes are served in software: what comes by the hardware's is stale. */
	igb_wr(hw, IGB_MBVFICR, igb_rd(hw, IGB_MBVFICR));
	return bits;
}
