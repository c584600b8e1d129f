/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host functions assigned to VMs: DMA domain of the VM, BAR pages mapped into it, interrupts
 * from the physical function to the virtual one.
 */
#ifndef DEVICES_PCI_ASSIGN_H
#define DEVICES_PCI_ASSIGN_H

#include "devices/pci/host_irq.h"
#include "devices/pci/hotplug.h"
#include "devices/pci/vassign.h"
#include "devices/pci/vpci.h"
#include "guest/vm/vdev.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/pci_reset.h"

struct vm;
struct assigned;

#define ASSIGN_MAX	64u /* functions, over all VMs */
#define ASSIGN_PER_VM	8u
#define ASSIGN_FIRST_DEV 16u /* they lie at 00:10.0, 00:11.0 ... of the guest */

/* What a host driver knows better than this file about its device's VFs. All may be NULL. */
struct assigned_ops {
	/* mmio() - access to a trapped page; without it the physical registers are accessed. */
	void (*mmio)(void *ctx, unsigned bar, u64 off, unsigned size, bool write, u64 *value);
	/* reset() - the function was reset (FLR, machine reset); its configuration is restored. */
	void (*reset)(void *ctx);
	/* master() - it may begin to access memory, or not any more. Locks: vm->lock, or all
	 * parked. */
	void (*master)(void *ctx, bool on);
	/* gone() - the VM gave it back; it is stopped and detached. Last call. */
	void (*gone)(void *ctx);
};

struct assign_request {
	struct assign_info info;
	const struct assigned_ops *ops; /* NULL: plain function */
	void *ctx;
	struct hotplug *slot; /* where in the guest it goes; NULL: a place on the root bus */
	bool unbacked;	/* no physical function yet: mmio() answers all; info describes one */
	u8 trap_bar;	/* pages of a BAR that mmio() answers */
	u64 trap_off, trap_len;
};

/** assign_init() - register with the PC; once at boot, after the IOMMU. */
void assign_init(void);

/**
 * assign_add() - give the function to vm, which is being built or paused: reset, into the VM's
 * domain, onto its PCI bus. On failure nothing is kept and gone() is not called. Returns 0;
 * -ENODEV (no IOMMU), -EPERM, -ENOTSUP, -EBUSY (attached somewhere), -ENOSPC, -ENOMEM, -ETIMEDOUT;
 * why names the reason.
 */
int MUST_CHECK assign_add(struct vm *vm, const struct assign_request *r, char *why,
			  size_t why_size);

/** assign_reset() - state: a struct assigned, to be as after a reset. vm->lock, or all parked. */
void assign_reset(void *state);

/** assign_remove() - take it away: stopped, cleaned, detached, freed. All vCPUs parked. */
void assign_remove(struct assigned *a);

/* A function that assign_cut() has begun to reset. bdf 0: none. */
struct assign_left {
	u16 bdf;
	struct pci_reset_caps caps;
	struct pci_saved saved;
	u64 ready; /* host TSC */
	int rc;
};

/**
 * assign_cut(), assign_back() - the physical function goes, another one of the same kind comes,
 * while the guest keeps its virtual one: registers, BARs and interrupts stay as they are. Without
 * one mmio() answers for all pages. The guest may run: its pages are trapped, since assign_close()
 * with all vCPUs parked, until assign_open(), the same. Locks: none held.
 *
 * cut(): the function's DMA has ended; it is detached, and its reset begins; *left is for
 * assign_left_end(). back(): info's function was reset since its last owner. Returns as
 * assign_add().
 */
void assign_cut(struct assigned *a, struct assign_left *left);
int MUST_CHECK assign_back(struct assigned *a, const struct assign_info *info, char *why,
			   size_t why_size);
void assign_close(struct assigned *a);
void assign_open(struct assigned *a);

/**
 * assign_left_end() - put its configuration back. 0, also when there is nothing to do; -EBUSY: not
 * yet, at most PCI_RESET_SETTLE_US; -ENOTSUP, -ETIMEDOUT: it must not be used any more.
 */
int MUST_CHECK assign_left_end(struct assign_left *left);

/** assign_is_backed() - has it a physical function? */
bool assign_is_backed(const struct assigned *a);

/** assign_raise_soon() - as assign_raise() for each bit. Context: any, no lock needed. */
void assign_raise_soon(struct assigned *a, u32 vectors);

/** assign_raise() - as if the function had sent interrupt 'vector'. Locks: vm->lock. */
bool assign_raise(struct assigned *a, u16 vector);

/** assign_find(), assign_at(), assign_in_slot() - by ctx, address, slot; or NULL. */
struct assigned *assign_find(struct vm *vm, const void *ctx);
struct assigned *assign_at(struct vm *vm, u16 bdf);
struct assigned *assign_in_slot(struct vm *vm, const struct hotplug *slot);

/* One assigned function, for lists. */
struct assign_stat {
	u16 bdf;
	u8 guest_devfn;
	const char *vm;
	u64 interrupts;
	bool mapped; /* its registers are visible to the guest */
};

/** assign_list() - copy at most max records; returns how many there are. Control context. */
u32 assign_list(struct assign_stat *out, u32 max);

#endif
