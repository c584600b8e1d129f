/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VF's rings and interrupts change hands. Heads count when the queues are off only, and a queue
 * looks at its tail when that is written and it is on.
 */
#include "devices/sriov/igb/igb_vfregs.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"

#define DRAIN_US 100u /* for what the driver has rung for: what is left then, the twin sends */
#define STOP_US	 100000u
#define STEP_US	 5u
#define EICS	 0x1520u
#define EIMS	 0x1524u
#define QUEUE_ON BIT(25)
#define AT(ring, reg) ((ring) + 4u * (reg))

/* Registers of page 1 that a VF has as the twin has them. */
static const struct {
	u16 off;
	u8 reg;
} int_regs[] = {
	{ 0x152c, VF_EIAC },	 { 0x1530, VF_EIAM },	  { 0x1680, VF_EITR },
	{ 0x1684, VF_EITR + 1 }, { 0x1688, VF_EITR + 2 }, { 0x1700, VF_IVAR },
	{ 0x1740, VF_IVAR_MISC },
};

/* Registers of a ring that a VF has; where it goes on comes after the rest. */
static const u8 ring_regs[] = { VF_BAL, VF_BAH, VF_LEN, VF_SRRCTL, VF_DCA, VF_WBAL, VF_WBAH };

static u32 rd(const struct igb_env *e, u32 off)
{
	return e->rd(e->ctx, off);
}

static void wr(const struct igb_env *e, u32 off, u32 value)
{
	e->wr(e->ctx, off, value);
}

static bool wait_for(const struct igb_env *e, u32 off, u32 bits, u32 want, u32 us)
{
	for (u32 t = 0; t < us; t += STEP_US) {
		if ((rd(e, off) & bits) == want)
			return true;
		e->delay_us(e->ctx, STEP_US);
	}
	return false;
}

int igb_vfregs_stop(const struct igb_env *e, bool drain)
{
	u32 tail = rd(e, AT(IGB_VF_TX, VF_TAIL)), rx, tx;

	if (drain)
		(void)wait_for(e, AT(IGB_VF_TX, VF_HEAD), ~0u, tail, DRAIN_US);
	rx = rd(e, AT(IGB_VF_RX, VF_DCTL));
	tx = rd(e, AT(IGB_VF_TX, VF_DCTL));
	wr(e, AT(IGB_VF_RX, VF_DCTL), rx & ~(u32)QUEUE_ON);
	wr(e, AT(IGB_VF_TX, VF_DCTL), tx & ~(u32)QUEUE_ON);
	return wait_for(e, AT(IGB_VF_RX, VF_DCTL), (u32)QUEUE_ON, 0, STOP_US) &&
			       wait_for(e, AT(IGB_VF_TX, VF_DCTL), (u32)QUEUE_ON, 0, STOP_US)
		       ? 0
		       : -ETIMEDOUT;
}

static void read_ring(const struct igb_env *e, u32 *ring, u32 regs)
{
	for (u32 i = 0; i < ARRAY_SIZE(ring_regs); i++)
		ring[ring_regs[i]] = rd(e, AT(regs, ring_regs[i]));
	ring[VF_HEAD] = rd(e, AT(regs, VF_HEAD));
	ring[VF_TAIL] = rd(e, AT(regs, VF_TAIL));
	ring[VF_DCTL] = rd(e, AT(regs, VF_DCTL));
}

void igb_vfregs_read(const struct igb_env *e, struct igb_vfregs *r)
{
	*r = (struct igb_vfregs){ .irq = { 0 } };
	read_ring(e, r->rx, IGB_VF_RX);
	read_ring(e, r->tx, IGB_VF_TX);
	for (u32 i = 0; i < ARRAY_SIZE(int_regs); i++)
		r->irq[int_regs[i].reg] = rd(e, int_regs[i].off);
}

static bool write_ring(const struct igb_env *e, const u32 *ring, u32 regs, bool placed)
{
	placed = placed && (ring[VF_DCTL] & QUEUE_ON);
	for (u32 i = 0; i < ARRAY_SIZE(ring_regs); i++)
		if (!placed || ring_regs[i] > VF_LEN)
			wr(e, AT(regs, ring_regs[i]), ring[ring_regs[i]]);
	if (!placed)
		wr(e, AT(regs, VF_HEAD), ring[VF_HEAD]);
	wr(e, AT(regs, VF_DCTL), ring[VF_DCTL]);
	return rd(e, AT(regs, VF_HEAD)) == ring[VF_HEAD];
}

bool igb_vfregs_write(const struct igb_env *e, const struct vf_twin *t, bool placed)
{
	for (u32 i = 0; i < ARRAY_SIZE(int_regs); i++)
		wr(e, int_regs[i].off, t->irq[int_regs[i].reg]);
	return write_ring(e, t->rx, IGB_VF_RX, placed) && write_ring(e, t->tx, IGB_VF_TX, placed);
}

void igb_vfregs_go(const struct igb_env *e, const struct vf_twin *t)
{
	wr(e, AT(IGB_VF_RX, VF_TAIL), t->rx[VF_TAIL]);
	wr(e, AT(IGB_VF_TX, VF_TAIL), t->tx[VF_TAIL]);
	wr(e, EIMS, t->irq[VF_EIMS]);
	wr(e, EICS, 3);
}
