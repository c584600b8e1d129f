/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue whose head cannot be written is brought to a place in its ring by descriptors of no
 * effect: in a domain of its own the VF sees, where the driver's rings lie, a page of those; it
 * gets small frames for a private address through the NIC's own switch, and sends nothing. Intel
 * 82576 data sheet §7.2.2.3.
 */
#include "arch/x86/io.h"
#include "devices/net/net.h"
#include "devices/sriov/igb/igb_guest_priv.h"
#include "iommu/iommu.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"

#define CHUNK	    64u /* descriptors in one go: the page holds each once */
#define CHUNK_US    20000u
#define STEP_US	    5u
#define DESC	    16u
#define FRAME	    60u
#define TX_CONTEXT  0x20200000u /* a context: nothing is sent */
#define QUEUE_ON    BIT(25)
#define DEVICE_TYPE 0x88b5u /* for local experiments */

/* The one that is under way: control does one change at a time. */
static struct {
	struct iommu_domain *domain;
	hpa_t descs, buf;
	iova_t buf_at;
	u32 rx[VF_TWIN_RING], tx[VF_TWIN_RING]; /* as the rings were set up */
	u16 bdf;
	bool attached;
} d;

static u64 base(const u32 *ring)
{
	return (u64)ring[VF_BAH] << 32 | ring[VF_BAL];
}

static bool runs(const u32 *ring)
{
	return (ring[VF_DCTL] & QUEUE_ON) && ring[VF_LEN] >= DESC;
}

static const u8 *private_mac(u8 n)
{
	static u8 mac[6] = { 0x02, 'd', 'u', 'm', 'y' };

	mac[5] = n;
	return mac;
}

/* Pages of both rings may be the same ones. */
static int map_ring(const u32 *ring)
{
	u64 at = align_down(base(ring), PAGE_SIZE);
	int rc = 0;

	for (; runs(ring) && at < base(ring) + ring[VF_LEN] && !rc; at += PAGE_SIZE) {
		rc = iommu_map(d.domain, at, d.descs, PAGE_SIZE, PG_R | PG_W);
		if (rc == -EEXIST)
			rc = 0;
	}
	return rc;
}

static int map_buffer(void)
{
	u64 left;
	hpa_t hpa;

	while (iommu_lookup(d.domain, d.buf_at, &hpa, &left) == 0)
		d.buf_at += PAGE_SIZE;
	return iommu_map(d.domain, d.buf_at, d.buf, PAGE_SIZE, PG_R | PG_W);
}

static void set_up(const u32 *ring, volatile u8 *regs)
{
	static const u8 order[] = { VF_BAL, VF_BAH, VF_LEN, VF_SRRCTL, VF_DCTL };

	for (u32 i = 0; runs(ring) && i < ARRAY_SIZE(order); i++)
		mmio_write32(regs + 4u * order[i], ring[order[i]]);
}

static int private_path(struct igb *g, u8 n, bool on)
{
	int rc;

	spin_lock(&g->lock);
	rc = igb_vf_private(&g->hw, n, private_mac(n), on);
	spin_unlock(&g->lock);
	return rc;
}

static void set_master(bool on)
{
	u32 command = pci_read(d.bdf, PCI_COMMAND, 2) & ~(u32)PCI_COMMAND_MASTER;

	pci_write(d.bdf, PCI_COMMAND, 2, command | (on ? PCI_COMMAND_MASTER : 0));
}

static void snapshot(struct igb_guest *v, u32 *rx, u32 *tx)
{
	(void)net_lock();
	memcpy(rx, v->twin.rx, sizeof(v->twin.rx));
	memcpy(tx, v->twin.tx, sizeof(v->twin.tx));
	net_unlock();
}

int igb_dummy_begin(struct igb_guest *v, struct igb *g, u8 n, volatile u8 *bar)
{
	const struct iommu_client client = { .name = v->vm->name, .account = &v->vm->owner };
	int rc = frame_alloc(&v->vm->owner, &d.descs);

	snapshot(v, d.rx, d.tx);
	d.bdf = sriov_vf_bdf(&g->sriov, n);
	if (!rc)
		rc = frame_alloc(&v->vm->owner, &d.buf);
	if (!rc)
		rc = iommu_domain_create(&client, &d.domain);
	if (!rc)
		rc = map_ring(d.rx);
	if (!rc)
		rc = map_ring(d.tx);
	if (!rc)
		rc = map_buffer();
	if (!rc)
		rc = iommu_attach(d.domain, d.bdf);
	d.attached = !rc;
	if (rc)
		return rc;
	set_master(true);
	set_up(d.rx, bar + IGB_VF_RX);
	set_up(d.tx, bar + IGB_VF_TX);
	return private_path(g, n, true);
}

/* The page full of them; what the device wrote back there is gone. */
static void refill(u64 first, u64 second)
{
	u64 *p = phys_to_virt(d.descs);

	for (u32 i = 0; i < PAGE_SIZE / sizeof(*p); i += 2) {
		p[i] = first;
		p[i + 1] = second;
	}
}

static void send_frames(struct igb *g, u8 n, u32 count)
{
	struct netbe nic = igb_netbe(g);
	struct frame f = { .head_len = FRAME };

	memcpy(f.head, private_mac(n), 6);
	memcpy(f.head + 6, g->hw.mac, 6);
	f.head[12] = DEVICE_TYPE >> 8;
	f.head[13] = DEVICE_TYPE & 0xff;
	(void)net_lock();
	while (count--) /* one that finds no room is missed below */
		(void)nic.ops->send(nic.ctx, &f);
	nic.ops->flush(nic.ctx);
	net_unlock();
}

static int advance(volatile u8 *regs, const u32 *ring, u32 to, struct igb *g, u8 n)
{
	u32 slots = ring[VF_LEN] / DESC, at = runs(ring) ? mmio_read32(regs + 4 * VF_HEAD) : to;

	while (at != to) {
		u32 part = (u32)min_u64((to + slots - at) % slots, CHUNK), us = 0;

		at = (at + part) % slots;
		refill(g ? d.buf_at : 0, g ? d.buf_at : TX_CONTEXT);
		mmio_write32(regs + 4 * VF_TAIL, at);
		if (g)
			send_frames(g, n, part);
		while (mmio_read32(regs + 4 * VF_HEAD) != at) {
			if (us >= CHUNK_US)
				return -ETIMEDOUT;
			delay_us(STEP_US);
			us += STEP_US;
		}
	}
	return 0;
}

/* Where 'now' has got to is a place of the ring that was set up? */
static bool inside(const u32 *now, const u32 *ring)
{
	return runs(now) == runs(ring) &&
	       (!runs(ring) || (base(now) == base(ring) && now[VF_LEN] == ring[VF_LEN] &&
				now[VF_HEAD] < ring[VF_LEN] / DESC));
}

int igb_dummy_advance(struct igb_guest *v, struct igb *g, u8 n, volatile u8 *bar)
{
	u32 rx[VF_TWIN_RING], tx[VF_TWIN_RING];
	int rc;

	snapshot(v, rx, tx);
	if (!inside(rx, d.rx) || !inside(tx, d.tx))
		return -EBUSY;
	rc = advance(bar + IGB_VF_RX, d.rx, rx[VF_HEAD], g, n);
	return rc ? rc : advance(bar + IGB_VF_TX, d.tx, tx[VF_HEAD], NULL, n);
}

int igb_dummy_end(struct igb_guest *v, struct igb *g, u8 n)
{
	int rc = private_path(g, n, false), err;

	if (d.attached) {
		set_master(false);
		err = iommu_detach(d.bdf);
		rc = rc ? rc : err;
	}
	err = iommu_domain_destroy(d.domain);
	if (err) { /* table and pages stay, blocked */
		log_err("nic %s: VF %u: its own domain is not given back: %s", g->name, n,
			err_name(err));
		memset(&d, 0, sizeof(d));
		return err;
	}
	if (d.buf)
		frame_free(&v->vm->owner, d.buf);
	if (d.descs)
		frame_free(&v->vm->owner, d.descs);
	memset(&d, 0, sizeof(d));
	return rc;
}
