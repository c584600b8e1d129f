/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control verbs of physical NICs and their virtual functions.
 */
#ifndef KERNEL_INIT_CTL_VF_H
#define KERNEL_INIT_CTL_VF_H

#include "kernel/base/compiler.h"
#include "kernel/core/ctl.h"

/** ctl_vf_init() - register them with c. -ENOSPC. Once at boot. */
int MUST_CHECK ctl_vf_init(struct ctl *c);

#endif
