/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domains: what they map, and which functions are attached to them.
 */
#include "iommu/iommu.h"

#include "arch/x86/cpu.h"
#include "iommu/iommu_priv.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/pci.h"
#include "kernel/core/timer.h"

struct iommu_state iommu = { .lock = SPINLOCK_INIT(LOCK_DOM, "iommu") };

/* ---- help for drivers ---------------------------------------------------------------------- */

int iommu_wait(bool (*done)(void *ctx), void *ctx)
{
	u64 end = tsc_read() + ns_to_tsc(IOMMU_WAIT_US * 1000ull);

	while (!done(ctx)) {
		if (tsc_read() > end)
			return done(ctx) ? 0 : -ETIMEDOUT;
		cpu_pause();
	}
	return 0;
}

void iommu_writeback(const void *p, size_t len)
{
	const u8 *line = (const u8 *)((uintptr_t)p & ~(uintptr_t)63);

	if (iommu.common.coherent)
		return;
	for (; line < (const u8 *)p + len; line += 64)
		__asm__ volatile("clflush %0" : : "m"(*line) : "memory");
	__asm__ volatile("mfence" : : : "memory");
}

/* ---- page tables --------------------------------------------------------------------------- */

static int table_alloc(void *ctx, hpa_t *out)
{
	struct iommu_domain *d = ctx;
	int err = frame_alloc(d->client.account, out);

	if (!err)
		iommu_writeback(phys_to_virt(*out), PAGE_SIZE);
	return err;
}

static void table_free(void *ctx, hpa_t page)
{
	struct iommu_domain *d = ctx;

	frame_free(d->client.account, page);
}

static u64 *table_map(void *ctx, hpa_t page)
{
	(void)ctx;
	return phys_to_virt(page);
}

static bool table_cas(void *ctx, u64 *entry, u64 old, u64 new_entry)
{
	bool done = __atomic_compare_exchange_n(entry, &old, new_entry, false, __ATOMIC_SEQ_CST,
						__ATOMIC_SEQ_CST);

	(void)ctx;
	if (done)
		iommu_writeback(entry, sizeof(*entry));
	return done;
}

struct iommu_table iommu_table(const struct iommu_domain *d)
{
	return (struct iommu_table){ d->id, d->pt.root };
}

int iommu_domain_open_locked(u16 id, const struct iommu_client *c)
{
	struct iommu_domain *d = &iommu.domain[id];
	struct pgtable_env env = { .ctx = d,
				   .alloc = table_alloc,
				   .free = table_free,
				   .map = table_map,
				   .cas = table_cas };
	int err;

	memset(d, 0, sizeof(*d));
	d->id = id;
	d->client = *c;
	str_copy(d->name, sizeof(d->name), c->name);
	d->client.name = d->name;
	err = pgtable_init(&d->pt, iommu.common.fmt, &env, iommu.common.max_leaf);
	d->used = err == 0;
	return err;
}

/* ---- failures ------------------------------------------------------------------------------- */

void iommu_master(u16 bdf, bool on)
{
	u16 cmd = (u16)pci_read(bdf, PCI_COMMAND, 2);

	if (cmd == 0xffff)
		return;
	cmd = (u16)(on ? cmd | PCI_COMMAND_MASTER : cmd & ~PCI_COMMAND_MASTER);
	pci_write(bdf, PCI_COMMAND, 2, cmd);
}

void iommu_unit_failed_locked(u32 unit)
{
	struct iommu_unit *u = iommu.driver->unit(unit);

	lock_assert_held(&iommu.lock);
	if (!u->broken)
		log_err("iommu: unit %u at %#lx does not answer within %u ms: its devices are "
			"detached",
			unit, u->mmio, IOMMU_WAIT_US / 1000);
	u->broken = true;
	for (u32 i = 0; i < IOMMU_DEVICES; i++) {
		struct iommu_dev *v = &iommu.dev[i];

		if (v->state != DEV_ATTACHED || v->unit != unit)
			continue;
		v->state = DEV_BROKEN;
		v->domain->tainted = true;
		iommu_master(v->bdf, false);
		/* In memory it is blocked; that the unit does not confirm is known already. */
		if (iommu_quarantine_locked(unit, v->bdf, v->alias, v->domain->id))
			log_err("iommu: " BDF_FMT " of %s is cut off by its bus master bit alone",
				BDF_ARGS(v->bdf), v->domain->name);
	}
}

void iommu_notify(void)
{
	for (u32 i = 0; i < IOMMU_DEVICES; i++) {
		struct iommu_dev *v = &iommu.dev[i];
		struct iommu_client c = { 0 };
		u16 bdf = 0;

		spin_lock(&iommu.lock);
		if (v->state == DEV_BROKEN && !v->told) {
			v->told = true;
			c = v->domain->client;
			bdf = v->bdf;
		}
		spin_unlock(&iommu.lock);
		if (c.broken)
			c.broken(c.ctx, bdf);
	}
}

/* All units that may have cached something of d. -ETIMEDOUT when one failed. */
static int flush_locked(struct iommu_domain *d, u64 first, u64 last)
{
	int result = 0;

	for (u32 i = 0; i < iommu.common.units; i++) {
		if (!d->on_unit[i])
			continue;
		iommu.driver->unit(i)->flushes++;
		if (iommu.driver->unit(i)->broken || iommu.driver->flush(i, d->id, first, last)) {
			iommu_unit_failed_locked(i);
			result = -ETIMEDOUT;
		}
	}
	return result;
}

/* What a change of the table asks for. Retired tables of a failed flush are never used again. */
static int finish_change_locked(struct iommu_domain *d, struct pgtable_change *c)
{
	int err = 0;

	if (c->flush || (c->added && iommu.common.flush_added))
		err = flush_locked(d, c->first, c->last);
	if (!err)
		pgtable_release(&d->pt, c);
	return err;
}

/* ---- domains -------------------------------------------------------------------------------- */

bool iommu_present(void)
{
	return iommu.driver != NULL;
}

bool iommu_remaps_irqs(void)
{
	return iommu.driver && iommu.common.irqs;
}

const char *iommu_name(void)
{
	return iommu.driver ? iommu.driver->name : "none";
}

struct iommu_domain *iommu_host(void)
{
	return iommu.driver ? &iommu.domain[DOMAIN_HOST] : NULL;
}

u64 iommu_limit(void)
{
	return iommu.driver ? BIT(iommu.common.bits) : 0;
}

int iommu_domain_create(const struct iommu_client *c, struct iommu_domain **out)
{
	u16 end = (u16)min_u64(DOMAINS, iommu.common.domain_ids);
	int err = -ENOSPC;

	if (!iommu.driver)
		return -ENODEV;
	spin_lock(&iommu.lock);
	for (u16 id = DOMAIN_FIRST; id < end; id++) {
		if (iommu.domain[id].used)
			continue;
		err = iommu_domain_open_locked(id, c);
		if (!err)
			*out = &iommu.domain[id];
		break;
	}
	spin_unlock(&iommu.lock);
	if (err == -ENOSPC)
		log_warn("iommu: no domain for %s: all %u are in use", c->name, end - DOMAIN_FIRST);
	return err;
}

int iommu_domain_destroy(struct iommu_domain *d)
{
	int err = 0;

	if (!d)
		return 0;
	spin_lock(&iommu.lock);
	if (d->devices) {
		err = -EBUSY;
	} else if (d->tainted) {
		err = -ETIMEDOUT;
	} else {
		pgtable_destroy(&d->pt);
		d->used = false;
	}
	spin_unlock(&iommu.lock);
	return err;
}

static bool range_bad(iova_t iova, u64 len)
{
	return len == 0 || !range_within(iova, len, 0, BIT(iommu.common.bits)) ||
	       ranges_overlap(iova, len, IOMMU_MSI_BASE, IOMMU_MSI_SIZE);
}

int iommu_map(struct iommu_domain *d, iova_t iova, hpa_t hpa, u64 len, u64 rights)
{
	struct pgtable_map m = { .va = iova, .hpa = hpa, .len = len, .attrs = rights };
	struct pgtable_change c = { 0 };
	int err, late;

	if (range_bad(iova, len) || !(rights & PG_R))
		return -EINVAL;
	spin_lock(&iommu.lock);
	err = pgtable_map(&d->pt, &m, &c);
	if (!err)
		d->mapped += len;
	late = finish_change_locked(d, &c);
	spin_unlock(&iommu.lock);
	if (late)
		iommu_notify();
	return err ? err : late;
}

struct count {
	u64 first, last, bytes;
};

static int count_leaf(void *ctx, const struct pgtable_leaf *leaf)
{
	struct count *n = ctx;

	n->bytes += min_u64(leaf->va + leaf->size - 1, n->last) - max_u64(leaf->va, n->first) + 1;
	return 0;
}

int iommu_unmap(struct iommu_domain *d, iova_t iova, u64 len)
{
	struct pgtable_change c = { 0 };
	struct count n = { iova, iova + len - 1, 0 };
	int err, late;

	if (range_bad(iova, len))
		return -EINVAL;
	spin_lock(&iommu.lock);
	err = pgtable_visit(&d->pt, iova, len, count_leaf, &n);
	if (!err)
		err = pgtable_unmap(&d->pt, iova, len, &c);
	if (!err)
		d->mapped -= n.bytes;
	late = finish_change_locked(d, &c);
	spin_unlock(&iommu.lock);
	if (late)
		iommu_notify();
	return err ? err : late;
}

int iommu_protect(struct iommu_domain *d, iova_t iova, u64 len, u64 rights)
{
	struct pgtable_change c = { 0 };
	int err, late;

	if (range_bad(iova, len) || !(rights & PG_R))
		return -EINVAL;
	spin_lock(&iommu.lock);
	err = pgtable_protect(&d->pt, iova, len, rights, &c);
	late = finish_change_locked(d, &c);
	spin_unlock(&iommu.lock);
	if (late)
		iommu_notify();
	return err ? err : late;
}

int iommu_lookup(struct iommu_domain *d, iova_t iova, hpa_t *hpa, u64 *left)
{
	struct pgtable_leaf leaf;
	int err;

	spin_lock(&iommu.lock);
	err = pgtable_lookup(&d->pt, iova, &leaf);
	spin_unlock(&iommu.lock);
	if (err)
		return -EFAULT;
	*hpa = leaf.hpa + (iova - leaf.va);
	*left = leaf.size - (iova - leaf.va);
	return 0;
}

/* ---- devices -------------------------------------------------------------------------------- */

struct iommu_dev *iommu_dev_find_locked(u16 bdf)
{
	for (u32 i = 0; i < IOMMU_DEVICES; i++)
		if (iommu.dev[i].state != DEV_FREE && iommu.dev[i].bdf == bdf)
			return &iommu.dev[i];
	return NULL;
}

int iommu_reserve_locked(struct iommu_domain *d, u16 bdf)
{
	const struct resv_region *r;
	u32 at = 0;

	while ((r = resv_next(&iommu.resv, bdf, &at))) {
		struct pgtable_map m = {
			.va = r->base, .hpa = r->base, .len = r->len, .attrs = r->rights
		};
		struct pgtable_change c = { 0 };
		/* Regions may overlap; they are one to one, so mapping over is right. */
		int err = pgtable_remap(&d->pt, &m, &c);
		int late = finish_change_locked(d, &c);

		if (err || late)
			return err ? err : late;
	}
	return 0;
}

/* A function with reserved memory rests in a domain that has nothing else, named after it. */
static struct iommu_domain *firmware_domain(u16 bdf)
{
	char name[32];

	fmt_snprintf(name, sizeof(name), "firmware " BDF_FMT, BDF_ARGS(bdf));
	for (u32 id = DOMAIN_FIRST; id < DOMAINS; id++)
		if (iommu.domain[id].used && strcmp(iommu.domain[id].name, name) == 0)
			return &iommu.domain[id];
	for (u32 id = DOMAIN_FIRST; id < min_u64(DOMAINS, iommu.common.domain_ids); id++) {
		struct iommu_client c = { .name = name, .account = hv_owner() };

		if (iommu.domain[id].used)
			continue;
		if (iommu_domain_open_locked((u16)id, &c) ||
		    iommu_reserve_locked(&iommu.domain[id], bdf))
			return NULL;
		return &iommu.domain[id];
	}
	return NULL;
}

int iommu_quarantine_locked(u32 unit, u16 bdf, u16 alias, u16 old)
{
	struct iommu_table t;
	struct iommu_domain *d;

	if (!resv_has(&iommu.resv, bdf))
		return iommu.driver->set(unit, alias, NULL, old);
	d = firmware_domain(bdf);
	if (!d) {
		log_warn("iommu: " BDF_FMT ": no room for its firmware's memory, all is blocked",
			 BDF_ARGS(bdf));
		return iommu.driver->set(unit, alias, NULL, old);
	}
	t = iommu_table(d);
	return iommu.driver->set(unit, alias, &t, old);
}

/* Behind a bridge to conventional PCI all functions use the bridge's requester id. */
static bool shares_id(u16 bdf)
{
	u8 bus = PCI_BUS(bdf);

	for (u32 i = 0; i < pci_count(); i++) {
		const struct pci_func *f = pci_func(i);

		if (f->header == 1 && bus >= f->secondary && bus <= f->subordinate &&
		    (!f->cap_pcie || f->pcie_type == PCIE_TYPE_TO_PCI))
			return true;
	}
	return false;
}

/* The physical function that bdf is a virtual one of, by routing ids (PCIe 5.0 §9.2.1.2). */
static const struct pci_func *physical_of(u16 bdf)
{
	for (u32 i = 0; i < pci_count(); i++) {
		const struct pci_func *f = pci_func(i);
		u32 total, offset, stride, at;

		if (!f->ext_sriov)
			continue;
		total = pci_read(f->bdf, f->ext_sriov + SRIOV_TOTAL, 2);
		offset = pci_read(f->bdf, f->ext_sriov + SRIOV_OFFSET, 2);
		stride = pci_read(f->bdf, f->ext_sriov + SRIOV_STRIDE, 2);
		at = (u32)bdf - f->bdf - offset;
		if (bdf >= f->bdf + offset &&
		    (stride ? at % stride == 0 && at / stride < total : at == 0))
			return f;
	}
	return NULL;
}

/* Virtual functions are served by the unit of theirs, and tables of firmware do not name them. */
static int unit_of(u16 bdf, u16 *alias)
{
	const struct pci_func *pf;
	int unit;

	if (!iommu.driver)
		return -ENODEV;
	unit = iommu.driver->unit_of(bdf, alias);
	pf = unit == -ENODEV ? physical_of(bdf) : NULL;
	if (pf) {
		unit = iommu.driver->unit_of(pf->bdf, alias);
		*alias = bdf;
	}
	return unit;
}

int iommu_check(u16 bdf, char *why, size_t why_size)
{
	u16 alias;
	int unit = unit_of(bdf, &alias);

	if (!iommu.driver)
		return fmt_snprintf(why, why_size, "this machine has no IOMMU"), -ENODEV;
	if (unit == -ENODEV)
		return fmt_snprintf(why, why_size, "no IOMMU serves it"), -ENODEV;
	if (unit < 0 || alias != bdf || shares_id(bdf))
		return fmt_snprintf(why, why_size, "it shares its requester id with others"),
		       -ENOTSUP;
	if (iommu.driver->unit((u32)unit)->broken)
		return fmt_snprintf(why, why_size, "its IOMMU does not answer"), -ENODEV;
	if (resv_has(&iommu.resv, bdf))
		return fmt_snprintf(why, why_size, "firmware keeps memory mapped for it"), -EPERM;
	if (!iommu.common.irqs)
		return fmt_snprintf(why, why_size, "the IOMMU does not remap interrupts"), -ENOTSUP;
	return 0;
}

static struct iommu_dev *dev_slot(void)
{
	for (u32 i = 0; i < IOMMU_DEVICES; i++)
		if (iommu.dev[i].state == DEV_FREE)
			return &iommu.dev[i];
	log_warn("iommu: more than %u functions attached", IOMMU_DEVICES);
	return NULL;
}

static int attach_locked(struct iommu_domain *d, u16 bdf, u32 unit, u16 alias)
{
	struct iommu_dev *v = dev_slot();
	struct iommu_table t = iommu_table(d);
	int err;

	if (!v)
		return -ENOSPC;
	if (iommu.driver->unit(unit)->broken)
		return -ENODEV;
	if (iommu_dev_find_locked(bdf))
		return -EBUSY;
	if (d->id != DOMAIN_HOST && resv_has(&iommu.resv, bdf))
		return -EPERM;
	err = iommu_reserve_locked(d, bdf);
	if (err)
		return err;
	*v = (struct iommu_dev){
		.state = DEV_ATTACHED, .unit = (u8)unit, .bdf = bdf, .alias = alias, .domain = d
	};
	d->devices++;
	d->on_unit[unit]++;
	err = iommu.driver->set(unit, alias, &t, DOMAIN_EMPTY);
	if (!err)
		return 0;
	if (err == -ETIMEDOUT)
		iommu_unit_failed_locked(unit);
	d->devices--;
	d->on_unit[unit]--;
	v->state = DEV_FREE;
	return err;
}

int iommu_attach(struct iommu_domain *d, u16 bdf)
{
	u16 alias;
	int unit = unit_of(bdf, &alias);
	int err;

	if (unit < 0)
		return unit;
	if (shares_id(bdf) || alias != bdf)
		return -ENOTSUP;
	spin_lock(&iommu.lock);
	err = attach_locked(d, bdf, (u32)unit, alias);
	spin_unlock(&iommu.lock);
	if (err == -ETIMEDOUT)
		iommu_notify();
	if (!err)
		log_debug("iommu: " BDF_FMT " attached to %s", BDF_ARGS(bdf), d->name);
	return err;
}

int iommu_detach(u16 bdf)
{
	struct iommu_dev *v;
	int err = 0;

	spin_lock(&iommu.lock);
	v = iommu.driver ? iommu_dev_find_locked(bdf) : NULL;
	if (!v) {
		spin_unlock(&iommu.lock);
		return -ENOENT;
	}
	if (v->irqs)
		iommu.driver->irq_drop(v->unit, v->alias);
	if (v->state == DEV_ATTACHED)
		err = iommu_quarantine_locked(v->unit, bdf, v->alias, v->domain->id);
	if (err == -ETIMEDOUT)
		iommu_unit_failed_locked(v->unit);
	if (v->state == DEV_BROKEN)
		err = -ETIMEDOUT;
	v->domain->devices--;
	v->domain->on_unit[v->unit]--;
	v->state = DEV_FREE;
	spin_unlock(&iommu.lock);
	if (err)
		iommu_notify();
	return err;
}

struct iommu_domain *iommu_domain_of(u16 bdf)
{
	struct iommu_dev *v;
	struct iommu_domain *d;

	spin_lock(&iommu.lock);
	v = iommu_dev_find_locked(bdf);
	d = v ? v->domain : NULL;
	spin_unlock(&iommu.lock);
	return d;
}
