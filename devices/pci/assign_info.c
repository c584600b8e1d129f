/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a function for assignment.
 */
#include "devices/pci/assign_info.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"

#define BAR_INDEX 7u
#define ENTRY	  16u

static u32 rd(const struct pci_cfg *c, u16 bdf, u32 off, u8 size)
{
	return c->read(c->ctx, bdf, (u16)off, size);
}

static bool inside(const struct assign_info *a, u8 bar, u64 off, u64 len)
{
	return bar < 6 && !a->bar[bar].io && range_within(off, len, 0, a->bar[bar].size);
}

static int read_msix(const struct pci_cfg *c, struct assign_info *a)
{
	u32 cap = a->caps.msix, table, pba;

	if (!cap)
		return 0;
	a->msix_vectors = (u16)((rd(c, a->bdf, cap + MSIX_CONTROL, 2) & MSIX_CONTROL_SIZE) + 1);
	table = rd(c, a->bdf, cap + MSIX_TABLE, 4);
	pba = rd(c, a->bdf, cap + MSIX_PBA, 4);
	a->msix_table_bar = table & BAR_INDEX;
	a->msix_pba_bar = pba & BAR_INDEX;
	a->msix_table = table & ~BAR_INDEX;
	a->msix_pba = pba & ~BAR_INDEX;
	if (!inside(a, a->msix_table_bar, a->msix_table, a->msix_vectors * ENTRY) ||
	    !inside(a, a->msix_pba_bar, a->msix_pba, (a->msix_vectors + 63u) / 64 * 8))
		return -EPROTO;
	return 0;
}

/* What functions and VFs have in common: a->bar and the ids are set. */
static int read_common(const struct pci_cfg *c, struct assign_info *a, char *why, size_t size)
{
	pci_reset_find(c, a->bdf, &a->caps);
	a->reset = pci_reset_kind(c, a->bdf, &a->caps);
	if (a->caps.pcie)
		a->devcap = rd(c, a->bdf, a->caps.pcie + PCIE_DEVCAP, 4);
	if (read_msix(c, a)) {
		fmt_snprintf(why, size, "its MSI-X table lies outside its BARs");
		return -EPROTO;
	}
	if (!a->msix_vectors && !a->caps.msi) {
		fmt_snprintf(why, size, "it has neither MSI nor MSI-X");
		return -ENOTSUP;
	}
	if (a->reset == PCI_RESET_NONE) {
		fmt_snprintf(why, size,
			     "it cannot be reset by itself: an owner's traces would stay");
		return -ENOTSUP;
	}
	for (u32 i = 0; i < 6; i++) {
		if (a->bar[i].io || !a->bar[i].size || a->bar[i].addr)
			continue;
		fmt_snprintf(why, size, "firmware gave its BAR %u no address", i);
		return -EPROTO;
	}
	return 0;
}

int assign_info_function(const struct pci_cfg *cfg, const struct pci_func *f,
			 struct assign_info *out, char *why, size_t why_size)
{
	struct assign_info a = { .bdf = f->bdf,
				 .vendor = f->vendor,
				 .device = f->device,
				 .sub_vendor = f->subvendor,
				 .sub_device = f->subdevice,
				 .class = f->class,
				 .revision = f->revision };
	int rc;

	for (u32 i = 0; i < 6; i++)
		a.bar[i] = f->bar[i];
	rc = read_common(cfg, &a, why, why_size);
	if (!rc)
		*out = a;
	return rc;
}

int assign_info_vf(const struct pci_cfg *cfg, const struct assign_vf *vf, struct assign_info *out,
		   char *why, size_t why_size)
{
	const struct sriov *s = vf->s;
	u16 bdf = sriov_vf_bdf(s, vf->n);
	u32 class = rd(cfg, bdf, PCI_CLASS_REVISION, 4), sub = rd(cfg, bdf, PCI_SUBSYSTEM_ID, 4);
	struct assign_info a = { .bdf = bdf,
				 .vendor = vf->pf->vendor, /* a VF's own read all ones */
				 .device = s->vf_device,
				 .sub_vendor = (u16)sub,
				 .sub_device = (u16)(sub >> 16),
				 .class = class >> 8,
				 .revision = (u8)class,
				 .vf = true };
	int rc;

	if (class == ~0u) {
		fmt_snprintf(why, why_size, "the virtual function does not answer");
		return -EPROTO;
	}
	for (u32 i = 0; i < 6; i++) {
		a.bar[i] = s->bar[i];
		if (a.bar[i].size)
			a.bar[i].addr = sriov_vf_bar(s, i, vf->n);
	}
	rc = read_common(cfg, &a, why, why_size);
	if (!rc)
		*out = a;
	return rc;
}
