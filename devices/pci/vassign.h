/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An assigned function as its guest sees it: configuration space built from the physical one's
 * facts, interrupts in software, BARs split into pages that are mapped and pages that are trapped.
 * Pure; the VM's lock is held around every call.
 */
#ifndef DEVICES_PCI_VASSIGN_H
#define DEVICES_PCI_VASSIGN_H

#include "devices/pci/assign_info.h"
#include "devices/pci/vcfg.h"
#include "devices/pci/vmsix.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VASSIGN_RANGES 7u /* pieces of one BAR: three trapped ones and what lies between */

/* A piece of a BAR, whole pages (a smaller BAR: all of it, trapped). */
struct vassign_range {
	u64 off, len;
	bool trap;
};

enum vassign_irq { VASSIGN_IRQ_OFF, VASSIGN_IRQ_MSI, VASSIGN_IRQ_MSIX };

struct vassign_env {
	void *ctx;
	/* range() - piece r of a BAR appears at gpa, or goes from there. */
	void (*range)(void *ctx, unsigned bar, u64 gpa, const struct vassign_range *r, bool on);
	/* master() - the guest switches its bus mastering. */
	void (*master)(void *ctx, bool on);
	/* irq_mode() - which kind of interrupt messages the guest uses. */
	void (*irq_mode)(void *ctx, enum vassign_irq mode);
	/* raise() - an interrupt message for the guest. */
	void (*raise)(void *ctx, u16 vector, u64 address, u32 data);
	/* flr() - the guest resets its function; the virtual registers are reset already. */
	void (*flr)(void *ctx);
	/* mmio() - access to a trapped page outside the MSI-X structures; io_fn's rules. */
	void (*mmio)(void *ctx, unsigned bar, u64 off, unsigned size, bool write, u64 *value);
};

struct vassign {
	struct vassign_env env;
	struct assign_info info;
	struct vcfg cfg;
	struct vmsix msix;
	u8 cap_pcie, cap_msi; /* in the virtual space, 0: none */
	u8 trap_bar;	      /* BAR with a page range of the owner's that is always trapped */
	u64 trap_off, trap_len; /* trap_len 0: none */
	bool trap_all;
	bool mastering;
	enum vassign_irq mode;
};

/* Tables of the virtual MSI-X, VMSIX_*_WORDS(info->msix_vectors) long; NULL when it has none. */
struct vassign_tables {
	u64 *msix, *pba;
};

/**
 * vassign_init() - the function's virtual side, as after a reset. I/O BARs and other capabilities
 * than PCI Express, power management, MSI and MSI-X are left out.
 */
void vassign_init(struct vassign *v, const struct assign_info *info,
		  const struct vassign_tables *tables, const struct vassign_env *env);

/** vassign_behind_port() - it is not on the root bus: an endpoint with a link. After init. */
void vassign_behind_port(struct vassign *v);

/** vassign_trap() - [off, off+len) of a BAR is answered by env->mmio(). Before the guest runs. */
void vassign_trap(struct vassign *v, u8 bar, u64 off, u64 len);

/** vassign_trap_all() - all of its BARs, from now on or no more; those that are mapped change. */
void vassign_trap_all(struct vassign *v, bool on);

/** vassign_ranges() - the pieces of a BAR, in order; how many. */
u32 vassign_ranges(const struct vassign *v, unsigned bar, struct vassign_range out[VASSIGN_RANGES]);

/** vassign_mmio() - access to a trapped piece, off from the start of the BAR. */
void vassign_mmio(struct vassign *v, unsigned bar, u64 off, unsigned size, bool write, u64 *value);

/** vassign_event() - the physical function sent interrupt 'vector'. False: the guest has it off. */
bool vassign_event(struct vassign *v, u16 vector);

/** vassign_resume() - cfg, table, pending bits were loaded: check (-EINVAL), go on from there. */
int MUST_CHECK vassign_resume(struct vassign *v);

/** vassign_reset() - as after a reset of the machine: nothing mapped, no DMA, no interrupts. */
void vassign_reset(struct vassign *v);

#endif
