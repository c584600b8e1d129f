/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control verbs of live migration.
 */
#ifndef GUEST_MIGRATE_CTL_MIGRATE_H
#define GUEST_MIGRATE_CTL_MIGRATE_H

#include "kernel/core/ctl.h"

/** ctl_migrate_init() - mig_init(), and its verbs; once at boot. Errors of ctl_add(), -ENOMEM. */
int MUST_CHECK ctl_migrate_init(struct ctl *c);

#endif
