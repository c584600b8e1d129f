/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Free pools ("virtual machine device queues"). Intel 82576 data sheet §7.10.3.
 */
#include "devices/sriov/igb/igb_pool.h"

#include "devices/sriov/igb/igb_priv.h"
#include "kernel/base/assert.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define STOP_US 20000u
#define STEP_US 10u

/* 2 KiB buffers as far as the NIC knows; what it writes is bounded by the pool's frame length. */
#define SRRCTL ((u32)IGB_SRRCTL_DROP | IGB_SRRCTL_ONE_BUF | IGB_BUF / 1024)

int igb_pool_take(struct igb_hw *hw, const u8 *mac, u8 *pool)
{
	u8 n = (u8)(hw->pf_pool + 1u);
	int rc;

	while (n < IGB_POOLS && (hw->pools >> n & 1))
		n++;
	if (n == IGB_POOLS)
		return -ENOSPC;
	rc = igb_rar_add(hw, mac, n);
	if (rc)
		return rc;
	hw->pools |= (u8)BIT(n);
	igb_wr(hw, IGB_VMOLR(n),
	       (u32)(IGB_VMOLR_STRCRC | IGB_VMOLR_STRVLAN | IGB_VMOLR_AUPE | IGB_VMOLR_LPE) |
		       IGB_POOL_FRAME);
	igb_set(hw, IGB_VFRE, BIT(n));
	*pool = n;
	return 0;
}

void igb_pool_return(struct igb_hw *hw, const u8 *mac, u8 pool)
{
	igb_rar_remove(hw, mac, pool);
	igb_clear(hw, IGB_VFRE, BIT(pool));
	igb_wr(hw, IGB_VMOLR(pool), (u32)IGB_VMOLR_STRCRC);
	hw->pools &= (u8)~BIT(pool);
}

void igb_pool_start(struct igb_hw *hw, u8 pool, iova_t dma, u8 vector)
{
	igb_wr(hw, IGB_RDBAL(pool), (u32)dma);
	igb_wr(hw, IGB_RDBAH(pool), (u32)(dma >> 32));
	igb_wr(hw, IGB_RDLEN(pool), IGB_POSTS * IGB_DESC_BYTES);
	igb_wr(hw, IGB_SRRCTL(pool), SRRCTL);
	igb_wr(hw, IGB_RDH(pool), 0);
	igb_wr(hw, IGB_RDT(pool), 0);
	igb_wr(hw, IGB_IVAR(pool), IGB_IVAR_VALID | vector);
	igb_wr(hw, IGB_RXDCTL(pool), (u32)IGB_QUEUE_ON);
}

int igb_pool_stop(struct igb_hw *hw, u8 pool)
{
	igb_wr(hw, IGB_RXDCTL(pool), 0);
	for (u32 us = 0; us < STOP_US; us += STEP_US) {
		if (!(igb_rd(hw, IGB_RXDCTL(pool)) & IGB_QUEUE_ON))
			return 0;
		hw->env.delay_us(hw->env.ctx, STEP_US);
	}
	return -ETIMEDOUT;
}

void igb_posts_init(struct igb_posts *q, const struct igb_ring_mem *m)
{
	memset(q, 0, sizeof(*q));
	q->m = *m;
	memset(m->desc, 0, IGB_POSTS * IGB_DESC_BYTES);
}

void igb_posts_add(struct igb_posts *q, iova_t dma)
{
	u64 *d = q->m.desc + (size_t)q->tail * 2;

	ASSERT(igb_posts_count(q) < IGB_POSTS - 1);
	q->given[q->tail] = dma != 0;
	d[1] = 0;
	d[0] = dma ? dma : q->m.buf_dma + (u64)q->tail * IGB_BUF;
	q->tail = (q->tail + 1) % IGB_POSTS;
}

bool igb_posts_next(struct igb_posts *q, bool *given, u32 *len, struct frame *f,
		    struct virtq_seg *seg)
{
	u32 i = q->next;

	if (!igb_posts_count(q) ||
	    !igb_rx_slot(q->m.desc + (size_t)i * 2, q->m.buf + (size_t)i * IGB_BUF,
			 q->given[i] ? NULL : f, seg, len))
		return false;
	*given = q->given[i];
	q->next = (i + 1) % IGB_POSTS;
	return true;
}
