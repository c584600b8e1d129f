/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's one switch and its lock, shared by the paravirtual NICs of all VMs, the uplink and
 * the control verbs.
 */
#ifndef DEVICES_NET_NET_H
#define DEVICES_NET_NET_H

#include "devices/net/vswitch.h"
#include "devices/virtio/virtio_net.h"
#include "kernel/base/compiler.h"

/**
 * net_lock() - the switch, for as long as it is locked (rank LOCK_VDEV: inside of a VM's lock,
 * outside of those of IOMMU, scheduler and timers). Context: any but interrupt.
 */
struct vswitch *net_lock(void);
void net_unlock(void);

/** net_locked() - the switch, which is locked. */
struct vswitch *net_locked(void);

/** net_now() - the clock that the switch is given, ns since boot. */
u64 net_now(void);

/** net_scratch() - room to work in for NICs, while locked. */
struct virtio_net_scratch *net_scratch(void);

/** net_init() - an empty switch. Once at boot. */
int MUST_CHECK net_init(void);

#endif
