/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live migration as control sees it: begin, look, cancel. All of it on the boot CPU: requests come
 * in softirq context, the work is done a record at a time by an entity of the scheduler.
 */
#ifndef GUEST_MIGRATE_MIGRATE_H
#define GUEST_MIGRATE_MIGRATE_H

#include "guest/migrate/leave.h"
#include "guest/migrate/link.h"
#include "guest/migrate/policy.h"
#include "kernel/core/config.h"

#define MIG_MOVES 4u /* at once, out of here, and as many into here */

/* Where to and how. */
struct mig_request {
	char host[CONFIG_PATH_LEN]; /* "local": to this host itself */
	u16 port;
	struct mig_limits limits;
	struct mig_fault fault;	/* of the first connection */
	u64 cancel_at;		/* cancel as soon as so many bytes are sent; 0: not */
};

/** mig_register_functions() - once at boot; f stays the caller's. */
void mig_register_functions(const struct mig_functions *f);

/** mig_init() - once at boot, after sched_init(). */
int MUST_CHECK mig_init(void);

/**
 * mig_begin() - start to move vm away. 0: it goes on by itself; -EBUSY, -ENOTSUP, -ENOMEM, -ENODEV
 * (nothing carries streams to other hosts), with the reason in why.
 */
int MUST_CHECK mig_begin(struct vm *vm, const struct mig_request *rq, char *why, size_t why_size);

/**
 * mig_cancel() - stop moving the VM of this name, in either direction. force: also when the
 * destination may have it already; the caller knows that it does not. -ENOENT, -EBUSY.
 */
int MUST_CHECK mig_cancel(const char *name, bool force, char *why, size_t why_size);

#endif
