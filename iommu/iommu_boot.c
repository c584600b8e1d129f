/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding and enabling the IOMMU, its faults, and what the 'iommu' verb shows.
 */
#include "arch/x86/ioapic.h"
#include "arch/x86/lapic.h"
#include "iommu/iommu.h"
#include "iommu/iommu_priv.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/acpi.h"
#include "kernel/core/frames.h"
#include "kernel/core/irq.h"
#include "kernel/core/pci.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

#define FAULT_CALLS_A_SECOND 10
/* A device that faults without end must not keep the CPU: more than that waits in the unit, which
 * is then silent, as its interrupt tells of the first record only. */
#define FAULTS_A_WINDOW 64
#define WINDOW_NS 10000000ull

static const struct acpi_info *acpi;
static struct timer later;

/* ---- faults ---------------------------------------------------------------------------------- */

/* Count it, find out whose it is, and whether its client is told. Names are for the log. */
static struct iommu_client account_fault(const struct iommu_fault *f, struct log_limit **limit,
					 char *name, size_t size)
{
	struct iommu_client none = { 0 };
	struct iommu_dev *v;
	struct iommu_domain *d;
	u64 now = time_ns();

	lock_assert_held(&iommu.lock);
	v = iommu_dev_find_locked(f->bdf);
	if (!v) {
		iommu.faults++;
		*limit = &iommu.stray;
		str_copy(name, size, "nobody");
		return none;
	}
	d = v->domain;
	v->faults++;
	*limit = &v->limit;
	str_copy(name, size, d->name);
	if (now - d->window_ns > 1000000000ull) {
		d->window_ns = now;
		d->in_window = 0;
	}
	return d->in_window++ < FAULT_CALLS_A_SECOND ? d->client : none;
}

static void keep_fault(const struct iommu_fault *f, const char *owner)
{
	struct iommu_fault_info *k = &iommu.kept[iommu.recorded++ % IOMMU_FAULTS_KEPT];

	lock_assert_held(&iommu.lock);
	k->time_ns = time_ns();
	k->fault = *f;
	str_copy(k->owner, sizeof(k->owner), owner);
}

static void report_fault(const struct iommu_fault *f)
{
	struct log_limit *limit;
	struct iommu_client c;
	char name[32];

	spin_lock(&iommu.lock);
	c = account_fault(f, &limit, name, sizeof(name));
	keep_fault(f, name);
	spin_unlock(&iommu.lock);
	if (f->irq)
		log_limited(limit, LOG_WARN, "iommu: " BDF_FMT " (%s): interrupt %#lx: %s (%#x)",
			    BDF_ARGS(f->bdf), name, f->addr, f->text, f->reason);
	else
		log_limited(limit, LOG_WARN, "iommu: " BDF_FMT " (%s): %s at %#lx: %s (%#x)",
			    BDF_ARGS(f->bdf), name, f->write ? "write" : "read", f->addr, f->text,
			    f->reason);
	if (c.fault)
		c.fault(c.ctx, f);
}

static bool poll_unit(u32 unit)
{
	struct iommu_fault f;
	bool some;

	spin_lock(&iommu.lock);
	some = iommu.driver->poll(unit, &f);
	if (some)
		iommu.driver->unit(unit)->faults++;
	spin_unlock(&iommu.lock);
	if (some)
		report_fault(&f);
	return some;
}

/* Faults that may be read from a unit now, before this window ends. */
static u32 faults_left(struct iommu_unit *u)
{
	u64 now = time_ns();
	u32 left;

	spin_lock(&iommu.lock);
	if (now - u->window_ns > WINDOW_NS) {
		u->window_ns = now;
		u->window_faults = u->faults;
	}
	left = FAULTS_A_WINDOW - (u32)min_u64(u->faults - u->window_faults, FAULTS_A_WINDOW);
	spin_unlock(&iommu.lock);
	return left;
}

void iommu_poll(void)
{
	bool more = false;

	if (!iommu.driver)
		return;
	for (u32 i = 0; i < iommu.common.units; i++) {
		u32 left = faults_left(iommu.driver->unit(i));

		while (left && poll_unit(i))
			left--;
		more |= left == 0;
	}
	/* Without a timer the next fault interrupt, of another unit, goes on. */
	if (more && timer_arm(&later, tsc_read() + ns_to_tsc(WINDOW_NS)))
		log_limited(&iommu.stray, LOG_WARN, "iommu: no timer to go on reading faults");
}

static void poll_later(void *ctx)
{
	(void)ctx;
	iommu_poll();
}

static void fault_interrupt(void *ctx)
{
	(void)ctx;
	softirq_post(SOFTIRQ_IOMMU);
}

static int fault_irqs(void)
{
	int vector = irq_alloc(fault_interrupt, NULL);
	int err = vector < 0 ? vector : 0;

	timer_init(&later, poll_later, NULL);
	softirq_register(SOFTIRQ_IOMMU, iommu_poll);
	for (u32 i = 0; i < iommu.common.units && !err; i++)
		err = iommu.driver->fault_irq(i, (u8)vector, lapic_id());
	return err;
}

/* ---- boot ---------------------------------------------------------------------------- */

/* What firmware left running must not meet a table that knows nothing of it, nor the pool. */
static void quiet_masters(void)
{
	for (u32 i = 0; i < pci_count(); i++) {
		const struct pci_func *f = pci_func(i);

		/* Bridges pass on what others send. */
		if (f->header == 0)
			iommu_master(f->bdf, false);
	}
}

static const struct iommu_driver *choose(const struct acpi_info *a)
{
	if (a->dmar.pa)
		return &vtd_driver;
	return a->ivrs.pa ? &amdvi_driver : NULL;
}

static int open_domains(void)
{
	struct iommu_client empty = { .name = "blocked", .account = hv_owner() };
	struct iommu_client host = { .name = "host", .account = hv_owner() };
	int err = iommu_domain_open_locked(DOMAIN_EMPTY, &empty);

	return err ? err : iommu_domain_open_locked(DOMAIN_HOST, &host);
}

/* Functions that firmware keeps memory for go on reaching it. */
static int keep_reserved(void)
{
	for (u32 i = 0; i < pci_count(); i++) {
		u16 bdf = pci_func(i)->bdf, alias;
		int unit = iommu.driver->unit_of(bdf, &alias), err;

		if (unit < 0 || !resv_has(&iommu.resv, bdf))
			continue;
		err = iommu_quarantine_locked((u32)unit, bdf, alias, DOMAIN_EMPTY);
		if (err)
			return err;
		log_info("iommu: " BDF_FMT " keeps memory that firmware reserved for it",
			 BDF_ARGS(bdf));
	}
	return 0;
}

static int remap_line(const struct ioapic_route *r, u64 *rte)
{
	struct iommu_line l = { r->vector, r->dest, r->level, r->active_low };
	int err = -ENODEV;

	if (r->dest > iommu.driver->irq_dest_max())
		return -ERANGE;
	spin_lock(&iommu.lock);
	for (u32 i = 0; i < acpi->ioapics; i++)
		if (acpi->ioapic[i].gsi_base == r->gsi_base)
			err = iommu.driver->ioapic(acpi->ioapic[i].id, r->pin, &l, rte);
	spin_unlock(&iommu.lock);
	if (err)
		log_err("iommu: I/O APIC input %u: %s", r->gsi_base + r->pin, err_name(err));
	return err;
}

static int bring_up(const struct acpi_info *a)
{
	struct iommu_table blocked;
	int err = iommu.driver->probe(a, &iommu.common, &iommu.resv);

	if (err)
		return err;
	spin_lock(&iommu.lock);
	err = open_domains();
	if (!err)
		err = keep_reserved();
	blocked = iommu_table(&iommu.domain[DOMAIN_EMPTY]);
	if (!err)
		err = iommu.driver->enable(&blocked);
	spin_unlock(&iommu.lock);
	return err;
}

int iommu_init(const struct acpi_info *a)
{
	int err;

	acpi = a;
	quiet_masters();
	if (a->dmar_bad || a->ivrs_bad) {
		log_err("iommu: the %s table is damaged", a->dmar_bad ? "DMAR" : "IVRS");
		return -EPROTO;
	}
	iommu.driver = choose(a);
	if (!iommu.driver)
		return 0;
	err = bring_up(a);
	if (err) {
		iommu.driver = NULL;
		return err;
	}
	if (iommu.common.irqs && ioapic_set_remap(remap_line))
		log_warn("iommu: inputs of I/O APICs that no unit serves are masked");
	err = fault_irqs();
	if (err)
		log_warn("iommu: faults are not announced: %s", err_name(err));
	return 0;
}

/* ---- looking at it ------------------------------------------------------------------- */

u32 iommu_device_list(struct iommu_device_info *out, u32 max)
{
	u32 n = 0;

	spin_lock(&iommu.lock);
	for (u32 i = 0; i < IOMMU_DEVICES; i++) {
		const struct iommu_dev *v = &iommu.dev[i];

		if (v->state == DEV_FREE)
			continue;
		if (n < max) {
			out[n] = (struct iommu_device_info){ .bdf = v->bdf,
							     .unit = v->unit,
							     .mapped = v->domain->mapped,
							     .irqs = v->irqs,
							     .faults = v->faults };
			str_copy(out[n].owner, sizeof(out[n].owner), v->domain->name);
		}
		n++;
	}
	spin_unlock(&iommu.lock);
	return n;
}

u32 iommu_unit_list(struct iommu_unit_info *out, u32 max)
{
	u32 n = iommu.driver ? iommu.common.units : 0;

	for (u32 i = 0; i < n && i < max; i++) {
		const struct iommu_unit *u = iommu.driver->unit(i);

		out[i] = (struct iommu_unit_info){ u->mmio, u->broken,  u->irqs,
						   u->bits, u->flushes, u->faults };
	}
	return n;
}

u64 iommu_stray_faults(void)
{
	return iommu.faults;
}

u32 iommu_fault_list(struct iommu_fault_info *out, u32 max)
{
	u32 n;

	spin_lock(&iommu.lock);
	n = (u32)min_u64(min_u64(iommu.recorded, IOMMU_FAULTS_KEPT), max);
	for (u32 i = 0; i < n; i++)
		out[i] = iommu.kept[(iommu.recorded - n + i) % IOMMU_FAULTS_KEPT];
	spin_unlock(&iommu.lock);
	return n;
}
