/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVMe controllers whose virtual functions or namespaces the configuration gives to guests: the
 * host drives the physical function, to share out its resources and for disks.
 */
#ifndef DEVICES_SRIOV_NVME_NVME_PF_H
#define DEVICES_SRIOV_NVME_NVME_PF_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/config.h"

struct vm;
struct nvme_admin;
struct pci_func;
struct spinlock;

/* A controller for who uses it as a host does. */
struct nvme_host {
	const struct pci_func *func;
	struct nvme_admin *admin;
	struct spinlock *lock; /* admin queue; rank LOCK_PF */
	hpa_t block;	       /* 2 MiB, zeroed, which it reaches at this address */
};

#define NVME_HOST_FREE 0x10000u /* offset in the block from which on nothing else is */

/**
 * nvme_pf_host() - the controller at an address; a VF of one becomes the host's for good. Returns
 * 0; -ENOENT (none runs there), -EBUSY (a VF that a VM has), errors of its start, logged. Control.
 */
int MUST_CHECK nvme_pf_host(u16 bdf, struct nvme_host *out);

/**
 * nvme_pfs_init() - start each controller with a VF that some VM's 'pci =' names, or that some VM's
 * 'diskN =' names; what does not
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
