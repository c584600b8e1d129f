/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VT-d units: discovery, tables, queued invalidation, enabling.
 */
#include "arch/x86/lapic.h"
#include "iommu/vtd/vtd_fmt.h"
#include "iommu/vtd/vtd_priv.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/core/acpi.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/pci.h"

struct vtd_state vtd;

/* ---- topology -------------------------------------------------------------------------------- */

static bool bridge(void *ctx, u16 bdf, u8 *secondary, u8 *subordinate)
{
	const struct pci_func *f = pci_lookup(bdf);

	(void)ctx;
	if (!f || f->header != 1)
		return false;
	*secondary = f->secondary;
	*subordinate = f->subordinate;
	return true;
}

static const struct dmar_topology topology = { .bridge = bridge };

const struct dmar_topology *vtd_topology(void)
{
	return &topology;
}

static int vtd_unit_of(u16 bdf, u16 *alias)
{
	*alias = bdf;
	return dmar_unit_of(&vtd.dmar, &topology, 0, bdf);
}

static struct iommu_unit *vtd_unit_get(u32 i)
{
	return &vtd.unit[i].u;
}

/* ---- registers ----------------------------------------------------------------------- */

struct status_wait {
	struct vtd_unit *u;
	u32 bits, want;
};

static bool status_reached(void *ctx)
{
	const struct status_wait *w = ctx;

	return (mmio_read32(w->u->u.regs + VTD_GSTS) & w->bits) == w->want;
}

int vtd_command(struct vtd_unit *u, u32 bits, bool on)
{
	u32 now = mmio_read32(u->u.regs + VTD_GSTS) & VTD_GSTS_KEEP;
	/* The write-buffer flush reports its end by clearing the bit. */
	struct status_wait w = { u, bits, on && bits != VTD_GCMD_WBF ? bits : 0 };

	mmio_write32(u->u.regs + VTD_GCMD, on ? now | bits : now & ~bits);
	return iommu_wait(status_reached, &w);
}

/* ---- invalidation queue -------------------------------------------------------------- */

static bool queue_done(void *ctx)
{
	struct vtd_unit *u = ctx;

	return *u->status == u->sequence ||
	       (mmio_read32(u->u.regs + VTD_FSTS) & (VTD_FSTS_IQE | VTD_FSTS_ITE));
}

static void push(struct vtd_unit *u, struct vtd_entry e)
{
	u->queue[u->tail] = e;
	iommu_writeback(&u->queue[u->tail], sizeof(e));
	u->tail = vtd_qi_next(u->tail);
}

int vtd_submit(struct vtd_unit *u, const struct vtd_entry *d, u32 n)
{
	u32 head = (u32)mmio_read64(u->u.regs + VTD_IQH) >> VTD_QI_SHIFT;

	if (u->u.broken || vtd_qi_space(head, u->tail) < n + 1)
		return -ETIMEDOUT;
	if (u->caps.write_flush && vtd_command(u, VTD_GCMD_WBF, true))
		return -ETIMEDOUT;
	for (u32 i = 0; i < n; i++)
		push(u, d[i]);
	u->sequence++;
	push(u, vtd_qi_wait(virt_to_phys((const void *)u->status), u->sequence));
	mmio_write64(u->u.regs + VTD_IQT, (u64)u->tail << VTD_QI_SHIFT);
	if (iommu_wait(queue_done, u) == 0 && *u->status == u->sequence)
		return 0;
	log_err("iommu: VT-d unit at %#lx: invalidation not done, fault status %#x, head %#lx, "
		"tail %#x",
		u->u.mmio, mmio_read32(u->u.regs + VTD_FSTS),
		mmio_read64(u->u.regs + VTD_IQH) >> VTD_QI_SHIFT, u->tail);
	return -ETIMEDOUT;
}

static int vtd_flush(u32 unit, u16 domain, u64 first, u64 last)
{
	struct vtd_unit *u = &vtd.unit[unit];
	struct vtd_entry d = vtd_qi_iotlb_range(&u->caps, domain, first, last);

	return vtd_submit(u, &d, 1);
}

/* ---- context entries ----------------------------------------------------------------- */

static struct vtd_entry *context_of(struct vtd_unit *u, u16 bdf, bool make)
{
	struct vtd_entry *r = &u->root[bdf >> 8];
	hpa_t table = vtd_root_table(*r);

	if (!table) {
		if (!make || frame_alloc(hv_owner(), &table))
			return NULL;
		iommu_writeback(phys_to_virt(table), PAGE_SIZE);
		*r = vtd_root(table);
		iommu_writeback(r, sizeof(*r));
	}
	return (struct vtd_entry *)phys_to_virt(table) + (bdf & 0xff);
}

/* Forget a function's context entry and all translations of the domain it was of. */
static int forget(struct vtd_unit *u, u16 bdf, u16 domain)
{
	struct vtd_entry d[] = {
		vtd_qi_context_device(domain, bdf),
		vtd_qi_iotlb_domain(&u->caps, domain),
	};

	return vtd_submit(u, d, ARRAY_SIZE(d));
}

static void write_context(struct vtd_entry *e, struct vtd_entry v)
{
	/* The half with the present bit comes last, and goes first. */
	__atomic_store_n(&e->lo, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&e->hi, v.hi, __ATOMIC_SEQ_CST);
	__atomic_store_n(&e->lo, v.lo, __ATOMIC_SEQ_CST);
	iommu_writeback(e, sizeof(*e));
}

static bool running(const struct vtd_unit *u)
{
	return mmio_read32(u->u.regs + VTD_GSTS) & VTD_GCMD_TE;
}

static int vtd_set(u32 unit, u16 bdf, const struct iommu_table *t, u16 old)
{
	struct vtd_unit *u = &vtd.unit[unit];
	struct vtd_entry *e = context_of(u, bdf, t != NULL);
	const struct pgfmt *fmt = vtd.unit[0].caps.levels4 ? &vtd_fmt4 : &vtd_fmt3;
	bool was;

	if (!e)
		return t ? -ENOMEM : 0;
	was = vtd_context_present(*e);
	if (was) {
		int err;

		old = vtd_context_domain(*e);
		write_context(e, (struct vtd_entry){ 0, 0 });
		err = running(u) ? forget(u, bdf, old) : 0;
		if (err)
			return err;
	}
	if (!t)
		return 0;
	write_context(e, vtd_context(t->root, fmt->levels, t->id));
	/* Not-present entries are cached under domain 0. */
	return u->caps.caching && running(u) ? forget(u, bdf, 0) : 0;
}

/* ---- discovery ----------------------------------------------------------------------- */

static int map_registers(struct vtd_unit *u, const struct dmar_unit *d)
{
	u32 version;
	u64 need;

	u->u.mmio = d->mmio;
	u->u.regs = hostmap_mmio(d->mmio, d->mmio_len);
	if (!u->u.regs)
		return -ENOMEM;
	version = mmio_read32(u->u.regs + VTD_VER);
	if (version == 0 || version == ~0u) {
		log_warn("iommu: no VT-d unit answers at %#lx", d->mmio);
		return -ENODEV;
	}
	u->caps = vtd_caps(mmio_read64(u->u.regs + VTD_CAP), mmio_read64(u->u.regs + VTD_ECAP));
	need = align_up(u->caps.fault_offset + u->caps.faults * 16ull, PAGE_SIZE);
	if (need > d->mmio_len)
		u->u.regs = hostmap_mmio(d->mmio, (size_t)need);
	u->u.bits = u->caps.addr_bits;
	return u->u.regs ? 0 : -ENOMEM;
}

static int alloc_tables(struct vtd_unit *u)
{
	u->root = kalloc(hv_owner(), PAGE_SIZE);
	u->queue = kalloc(hv_owner(), VTD_QI_ENTRIES * sizeof(*u->queue));
	u->status = kalloc(hv_owner(), PAGE_SIZE);
	if (!u->root || !u->queue || !u->status)
		return -ENOMEM;
	iommu_writeback(u->root, PAGE_SIZE);
	return u->caps.irq_remap ? vtd_ir_alloc(u) : 0;
}

static const char *missing(const struct vtd_caps *c)
{
	if (c->domains == 0 || (!c->levels3 && !c->levels4))
		return "DMA translation";
	return c->queued ? NULL : "queued invalidation";
}

static void merge(struct iommu_common *c, const struct vtd_unit *u, bool intr_remap)
{
	c->max_leaf = min_u64(c->max_leaf, u->caps.max_leaf);
	c->bits = (u8)min_u64(c->bits, u->caps.addr_bits);
	c->domain_ids = (u32)min_u64(c->domain_ids, u->caps.domains);
	c->coherent &= u->caps.coherent;
	c->flush_added |= u->caps.caching || u->caps.write_flush;
	c->irqs &= intr_remap && u->caps.irq_remap;
}

static int probe_units(struct iommu_common *c)
{
	bool levels4 = true, levels3 = true;

	for (u32 i = 0; i < vtd.dmar.units; i++) {
		struct vtd_unit *u = &vtd.unit[i];
		int err = map_registers(u, &vtd.dmar.unit[i]);

		if (err)
			return err;
		if (missing(&u->caps)) {
			log_warn("iommu: VT-d unit at %#lx has no %s", u->u.mmio,
				 missing(&u->caps));
			return -ENOTSUP;
		}
		levels4 &= u->caps.levels4;
		levels3 &= u->caps.levels3;
		merge(c, u, vtd.dmar.intr_remap);
	}
	if (!levels4 && !levels3) {
		log_warn("iommu: VT-d units have no depth of tables in common");
		return -ENOTSUP;
	}
	c->fmt = levels4 ? &vtd_fmt4 : &vtd_fmt3;
	c->bits = (u8)min_u64(c->bits, c->fmt->va_bits);
	return 0;
}

static int add_reserved(struct resv *resv)
{
	for (u32 i = 0; i < vtd.dmar.rmrrs; i++) {
		const struct dmar_rmrr *r = &vtd.dmar.rmrr[i];

		for (u32 k = 0; k < r->scopes.count; k++) {
			struct resv_region n = { .base = r->base,
						 .len = r->len,
						 .rights = PG_R | PG_W };
			int err = dmar_scope_bdf(&vtd.dmar.scope[r->scopes.first + k], &topology,
						 &n.first);

			if (err)
				continue; /* the device is not there */
			n.last = n.first;
			err = resv_add(resv, &n);
			if (err) {
				log_warn("iommu: reserved memory at %#lx: %s", r->base,
					 err_name(err));
				return err;
			}
		}
	}
	return 0;
}

static int vtd_probe(const struct acpi_info *a, struct iommu_common *c, struct resv *resv)
{
	const u8 *t = hostmap_firmware(a->dmar.pa, a->dmar.len);
	char why[160] = "out of reach";
	int err = t ? dmar_parse(t, a->dmar.len, &vtd.dmar, why, sizeof(why)) : -EPROTO;

	if (err) {
		log_warn("iommu: %s", why);
		return err;
	}
	if (vtd.dmar.units == 0)
		return -ENODEV;
	*c = (struct iommu_common){ .max_leaf = SIZE_1G, .bits = 64, .domain_ids = 65536,
				    .coherent = true, .irqs = true, .units = vtd.dmar.units };
	vtd.units = vtd.dmar.units;
	vtd.x2apic = lapic_is_x2apic();
	err = probe_units(c);
	for (u32 i = 0; i < vtd.units && !err; i++) {
		vtd.x2apic &= vtd.unit[i].caps.x2apic;
		vtd.unit[i].u.irqs = c->irqs;
		err = alloc_tables(&vtd.unit[i]);
	}
	return err ? err : add_reserved(resv);
}

/* ---- enabling ------------------------------------------------------------------------ */

/* Whatever firmware or a loader left on. */
static int all_off(struct vtd_unit *u)
{
	static const u32 bits[] = { VTD_GCMD_TE, VTD_GCMD_IRE, VTD_GCMD_QIE };
	int err = 0;

	for (u32 i = 0; i < ARRAY_SIZE(bits) && !err; i++)
		if (mmio_read32(u->u.regs + VTD_GSTS) & bits[i])
			err = vtd_command(u, bits[i], false);
	return err;
}

static int start_queue(struct vtd_unit *u)
{
	u->tail = 0;
	mmio_write64(u->u.regs + VTD_IQT, 0);
	mmio_write64(u->u.regs + VTD_IQA, virt_to_phys(u->queue));
	return vtd_command(u, VTD_GCMD_QIE, true);
}

static bool unprotected(void *ctx)
{
	struct vtd_unit *u = ctx;

	return !(mmio_read32(u->u.regs + VTD_PMEN) & 1);
}

/* Regions protected before translation was on: the tables do it now. */
static int unprotect(struct vtd_unit *u)
{
	if (!u->caps.protected_memory || unprotected(u))
		return 0;
	mmio_write32(u->u.regs + VTD_PMEN, 0);
	return iommu_wait(unprotected, u);
}

static int enable_translation(struct vtd_unit *u)
{
	struct vtd_entry all[] = { vtd_qi_context_all(), vtd_qi_iotlb_all(&u->caps) };
	int err = all_off(u);

	if (err)
		return err;
	mmio_write64(u->u.regs + VTD_RTADDR, virt_to_phys(u->root));
	err = vtd_command(u, VTD_GCMD_SRTP, true);
	if (!err)
		err = start_queue(u);
	if (!err)
		err = vtd_submit(u, all, ARRAY_SIZE(all));
	if (!err)
		err = vtd_command(u, VTD_GCMD_TE, true);
	return err ? err : unprotect(u);
}

static int vtd_enable(const struct iommu_table *blocked)
{
	(void)blocked; /* what has no context entry is blocked */
	for (u32 i = 0; i < vtd.units; i++) {
		struct vtd_unit *u = &vtd.unit[i];
		int err;

		vtd_fault_clear(u);
		err = enable_translation(u);
		if (!err && u->u.irqs)
			err = vtd_ir_enable(u);
		if (err) {
			log_err("iommu: VT-d unit at %#lx cannot be enabled, status %#x", u->u.mmio,
				mmio_read32(u->u.regs + VTD_GSTS));
			return err;
		}
	}
	return 0;
}

const struct iommu_driver vtd_driver = {
	.name = "VT-d",
	.probe = vtd_probe,
	.enable = vtd_enable,
	.unit = vtd_unit_get,
	.unit_of = vtd_unit_of,
	.set = vtd_set,
	.flush = vtd_flush,
	.irq_reserve = vtd_irq_reserve,
	.irq_set = vtd_irq_set,
	.irq_release = vtd_irq_release,
	.irq_drop = vtd_irq_drop,
	.irq_message = vtd_irq_message,
	.irq_dest_max = vtd_irq_dest_max,
	.ioapic = vtd_ioapic,
	.fault_irq = vtd_fault_irq,
	.poll = vtd_poll,
};
