/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remapping units, and the functions that are attached to domains.
 */
#include "kernel/init/ctl_iommu.h"

#include "iommu/iommu.h"
#include "kernel/base/types.h"

#define UNITS_SHOWN   8
#define DEVICES_SHOWN IOMMU_DEVICES

static const struct ctl_column unit_columns[] = {
	{ "mmio", "unit", 12 },	    { "bits", "bits", -4 },	 { "irqs", "irqs", 4 },
	{ "state", "state", 6 },    { "flushes", "flushes", -10 }, { "faults", "faults", -10 },
};

static const struct ctl_column device_columns[] = {
	{ "bdf", "function", 8 },     { "owner", "owner", 20 }, { "unit", "unit", -4 },
	{ "mapped", "mapped", -12 }, { "irqs", "irqs", -4 },	{ "faults", "faults", -10 },
};

static const struct ctl_column fault_columns[] = {
	{ "ms", "ms since boot", -13 }, { "bdf", "function", 8 },    { "owner", "owner", 20 },
	{ "type", "type", 9 },		{ "addr", "address", -18 }, { "reason", "reason", 0 },
};

static struct iommu_fault_info faults[IOMMU_FAULTS_KEPT];
static struct iommu_device_info devices[DEVICES_SHOWN]; /* one request runs at a time */

static void show_units(struct ctl_out *out)
{
	struct iommu_unit_info u[UNITS_SHOWN];
	u32 n = iommu_unit_list(u, UNITS_SHOWN);

	ctl_num(out, "units", n);
	ctl_table(out, "unit", unit_columns, ARRAY_SIZE(unit_columns));
	for (u32 i = 0; i < n && i < UNITS_SHOWN; i++) {
		ctl_cell(out, "%#lx", u[i].mmio);
		ctl_cell_num(out, u[i].bits);
		ctl_cell(out, "%s", u[i].irqs ? "yes" : "no");
		ctl_cell(out, "%s", u[i].broken ? "broken" : "ok");
		ctl_cell_num(out, u[i].flushes);
		ctl_cell_num(out, u[i].faults);
	}
}

static void show_devices(struct ctl_out *out)
{
	u32 n = iommu_device_list(devices, DEVICES_SHOWN);

	ctl_table(out, "device", device_columns, ARRAY_SIZE(device_columns));
	for (u32 i = 0; i < n && i < DEVICES_SHOWN; i++) {
		const struct iommu_device_info *d = &devices[i];

		ctl_cell(out, "%02x:%02x.%x", d->bdf >> 8, d->bdf >> 3 & 31, d->bdf & 7);
		ctl_cell(out, "%s", d->owner);
		ctl_cell_num(out, d->unit);
		ctl_cell_bytes(out, d->mapped);
		ctl_cell_num(out, d->irqs);
		ctl_cell_num(out, d->faults);
	}
}

static void show_faults(struct ctl_out *out)
{
	u32 n = iommu_fault_list(faults, IOMMU_FAULTS_KEPT);

	ctl_table(out, "fault", fault_columns, ARRAY_SIZE(fault_columns));
	for (u32 i = 0; i < n; i++) {
		const struct iommu_fault *f = &faults[i].fault;

		ctl_cell_num(out, faults[i].time_ns / 1000000);
		ctl_cell(out, "%02x:%02x.%x", f->bdf >> 8, f->bdf >> 3 & 31, f->bdf & 7);
		ctl_cell(out, "%s", faults[i].owner);
		ctl_cell(out, "%s", f->irq ? "interrupt" : f->write ? "write" : "read");
		ctl_cell(out, "%#lx", f->addr);
		ctl_cell(out, "%s", f->text);
	}
}

static int run_iommu(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	ctl_text(out, "kind", "%s", iommu_name());
	ctl_text(out, "interrupts", "%s", iommu_remaps_irqs() ? "remapped" : "not remapped");
	ctl_num(out, "stray_faults", iommu_stray_faults());
	show_units(out);
	show_devices(out);
	show_faults(out);
	return 0;
}

static const struct ctl_verb verbs[] = {
	{ .name = "iommu",
	  .usage = "",
	  .help = "DMA remapping: units, functions with a domain, faults",
	  .run = run_iommu },
};

int ctl_iommu_init(struct ctl *c)
{
	return ctl_add(c, verbs, ARRAY_SIZE(verbs));
}
