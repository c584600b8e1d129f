/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control verbs about the host.
 */
#ifndef KERNEL_CORE_CTL_HOST_H
#define KERNEL_CORE_CTL_HOST_H

#include "kernel/core/config.h"
#include "kernel/core/ctl.h"

/** ctl_host_init() - add the verbs to c; config must stay. 0 or -ENOSPC. */
int MUST_CHECK ctl_host_init(struct ctl *c, const struct config *config);

/** ctl_host_more() - what show() writes ends the reply to 'host'. */
void ctl_host_more(void (*show)(struct ctl_out *out));

#endif
