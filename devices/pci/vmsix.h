/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X of one virtual function: table and pending bits as the guest sees them, messages to the
 * environment. Pure; the VM's lock is held around every call.
 */
#ifndef DEVICES_PCI_VMSIX_H
#define DEVICES_PCI_VMSIX_H

#include "devices/pci/vcfg.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VMSIX_MAX_VECTORS 2048u /* PCI Local Bus 3.0 §6.8.2.3 */

/* Words of table and pending bits that n vectors need. */
#define VMSIX_TABLE_WORDS(n) ((n) * 2u)
#define VMSIX_PBA_WORDS(n)   (((n) + 63u) / 64u)

struct vmsix_env {
	void *ctx;
	/* raise() - send the message of 'vector'. Must not call back into the table. */
	void (*raise)(void *ctx, u16 vector, u64 address, u32 data);
	/* changed() - NULL, or: message or mask of 'vector' is not what it was. */
	void (*changed)(void *ctx, u16 vector);
};

struct vmsix {
	struct vmsix_env env;
	u16 count;
	u16 control; /* MSIX_CONTROL_ON, MSIX_CONTROL_MASK, as in the capability */
	u8 cap;	     /* offset of the capability */
	u64 *table;  /* per vector: address; data in 31:0 and vector control in 63:32 */
	u64 *pba;
};

/**
 * vmsix_init() - count vectors (1..VMSIX_MAX_VECTORS), all masked. table and pba are the owner's,
 * so that they lie in its saved state: VMSIX_TABLE_WORDS(count) and VMSIX_PBA_WORDS(count) long.
 */
void vmsix_init(struct vmsix *m, u16 count, u64 *table, u64 *pba, const struct vmsix_env *env);

/** vmsix_reset() - all masked, nothing pending, off. */
void vmsix_reset(struct vmsix *m);

/**
 * vmsix_add_cap() - append the capability to c: table at table_off of BAR table_bar, pending bits
 * at pba_off of BAR pba_bar, both multiples of 8.
 */
void vmsix_add_cap(struct vmsix *m, struct vcfg *c, u8 table_bar, u32 table_off, u8 pba_bar,
		   u32 pba_off);

/** vmsix_written() - bytes [off, off+size) of c were written: look whether control changed. */
void vmsix_written(struct vmsix *m, const struct vcfg *c, u32 off, unsigned size);

/** vmsix_table_io(), vmsix_pba_io() - accesses, off from the start of the structure. io_fn form. */
void vmsix_table_io(void *ctx, u64 off, unsigned size, bool write, u64 *value);
void vmsix_pba_io(void *ctx, u64 off, unsigned size, bool write, u64 *value);

/**
 * vmsix_notify() - the function has an event for 'vector': send, or remember while masked. False:
 * MSI-X is off or there is no such vector, nothing happened.
 */
bool vmsix_notify(struct vmsix *m, u16 vector);

/** vmsix_on() - does the guest use MSI-X? */
bool vmsix_on(const struct vmsix *m);
/** vmsix_masked() - is 'vector' masked by its own bit, the function's, or by MSI-X being off? */
bool vmsix_masked(const struct vmsix *m, u16 vector);

/**
 * vmsix_resume() - table, pba and c were loaded: check them (-EINVAL), take over control, send
 * what pends unmasked, tell changed() of every vector.
 */
int MUST_CHECK vmsix_resume(struct vmsix *m, const struct vcfg *c);

#endif
