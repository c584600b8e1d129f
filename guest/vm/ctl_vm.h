/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control verbs about VMs.
 */
#ifndef GUEST_VM_CTL_VM_H
#define GUEST_VM_CTL_VM_H

#include "kernel/core/config.h"
#include "kernel/core/ctl.h"

/**
 * ctl_vm_init() - add the verbs to c. config, which 'vm create' makes VMs from, must stay. 0 or
 * -ENOSPC.
 */
int MUST_CHECK ctl_vm_init(struct ctl *c, const struct config *config);

#endif
