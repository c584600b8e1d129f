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

/* Devices that VMs have besides the PC's own, as their configuration says. */
struct pc_part {
	/* build() - the PC's devices exist, no vCPU runs; why gets the reason of a failure. */
	int (*build)(struct vm *vm, char *why, size_t why_size) MUST_CHECK;
	/* destroy() - undo it, also after a failed build or none. All vCPUs parked. */
	void (*destroy)(struct vm *vm);
};

#define PC_PARTS 12u

/** pc_register_part() - once at boot, before VMs are built. Built in this order. */
void pc_register_part(const struct pc_part *p);

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
/** pc_remove_vdev() - and out of it again, if it is there. All parked. */
void pc_remove_vdev(struct vm *vm, const struct vdev *d);

/** pc_power_button() - ask the guest to shut down; false: it does not listen. No lock held. */
bool pc_power_button(struct vm *vm);

#endif
