/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of devices: remapped where the IOMMU does that, else plain messages.
 */
#include "arch/x86/ioapic.h"
#include "iommu/iommu.h"
#include "iommu/iommu_priv.h"
#include "kernel/base/err.h"

#define IRQ_BLOCK_MAX 256

int iommu_irq_alloc(u16 bdf, u16 count, struct iommu_irq *out)
{
	struct iommu_dev *v;
	int first = 0;

	if (count == 0 || count > IRQ_BLOCK_MAX)
		return -EINVAL;
	if (iommu_remaps_irqs()) {
		spin_lock(&iommu.lock);
		v = iommu_dev_find_locked(bdf);
		first = v && v->state == DEV_ATTACHED ?
				iommu.driver->irq_reserve(v->unit, v->alias, count) :
				-ENODEV;
		if (first >= 0)
			v->irqs++;
		spin_unlock(&iommu.lock);
	}
	if (first == -ENOSPC)
		log_warn("iommu: " BDF_FMT ": interrupt table has no room for %u", BDF_ARGS(bdf),
			 count);
	if (first < 0)
		return first;
	*out = (struct iommu_irq){ .bdf = bdf, .first = (u16)first, .count = count, .used = true };
	return 0;
}

/* Set entry i, 0 as vector blocks it. */
static int set_entry(const struct iommu_irq *q, u16 i, u8 vector, u32 dest)
{
	struct iommu_dev *v;
	int err = -ENODEV;

	spin_lock(&iommu.lock);
	v = iommu_dev_find_locked(q->bdf);
	if (v && v->state == DEV_ATTACHED)
		err = iommu.driver->irq_set(v->unit, v->alias, (u16)(q->first + i), vector, dest);
	if (err == -ETIMEDOUT)
		iommu_unit_failed_locked(v->unit);
	spin_unlock(&iommu.lock);
	if (err == -ETIMEDOUT)
		iommu_notify();
	return err;
}

int iommu_irq_route(const struct iommu_irq *q, u16 i, u8 vector, u32 dest, struct iommu_msi *msg)
{
	bool remapped = iommu_remaps_irqs();
	int err;

	if (!q->used || i >= q->count || vector < 32)
		return -EINVAL;
	if (dest > (remapped ? iommu.driver->irq_dest_max() : 0xff))
		return -ERANGE;
	if (!remapped) {
		*msg = (struct iommu_msi){ IOMMU_MSI_BASE | dest << 12, vector };
		return 0;
	}
	err = set_entry(q, i, vector, dest);
	if (!err)
		*msg = iommu.driver->irq_message(q->first, i);
	return err;
}

int iommu_irq_block(const struct iommu_irq *q, u16 i)
{
	if (!q->used || i >= q->count)
		return -EINVAL;
	return iommu_remaps_irqs() ? set_entry(q, i, 0, 0) : 0;
}

void iommu_irq_free(struct iommu_irq *q)
{
	struct iommu_dev *v;

	if (!q->used)
		return;
	q->used = false;
	if (!iommu_remaps_irqs())
		return;
	spin_lock(&iommu.lock);
	v = iommu_dev_find_locked(q->bdf);
	if (v && v->irqs) {
		iommu.driver->irq_release(v->unit, v->alias, q->first, q->count);
		v->irqs--;
	}
	spin_unlock(&iommu.lock);
}
