/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVMe namespaces as backends of guests' disks: the host drives the controller, data pass through
 * memory of the host.
 */
#ifndef DEVICES_SRIOV_NVME_NVME_DISK_H
#define DEVICES_SRIOV_NVME_NVME_DISK_H

#include "devices/virtio/virtio_blk.h"
#include "kernel/core/config.h"
#include "kernel/core/lock.h"

struct nvme_disk;

/**
 * nvme_disk_open() - the namespace that c names, for blk, which is initialised with *be next.
 * Returns 0; -ENOENT (controller or namespace), -EBUSY (another disk has it), -ENOSPC, -ENOMEM,
 * errors of nvme_io_ns() and nvme_io_open(); why says more. Context: control.
 */
int MUST_CHECK nvme_disk_open(const struct config_disk *c, struct virtio_blk *blk,
			      struct virtio_blk_be *be, struct nvme_disk **out, char *why,
			      size_t why_size);

/** nvme_disk_lock() - to be held around all calls of blk. Rank LOCK_VDEV. */
struct spinlock *nvme_disk_lock(struct nvme_disk *d);

/** nvme_disk_poll() - take completions. Locks: nvme_disk_lock(). */
void nvme_disk_poll(struct nvme_disk *d);

/**
 * nvme_disk_close() - busy: blk still has requests under way, the controller is switched off then.
 * Context: control.
 */
void nvme_disk_close(struct nvme_disk *d, bool busy);

#endif
