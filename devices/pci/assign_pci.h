/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'pci = BUS:DEVICE.FUNCTION' of a VM's configuration: plain functions, by address.
 */
#ifndef DEVICES_PCI_ASSIGN_PCI_H
#define DEVICES_PCI_ASSIGN_PCI_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct vm;

/**
 * assign_pci_add() - give vm, which is being built or paused, the function at "bb:dd.f". Returns as
 * assign_add(); why names the reason.
 */
int MUST_CHECK assign_pci_add(struct vm *vm, const char *name, char *why, size_t why_size);

/**
 * assign_pci_plug() - the function that interface 'net' of vm's configuration names goes into that
 * interface's slot, as a NIC that has its address. Returns as assign_add().
 */
int MUST_CHECK assign_pci_plug(struct vm *vm, u8 net, char *why, size_t why_size);

/** assign_pci_init() - register with the PC; once at boot, after assign_init(). */
void assign_pci_init(void);

#endif
