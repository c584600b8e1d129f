/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PC around a VM: its platform devices on the buses, interrupt lines and messages to the
 * local APICs. Other devices reach the interrupt controllers and the PCI bus through here.
 */
#ifndef DEVICES_PLATFORM_PC_H
#define DEVICES_PLATFORM_PC_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct vm;
struct vpci;
struct vdev;

/** pc_init() - register the machine with guest/vm. Once at boot. */
void pc_init(void);

/**
 * pc_gsi() - source (0..31) asserts or releases its share of a global system interrupt (0..23);
 * 0-15 reach the 8259s too. Locks: vm->lock held.
 */
void pc_gsi(struct vm *vm, unsigned gsi, unsigned source, bool level);

/** pc_msi() - a device wrote an interrupt message. Context: any, no lock needed. */
void pc_msi(struct vm *vm, u64 address, u32 data);

/** pc_pci() - the VM's PCI bus; locks: vm->lock, or all vCPUs parked. */
struct vpci *pc_pci(struct vm *vm);

/** pc_add_vdev() - put d into the list that reset and migration walk. -ENOSPC. All parked. */
int MUST_CHECK pc_add_vdev(struct vm *vm, struct vdev *d);

/** pc_power_button() - ask the guest to shut down; false: it does not listen. No lock held. */
bool pc_power_button(struct vm *vm);

#endif
