/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SR-IOV capability of a physical function: what it offers, where its VFs are, switching them
 * on and off. Pure: configuration space and time are reached through callbacks.
 */
#ifndef DEVICES_SRIOV_SRIOV_CAP_H
#define DEVICES_SRIOV_SRIOV_CAP_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/pci_reset.h"
#include "kernel/core/pci_scan.h"

#define SRIOV_BARS 6u

struct sriov {
	u16 pf;	    /* its address */
	u16 cap;
	u16 total;  /* VFs it can have */
	u16 offset, stride; /* of routing ids; they may change with NumVFs and the ARI bit */
	u16 vf_device;
	u32 page_size;
	struct pci_bar bar[SRIOV_BARS]; /* size is that of one VF; addr that of VF 0 */
};

/**
 * sriov_read() - capability of f, VF BARs sized. Returns 0; -ENODEV (none), -EBUSY (VFs are on),
 * -EPROTO (contents impossible); why names it. Context: f's driver does not run.
 */
int MUST_CHECK sriov_read(const struct pci_cfg *cfg, const struct pci_func *f, struct sriov *s,
			  char *why, size_t why_size);

/** sriov_bar_bytes() - address space that n VFs take in one BAR; 0: the BAR is not there. */
u64 sriov_bar_bytes(const struct sriov *s, u32 bar, u16 n);

/** sriov_place_bar() - VF 0's BAR at addr, aligned to the size of one VF's. */
void sriov_place_bar(const struct pci_cfg *cfg, struct sriov *s, u32 bar, u64 addr);

/**
 * sriov_enable() - n VFs (1..total), ari: the port above forwards by ARI. Waits 100 ms as the
 * specification asks, then up to 1 s for the last VF to answer. Returns 0; -EINVAL, -ERANGE (a VF's
 * number would leave bus 255), -ETIMEDOUT (they are off again). PCI Express base specification
 * §9.2.
 */
int MUST_CHECK sriov_enable(const struct pci_cfg *cfg, const struct pci_delay *delay,
			    struct sriov *s, u16 n, bool ari);

/** sriov_disable() - all VFs off; their drivers and owners are gone. */
void sriov_disable(const struct pci_cfg *cfg, const struct pci_delay *delay, const struct sriov *s);

/** sriov_vf_bdf() - address of VF n, after sriov_enable(). */
u16 sriov_vf_bdf(const struct sriov *s, u16 n);

/** sriov_vf_bar() - address of VF n's BAR. */
u64 sriov_vf_bar(const struct sriov *s, u32 bar, u16 n);

#endif
