/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD-Vi units: discovery, device table, command buffer, enabling.
 */
#include "arch/x86/lapic.h"
#include "iommu/amdvi/amdvi_fmt.h"
#include "iommu/amdvi/amdvi_priv.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/core/acpi.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/pci.h"

#define DEVICE_TABLE_BYTES (AMDVI_DTES * sizeof(struct amdvi_dte))
#define BATCH		   200u /* commands in one go; fewer than AMDVI_RING_ENTRIES */

#define CAP_SECURE 0x0f /* capability id, and */
#define CAP_IOMMU  3	/* its type */

struct amdvi_state amdvi;

static struct iommu_unit *amdvi_unit_get(u32 i)
{
	return &amdvi.unit[i].u;
}

static int amdvi_unit_of(u16 bdf, u16 *alias)
{
	u8 settings;

	for (u32 i = 0; i < amdvi.ivrs.specials; i++)
		if (amdvi.ivrs.special[i].bdf == bdf)
			return -ENOTSUP;
	return ivrs_unit_of(&amdvi.ivrs, 0, bdf, alias, &settings);
}

/* ---- command buffer -------------------------------------------------------------------------- */

static bool command_done(void *ctx)
{
	const struct amdvi_unit *u = ctx;

	return *u->done == u->sequence;
}

static void push(struct amdvi_unit *u, struct amdvi_cmd c)
{
	u->commands[u->tail] = c;
	u->tail = amdvi_ring_next(u->tail);
}

int amdvi_submit(struct amdvi_unit *u, const struct amdvi_cmd *c, u32 n)
{
	u32 head = (u32)mmio_read64(u->u.regs + AMDVI_CMD_HEAD) / sizeof(*c);

	if (!u->running)
		return 0;
	if (u->u.broken || amdvi_ring_space(head, u->tail) < n + 1)
		return -ETIMEDOUT;
	for (u32 i = 0; i < n; i++)
		push(u, c[i]);
	u->sequence++;
	push(u, amdvi_cmd_wait(virt_to_phys((const void *)u->done), u->sequence));
	mmio_write64(u->u.regs + AMDVI_CMD_TAIL, u->tail * sizeof(*c));
	if (iommu_wait(command_done, u) == 0)
		return 0;
	log_err("iommu: AMD-Vi unit at %#lx: commands not done, status %#lx, head %#lx, tail %#lx",
		u->u.mmio, mmio_read64(u->u.regs + AMDVI_STATUS),
		mmio_read64(u->u.regs + AMDVI_CMD_HEAD), u->tail * sizeof(*c));
	return -ETIMEDOUT;
}

static int amdvi_flush(u32 unit, u16 domain, u64 first, u64 last)
{
	struct amdvi_cmd c = amdvi_cmd_pages(domain, first, last);

	return amdvi_submit(&amdvi.unit[unit], &c, 1);
}

/* ---- device table -------------------------------------------------------------------- */

/* The first quadword holds the table and the valid bits: one store moves a function. */
static void write_entry(u16 bdf, struct amdvi_dte v)
{
	struct amdvi_dte *e = &amdvi.devices[bdf];

	for (u32 i = ARRAY_SIZE(v.q); i-- > 0;)
		__atomic_store_n(&e->q[i], v.q[i], __ATOMIC_SEQ_CST);
}

static u8 settings_of(u16 bdf)
{
	u16 alias;
	u8 settings;

	for (u32 i = 0; i < amdvi.ivrs.specials; i++)
		if (amdvi.ivrs.special[i].bdf == bdf)
			return amdvi.ivrs.special[i].settings;
	return ivrs_unit_of(&amdvi.ivrs, 0, bdf, &alias, &settings) < 0 ? 0 : settings;
}

static struct amdvi_dte make_entry(u16 bdf, const struct iommu_table *t)
{
	const struct amdvi_irqs *q = amdvi_irqs_of(bdf);
	struct amdvi_device d = { .root = t->root, .domain = t->id, .settings = settings_of(bdf) };

	if (q) {
		d.irqs = virt_to_phys(q->entries);
		d.irq_order = AMDVI_IRTE_ORDER;
	}
	return amdvi_dte(&d);
}

static int amdvi_set(u32 unit, u16 bdf, const struct iommu_table *t, u16 old)
{
	struct amdvi_unit *u = &amdvi.unit[unit];
	const struct iommu_table *to = t ? t : &amdvi.blocked;
	struct amdvi_cmd c[] = {
		amdvi_cmd_device(bdf), amdvi_cmd_irqs(bdf), amdvi_cmd_domain(old),
		amdvi_cmd_domain(to->id),
	};

	/* Before enabling there is no table to rest on: what is not set by then becomes blocked. */
	if (to->root == 0)
		return 0;
	write_entry(bdf, make_entry(bdf, to));
	return amdvi_submit(u, c, ARRAY_SIZE(c));
}

int amdvi_refresh(u32 unit, u16 bdf)
{
	struct amdvi_cmd c[] = { amdvi_cmd_device(bdf), amdvi_cmd_irqs(bdf) };
	const struct amdvi_dte *e = &amdvi.devices[bdf];
	struct iommu_table t = { .id = (u16)e->q[1], .root = e->q[0] & MASK(51, 12) };

	write_entry(bdf, make_entry(bdf, &t));
	return amdvi_submit(&amdvi.unit[unit], c, ARRAY_SIZE(c));
}

/* ---- discovery ----------------------------------------------------------------------- */

/* The function that the table names has an IOMMU's capability (§3.2.1). */
static bool is_there(const struct ivrs_unit *i)
{
	u32 head = i->cap % 4 || i->cap >= 256 ? 0 : pci_read(i->bdf, i->cap, 4);

	return field_get(head, 7, 0) == CAP_SECURE && field_get(head, 18, 16) == CAP_IOMMU;
}

static int open_unit(struct amdvi_unit *u, const struct ivrs_unit *i)
{
	if (!is_there(i)) {
		log_warn("iommu: no AMD-Vi unit is at %02x:%02x.%x", PCI_BUS(i->bdf),
			 PCI_DEV(i->bdf), PCI_FN(i->bdf));
		return -ENODEV;
	}
	u->u.mmio = i->mmio;
	u->u.regs = hostmap_mmio(i->mmio, AMDVI_REGS);
	u->commands = kalloc(hv_owner(), AMDVI_RING_ENTRIES * sizeof(*u->commands));
	u->events = kalloc(hv_owner(), AMDVI_RING_ENTRIES * 16);
	u->done = kalloc(hv_owner(), PAGE_SIZE);
	if (!u->u.regs || !u->commands || !u->events || !u->done)
		return -ENOMEM;
	u->caps = amdvi_caps(mmio_read64(u->u.regs + AMDVI_EFR));
	u->u.bits = amdvi_fmt.va_bits;
	u->u.irqs = true;
	return 0;
}

static int add_reserved(struct resv *resv)
{
	for (u32 i = 0; i < amdvi.ivrs.memories; i++) {
		const struct ivrs_memory *m = &amdvi.ivrs.memory[i];
		/*
		 * What is excluded from translation is mapped one to one: the same to the device.
		 */
		struct resv_region n = {
			.base = m->base,
			.len = m->len,
			.rights = PG_R | (m->write || m->exclusion ? PG_W : 0),
			.first = m->first,
			.last = m->last,
		};
		int err = resv_add(resv, &n);

		if (err) {
			log_warn("iommu: reserved memory at %#lx: %s", m->base, err_name(err));
			return err;
		}
	}
	return 0;
}

static int alloc_tables(void)
{
	bool others = false;

	for (u32 i = 0; i < amdvi.units; i++)
		others |= amdvi.ivrs.unit[i].segment != 0;
	amdvi.devices = kalloc(hv_owner(), DEVICE_TABLE_BYTES);
	if (others)
		amdvi.others = kalloc(hv_owner(), DEVICE_TABLE_BYTES);
	return amdvi.devices && (amdvi.others || !others) ? 0 : -ENOMEM;
}

static int amdvi_probe(const struct acpi_info *a, struct iommu_common *c, struct resv *resv)
{
	const u8 *t = hostmap_firmware(a->ivrs.pa, a->ivrs.len);
	char why[160] = "out of reach";
	int err = t ? ivrs_parse(t, a->ivrs.len, &amdvi.ivrs, why, sizeof(why)) : -EPROTO;

	if (err) {
		log_warn("iommu: %s", why);
		return err;
	}
	if (amdvi.ivrs.units == 0)
		return -ENODEV;
	*c = (struct iommu_common){ .fmt = &amdvi_fmt,
				    .max_leaf = SIZE_1G,
				    .bits = amdvi_fmt.va_bits,
				    .domain_ids = 65536,
				    .coherent = true,
				    .irqs = true,
				    .units = amdvi.ivrs.units };
	amdvi.units = amdvi.ivrs.units;
	amdvi.x2apic = lapic_is_x2apic();
	for (u32 i = 0; i < amdvi.units && !err; i++) {
		err = open_unit(&amdvi.unit[i], &amdvi.ivrs.unit[i]);
		amdvi.x2apic &= amdvi.unit[i].caps.x2apic && amdvi.unit[i].caps.wide_irq;
	}
	if (!err)
		err = alloc_tables();
	return err ? err : add_reserved(resv);
}

/* ---- enabling ------------------------------------------------------------------------ */

static u64 control_of(u8 flags)
{
	u64 ctl = AMDVI_CTL_COHERENT | AMDVI_CTL_COMMANDS | AMDVI_CTL_EVENTS;

	if (flags & 1)
		ctl |= AMDVI_CTL_HT_TUNNEL;
	if (flags & 2)
		ctl |= AMDVI_CTL_PASS_PW;
	if (flags & 4)
		ctl |= AMDVI_CTL_RES_PASS;
	if (flags & 8)
		ctl |= AMDVI_CTL_ISOC;
	if (amdvi.x2apic)
		ctl |= AMDVI_CTL_WIDE_IRQ | AMDVI_CTL_X2APIC;
	return ctl;
}

static void set_rings(struct amdvi_unit *u, const struct amdvi_dte *devices)
{
	volatile u8 *r = u->u.regs;

	mmio_write64(r + AMDVI_DEVTAB,
		     virt_to_phys(devices) | (DEVICE_TABLE_BYTES / PAGE_SIZE - 1));
	mmio_write64(r + AMDVI_CMDBUF, virt_to_phys(u->commands) | AMDVI_RING_LENGTH << 56);
	mmio_write64(r + AMDVI_CMD_HEAD, 0);
	mmio_write64(r + AMDVI_CMD_TAIL, 0);
	mmio_write64(r + AMDVI_EVTLOG,
		     virt_to_phys((const void *)u->events) | AMDVI_RING_LENGTH << 56);
	mmio_write64(r + AMDVI_EVT_HEAD, 0);
	mmio_write64(r + AMDVI_EVT_TAIL, 0);
	u->tail = 0;
}

/* Forget all of one kind: n commands that make(i) gives. */
static int submit_many(struct amdvi_unit *u, u32 n, struct amdvi_cmd (*make)(u16 i))
{
	for (u32 at = 0; at < n; at += BATCH) {
		u32 end = (u32)min_u64(at + BATCH, n);
		struct amdvi_cmd last = make((u16)(end - 1));
		int err;

		for (u32 i = at; i + 1 < end; i++)
			push(u, make((u16)i));
		err = amdvi_submit(u, &last, 1);
		if (err)
			return err;
	}
	return 0;
}

static int forget_all(struct amdvi_unit *u)
{
	struct amdvi_cmd all = amdvi_cmd_all();
	int err;

	if (u->caps.invalidate_all)
		return amdvi_submit(u, &all, 1);
	err = submit_many(u, AMDVI_DTES, amdvi_cmd_device);
	if (!err)
		err = submit_many(u, AMDVI_DTES, amdvi_cmd_irqs);
	return err ? err : submit_many(u, AMDVI_DTES, amdvi_cmd_domain);
}

static void block_rest(void)
{
	const struct amdvi_device none = { .root = amdvi.blocked.root, .domain = amdvi.blocked.id };

	for (u32 i = 0; i < AMDVI_DTES; i++) {
		if (!(amdvi.devices[i].q[0] & 1))
			write_entry((u16)i, make_entry((u16)i, &amdvi.blocked));
		if (amdvi.others)
			amdvi.others[i] = amdvi_dte(&none);
	}
}

static int amdvi_enable(const struct iommu_table *blocked)
{
	amdvi.blocked = *blocked;
	block_rest();
	for (u32 i = 0; i < amdvi.units; i++) {
		struct amdvi_unit *u = &amdvi.unit[i];
		u64 ctl = control_of(amdvi.ivrs.unit[i].flags);
		int err;

		mmio_write64(u->u.regs + AMDVI_CONTROL, 0);
		set_rings(u, amdvi.ivrs.unit[i].segment ? amdvi.others : amdvi.devices);
		mmio_write64(u->u.regs + AMDVI_STATUS, AMDVI_STATUS_OVERFLOW | AMDVI_STATUS_EVENT);
		mmio_write64(u->u.regs + AMDVI_CONTROL, ctl);
		mmio_write64(u->u.regs + AMDVI_CONTROL, ctl | AMDVI_CTL_ENABLE);
		u->running = true;
		err = forget_all(u);
		if (err) {
			log_err("iommu: AMD-Vi unit at %#lx cannot be enabled", u->u.mmio);
			return err;
		}
	}
	return 0;
}

const struct iommu_driver amdvi_driver = {
	.name = "AMD-Vi",
	.probe = amdvi_probe,
	.enable = amdvi_enable,
	.unit = amdvi_unit_get,
	.unit_of = amdvi_unit_of,
	.set = amdvi_set,
	.flush = amdvi_flush,
	.irq_reserve = amdvi_irq_reserve,
	.irq_set = amdvi_irq_set,
	.irq_release = amdvi_irq_release,
	.irq_drop = amdvi_irq_drop,
	.irq_message = amdvi_irq_message,
	.irq_dest_max = amdvi_irq_dest_max,
	.ioapic = amdvi_ioapic,
	.fault_irq = amdvi_fault_irq,
	.poll = amdvi_poll,
};
