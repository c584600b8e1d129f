/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The physical NICs that the configuration names.
 */
#ifndef DEVICES_SRIOV_NICS_H
#define DEVICES_SRIOV_NICS_H

#include "devices/sriov/igb/igb.h"
#include "kernel/core/config.h"

/**
 * nics_init() - find and start each NIC of the configuration; what does not start is said in the
 * log and left out. After iommu_init(), once, on the boot CPU. Returns how many run.
 */
u32 nics_init(const struct config *c);

/** nics_find(), nics_at() - by name; by index (NULL beyond the last). */
struct igb *nics_find(const char *name);
struct igb *nics_at(u32 index);

/** nics_uplink() - the first one marked as uplink, or the one that steps in; NULL: none. */
struct igb *nics_uplink(void);
/** nics_set_uplink() - from now on it is that one. Locks: the switch's. */
void nics_set_uplink(struct igb *g);

#endif
