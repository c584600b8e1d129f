/* SPDX-License-Identifier: Apache-2.0 */
/*
 * May a function be given away: does everything it sends pass the IOMMU, under a requester id of
 * its own? And free address space behind a bridge. Pure: works on the result of the scan.
 */
#ifndef KERNEL_CORE_PCI_ISO_H
#define KERNEL_CORE_PCI_ISO_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/pci_scan.h"

/**
 * pci_acs_enable() - on every port and endpoint of the list that can: validate sources, send peer
 * requests up to the IOMMU. Once, before a device is given away. PCI Express base specification
 * §6.12.
 */
void pci_acs_enable(const struct pci_cfg *cfg, const struct pci_list *list);

/**
 * pci_isolated() - is list->func[index] (or, with vf, a virtual function of it) isolated from its
 * neighbours? Returns 0; -EPERM, why names the place and the reason.
 */
int MUST_CHECK pci_isolated(const struct pci_cfg *cfg, const struct pci_list *list, u32 index,
			    bool vf, char *why, size_t why_size);

struct pci_range {
	u64 base, len;
};

/* Address space wanted behind a bridge. */
struct pci_space {
	u64 len, align; /* align: a power of two */
	u64 below;	/* its end may not lie above: 4 GiB for a 32-bit BAR, ~0 for a 64-bit one */
	const struct pci_range *taken; /* given away already, besides the BARs of the list */
	u32 ntaken;
};

/**
 * pci_find_space() - place for want in the windows of the bridge that func index lies behind, clear
 * of all BARs there. Returns 0; -ENOENT (on a root bus, whose windows nobody
 * knows), -ENOSPC.
 */
int MUST_CHECK pci_find_space(const struct pci_cfg *cfg, const struct pci_list *list, u32 index,
			      const struct pci_space *want, u64 *addr);

#endif
