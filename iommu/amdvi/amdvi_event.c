/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AMD-Vi event log and the interrupt that announces it.
 */
#include "arch/x86/cpu.h"
#include "iommu/amdvi/amdvi_priv.h"
#include "kernel/base/bits.h"
#include "kernel/core/pci.h"

#define RECORD_SPINS 1000

/* Of the MSI capability, beside kernel/core/pci_regs.h. */
#define MSI_ADDRESS  4
#define MSI_DATA_32  8
#define MSI_DATA_64  12
#define MSI_WIDE     0x0080 /* control: 64-bit addresses */
#define MSI_MESSAGES 0x0070 /* control: messages enabled, log2 */

int amdvi_fault_irq(u32 unit, u8 vector, u32 dest)
{
	struct amdvi_unit *u = &amdvi.unit[unit];
	u16 bdf = amdvi.ivrs.unit[unit].bdf, control;
	u8 cap = pci_find_cap(pci_cfg_host(), bdf, PCI_CAP_MSI);

	if (!cap || dest > 0xff) {
		log_warn("iommu: AMD-Vi unit at %#lx cannot announce faults: %s", u->u.mmio,
			 cap ? "APIC id too large" : "it has no MSI");
		return 0;
	}
	/* The unit's own messages do not pass through an interrupt table. */
	control = (u16)pci_read(bdf, cap + MSI_CONTROL, 2);
	pci_write(bdf, cap + MSI_ADDRESS, 4, (u32)IOMMU_MSI_BASE | dest << 12);
	if (control & MSI_WIDE)
		pci_write(bdf, cap + MSI_ADDRESS + 4, 4, 0);
	pci_write(bdf, cap + (control & MSI_WIDE ? MSI_DATA_64 : MSI_DATA_32), 2, vector);
	pci_write(bdf, cap + MSI_CONTROL, 2, (control & ~MSI_MESSAGES) | MSI_CONTROL_ON);
	pci_write(bdf, PCI_COMMAND, 2, pci_read(bdf, PCI_COMMAND, 2) | PCI_COMMAND_MASTER);
	mmio_write64(u->u.regs + AMDVI_CONTROL,
		     mmio_read64(u->u.regs + AMDVI_CONTROL) | AMDVI_CTL_EVENT_IRQ);
	return 0;
}

/* The log was full: it stands until it is switched off and on again. */
static void restart_log(struct amdvi_unit *u)
{
	u64 ctl = mmio_read64(u->u.regs + AMDVI_CONTROL);

	log_limited(&u->u.limit, LOG_WARN,
		    "iommu: AMD-Vi unit at %#lx: faults were lost, all %u records were full",
		    u->u.mmio, AMDVI_RING_ENTRIES);
	mmio_write64(u->u.regs + AMDVI_CONTROL, ctl & ~AMDVI_CTL_EVENTS);
	mmio_write64(u->u.regs + AMDVI_EVT_HEAD, 0);
	mmio_write64(u->u.regs + AMDVI_EVT_TAIL, 0);
	mmio_write64(u->u.regs + AMDVI_STATUS, AMDVI_STATUS_OVERFLOW);
	mmio_write64(u->u.regs + AMDVI_CONTROL, ctl);
}

/* Take the record at the head of the log. */
static bool next_event(struct amdvi_unit *u, struct amdvi_event *out)
{
	u32 head = (u32)mmio_read64(u->u.regs + AMDVI_EVT_HEAD) / 16 % AMDVI_RING_ENTRIES;
	u32 tail = (u32)mmio_read64(u->u.regs + AMDVI_EVT_TAIL) / 16 % AMDVI_RING_ENTRIES;
	volatile u64 *e = u->events + 2 * head;

	if (head == tail)
		return false;
	/* The tail may be seen before the record. */
	for (u32 n = 0; n < RECORD_SPINS && !e[0]; n++)
		cpu_pause();
	if (!amdvi_event(e[0], e[1], out))
		return false;
	e[0] = 0;
	e[1] = 0;
	mmio_write64(u->u.regs + AMDVI_EVT_HEAD, amdvi_ring_next(head) * 16ull);
	return true;
}

bool amdvi_poll(u32 unit, struct iommu_fault *out)
{
	struct amdvi_unit *u = &amdvi.unit[unit];
	struct amdvi_event e;

	mmio_write64(u->u.regs + AMDVI_STATUS, AMDVI_STATUS_EVENT);
	for (u32 n = 0; n < AMDVI_RING_ENTRIES && next_event(u, &e); n++) {
		if (!e.fault) {
			log_limited(&u->u.limit, LOG_ERR,
				    "iommu: AMD-Vi unit at %#lx: %s (%u) at %#lx", u->u.mmio,
				    e.text, e.code, e.addr);
			continue;
		}
		*out = (struct iommu_fault){
			.bdf = e.source,
			.addr = e.addr,
			.write = e.write,
			.irq = e.irq,
			.reason = e.code,
			.text = e.text,
		};
		return true;
	}
	if (mmio_read64(u->u.regs + AMDVI_STATUS) & AMDVI_STATUS_OVERFLOW)
		restart_log(u);
	return false;
}
