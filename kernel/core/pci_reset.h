/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resetting one PCI function, with its configuration kept: function-level reset where it has one,
 * else a power-state change. Pure: configuration space and time are reached through callbacks.
 */
#ifndef KERNEL_CORE_PCI_RESET_H
#define KERNEL_CORE_PCI_RESET_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/pci_scan.h"

#define PCI_RESET_SETTLE_US 100000u /* a function may ignore accesses this long after a reset */

struct pci_delay {
	void (*us)(void *ctx, u32 us); /* wait at least that long */
	void *ctx;
};

/* Offsets of the capabilities that a reset needs; 0: none. For a VF they are read from the VF. */
struct pci_reset_caps {
	u8 pcie, pm, msi, msix, af;
};

/* Configuration that a reset loses and the function needs to go on. */
struct pci_saved {
	u16 command;
	u32 bar[6];
	u8 line_size, irq_line;
	u16 devctl, devctl2;
};

enum pci_reset_kind { PCI_RESET_NONE, PCI_RESET_FLR, PCI_RESET_AF, PCI_RESET_PM };

/** pci_reset_find() - read the capability offsets of a function. */
void pci_reset_find(const struct pci_cfg *cfg, u16 bdf, struct pci_reset_caps *caps);

/** pci_reset_kind() - how this function can be reset alone. */
enum pci_reset_kind pci_reset_kind(const struct pci_cfg *cfg, u16 bdf,
				   const struct pci_reset_caps *caps);

/** pci_save(), pci_restore() - function header (type 0) and PCI Express controls. */
void pci_save(const struct pci_cfg *cfg, u16 bdf, const struct pci_reset_caps *caps,
	      struct pci_saved *out);
void pci_restore(const struct pci_cfg *cfg, u16 bdf, const struct pci_reset_caps *caps,
		 const struct pci_saved *s);

/**
 * pci_reset_function() - stop its DMA, let it finish, reset it, wait until it answers and put its
 * configuration back with bus mastering, MSI and MSI-X off. At most about 1.3 s. Returns 0;
 * -ENOTSUP (no reset for this function alone), -ETIMEDOUT (it did not come back: do not use it
 * any more). PCI Express base specification §6.6.2; PCI advanced features ECN; power management
 * §5.4.
 */
int MUST_CHECK pci_reset_function(const struct pci_cfg *cfg, const struct pci_delay *delay, u16 bdf,
				  const struct pci_reset_caps *caps);

/**
 * pci_reset_begin(), pci_reset_end() - the same in two halves, for a caller that has other things
 * to do in the PCI_RESET_SETTLE_US between them. begin() leaves it alone after the reset was
 * asked for: -ENOTSUP, -ENODEV (it does not answer), or 0 and *saved; end() puts the configuration
 * back: -ETIMEDOUT.
 */
int MUST_CHECK pci_reset_begin(const struct pci_cfg *cfg, const struct pci_delay *delay, u16 bdf,
			       const struct pci_reset_caps *caps, struct pci_saved *saved);
int MUST_CHECK pci_reset_end(const struct pci_cfg *cfg, const struct pci_delay *delay, u16 bdf,
			     const struct pci_reset_caps *caps, const struct pci_saved *saved);

#endif
