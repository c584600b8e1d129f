/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranked spin locks. Nothing takes a lock in interrupt context: handlers only
 * post work, so no lock needs interrupts off (the log's is the one exception).
 */
#ifndef KERNEL_CORE_LOCK_H
#define KERNEL_CORE_LOCK_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* Outermost first: a CPU may take a lock only of a higher rank than those it holds. */
enum lock_rank {
	LOCK_CTL = 1,
	LOCK_VM,
	LOCK_PF,
	LOCK_VDEV,
	LOCK_NIC,
	LOCK_DOM,
	LOCK_UNIT,
	LOCK_RAM,
	LOCK_SCHED,
	LOCK_TIMER,
	LOCK_PCI,
	LOCK_HOSTMAP,
	LOCK_POOL,
	LOCK_CONSOLE,
	LOCK_LOG,
};

struct spinlock {
	u32 word;	  /* 0 free, else 1 + id of the owning CPU */
	u32 bit;	  /* 1 << enum lock_rank, as in pcpu.locks_held */
	const char *name;
};

#define SPINLOCK_INIT(r, n) { .word = 0, .bit = 1u << (r), .name = (n) }

/** spin_init() - for locks inside allocated objects. */
void spin_init(struct spinlock *l, enum lock_rank rank, const char *name);

/**
 * spin_lock() - take l. Panics on a rank violation, on a lock this CPU already
 * owns, and after about ten seconds of waiting (a deadlock: both ends are named).
 * Context: any but interrupt.
 */
void spin_lock(struct spinlock *l);

/** spin_unlock() - release l; panics when this CPU does not own it. */
void spin_unlock(struct spinlock *l);

/** lock_assert_held() - for '_locked' functions. */
void lock_assert_held(const struct spinlock *l);

#endif
