/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control verbs of physical NICs and their virtual functions.
 */
#ifndef KERNEL_INIT_CTL_VF_H
#define KERNEL_INIT_CTL_VF_H

#include "kernel/base/compiler.h"
#include "kernel/core/config.h"
#include "kernel/core/ctl.h"

/**
 * ctl_vf_init() - register them with c. config, whose VMs 'vf attach' and 'vf detach' change, must
 * stay. -ENOSPC. Once at boot.
 */
int MUST_CHECK ctl_vf_init(struct ctl *c, struct config *config);

#endif
