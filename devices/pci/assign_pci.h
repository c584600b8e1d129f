/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 'pci = BUS:DEVICE.FUNCTION' of a VM's configuration: plain functions, by address.
 */
#ifndef DEVICES_PCI_ASSIGN_PCI_H
#define DEVICES_PCI_ASSIGN_PCI_H

/** assign_pci_init() - register with the PC; once at boot, after assign_init(). */
void assign_pci_init(void);

#endif
