/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions in hardware of a VM that leaves: what the guest has to give up first, what goes on in
 * software, and all of it back where it was when the VM stays. Pure.
 */
#ifndef GUEST_MIGRATE_LEAVE_H
#define GUEST_MIGRATE_LEAVE_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define MIG_UNPLUG_S 20u /* so long a guest has to let go; Linux takes 5 to 7 s */

struct vm;

/* Their driver's part. The VM runs or is paused. */
struct mig_functions {
	/* unplug() - the guest is to let go of those that cannot go on in software. How many it
	 * has (ask: it is told so now; how many it had before), the first one's name in why; -E...,
	 * why: it cannot be asked. */
	int (*unplug)(struct vm *vm, bool ask, char *why, size_t why_size);
	/* aside() - all others into software. Returns how many; -E..., why: not all of them.
	 * *held_us grows by how long the VM was held for each. */
	int (*aside)(struct vm *vm, u32 *held_us, char *why, size_t why_size);
	/* back() - all that the VM's configuration wants in hardware and in slots go there if it
	 * can be had, the log says which do not; the guest is asked for nothing any more. Nothing
	 * happens when vm is off. */
	void (*back)(struct vm *vm);
};

/* Of one VM that leaves. */
struct mig_leave {
	const struct mig_functions *f; /* NULL: there are none on this host */
	struct vm *vm;
	bool touched;
	u64 until; /* ns: when a guest that was asked must have let go; 0: not asked yet */
};

/**
 * mig_leave_unplug() - ask the guest, or look what it has done; to be called until it does not
 * return 1. now: ns. 1: it is yet to let go; 0: the VM has nothing that cannot leave; -ETIMEDOUT:
 * it did not within MIG_UNPLUG_S; errors of unplug(). why names the reason.
 */
int MUST_CHECK mig_leave_unplug(struct mig_leave *l, u64 now, char *why, size_t why_size);

/** mig_leave_aside() - the rest into software; *held_us: how long the VM was held for that.
 * Returns how many, or -E... */
int MUST_CHECK mig_leave_aside(struct mig_leave *l, u32 *held_us, char *why, size_t why_size);

/** mig_leave_stay() - it does not leave: what was done is undone, once. */
void mig_leave_stay(struct mig_leave *l);

#endif
