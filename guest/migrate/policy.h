/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a live migration goes over to stop-and-copy, slows the guest or gives up: a function of
 * what the passes so far have shown.
 */
#ifndef GUEST_MIGRATE_POLICY_H
#define GUEST_MIGRATE_POLICY_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* What the operator allows. */
struct mig_limits {
	u64 downtime_ns;     /* goal: stop only when what is left takes no longer */
	u64 downtime_max_ns; /* after the last pass: stop if it takes no longer, else abort */
	u64 bytes_per_s;     /* rate limit of the stream, 0: none */
	u32 passes;	     /* at most, before the stop */
	u32 slowest;	     /* the guest may be held to 1/slowest of the link's rate; 1: not */
};

/* One pass, which has just been sent. */
struct mig_pass {
	u32 pass;    /* from 1 */
	u32 vcpus;   /* of the VM */
	u64 bytes;   /* of stream in this pass, or in all so far */
	u64 ns;	     /* they took */
	u64 left;    /* pages written during this pass, to be sent by the next one */
	u64 before;  /* pages at its own begin */
	u64 fixed_ns; /* what stops to there cost besides pages, of late; 0: there was none */
	u64 rtt_ns;   /* of a question to the receiver and its answer */
};

enum mig_step {
	MIG_CONTINUE, /* another pass, vCPUs run */
	MIG_STOP,     /* park the vCPUs and send the rest */
	MIG_ABORT,    /* it does not get any better */
};

struct mig_verdict {
	enum mig_step step;
	u64 downtime_ns; /* that a stop now would take, estimated */
	u64 bytes_per_s; /* what the stream carries */
	u64 page_ns;	 /* for vm->page_ns: wait at the first write to a page in a pass */
};

/** mig_policy_defaults() - limits for a link of 1 Gb/s. */
struct mig_limits mig_policy_defaults(void);

/** mig_policy() - verdict after a pass. 'slow' is the caller's memory of how much the guest is
 * slowed, 0 before the first pass. */
struct mig_verdict mig_policy(const struct mig_limits *l, const struct mig_pass *p, u32 *slow);

#endif
