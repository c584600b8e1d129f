/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel from this host to itself: a ring in memory each way.
 */
#ifndef GUEST_MIGRATE_LOCAL_H
#define GUEST_MIGRATE_LOCAL_H

#include "guest/migrate/channel.h"

/** mig_local_pair() - end[0], end[1]: what one sends the other gets. -ENOMEM. */
int MUST_CHECK mig_local_pair(struct mig_channel *end[2]);

#endif
