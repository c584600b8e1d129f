/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual side of an assigned function. The physical command register, BARs and interrupt
 * capabilities are the host's alone.
 */
#include "devices/pci/vassign.h"

#include "kernel/base/bits.h"
#include "kernel/base/str.h"

#define PCIE_LEN 0x3c
#define PM_LEN	 8
#define MSI_LEN	 14

/* Device capabilities passed on: payload size, extended tags, role-based errors, reset. */
#define DEVCAP_PASSED (0x7u | 0x20u | PCIE_DEVCAP_ROLES | PCIE_DEVCAP_FLR)

#define PM_CAP_V3    0x0003
#define PM_CSR	     4
#define PM_NO_RESET  0x0008 /* D3 and back keeps the state: nothing happens at all */
#define PM_STATE     0x0003

#define MSI_ADDRESS  4
#define MSI_DATA     12
#define MSI_64BIT    0x0080

static void sync_irq_mode(struct vassign *v)
{
	enum vassign_irq mode = VASSIGN_IRQ_OFF;

	if (v->info.msix_vectors && vmsix_on(&v->msix))
		mode = VASSIGN_IRQ_MSIX;
	else if (v->cap_msi && (vcfg_get16(&v->cfg, v->cap_msi + MSI_CONTROL) & MSI_CONTROL_ON))
		mode = VASSIGN_IRQ_MSI;
	if (mode == v->mode)
		return;
	v->mode = mode;
	v->env.irq_mode(v->env.ctx, mode);
}

static void sync_master(struct vassign *v)
{
	bool on = (vcfg_get16(&v->cfg, PCI_COMMAND) & PCI_COMMAND_MASTER) != 0;

	if (on == v->mastering)
		return;
	v->mastering = on;
	v->env.master(v->env.ctx, on);
}

void vassign_reset(struct vassign *v)
{
	vcfg_reset(&v->cfg);
	if (v->info.msix_vectors)
		vmsix_reset(&v->msix);
	sync_master(v);
	sync_irq_mode(v);
}

int vassign_resume(struct vassign *v)
{
	int rc;

	for (unsigned i = 0; i < VCFG_BARS; i++)
		if (v->cfg.bar[i].mapped)
			v->cfg.env.bar_unmap(v->cfg.env.ctx, i, v->cfg.bar[i].base,
					     v->cfg.bar[i].size);
	rc = vcfg_resume(&v->cfg);
	if (!rc && v->info.msix_vectors)
		rc = vmsix_resume(&v->msix, &v->cfg);
	if (rc)
		return rc;
	sync_master(v);
	sync_irq_mode(v);
	return 0;
}

/* ---- callbacks of the configuration space ---------------------------------------------- */

static void written(void *ctx, u32 off, unsigned size)
{
	struct vassign *v = ctx;
	u32 control = v->cap_pcie + PCIE_DEVCTL;

	sync_master(v);
	if (v->info.msix_vectors)
		vmsix_written(&v->msix, &v->cfg, off, size);
	sync_irq_mode(v);
	if (!v->cap_pcie || !(vcfg_get16(&v->cfg, control) & PCIE_DEVCTL_FLR))
		return;
	vassign_reset(v); /* clears the bit, too */
	v->env.flr(v->env.ctx);
}

static void tell_ranges(struct vassign *v, unsigned bar, u64 base, bool on)
{
	struct vassign_range r[VASSIGN_RANGES];
	u32 n = vassign_ranges(v, bar, r);

	for (u32 i = 0; i < n; i++)
		v->env.range(v->env.ctx, bar, base + r[i].off, &r[i], on);
}

static void bar_map(void *ctx, unsigned bar, u64 base, u64 size)
{
	(void)size;
	tell_ranges(ctx, bar, base, true);
}

static void bar_unmap(void *ctx, unsigned bar, u64 base, u64 size)
{
	(void)size;
	tell_ranges(ctx, bar, base, false);
}

static void msix_raise(void *ctx, u16 vector, u64 address, u32 data)
{
	struct vassign *v = ctx;

	v->env.raise(v->env.ctx, vector, address, data);
}

/* ---- building -------------------------------------------------------------------------- */

static void add_caps(struct vassign *v)
{
	const struct assign_info *a = &v->info;
	struct vcfg *c = &v->cfg;
	u32 devcap = a->devcap & DEVCAP_PASSED;
	u8 at;

	if (a->caps.pcie) {
		v->cap_pcie = vcfg_add_cap(c, PCI_CAP_PCIE, PCIE_LEN);
		/* It sits on the guest's root bus: an endpoint without a link. */
		vcfg_set16(c, v->cap_pcie + PCIE_FLAGS, 2 | PCIE_TYPE_ROOT_ENDPOINT << 4, 0);
		vcfg_set32(c, v->cap_pcie + PCIE_DEVCAP, devcap, 0);
		/* Kept, no effect: the physical register suits the fabric. Except for the reset. */
		vcfg_set16(c, v->cap_pcie + PCIE_DEVCTL, 0x2810,
			   (u16)(0x7fff | (devcap & PCIE_DEVCAP_FLR ? PCIE_DEVCTL_FLR : 0)));
	}
	if (a->caps.pm) {
		at = vcfg_add_cap(c, PCI_CAP_PM, PM_LEN);
		vcfg_set16(c, at + 2u, PM_CAP_V3, 0);
		vcfg_set16(c, at + (u32)PM_CSR, PM_NO_RESET, PM_STATE);
	}
	if (a->caps.msi) {
		v->cap_msi = vcfg_add_cap(c, PCI_CAP_MSI, MSI_LEN);
		vcfg_set16(c, v->cap_msi + MSI_CONTROL, MSI_64BIT, MSI_CONTROL_ON);
		vcfg_set32(c, v->cap_msi + (u32)MSI_ADDRESS, 0, ~3u);
		vcfg_set32(c, v->cap_msi + (u32)MSI_ADDRESS + 4, 0, ~0u);
		vcfg_set16(c, v->cap_msi + (u32)MSI_DATA, 0, 0xffff);
	}
	if (a->msix_vectors)
		vmsix_add_cap(&v->msix, c, a->msix_table_bar, a->msix_table, a->msix_pba_bar,
			      a->msix_pba);
	vcfg_seal(c);
}

void vassign_init(struct vassign *v, const struct assign_info *info,
		  const struct vassign_tables *tables, const struct vassign_env *env)
{
	const struct vcfg_ids ids = { .vendor = info->vendor,
				      .device = info->device,
				      .sub_vendor = info->sub_vendor,
				      .sub_device = info->sub_device,
				      .class_code = info->class,
				      .revision = info->revision };
	const struct vcfg_env cfg = { .ctx = v, .bar_map = bar_map, .bar_unmap = bar_unmap,
				      .written = written };
	const struct vmsix_env msix = { .ctx = v, .raise = msix_raise };

	memset(v, 0, sizeof(*v));
	v->env = *env;
	v->info = *info;
	vcfg_init(&v->cfg, &ids, &cfg);
	for (unsigned i = 0; i < VCFG_BARS; i++) {
		const struct pci_bar *b = &info->bar[i];

		if (b->size >= 16 && !b->io)
			vcfg_add_bar(&v->cfg, i, b->mem64 ? VCFG_BAR_MEM64 : VCFG_BAR_MEM32,
				     b->size, b->prefetch);
	}
	if (info->msix_vectors)
		vmsix_init(&v->msix, info->msix_vectors, tables->msix, tables->pba, &msix);
	add_caps(v);
}

void vassign_behind_port(struct vassign *v)
{
	if (!v->cap_pcie)
		return;
	vcfg_set16(&v->cfg, v->cap_pcie + PCIE_FLAGS, 2, 0);
	/* Without role-based errors it would be a device of the first generation. */
	vcfg_set32(&v->cfg, v->cap_pcie + PCIE_DEVCAP,
		   vcfg_get32(&v->cfg, v->cap_pcie + PCIE_DEVCAP) | PCIE_DEVCAP_ROLES, 0);
	vcfg_set_link(&v->cfg, v->cap_pcie);
	vcfg_seal(&v->cfg);
}

void vassign_trap(struct vassign *v, u8 bar, u64 off, u64 len)
{
	v->trap_bar = bar;
	v->trap_off = off;
	v->trap_len = len;
}

void vassign_trap_all(struct vassign *v, bool on)
{
	if (on == v->trap_all)
		return;
	for (unsigned i = 0; i < VCFG_BARS; i++)
		if (v->cfg.bar[i].mapped)
			tell_ranges(v, i, v->cfg.bar[i].base, false);
	v->trap_all = on;
	for (unsigned i = 0; i < VCFG_BARS; i++)
		if (v->cfg.bar[i].mapped)
			tell_ranges(v, i, v->cfg.bar[i].base, true);
}

/* ---- BARs ------------------------------------------------------------------------------ */

/* Does the page at off hold anything that must be trapped? */
static bool page_trapped(const struct vassign *v, unsigned bar, u64 off)
{
	const struct assign_info *a = &v->info;

	if (v->trap_all)
		return true;
	if (v->trap_len && bar == v->trap_bar &&
	    ranges_overlap(off, PAGE_SIZE, v->trap_off, v->trap_len))
		return true;
	if (!a->msix_vectors)
		return false;
	return (bar == a->msix_table_bar &&
		ranges_overlap(off, PAGE_SIZE, a->msix_table, a->msix_vectors * 16u)) ||
	       (bar == a->msix_pba_bar &&
		ranges_overlap(off, PAGE_SIZE, a->msix_pba, VMSIX_PBA_WORDS(a->msix_vectors) * 8u));
}

/* The next page at or after off where something begins or ends to be trapped. */
static u64 next_change(const struct vassign *v, unsigned bar, u64 off, u64 size)
{
	const struct assign_info *a = &v->info;
	u64 edge[6] = { a->msix_table, a->msix_table + a->msix_vectors * 16ull + PAGE_SIZE - 1,
			a->msix_pba,
			a->msix_pba + VMSIX_PBA_WORDS(a->msix_vectors) * 8ull + PAGE_SIZE - 1,
			v->trap_off, v->trap_off + v->trap_len + PAGE_SIZE - 1 };
	bool now = page_trapped(v, bar, off);
	u64 best = size;

	for (u32 i = 0; i < ARRAY_SIZE(edge); i++) {
		u64 e = align_down(edge[i], PAGE_SIZE);

		if (e > off && e < best && page_trapped(v, bar, e) != now)
			best = e;
	}
	return best;
}

u32 vassign_ranges(const struct vassign *v, unsigned bar, struct vassign_range out[VASSIGN_RANGES])
{
	u64 size = v->info.bar[bar].size, off = 0;
	u32 n = 0;

	if (size < PAGE_SIZE) { /* it shares its page with strangers */
		out[0] = (struct vassign_range){ 0, size, true };
		return 1;
	}
	while (off < size && n < VASSIGN_RANGES) {
		u64 end = next_change(v, bar, off, size);

		out[n++] = (struct vassign_range){ off, end - off, page_trapped(v, bar, off) };
		off = end;
	}
	return n;
}

void vassign_mmio(struct vassign *v, unsigned bar, u64 off, unsigned size, bool write, u64 *value)
{
	const struct assign_info *a = &v->info;
	u64 table = a->msix_vectors * 16ull, pba = VMSIX_PBA_WORDS(a->msix_vectors) * 8ull;

	if (bar == a->msix_table_bar && ranges_overlap(off, size, a->msix_table, table))
		vmsix_table_io(&v->msix, off - a->msix_table, size, write, value);
	else if (bar == a->msix_pba_bar && ranges_overlap(off, size, a->msix_pba, pba))
		vmsix_pba_io(&v->msix, off - a->msix_pba, size, write, value);
	else
		v->env.mmio(v->env.ctx, bar, off, size, write, value);
}

bool vassign_event(struct vassign *v, u16 vector)
{
	u32 cap = v->cap_msi;

	switch (v->mode) {
	case VASSIGN_IRQ_MSIX:
		return vmsix_notify(&v->msix, vector);
	case VASSIGN_IRQ_MSI:
		if (vector)
			return false;
		v->env.raise(v->env.ctx, 0,
			     vcfg_get32(&v->cfg, cap + MSI_ADDRESS) |
				     (u64)vcfg_get32(&v->cfg, cap + MSI_ADDRESS + 4) << 32,
			     vcfg_get16(&v->cfg, cap + MSI_DATA));
		return true;
	case VASSIGN_IRQ_OFF:
		break;
	}
	return false;
}
