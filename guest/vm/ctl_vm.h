/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control verbs about VMs.
 */
#ifndef GUEST_VM_CTL_VM_H
#define GUEST_VM_CTL_VM_H

#include "kernel/core/config.h"
#include "kernel/core/ctl.h"

struct vm;

/**
 * ctl_vm_init() - add the verbs to c. config, which 'vm create' makes VMs from, must stay. 0 or
 * -ENOSPC.
 */
int MUST_CHECK ctl_vm_init(struct ctl *c, const struct config *config);

/** ctl_vm_more() - show() adds to what 'vm info' says. Once at boot. */
void ctl_vm_more(void (*show)(struct ctl_out *out, const struct vm *vm));

#endif
