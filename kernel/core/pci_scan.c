/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration space as read from devices is foreign data: every list is bounded, every
 * bus is visited once.
 */
#include "kernel/core/pci_scan.h"

#include "kernel/base/bits.h"

#define CAPS_MAX     48  /* 4-byte slots between 0x40 and 0x100 */
#define EXT_CAPS_MAX 480 /* 8-byte slots between 0x100 and 0x1000 */

#define BRIDGE_CLASS_PCI 0x0604

/* Buses are visited in ascending order: a bridge leads to a bus of a higher number only. */
struct scan {
	const struct pci_cfg *cfg;
	struct pci_list *list;
	u8 last;
	u64 claimed[4];	    /* bit per bus: a bridge leads there */
	u64 one_device[4];  /* bit per bus: below a PCIe port there is only device 0 */
};

static u32 rd(const struct pci_cfg *c, u16 bdf, u16 off, u8 size)
{
	return c->read(c->ctx, bdf, off, size);
}

u8 pci_find_cap(const struct pci_cfg *cfg, u16 bdf, u8 id)
{
	u8 at;

	if (!(rd(cfg, bdf, PCI_STATUS, 2) & PCI_STATUS_CAPS))
		return 0;
	at = rd(cfg, bdf, PCI_CAP_POINTER, 1) & 0xfc;
	for (u32 i = 0; i < CAPS_MAX && at >= 0x40; i++) {
		u32 v = rd(cfg, bdf, at, 2);

		if ((v & 0xff) == id)
			return at;
		if (v == 0xffff)
			return 0;
		at = v >> 8 & 0xfc;
	}
	return 0;
}

u16 pci_find_ext_cap(const struct pci_cfg *cfg, u16 bdf, u16 id)
{
	u16 at = PCI_EXT_CAPS;

	for (u32 i = 0; i < EXT_CAPS_MAX && at >= PCI_EXT_CAPS && at + 4u <= cfg->space; i++) {
		u32 v = rd(cfg, bdf, at, 4);

		if (v == 0 || v == ~0u)
			return 0;
		if ((v & 0xffff) == id)
			return at;
		at = v >> 20 & 0xffc;
	}
	return 0;
}

/* Write ones to one BAR register, read its mask, restore. */
static u32 probe(const struct pci_cfg *c, u16 bdf, u16 off)
{
	u32 old = rd(c, bdf, off, 4), mask;

	c->write(c->ctx, bdf, off, 4, ~0u);
	mask = rd(c, bdf, off, 4);
	c->write(c->ctx, bdf, off, 4, old);
	return mask;
}

/* One BAR; returns how many registers it takes. */
static u32 size_bar(const struct pci_cfg *c, u16 bdf, u16 off, bool last, struct pci_bar *b)
{
	u32 v = rd(c, bdf, off, 4);
	u64 mask = probe(c, bdf, off);

	if (v & 1) {
		b->io = true;
		b->addr = v & ~3u;
		mask &= 0xfffc;
		b->size = mask ? mask & (~mask + 1) : 0;
		return 1;
	}
	b->prefetch = v >> 3 & 1;
	b->mem64 = (v >> 1 & 3) == 2 && !last;
	b->addr = v & ~15u;
	mask &= ~15ull;
	if (b->mem64) {
		b->addr |= (u64)rd(c, bdf, (u16)(off + 4), 4) << 32;
		mask |= (u64)probe(c, bdf, (u16)(off + 4)) << 32;
	}
	b->size = mask & (~mask + 1);
	return b->mem64 ? 2 : 1;
}

static void size_bars(const struct pci_cfg *c, struct pci_func *f)
{
	u32 n = f->header == 0 ? 6 : f->header == 1 ? 2 : 0;
	u32 command = rd(c, f->bdf, PCI_COMMAND, 2);

	c->write(c->ctx, f->bdf, PCI_COMMAND, 2,
		 command & ~(u32)(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	for (u32 i = 0; i < n;)
		i += size_bar(c, f->bdf, (u16)(PCI_BAR0 + 4u * i), i + 1 == n, &f->bar[i]);
	c->write(c->ctx, f->bdf, PCI_COMMAND, 2, command);
}

static void read_caps(const struct pci_cfg *c, struct pci_func *f)
{
	f->cap_pm = pci_find_cap(c, f->bdf, PCI_CAP_PM);
	f->cap_msi = pci_find_cap(c, f->bdf, PCI_CAP_MSI);
	f->cap_msix = pci_find_cap(c, f->bdf, PCI_CAP_MSIX);
	f->cap_pcie = pci_find_cap(c, f->bdf, PCI_CAP_PCIE);
	if (!f->cap_pcie)
		return;
	f->pcie_type = (u8)(rd(c, f->bdf, (u16)(f->cap_pcie + 2), 2) >> 4 & 15);
	f->ext_aer = pci_find_ext_cap(c, f->bdf, PCI_EXT_AER);
	f->ext_acs = pci_find_ext_cap(c, f->bdf, PCI_EXT_ACS);
	f->ext_ari = pci_find_ext_cap(c, f->bdf, PCI_EXT_ARI);
	f->ext_sriov = pci_find_ext_cap(c, f->bdf, PCI_EXT_SRIOV);
}

static struct pci_func read_func(struct scan *s, u16 bdf, u32 ids, s16 parent)
{
	const struct pci_cfg *c = s->cfg;
	u32 class = rd(c, bdf, PCI_CLASS_REVISION, 4);
	struct pci_func f = {
		.bdf = bdf,
		.vendor = (u16)ids,
		.device = (u16)(ids >> 16),
		.class = class >> 8,
		.revision = (u8)class,
		.header = rd(c, bdf, PCI_HEADER_TYPE, 1) & 0x7f,
		.parent = parent,
	};

	if (f.header == 1) {
		f.secondary = (u8)rd(c, bdf, PCI_SECONDARY_BUS, 1);
		f.subordinate = (u8)rd(c, bdf, PCI_SUBORDINATE_BUS, 1);
	} else if (f.header == 0) {
		u32 sub = rd(c, bdf, PCI_SUBSYSTEM_ID, 4);

		f.subvendor = (u16)sub;
		f.subdevice = (u16)(sub >> 16);
	}
	return f;
}

static bool bus_bit(const u64 *map, u8 bus)
{
	return map[bus / 64] >> (bus % 64) & 1;
}

static void follow_bridge(struct scan *s, const struct pci_func *f, s16 index)
{
	u8 bus = PCI_BUS(f->bdf);
	bool port = f->cap_pcie && (f->pcie_type == PCIE_TYPE_ROOT_PORT ||
				    f->pcie_type == PCIE_TYPE_DOWNSTREAM);

	if (f->class >> 8 != BRIDGE_CLASS_PCI || f->secondary == 0)
		return; /* firmware left it closed */
	if (f->secondary <= bus || f->subordinate < f->secondary || f->secondary > s->last ||
	    bus_bit(s->claimed, f->secondary)) {
		s->list->errors++;
		return;
	}
	s->list->via[f->secondary] = index;
	s->claimed[f->secondary / 64] |= BIT(f->secondary % 64);
	if (port)
		s->one_device[f->secondary / 64] |= BIT(f->secondary % 64);
}

static void add_func(struct scan *s, u16 bdf, u32 ids)
{
	struct pci_list *l = s->list;
	struct pci_func f = read_func(s, bdf, ids, s->list->via[PCI_BUS(bdf)]);
	s16 index = -1;

	read_caps(s->cfg, &f);
	if (l->func && l->count < l->capacity) {
		size_bars(s->cfg, &f);
		index = (s16)l->count;
		l->func[l->count] = f;
	} else if (l->func) {
		l->missed++;
		return;
	}
	l->count++;
	if (f.header == 1)
		follow_bridge(s, &f, index);
}

static bool id_valid(u32 ids)
{
	return (ids & 0xffff) != 0xffff && ids != 0;
}

static void scan_bus(struct scan *s, u8 bus)
{
	u32 devices = bus_bit(s->one_device, bus) ? 1 : 32;

	for (u32 dev = 0; dev < devices; dev++) {
		u16 first = PCI_BDF(bus, dev, 0);
		u32 functions = 1;

		if (!id_valid(rd(s->cfg, first, PCI_VENDOR_ID, 4)))
			continue;
		if (rd(s->cfg, first, PCI_HEADER_TYPE, 1) & 0x80)
			functions = 8;
		for (u32 fn = 0; fn < functions; fn++) {
			u16 bdf = PCI_BDF(bus, dev, fn);
			u32 ids = rd(s->cfg, bdf, PCI_VENDOR_ID, 4);

			if (id_valid(ids))
				add_func(s, bdf, ids);
		}
	}
}

void pci_scan(const struct pci_cfg *cfg, u8 first, u8 last, struct pci_list *list)
{
	struct scan s = { .cfg = cfg, .list = list, .last = last };

	list->count = 0;
	list->missed = 0;
	list->errors = 0;
	for (u32 bus = 0; bus < ARRAY_SIZE(list->via); bus++)
		list->via[bus] = -1;
	for (u32 bus = first; bus <= last; bus++)
		scan_bus(&s, (u8)bus);
}
