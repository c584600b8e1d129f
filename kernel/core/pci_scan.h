/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walk of PCI configuration space: functions, bridges, BARs and capabilities, with bus
 * numbers as firmware set them. Pure: the space is reached through callbacks.
 */
#ifndef KERNEL_CORE_PCI_SCAN_H
#define KERNEL_CORE_PCI_SCAN_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/pci_regs.h"

/* Bus, device and function as one number, as requester ids have it. */
#define PCI_BDF(bus, dev, fn) ((u16)((u32)(bus) << 8 | (u32)(dev) << 3 | (u32)(fn)))
#define PCI_BUS(bdf)	      ((u8)((bdf) >> 8))
#define PCI_DEV(bdf)	      ((u8)((bdf) >> 3 & 31))
#define PCI_FN(bdf)	      ((u8)((bdf) & 7))

struct pci_bar {
	u64 addr;
	u64 size; /* 0: not there, or the upper half of the one before */
	bool io, mem64, prefetch;
};

struct pci_func {
	u16 bdf;
	u16 vendor, device;
	u16 subvendor, subdevice; /* header type 0 */
	u32 class;		  /* base class 23:16, subclass 15:8, interface 7:0 */
	u8 revision;
	u8 header;		  /* 0 function, 1 bridge, 2 CardBus */
	u8 secondary, subordinate; /* header type 1 */
	u8 pcie_type;
	u8 cap_pm, cap_msi, cap_msix, cap_pcie;	    /* offsets, 0 = none */
	u16 ext_aer, ext_acs, ext_ari, ext_sriov; /* offsets, 0 = none */
	s16 parent; /* index of the bridge it lies behind, -1 on a root bus */
	struct pci_bar bar[6];
};

struct pci_cfg {
	/*
	 * read()/write() - size 1, 2 or 4 bytes, naturally aligned, off < 4096; all ones: nobody.
	 */
	u32 (*read)(void *ctx, u16 bdf, u16 off, u8 size);
	void (*write)(void *ctx, u16 bdf, u16 off, u8 size, u32 v);
	void *ctx;
	u16 space; /* bytes of configuration space reachable: 256 or 4096 */
};

struct pci_list {
	struct pci_func *func; /* NULL: only count */
	u32 capacity, count;
	u32 missed; /* functions that did not fit */
	s16 via[256]; /* per bus: index of the bridge that leads there, -1 = none */
	u32 errors; /* bridges with impossible bus numbers, broken capability lists */
};

/**
 * pci_scan() - add all functions on buses first..last to list, in the order of their addresses;
 * a bus that no bridge leads to is a root. Sizing BARs turns the
 * function's decoding off for a moment; with list->func NULL nothing is written.
 */
void pci_scan(const struct pci_cfg *cfg, u8 first, u8 last, struct pci_list *list);

/** pci_find_cap() - offset of capability id, 0 = none. Bounded on any contents. */
u8 pci_find_cap(const struct pci_cfg *cfg, u16 bdf, u8 id);

/** pci_find_ext_cap() - offset of extended capability id, 0 = none. Bounded on any contents. */
u16 pci_find_ext_cap(const struct pci_cfg *cfg, u16 bdf, u16 id);

#endif
