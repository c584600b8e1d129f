/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VT-d fault records and the interrupt that announces them.
 */
#include "iommu/vtd/vtd_priv.h"
#include "kernel/base/bits.h"

#define FRCD_F BIT(63) /* of the high half: a fault is recorded; writing it clears it */

static volatile u8 *record(const struct vtd_unit *u, u32 i)
{
	return u->u.regs + u->caps.fault_offset + 16ull * i;
}

void vtd_fault_clear(struct vtd_unit *u)
{
	for (u32 i = 0; i < u->caps.faults; i++)
		mmio_write64(record(u, i) + 8, FRCD_F);
	mmio_write32(u->u.regs + VTD_FSTS, VTD_FSTS_PFO | VTD_FSTS_QUEUE);
}

int vtd_fault_irq(u32 unit, u8 vector, u32 dest)
{
	volatile u8 *regs = vtd.unit[unit].u.regs;

	/* This message does not pass through the interrupt table. */
	mmio_write32(regs + VTD_FEDATA, vector);
	mmio_write32(regs + VTD_FEADDR, (u32)IOMMU_MSI_BASE | (dest & 0xff) << 12);
	mmio_write32(regs + VTD_FEUADDR, dest & 0xffffff00u);
	mmio_write32(regs + VTD_FECTL, 0);
	return 0;
}

bool vtd_poll(u32 unit, struct iommu_fault *out)
{
	struct vtd_unit *u = &vtd.unit[unit];

	/* Records are filled in turn; the next is where the last one was not. */
	for (u32 n = 0; n < u->caps.faults; n++) {
		u32 i = (u->fault_next + n) % u->caps.faults;
		volatile u8 *r = record(u, i);
		struct vtd_entry e = { .hi = mmio_read64(r + 8) };
		struct vtd_fault f;

		/* The other half is settled once F is seen. */
		e.lo = mmio_read64(r);
		if (!vtd_fault(e, &f))
			continue;
		mmio_write64(r + 8, FRCD_F);
		u->fault_next = (i + 1) % u->caps.faults;
		*out = (struct iommu_fault){
			.bdf = f.source,
			.addr = f.addr,
			.write = !f.read,
			.irq = f.irq,
			.reason = f.reason,
			.text = vtd_fault_text(f.reason),
		};
		return true;
	}
	if (mmio_read32(u->u.regs + VTD_FSTS) & VTD_FSTS_PFO) {
		mmio_write32(u->u.regs + VTD_FSTS, VTD_FSTS_PFO);
		log_limited(&u->u.limit, LOG_WARN,
			    "iommu: VT-d unit at %#lx: faults were lost, all %u records were full",
			    u->u.mmio, u->caps.faults);
	}
	return false;
}
