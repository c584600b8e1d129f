/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control verb that shows which pages of its memory a VM writes.
 */
#ifndef GUEST_MIGRATE_CTL_WRITES_H
#define GUEST_MIGRATE_CTL_WRITES_H

#include "kernel/base/compiler.h"
#include "kernel/core/ctl.h"

/** ctl_writes_init() - register "vm writes"; once at boot. Errors of ctl_add(). */
int MUST_CHECK ctl_writes_init(struct ctl *c);

#endif
