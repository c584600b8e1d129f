/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every virtio device of a VM needs from the PC around it: its memory, its place on the bus,
 * its interrupts.
 */
#ifndef DEVICES_PLATFORM_PC_VIRTIO_H
#define DEVICES_PLATFORM_PC_VIRTIO_H

#include "devices/pci/vpci.h"
#include "devices/virtio/virtio_pci.h"
#include "guest/vm/vm.h"

/* Device numbers on the root bus. */
#define PC_SLOT_NET 4u /* and the next CONFIG_NETS - 1 */
#define PC_SLOT_COURIER 3u
#define PC_SLOT_DISK 12u /* and the next CONFIG_DISKS - 1 */

struct pc_virtio {
	struct vm *vm;
	struct virtio_dev *dev;
	const char *name; /* in the log, and of its region */
	struct virtq_mem mem;
	struct vpci_function fn;
	bool mapped;	 /* (vm->lock) */
	gpa_t base;	 /* (vm->lock) where */
	bool line;	 /* (vm->lock) as the interrupt controllers know it */
	u32 line_wanted; /* atomic */
	/* NULL, or held around accesses; see virtio_env. */
	void (*enter)(struct pc_virtio *p);
	void (*leave)(struct pc_virtio *p);
	/* NULL, or: line and line_wanted differ; have pc_virtio_sync() called. */
	void (*line_changed)(struct pc_virtio *p);
};

/** pc_virtio_env() - fills p->mem and *env; the fields from vm to name, and the hooks, are set. */
void pc_virtio_env(struct pc_virtio *p, struct virtio_env *env);

/** pc_virtio_plug() - dev is initialised: put it on the root bus at device number slot. */
int MUST_CHECK pc_virtio_plug(struct pc_virtio *p, struct virtio_dev *dev, u32 slot);

/** pc_virtio_unplug() - BARs and the bus forget it. Does nothing when it was not plugged. */
void pc_virtio_unplug(struct pc_virtio *p);

/** pc_virtio_sync() - drive the interrupt line. Locks: vm->lock held. */
void pc_virtio_sync(struct pc_virtio *p);

/** pc_net_init() - VMs get their paravirtual NICs from now on. Once at boot. */
void pc_net_init(void);

struct virtio_net;
/** pc_net_nic() - interface i of vm, NULL: it is no paravirtual one. Control. */
struct virtio_net *pc_net_nic(const struct vm *vm, u32 i);

/** pc_disk_init() - VMs get their disks from now on. Once at boot. */
void pc_disk_init(void);

/** pc_courier_init() - the courier gets its ports from now on. Once at boot. */
void pc_courier_init(void);

#endif
