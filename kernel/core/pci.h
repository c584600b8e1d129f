/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's PCI functions and access to their configuration space (segment 0).
 */
#ifndef KERNEL_CORE_PCI_H
#define KERNEL_CORE_PCI_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/pci_scan.h"

/**
 * pci_use_ecam() - configuration space of buses first..last lies at base (MCFG); before
 * pci_enumerate(). Without it ports CF8/CFC and 256 bytes a function. -ENOMEM.
 */
int MUST_CHECK pci_use_ecam(hpa_t base, u8 first, u8 last);

/** pci_enumerate() - find all functions; once, on the boot CPU. -ENOMEM. */
int MUST_CHECK pci_enumerate(void);

/** pci_count(), pci_func() - the functions found, in the order of their addresses. */
u32 pci_count(void);
const struct pci_func *pci_func(u32 i);

/** pci_lookup() - function at an address, NULL when there is none. */
const struct pci_func *pci_lookup(u16 bdf);

/** pci_list_host() - all functions found, for what looks at how they lie together. */
const struct pci_list *pci_list_host(void);

/** pci_cfg_host() - the host's configuration space for the functions of pci_scan.h. */
const struct pci_cfg *pci_cfg_host(void);

/**
 * pci_read(), pci_write() - configuration space of the host; size 1, 2, 4 bytes, naturally aligned.
 * Reads of what is not there give all ones. Context: any but interrupt.
 */
u32 pci_read(u16 bdf, u16 off, u8 size);
void pci_write(u16 bdf, u16 off, u8 size, u32 v);

#endif
