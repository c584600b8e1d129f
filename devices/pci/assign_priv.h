/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of assigned functions.
 */
#ifndef DEVICES_PCI_ASSIGN_PRIV_H
#define DEVICES_PCI_ASSIGN_PRIV_H

#include "devices/pci/assign.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"

#define BDF_FMT	      "%02x:%02x.%u"
#define BDF_ARGS(bdf) PCI_BUS(bdf), PCI_DEV(bdf), PCI_FN(bdf)

#define ASSIGN_SMALL 4u /* vectors of a function that can be moved without hardware */

struct source {
	struct assigned *a;
	u8 vector; /* of the host, 0: none */
};

struct assigned {
	/* Constant while assigned; info of the physical function: with all vCPUs parked. */
	struct vm *vm;
	const struct assigned_ops *ops;
	void *ctx;
	struct vassign_tables tables; /* small ones: the two below, which are saved */
	u64 small_msix[VMSIX_TABLE_WORDS(ASSIGN_SMALL)];
	u64 small_pba[VMSIX_PBA_WORDS(ASSIGN_SMALL)];
	volatile u8 *bar[6]; /* registers, where a trapped page needs them */
	struct vpci_function fn;
	struct hotplug *slot; /* it is behind this one, NULL: on the root bus */
	struct vdev vdev;
	/* Under vm->lock. */
	struct vassign v;
	bool backed; /* there is a physical function; else all is the host driver's software */
	struct host_irq irqs;
	struct source source[HOST_IRQ_MAX];
	u64 interrupts;
	/* Atomic: bit per vector that came. */
	u32 pending;
};

extern struct log_limit assign_limit;

/** assign_map_bars() - registers that trapped pages pass on. -ENOMEM. */
int MUST_CHECK assign_map_bars(struct assigned *a);

/** assign_mmio(), assign_range() - vassign's mmio() and range(); ctx: struct assigned. */
void assign_mmio(void *ctx, unsigned bar, u64 off, unsigned size, bool write, u64 *value);
void assign_range(void *ctx, unsigned bar, u64 gpa, const struct vassign_range *r, bool on);

#endif
