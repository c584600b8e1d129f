/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of an 82576 as far as its driver's logic depends on them: self-clearing and
 * write-1-to-clear bits, reset values, queues that stop (or do not), a PHY.
 */
#ifndef TESTS_UNIT_IGB_MODEL_H
#define TESTS_UNIT_IGB_MODEL_H

#include <string.h>

#include "devices/sriov/igb/igb_hw.h"

struct igb_model {
	u32 reg[IGB_BAR_LEN / 4];
	u64 us;
	unsigned resets, writes;
	bool stuck_queue; /* ENABLE never clears */
	bool heads_read_only, heads_reset; /* by ENABLE, as relatives of the 82576 do */
	bool dead_phy, no_mac;
	u32 rate_queue;
	u32 rate[IGB_QUEUES];
	/* What an intermediate state showed: a filter valid with a half-written address. */
	unsigned torn_filters;
};

static inline u32 *igb_model_reg(struct igb_model *m, u32 off)
{
	CHECK(off < IGB_BAR_LEN && off % 4 == 0);
	return &m->reg[off / 4];
}

static inline void igb_model_power_on(struct igb_model *m)
{
	memset(m->reg, 0, sizeof(m->reg));
	if (!m->no_mac) {
		*igb_model_reg(m, IGB_RAL(0)) = 0x00005452;
		*igb_model_reg(m, IGB_RAH(0)) = 0x80000112;
	}
	*igb_model_reg(m, IGB_EECD) = (u32)IGB_EECD_AUTO_RD;
	*igb_model_reg(m, IGB_RXDCTL(0)) = 0x02000000;
	*igb_model_reg(m, IGB_TXDCTL(0)) = 0x02000000;
	*igb_model_reg(m, IGB_VFRE) = 0xff;
	*igb_model_reg(m, IGB_VFTE) = 0xff;
}

static inline u32 igb_model_rd(void *ctx, u32 off)
{
	struct igb_model *m = ctx;
	u32 v = *igb_model_reg(m, off);

	if (off == IGB_ICR)
		*igb_model_reg(m, off) = 0;
	return v;
}

static inline void igb_model_rar_check(struct igb_model *m, u32 off)
{
	for (u32 i = 0; i < IGB_RARS; i++)
		if (off == IGB_RAL(i) && (*igb_model_reg(m, IGB_RAH(i)) & IGB_RAH_AV))
			m->torn_filters++;
}

static inline void igb_model_wr(void *ctx, u32 off, u32 v)
{
	struct igb_model *m = ctx;
	u32 *r = igb_model_reg(m, off);

	m->writes++;
	igb_model_rar_check(m, off);
	if (off == IGB_CTRL && (v & IGB_CTRL_RST)) {
		m->resets++;
		igb_model_power_on(m);
		return;
	}
	if (off == IGB_VFLRE || off == IGB_MBVFICR || off == IGB_EICR) {
		*r &= ~v;
		return;
	}
	if (off == IGB_EIMC) {
		*igb_model_reg(m, IGB_EIMS) &= ~v;
		return;
	}
	if (off == IGB_EIMS) {
		*r |= v;
		return;
	}
	if (off == IGB_MDIC && !m->dead_phy)
		v |= (u32)IGB_MDIC_READY;
	if (off == IGB_RTTDQSEL)
		m->rate_queue = v;
	if (off == IGB_RTTBCNRC)
		m->rate[m->rate_queue % IGB_QUEUES] = v;
	for (u32 q = 0; q < IGB_QUEUES; q++) {
		if (m->heads_read_only && (off == IGB_RDH(q) || off == IGB_TDH(q)))
			return;
		if (m->heads_reset && (off == IGB_RXDCTL(q) || off == IGB_TXDCTL(q)) &&
		    (v & ~*r & IGB_QUEUE_ON))
			*igb_model_reg(m, off == IGB_RXDCTL(q) ? IGB_RDH(q) : IGB_TDH(q)) = 0;
	}
	for (u32 q = 0; q < IGB_QUEUES && m->stuck_queue; q++)
		if (off == IGB_RXDCTL(q))
			v |= *r & (u32)IGB_QUEUE_ON;
	*r = v;
}

static inline void igb_model_delay(void *ctx, u32 us)
{
	((struct igb_model *)ctx)->us += us;
}

#endif
