/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel from this host to itself, in memory, and the faults that tests of moves want of it.
 */
#ifndef GUEST_MIGRATE_LOCAL_H
#define GUEST_MIGRATE_LOCAL_H

#include "guest/migrate/channel.h"

enum mig_fault_kind {
	MIG_FAULT_NONE,
	MIG_FAULT_FLIP, /* one bit of the byte is another */
	MIG_FAULT_CUT,	/* the channel ends before the byte, for both sides */
	MIG_FAULT_LOSE, /* the byte and all behind it never come, and nobody is told */
};

struct mig_fault {
	u32 kind;  /* enum mig_fault_kind */
	bool back; /* on the way from receiver to sender */
	u64 at;	   /* offset of the byte */
};

/** mig_local_pair() - end[0], end[1]: what one sends the other gets. Sender first. -ENOMEM. */
int MUST_CHECK mig_local_pair(struct mig_channel *end[2], const struct mig_fault *fault);

#endif
