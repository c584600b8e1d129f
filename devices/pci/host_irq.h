/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI and MSI-X of a physical function: its capability and table programmed with messages that the
 * IOMMU remaps to host vectors.
 */
#ifndef DEVICES_PCI_HOST_IRQ_H
#define DEVICES_PCI_HOST_IRQ_H

#include "iommu/iommu.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* Vectors of one function that the host programs; a device with more uses the first ones. */
#define HOST_IRQ_MAX 32u

struct host_irq {
	u16 bdf;
	u8 cap;
	bool msix, open;
	u16 count;
	volatile u8 *table; /* MSI-X */
	struct iommu_irq block[HOST_IRQ_MAX]; /* one a vector, so that each has its own entry */
	struct iommu_msi msg[HOST_IRQ_MAX];   /* as routed; address 0: not */
};

struct host_irq_place {
	u16 bdf;
	u8 cap;	     /* of MSI or MSI-X */
	bool msix;
	u16 count;   /* vectors to use, at most HOST_IRQ_MAX; MSI: 1 */
	hpa_t table; /* MSI-X: where its table lies */
};

/**
 * host_irq_open() - take the function's interrupts over: on, every vector masked and blocked. It is
 * attached to a domain (where there is an IOMMU). Returns 0; -EINVAL, -ENOMEM, -ENOSPC.
 */
int MUST_CHECK host_irq_open(struct host_irq *h, const struct host_irq_place *p);

/** host_irq_route() - vector i arrives as 'vector' at the CPU with this APIC id, unmasked. */
int MUST_CHECK host_irq_route(struct host_irq *h, u16 i, u8 vector, u32 apic_id);

/** host_irq_mask() - mask at the device (MSI-X) or in the IOMMU (MSI). */
void host_irq_mask(struct host_irq *h, u16 i, bool masked);

/** host_irq_close() - off, everything given back. h may be closed. */
void host_irq_close(struct host_irq *h);

#endif
