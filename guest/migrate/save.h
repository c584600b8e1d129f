/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs 'save' and 'restore': a VM's stream out of and into a control port in raw mode, so that
 * a tool can keep it in a file (docs/control.md, "Files of VMs").
 */
#ifndef GUEST_MIGRATE_SAVE_H
#define GUEST_MIGRATE_SAVE_H

#include "kernel/core/ctl.h"

/** mig_save_init() - add the verbs. Once at boot. -ENOSPC. */
int MUST_CHECK mig_save_init(struct ctl *c);

#endif
