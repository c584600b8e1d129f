/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual functions of any host device: address space for their BARs, switching them on, the facts
 * of each. Control context.
 */
#ifndef DEVICES_SRIOV_SRIOV_H
#define DEVICES_SRIOV_SRIOV_H

#include "devices/pci/assign_info.h"
#include "devices/sriov/sriov_cap.h"

/**
 * sriov_setup() - n VFs of f: BARs placed where firmware did not, VFs on, their memory decoding
 * on and their bus mastering off. Returns 0; errors of sriov_read(), sriov_enable(),
 * pci_find_space(); -EPERM (VFs would not be isolated); why names the reason.
 */
int MUST_CHECK sriov_setup(const struct pci_func *f, u16 n, struct sriov *s, char *why,
			   size_t why_size);

/** host_delay - waiting, for pci_reset and sriov_cap. */
extern const struct pci_delay host_delay;

#endif
