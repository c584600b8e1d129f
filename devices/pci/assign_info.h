/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What assignment must know of a physical or virtual function, read from its configuration space
 * once and checked. Pure: the space is reached through callbacks.
 */
#ifndef DEVICES_PCI_ASSIGN_INFO_H
#define DEVICES_PCI_ASSIGN_INFO_H

#include "devices/sriov/sriov_cap.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/pci_reset.h"
#include "kernel/core/pci_scan.h"

struct assign_info {
	u16 bdf;
	u16 vendor, device, sub_vendor, sub_device;
	u32 class; /* 24 bits */
	u8 revision;
	bool vf;
	struct pci_bar bar[6]; /* as the host has placed them */
	struct pci_reset_caps caps;
	enum pci_reset_kind reset;
	u16 msix_vectors; /* 0: no MSI-X */
	u8 msix_table_bar, msix_pba_bar;
	u32 msix_table, msix_pba; /* offsets in those BARs */
	u32 devcap; /* PCI Express device capabilities; 0: a conventional function */
};

/**
 * assign_info_function() - of a function that the scan found. Returns 0; -EPROTO (contents
 * impossible), -ENOTSUP (no interrupt messages, or cannot be reset alone); why names it.
 */
int MUST_CHECK assign_info_function(const struct pci_cfg *cfg, const struct pci_func *f,
				    struct assign_info *out, char *why, size_t why_size);

/* VF n of pf, whose VFs are on. */
struct assign_vf {
	const struct pci_func *pf;
	const struct sriov *s;
	u16 n;
};

/** assign_info_vf() - of a VF. Errors as above. */
int MUST_CHECK assign_info_vf(const struct pci_cfg *cfg, const struct assign_vf *vf,
			      struct assign_info *out, char *why, size_t why_size);

#endif
