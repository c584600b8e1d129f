/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VT-d interrupt remapping: entries are reserved for a requester, programmed and freed.
 */
#include "iommu/vtd/vtd_priv.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/core/frames.h"

#define LINES 256 /* I/O APIC inputs in use, on all of them */

static struct {
	u8 id;
	u32 pin;
	u16 index;
} lines[LINES];
static u32 nlines;

int vtd_ir_alloc(struct vtd_unit *u)
{
	u->irt = kalloc(hv_owner(), VTD_IRTES * sizeof(*u->irt));
	u->irt_owner = kalloc(hv_owner(), VTD_IRTES * sizeof(*u->irt_owner));
	if (!u->irt || !u->irt_owner)
		return -ENOMEM;
	iommu_writeback(u->irt, VTD_IRTES * sizeof(*u->irt));
	return 0;
}

int vtd_ir_enable(struct vtd_unit *u)
{
	struct vtd_entry all = vtd_qi_irq_all();
	int err;

	mmio_write64(u->u.regs + VTD_IRTA,
		     virt_to_phys(u->irt) | (vtd.x2apic ? VTD_IRTA_EIME : 0) | VTD_IRTA_SIZE);
	err = vtd_command(u, VTD_GCMD_SIRTP, true);
	if (!err)
		err = vtd_submit(u, &all, 1);
	/* Messages in the compatibility format would pass by the table. */
	if (!err && mmio_read32(u->u.regs + VTD_GSTS) & VTD_GCMD_CFI)
		err = vtd_command(u, VTD_GCMD_CFI, false);
	return err ? err : vtd_command(u, VTD_GCMD_IRE, true);
}

static int invalidate(struct vtd_unit *u, u16 index, u16 count)
{
	struct vtd_entry d;

	if (count == 1) {
		d = vtd_qi_irq(index, 0);
		return vtd_submit(u, &d, 1);
	}
	d = vtd_qi_irq_all();
	return vtd_submit(u, &d, 1);
}

static bool is_free(const struct vtd_unit *u, u32 first, u32 count)
{
	for (u32 i = 0; i < count; i++)
		if (u->irt_owner[first + i])
			return false;
	return true;
}

int vtd_irq_reserve(u32 unit, u16 bdf, u16 count)
{
	struct vtd_unit *u = &vtd.unit[unit];
	u32 step = 1;

	/* MSI adds its number within the block to the index: keep blocks aligned. */
	while (step < count)
		step *= 2;
	for (u32 first = 0; first + count <= VTD_IRTES; first += step) {
		if (!is_free(u, first, count))
			continue;
		for (u32 i = 0; i < count; i++)
			u->irt_owner[first + i] = VTD_OWNED | bdf;
		return (int)first;
	}
	return -ENOSPC;
}

static void write_entry(struct vtd_entry *e, struct vtd_entry v)
{
	/* The source id stays while the entry is present: one store changes a route. */
	if (!(e->lo & 1))
		__atomic_store_n(&e->hi, v.hi, __ATOMIC_SEQ_CST);
	__atomic_store_n(&e->lo, v.lo, __ATOMIC_SEQ_CST);
	iommu_writeback(e, sizeof(*e));
}

/* Entry for a requester; vector 0 blocks. */
static int set_entry(struct vtd_unit *u, u16 index, const struct vtd_irq *q)
{
	struct vtd_entry v = { 0, 0 };

	if (q->vector)
		v = vtd_irte(q);
	write_entry(&u->irt[index], v);
	return invalidate(u, index, 1);
}

int vtd_irq_set(u32 unit, u16 bdf, u16 index, u8 vector, u32 dest)
{
	struct vtd_unit *u = &vtd.unit[unit];
	struct vtd_irq q = {
		.vector = vector, .dest = dest, .x2apic = vtd.x2apic, .source = bdf
	};

	if (index >= VTD_IRTES || u->irt_owner[index] != (VTD_OWNED | bdf))
		return -EINVAL;
	return set_entry(u, index, &q);
}

void vtd_irq_release(u32 unit, u16 bdf, u16 index, u16 count)
{
	struct vtd_unit *u = &vtd.unit[unit];
	bool mine = false;

	for (u32 i = index; i < index + (u32)count && i < VTD_IRTES; i++) {
		if (u->irt_owner[i] != (VTD_OWNED | bdf))
			continue;
		write_entry(&u->irt[i], (struct vtd_entry){ 0, 0 });
		mine = true;
	}
	/* An entry that the unit may still know is never given to somebody else. */
	if (mine && invalidate(u, index, count))
		return;
	for (u32 i = index; i < index + (u32)count && i < VTD_IRTES; i++)
		if (u->irt_owner[i] == (VTD_OWNED | bdf))
			u->irt_owner[i] = 0;
}

void vtd_irq_drop(u32 unit, u16 bdf)
{
	vtd_irq_release(unit, bdf, 0, VTD_IRTES);
}

struct iommu_msi vtd_irq_message(u16 first, u16 i)
{
	return (struct iommu_msi){ vtd_msi_address(first), vtd_msi_data(i) };
}

u32 vtd_irq_dest_max(void)
{
	return vtd.x2apic ? 0xfffffffeu : 0xfe;
}

static int line_index(u32 unit, u8 id, u32 pin, u16 source)
{
	int index;

	for (u32 i = 0; i < nlines; i++)
		if (lines[i].id == id && lines[i].pin == pin)
			return lines[i].index;
	if (nlines == LINES)
		return -ENOSPC;
	index = vtd_irq_reserve(unit, source, 1);
	if (index < 0)
		return index;
	lines[nlines].id = id;
	lines[nlines].pin = pin;
	lines[nlines++].index = (u16)index;
	return index;
}

int vtd_ioapic(u8 id, u32 pin, const struct iommu_line *l, u64 *rte)
{
	struct vtd_irq q = {
		.vector = l->vector, .dest = l->dest, .level = l->level, .x2apic = vtd.x2apic
	};
	int unit = dmar_special(&vtd.dmar, vtd_topology(), DMAR_SCOPE_IOAPIC, id, &q.source);
	int index, err;

	if (unit < 0)
		return unit;
	index = line_index((u32)unit, id, pin, q.source);
	if (index < 0)
		return index;
	err = set_entry(&vtd.unit[unit], (u16)index, &q);
	if (!err)
		*rte = vtd_rte((u16)index, l->vector, l->level, l->active_low);
	return err;
}
