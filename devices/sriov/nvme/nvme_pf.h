/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVMe controllers whose virtual functions the configuration gives to guests: the host drives
 * the physical function, only to share out its resources.
 */
#ifndef DEVICES_SRIOV_NVME_NVME_PF_H
#define DEVICES_SRIOV_NVME_NVME_PF_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/config.h"

struct vm;

/**
 * nvme_pfs_init() - start each controller with a VF that some VM's 'pci =' names; what does not
 * start is said in the log. Once at boot, after assign_init() and nics_init().
 */
void nvme_pfs_init(const struct config *c);

/**
 * nvme_vf_add() - give the VF at address bdf to vm, which is being built. Returns 0; -ENOENT (not a
 * VF of a controller that runs), -EBUSY, errors of assign_info_vf(), nvme_online() and
 * assign_add(); why names the reason.
 */
int MUST_CHECK nvme_vf_add(struct vm *vm, u16 bdf, char *why, size_t why_size);

#endif
