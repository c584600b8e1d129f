/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 'net' verbs: ports of the switch.
 */
#ifndef KERNEL_INIT_CTL_NET_H
#define KERNEL_INIT_CTL_NET_H

#include "kernel/base/compiler.h"
#include "kernel/core/ctl.h"

/** ctl_net_init() - register them. -ENOSPC. */
int MUST_CHECK ctl_net_init(struct ctl *c);

#endif
