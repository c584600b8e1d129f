/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACS checks and bridge windows.
 */
#include "kernel/core/pci_iso.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"

#define ACS_PORT     (ACS_SV | ACS_RR | ACS_CR | ACS_UF)
#define ACS_ENDPOINT (ACS_RR | ACS_CR)
#define CLASS_BRIDGE 0x06
#define MAX_BRIDGES  32u /* above each other */

#define WINDOW_MEM	0x20
#define WINDOW_PREFETCH 0x24
#define WINDOW_HIGH	0x28

/*
 * Multi-function and SR-IOV endpoints without ACS whose functions do not reach each other inside.
 */
static const struct {
	u16 vendor, device;
} known_isolated[] = {
	{ 0x8086, 0x10c9 }, /* 82576 and its variants */
	{ 0x8086, 0x10e6 }, { 0x8086, 0x10e7 }, { 0x8086, 0x10e8 }, { 0x8086, 0x150a },
	{ 0x8086, 0x150d }, { 0x8086, 0x1518 }, { 0x8086, 0x1526 },
	{ 0x1b36, 0x0010 }, /* emulated NVMe: each function's DMA goes to the IOMMU model */
};

static u32 rd(const struct pci_cfg *c, u16 bdf, u32 off, u8 size)
{
	return c->read(c->ctx, bdf, (u16)off, size);
}

static bool is_known(const struct pci_func *f)
{
	for (u32 i = 0; i < ARRAY_SIZE(known_isolated); i++)
		if (known_isolated[i].vendor == f->vendor && known_isolated[i].device == f->device)
			return true;
	return false;
}

static bool is_port(const struct pci_func *f)
{
	return f->cap_pcie &&
	       (f->pcie_type == PCIE_TYPE_ROOT_PORT || f->pcie_type == PCIE_TYPE_DOWNSTREAM);
}

void pci_acs_enable(const struct pci_cfg *cfg, const struct pci_list *list)
{
	for (u32 i = 0; i < list->count; i++) {
		const struct pci_func *f = &list->func[i];
		u32 can;

		if (!f->ext_acs)
			continue;
		can = rd(cfg, f->bdf, f->ext_acs + ACS_CAP, 2) &
		      (is_port(f) ? ACS_PORT : ACS_ENDPOINT);
		cfg->write(cfg->ctx, f->bdf, (u16)(f->ext_acs + ACS_CTL), 2, can);
	}
}

/* An endpoint's function with the capability but without a bit of it cannot do what it controls. */
static bool endpoint_isolated(const struct pci_cfg *cfg, const struct pci_func *f)
{
	u32 can, on;

	if (is_known(f))
		return true;
	if (!f->ext_acs)
		return false;
	can = rd(cfg, f->bdf, f->ext_acs + ACS_CAP, 2) & ACS_ENDPOINT;
	on = rd(cfg, f->bdf, f->ext_acs + ACS_CTL, 2);
	return (on & can) == can;
}

static bool port_isolates(const struct pci_cfg *cfg, const struct pci_func *f)
{
	return f->ext_acs &&
	       (rd(cfg, f->bdf, f->ext_acs + ACS_CTL, 2) & ACS_PORT) == ACS_PORT;
}

static int refuse(char *why, size_t size, const struct pci_func *f, const char *reason)
{
	fmt_snprintf(why, size, "%02x:%02x.%u %s", PCI_BUS(f->bdf), PCI_DEV(f->bdf), PCI_FN(f->bdf),
		     reason);
	return -EPERM;
}

/* Functions of the same device: all of them must keep off their siblings. */
static int check_siblings(const struct pci_cfg *cfg, const struct pci_list *list, u32 index,
			  char *why, size_t why_size)
{
	const struct pci_func *f = &list->func[index];

	for (u32 i = 0; i < list->count; i++) {
		const struct pci_func *o = &list->func[i];

		if (i == index || o->bdf >> 3 != f->bdf >> 3)
			continue;
		if (!endpoint_isolated(cfg, f))
			return refuse(why, why_size, f,
				      "has sibling functions and no ACS to keep it from them");
		if (!endpoint_isolated(cfg, o))
			return refuse(why, why_size, o,
				      "is of the same device and could reach it: it has no ACS");
	}
	return 0;
}

int pci_isolated(const struct pci_cfg *cfg, const struct pci_list *list, u32 index, bool vf,
		 char *why, size_t why_size)
{
	const struct pci_func *f = &list->func[index];
	s16 up = f->parent;
	int rc;

	if (f->header != 0 || f->class >> 16 == CLASS_BRIDGE)
		return refuse(why, why_size, f, "is a bridge");
	if (vf && !endpoint_isolated(cfg, f))
		return refuse(why, why_size, f,
			      "has no ACS: its virtual functions could reach each other");
	rc = check_siblings(cfg, list, index, why, why_size);
	for (u32 depth = 0; !rc && up >= 0; depth++) {
		const struct pci_func *b = &list->func[up];

		if (depth == MAX_BRIDGES)
			return refuse(why, why_size, b, "lies too deep below other bridges");
		if (!b->cap_pcie || (b->pcie_type != PCIE_TYPE_UPSTREAM && !is_port(b)))
			return refuse(
				why, why_size, b,
				"is a bridge to conventional PCI: requester ids are lost there");
		if (is_port(b) && !port_isolates(cfg, b))
			return refuse(
				why, why_size, b,
				"is a port without ACS: peers reach each other below the IOMMU");
		up = b->parent;
	}
	return rc;
}

/* ---- address space --------------------------------------------------------------------- */

static struct pci_range memory_window(const struct pci_cfg *c, u16 bdf)
{
	u32 v = rd(c, bdf, WINDOW_MEM, 4);
	u64 base = (u64)(v & 0xfff0) << 16, last = (v & 0xfff00000) | 0xfffff;

	return (struct pci_range){ base, last > base ? last + 1 - base : 0 };
}

static struct pci_range prefetch_window(const struct pci_cfg *c, u16 bdf)
{
	u32 v = rd(c, bdf, WINDOW_PREFETCH, 4);
	u64 base = (u64)(v & 0xfff0) << 16, last = (v & 0xfff00000) | 0xfffff;

	if ((v & 15) == 1) { /* 64 bits wide */
		base |= (u64)rd(c, bdf, WINDOW_HIGH, 4) << 32;
		last |= (u64)rd(c, bdf, WINDOW_HIGH + 4, 4) << 32;
	}
	return (struct pci_range){ base, last > base ? last + 1 - base : 0 };
}

/* End of something that lies in [at, at+len), 0: all free. */
static u64 blocked_by(const struct pci_list *list, const struct pci_space *w, u64 at)
{
	for (u32 i = 0; i < w->ntaken; i++)
		if (ranges_overlap(at, w->len, w->taken[i].base, w->taken[i].len))
			return w->taken[i].base + w->taken[i].len;
	for (u32 i = 0; i < list->count; i++) {
		for (u32 b = 0; b < 6; b++) {
			const struct pci_bar *bar = &list->func[i].bar[b];

			if (!bar->io && bar->size && !(bar->addr + bar->size < bar->addr) &&
			    ranges_overlap(at, w->len, bar->addr, bar->size))
				return bar->addr + bar->size;
		}
	}
	return 0;
}

static bool fit(const struct pci_list *list, const struct pci_space *w, struct pci_range in,
		u64 *addr)
{
	u64 end = min_u64(in.base + in.len, w->below), at = align_up(in.base, w->align), next;

	/* Each step passes the end of one range, and there are finitely many. */
	for (u32 i = 0; i < list->count * 6 + w->ntaken + 1; i++) {
		if (at < in.base || at > end || end - at < w->len)
			return false;
		next = blocked_by(list, w, at);
		if (!next) {
			*addr = at;
			return true;
		}
		at = align_up(next, w->align);
	}
	return false;
}

int pci_find_space(const struct pci_cfg *cfg, const struct pci_list *list, u32 index,
		   const struct pci_space *want, u64 *addr)
{
	s16 up = list->func[index].parent;
	u16 bdf;

	if (up < 0)
		return -ENOENT;
	bdf = list->func[up].bdf;
	/* Firmware puts ROMs, which the list does not know, into the other window. */
	if (fit(list, want, prefetch_window(cfg, bdf), addr) ||
	    fit(list, want, memory_window(cfg, bdf), addr))
		return 0;
	return -ENOSPC;
}
