/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI half of a model driver: finds the registers by their capabilities, negotiates, sets up
 * queues. And the surroundings of one device: BAR, interrupts.
 */
#ifndef TESTS_UNIT_VIRTIO_DRIVER_H
#define TESTS_UNIT_VIRTIO_DRIVER_H

#include "unit.h"

#include "devices/virtio/virtio_pci.h"
#include "vring_driver.h"

#define VP_BASE	   0xc1000000u
#define VP_VECTORS (VIRTIO_MAX_QUEUES + 1)

struct vp {
	struct virtio_dev *dev;
	struct vd_ram *ram;
	bool mapped, msix, line;
	u32 irqs[VP_VECTORS];
	u32 breaks;
	const char *why;
	u32 common, isr, device, notify, step; /* offsets in the BAR */
	u32 msix_cap, table;
	u64 features;
	struct vd vd[VIRTIO_MAX_QUEUES];
	gpa_t next; /* free RAM */
};

static void vp_map(void *ctx, unsigned bar, u64 base, u64 size)
{
	struct vp *p = ctx;

	CHECK(bar == VIRTIO_BAR && base == VP_BASE && size == VIRTIO_BAR_SIZE);
	p->mapped = true;
}

static void vp_unmap(void *ctx, unsigned bar, u64 base, u64 size)
{
	(void)bar, (void)base, (void)size;
	((struct vp *)ctx)->mapped = false;
}

/* The message of vector n is data 20h + n. */
static void vp_msi(void *ctx, u64 address, u32 data)
{
	CHECK(address == 0xfee00000 && data - 0x20 < VP_VECTORS);
	((struct vp *)ctx)->irqs[data - 0x20]++;
}

static void vp_intx(void *ctx, bool level)
{
	((struct vp *)ctx)->line = level;
}

static void vp_broken(void *ctx, unsigned queue, const char *why)
{
	struct vp *p = ctx;

	(void)queue;
	p->breaks++;
	p->why = why;
}

static inline struct virtio_env vp_env(struct vp *p)
{
	return (struct virtio_env){ .ctx = p,
				    .bar_map = vp_map,
				    .bar_unmap = vp_unmap,
				    .msi = vp_msi,
				    .intx = vp_intx,
				    .broken = vp_broken };
}

static inline void vp_write(struct vp *p, u32 off, unsigned size, u64 v)
{
	virtio_pci_bar(p->dev, off, size, true, &v);
}

static inline u64 vp_read(struct vp *p, u32 off, unsigned size)
{
	u64 v = 0;

	virtio_pci_bar(p->dev, off, size, false, &v);
	return v;
}

static inline void vp_msix(struct vp *p, bool on)
{
	p->msix = on;
	vcfg_write(&p->dev->cfg, p->msix_cap + 2, 2, on ? 0x8000 : 0);
}

/* Power on: BAR placed, bus master; the registers as the capabilities say. */
static inline void vp_probe(struct vp *p, struct virtio_dev *dev, struct vd_ram *ram)
{
	struct vcfg *c = &dev->cfg;
	u32 cap;

	p->dev = dev;
	p->ram = ram;
	p->next = 0x1000;
	CHECK_EQ(vcfg_read(c, 0, 2), 0x1af4);
	vcfg_write(c, PCI_BAR0, 4, VP_BASE);
	vcfg_write(c, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	CHECK(p->mapped);
	CHECK(vcfg_read(c, PCI_STATUS, 2) & PCI_STATUS_CAPS);
	for (cap = vcfg_read(c, PCI_CAP_POINTER, 1); cap; cap = vcfg_read(c, cap + 1, 1)) {
		u32 type = vcfg_read(c, cap + 3, 1), off = vcfg_read(c, cap + 8, 4);

		if (vcfg_read(c, cap, 1) == PCI_CAP_MSIX)
			p->msix_cap = cap, p->table = vcfg_read(c, cap + 4, 4) & ~7u;
		if (vcfg_read(c, cap, 1) != PCI_CAP_VENDOR)
			continue;
		if (type == 1)
			p->common = off;
		else if (type == 2)
			p->notify = off, p->step = vcfg_read(c, cap + 16, 4);
		else if (type == 3)
			p->isr = off;
		else if (type == 4)
			p->device = off;
	}
	CHECK(p->step && p->isr && p->notify && p->msix_cap);
	for (u32 i = 0; p->msix && i < (vcfg_read(c, p->msix_cap + 2, 2) & 0x7ff) + 1; i++) {
		vp_write(p, p->table + i * 16, 4, 0xfee00000);
		vp_write(p, p->table + i * 16 + 8, 4, 0x20 + i);
		vp_write(p, p->table + i * 16 + 12, 4, 0);
	}
	vp_msix(p, p->msix);
}

static inline u64 vp_offered(struct vp *p)
{
	u64 f;

	vp_write(p, p->common, 4, 0);
	f = vp_read(p, p->common + 4, 4);
	vp_write(p, p->common, 4, 1);
	return f | vp_read(p, p->common + 4, 4) << 32;
}

/* Up to FEATURES_OK; false: the device refuses. */
static inline bool vp_negotiate(struct vp *p, u64 features)
{
	p->features = features;
	vp_write(p, p->common + 0x14, 1, 0);
	CHECK_EQ(vp_read(p, p->common + 0x14, 1), 0);
	vp_write(p, p->common + 0x14, 1, 1);
	vp_write(p, p->common + 0x14, 1, 3);
	vp_write(p, p->common + 8, 4, 0);
	vp_write(p, p->common + 0xc, 4, (u32)features);
	vp_write(p, p->common + 8, 4, 1);
	vp_write(p, p->common + 0xc, 4, features >> 32);
	vp_write(p, p->common + 0x14, 1, 0xb);
	return (vp_read(p, p->common + 0x14, 1) & 8) != 0;
}

static inline gpa_t vp_alloc(struct vp *p, u32 bytes)
{
	gpa_t g = p->next;

	p->next += (bytes + 63u) & ~63u;
	CHECK(p->next <= p->ram->pages * 4096ull);
	return g;
}

static inline void vp_queue(struct vp *p, unsigned i, u16 size)
{
	struct virtq_setup s = { .size = size,
				 .packed = (p->features >> VIRTIO_F_RING_PACKED & 1) != 0,
				 .event_idx = (p->features >> VIRTIO_F_EVENT_IDX & 1) != 0,
				 .indirect = (p->features >> VIRTIO_F_INDIRECT_DESC & 1) != 0,
				 .part = { vp_alloc(p, size * 16u), vp_alloc(p, size * 2u + 6),
					   vp_alloc(p, size * 8u + 6) } };

	vd_init(&p->vd[i], p->ram, &s);
	vp_write(p, p->common + 0x16, 2, i);
	vp_write(p, p->common + 0x18, 2, size);
	for (unsigned k = 0; k < 3; k++) {
		vp_write(p, p->common + 0x20 + 8 * k, 4, (u32)s.part[k]);
		vp_write(p, p->common + 0x24 + 8 * k, 4, s.part[k] >> 32);
	}
	vp_write(p, p->common + 0x1a, 2, p->msix ? i + 1 : VIRTIO_NO_VECTOR);
	vp_write(p, p->common + 0x1c, 2, 1);
	CHECK_EQ(vp_read(p, p->common + 0x1c, 2), 1);
	vd_irq(&p->vd[i], true);
}

static inline void vp_ready(struct vp *p)
{
	vp_write(p, p->common + 0x10, 2, p->msix ? 0 : VIRTIO_NO_VECTOR);
	vp_write(p, p->common + 0x14, 1, 0xf);
}

static inline void vp_kick(struct vp *p, unsigned i)
{
	if (vd_should_kick(&p->vd[i]))
		vp_write(p, p->notify + i * p->step, 2, i);
}

#endif
