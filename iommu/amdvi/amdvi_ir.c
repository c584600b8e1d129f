/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD-Vi interrupt remapping: a table for each requester that has interrupts.
 */
#include "iommu/amdvi/amdvi_priv.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"

#define TABLE_BYTES (AMDVI_IRTES * sizeof(struct amdvi_irte)) /* as the wide format needs */

struct amdvi_irqs *amdvi_irqs_of(u16 bdf)
{
	for (u32 i = 0; i < AMDVI_IRQ_TABLES; i++)
		if (amdvi.irqs[i].used && amdvi.irqs[i].bdf == bdf)
			return &amdvi.irqs[i];
	return NULL;
}

/* The table of bdf, made when it has none. */
static int open_table(u32 unit, u16 bdf, struct amdvi_irqs **out)
{
	struct amdvi_irqs *q = amdvi_irqs_of(bdf);
	int err;

	for (u32 i = 0; i < AMDVI_IRQ_TABLES && !q; i++)
		if (!amdvi.irqs[i].used)
			q = &amdvi.irqs[i];
	if (!q)
		return -ENOSPC;
	*out = q;
	if (q->used)
		return 0;
	/* A slot keeps its page: the unit may have the table of an owner that failed. */
	if (!q->entries)
		q->entries = kalloc(hv_owner(), TABLE_BYTES);
	if (!q->entries)
		return -ENOMEM;
	memset(q->entries, 0, TABLE_BYTES);
	memset(q->taken, 0, sizeof(q->taken));
	q->bdf = bdf;
	q->used = true;
	err = amdvi_refresh(unit, bdf);
	if (err)
		q->used = false;
	return err;
}

static bool is_taken(const struct amdvi_irqs *q, u32 i)
{
	return q->taken[i / 64] >> (i % 64) & 1;
}

static bool range_free(const struct amdvi_irqs *q, u32 first, u32 count)
{
	for (u32 i = 0; i < count; i++)
		if (is_taken(q, first + i))
			return false;
	return true;
}

int amdvi_irq_reserve(u32 unit, u16 bdf, u16 count)
{
	struct amdvi_irqs *q;
	u32 step = 1;
	int err = open_table(unit, bdf, &q);

	if (err)
		return err;
	/* MSI puts its number within the block into the low bits of the index. */
	while (step < count)
		step *= 2;
	for (u32 first = 0; first + count <= AMDVI_IRTES; first += step) {
		if (!range_free(q, first, count))
			continue;
		for (u32 i = first; i < first + count; i++)
			q->taken[i / 64] |= BIT(i % 64);
		return (int)first;
	}
	return -ENOSPC;
}

static void write_irte(struct amdvi_irqs *q, u16 index, u8 vector, u32 dest)
{
	if (amdvi.x2apic) {
		struct amdvi_irte v = { 0, 0 }, *e = (struct amdvi_irte *)q->entries + index;

		if (vector)
			v = amdvi_irte128(vector, dest);
		/* Off while the halves do not belong together. */
		__atomic_store_n(&e->lo, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&e->hi, v.hi, __ATOMIC_SEQ_CST);
		__atomic_store_n(&e->lo, v.lo, __ATOMIC_SEQ_CST);
	} else {
		__atomic_store_n((u32 *)q->entries + index, vector ? amdvi_irte32(vector, dest) : 0,
				 __ATOMIC_SEQ_CST);
	}
}

static int forget(u32 unit, u16 bdf)
{
	struct amdvi_cmd c = amdvi_cmd_irqs(bdf);

	return amdvi_submit(&amdvi.unit[unit], &c, 1);
}

int amdvi_irq_set(u32 unit, u16 bdf, u16 index, u8 vector, u32 dest)
{
	struct amdvi_irqs *q = amdvi_irqs_of(bdf);

	if (!q || index >= AMDVI_IRTES || !is_taken(q, index))
		return -EINVAL;
	write_irte(q, index, vector, dest);
	return forget(unit, bdf);
}

void amdvi_irq_release(u32 unit, u16 bdf, u16 index, u16 count)
{
	struct amdvi_irqs *q = amdvi_irqs_of(bdf);

	if (!q || index + (u32)count > AMDVI_IRTES)
		return;
	for (u32 i = index; i < index + (u32)count; i++)
		write_irte(q, (u16)i, 0, 0);
	/* What the unit may still know is not given out again. */
	if (forget(unit, bdf))
		return;
	for (u32 i = index; i < index + (u32)count; i++)
		q->taken[i / 64] &= ~BIT(i % 64);
}

void amdvi_irq_drop(u32 unit, u16 bdf)
{
	struct amdvi_irqs *q = amdvi_irqs_of(bdf);

	if (!q)
		return;
	for (u32 i = 0; i < AMDVI_IRTES; i++)
		write_irte(q, (u16)i, 0, 0);
	q->used = false;
	/* Without an answer the page stays out of use; the entries in it block everything. */
	if (amdvi_refresh(unit, bdf))
		q->entries = NULL;
}

struct iommu_msi amdvi_irq_message(u16 first, u16 i)
{
	return (struct iommu_msi){ AMDVI_MSI_ADDRESS, (u32)first + i };
}

u32 amdvi_irq_dest_max(void)
{
	return amdvi.x2apic ? 0xfffffffeu : 0xfe;
}

int amdvi_ioapic(u8 id, u32 pin, const struct iommu_line *l, u64 *rte)
{
	const struct ivrs_special *s = ivrs_special(&amdvi.ivrs, IVRS_IOAPIC, id);
	struct amdvi_irqs *q;
	int err;

	(void)pin;
	if (!s)
		return -ENODEV;
	err = open_table(s->unit, s->bdf, &q);
	if (err)
		return err;
	/* Vectors are unique on this host: as the index they also let EOI find the input. */
	q->taken[l->vector / 64] |= BIT(l->vector % 64);
	write_irte(q, l->vector, l->vector, l->dest);
	err = forget(s->unit, s->bdf);
	if (!err)
		*rte = amdvi_rte(l->vector, l->level, l->active_low);
	return err;
}
