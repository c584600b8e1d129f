/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings of a VF whose hardware does not answer any more: the descriptors in the guest's memory tell
 * where they stand. Intel 82576 data sheet §7.1.5, §7.2.2.
 */
#include "devices/sriov/vf_twin.h"

#include "kernel/base/bits.h"

#define ENABLE BIT(25)
#define DESC   16u
#define DD     BIT(0)
#define LONGEST 4096u /* that is searched: stock drivers have none that is longer */

#define SRRCTL_KIND(s) ((s) >> 25 & 7)
#define ONE_BUFFER     1u

#define TX_RS	   BIT(27)
#define TX_KIND(c) ((c) >> 20 & 0xf)
#define TX_CONTEXT 2u

static bool running(const u32 *ring)
{
	return (ring[VF_DCTL] & ENABLE) && ring[VF_LEN] >= DESC;
}

/*
 * Not the hardware's: it was written back (what is left of that are status or length), and is not
 * posted again, or it was never used.
 */
static bool rx_taken(struct vf_twin *t, u32 i)
{
	bool one = SRRCTL_KIND(t->rx[VF_SRRCTL]) == ONE_BUFFER;
	u32 d[4];

	return !vf_twin_desc(t, t->rx, i, d) || (d[2] & DD) || (!d[0] && !d[1]) ||
	       (!d[2] && (!one || (d[3] & 0xffff)));
}

/* Drivers do not post the descriptor before the one that they look at next. */
static bool find_rx(struct vf_twin *t, u32 n)
{
	u32 from = 0, runs = 0, head = 0, end = 0;
	bool before = true;

	if (n > LONGEST)
		return false;
	while (from < n && !rx_taken(t, from))
		from++;
	for (u32 k = 1; from < n && k <= n; k++) {
		u32 i = (from + k) % n;
		bool taken = rx_taken(t, i);

		if (before && !taken) {
			head = i;
			runs++;
		} else if (!before && taken) {
			end = i;
		}
		before = taken;
	}
	if (runs != 1)
		return false;
	t->rx[VF_HEAD] = head;
	t->rx[VF_TAIL] = (end + n - 1) % n; /* the last one may be half written */
	return true;
}

enum tx_kind {
	TX_FREE,  /* sent, or nothing */
	TX_WAITS, /* the last one of what is to be sent */
	TX_PART,  /* belongs to the next one that is neither */
};

static enum tx_kind tx_kind(struct vf_twin *t, u32 i)
{
	u32 d[4];

	if (!vf_twin_desc(t, t->tx, i, d))
		return TX_FREE;
	if (d[2] & TX_RS)
		return !d[3] || (d[3] & DD) ? TX_FREE : TX_WAITS;
	return !d[3] && TX_KIND(d[2]) != TX_CONTEXT ? TX_FREE : TX_PART;
}

/* The one run of frames that wait. */
static bool find_tx(struct vf_twin *t, u32 n, u32 *head, u32 *tail)
{
	u32 from = 0, runs = 0, start;
	bool inside = false;

	if (n > LONGEST)
		return false;
	while (from < n && tx_kind(t, from) != TX_FREE)
		from++;
	start = from + 1;
	for (u32 k = 1; from < n && k <= n; k++) {
		u32 i = (from + k) % n;
		enum tx_kind kind = tx_kind(t, i);

		if (kind == TX_FREE) {
			start = i + 1;
			inside = false;
		} else if (kind == TX_WAITS) {
			if (!inside) {
				*head = start % n;
				runs++;
			}
			inside = true;
			*tail = (i + 1) % n;
		}
	}
	return runs == 1;
}

void vf_twin_recover(struct vf_twin *t)
{
	u32 head, tail;

	t->lost = 0;
	if (running(t->rx) && !find_rx(t, t->rx[VF_LEN] / DESC)) {
		t->rx[VF_HEAD] = t->rx[VF_TAIL] = 0;
		t->lost |= VF_LOST_RX;
	}
	if (running(t->tx)) {
		t->tx[VF_HEAD] = t->tx[VF_TAIL] = 0;
		if (find_tx(t, t->tx[VF_LEN] / DESC, &head, &tail))
			vf_twin_drop(t, head, tail);
		else
			t->lost |= VF_LOST_TX;
	}
	/* A vector that masked itself may never have come. */
	t->irq[VF_EIMS] |= t->irq[VF_EIAM] | t->irq[VF_EIAC];
	t->irq[VF_EICR] = 0;
}

void vf_twin_recover_tail(struct vf_twin *t, bool tx)
{
	u32 *ring = tx ? t->tx : t->rx, n = ring[VF_LEN] / DESC, told = ring[VF_TAIL], last;
	bool found = told < n && (tx ? find_tx(t, n, &ring[VF_HEAD], &last) : find_rx(t, n));

	ring[VF_TAIL] = told;
	if (found)
		t->lost &= (u8)~(tx ? VF_LOST_TX : VF_LOST_RX);
	else
		ring[VF_HEAD] = told;
}
