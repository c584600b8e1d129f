/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programming of MSI and MSI-X. PCI Local Bus 3.0 §6.8.
 */
#include "devices/pci/host_irq.h"

#include "arch/x86/io.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/pci.h"

#define ENTRY_BYTES   16u
#define ENTRY_ADDRESS 0u
#define ENTRY_DATA    8u
#define ENTRY_CONTROL 12u

#define MSI_64BIT 0x0080u
#define MSI_MULTI 0x0070u /* messages enabled */

static void entry_write(const struct host_irq *h, u16 i, u32 off, u32 v)
{
	mmio_write32(h->table + (size_t)i * ENTRY_BYTES + off, v);
}

static void set_control(const struct host_irq *h, u32 clear, u32 set)
{
	u16 at = (u16)(h->cap + MSIX_CONTROL); /* MSI has its control word there, too */

	pci_write(h->bdf, at, 2, (pci_read(h->bdf, at, 2) & ~clear) | set);
}

static void write_message(const struct host_irq *h, u16 i)
{
	const struct iommu_msi *m = &h->msg[i];
	u16 cap = h->cap, data_at;

	if (h->msix) {
		entry_write(h, i, ENTRY_ADDRESS, (u32)m->address);
		entry_write(h, i, ENTRY_ADDRESS + 4, (u32)(m->address >> 32));
		entry_write(h, i, ENTRY_DATA, m->data);
		return;
	}
	data_at = pci_read(h->bdf, (u16)(cap + MSI_CONTROL), 2) & MSI_64BIT ? 12 : 8;
	pci_write(h->bdf, (u16)(cap + 4), 4, (u32)m->address);
	if (data_at == 12)
		pci_write(h->bdf, (u16)(cap + 8), 4, (u32)(m->address >> 32));
	pci_write(h->bdf, (u16)(cap + data_at), 2, m->data);
}

void host_irq_mask(struct host_irq *h, u16 i, bool masked)
{
	if (h->msix)
		entry_write(h, i, ENTRY_CONTROL, masked);
	else
		set_control(h, MSI_CONTROL_ON, masked ? 0 : MSI_CONTROL_ON);
}

int host_irq_route(struct host_irq *h, u16 i, u8 vector, u32 apic_id)
{
	int rc;

	if (i >= h->count)
		return -EINVAL;
	rc = iommu_irq_route(&h->block[i], 0, vector, apic_id, &h->msg[i]);
	if (rc)
		return rc;
	write_message(h, i);
	host_irq_mask(h, i, false);
	return 0;
}

/* Off, and INTx with it: interrupts come as messages or not at all. */
static void turn_off(const struct host_irq *h)
{
	u32 command = pci_read(h->bdf, PCI_COMMAND, 2);

	set_control(h, h->msix ? MSIX_CONTROL_ON : MSI_CONTROL_ON | MSI_MULTI, 0);
	pci_write(h->bdf, PCI_COMMAND, 2, command | PCI_COMMAND_INTX_OFF);
}

/* MSI-X on with all vectors masked; MSI stays off until its message is there. */
static void turn_on(const struct host_irq *h)
{
	u16 total;

	turn_off(h);
	if (!h->msix)
		return;
	set_control(h, 0, MSIX_CONTROL_ON | MSIX_CONTROL_MASK);
	total = (u16)((pci_read(h->bdf, (u16)(h->cap + MSIX_CONTROL), 2) & MSIX_CONTROL_SIZE) + 1);
	for (u16 i = 0; i < total; i++)
		entry_write(h, i, ENTRY_CONTROL, 1);
	set_control(h, MSIX_CONTROL_MASK, 0);
}

int host_irq_open(struct host_irq *h, const struct host_irq_place *p)
{
	int rc = 0;

	if (!p->cap || !p->count || p->count > HOST_IRQ_MAX || (!p->msix && p->count != 1))
		return -EINVAL;
	memset(h, 0, sizeof(*h));
	h->bdf = p->bdf;
	h->cap = p->cap;
	h->msix = p->msix;
	if (p->msix) {
		u32 total = (pci_read(p->bdf, (u16)(p->cap + MSIX_CONTROL), 2) &
			     MSIX_CONTROL_SIZE) + 1;

		if (p->count > total)
			return -EINVAL;
		h->table = hostmap_mmio(p->table, (size_t)total * ENTRY_BYTES);
		if (!h->table)
			return -ENOMEM;
	}
	h->open = true;
	for (; h->count < p->count && !rc; h->count++)
		rc = iommu_irq_alloc(p->bdf, 1, &h->block[h->count]);
	if (rc) {
		host_irq_close(h);
		return rc;
	}
	turn_on(h);
	return 0;
}

void host_irq_close(struct host_irq *h)
{
	if (!h->open)
		return;
	turn_off(h);
	for (u16 i = 0; i < h->count; i++)
		iommu_irq_free(&h->block[i]);
	h->open = false;
}
