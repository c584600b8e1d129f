/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the log shows of a vCPU when its VM is stopped by an error, or on 'vm dump'.
 */
#ifndef GUEST_VM_DUMP_H
#define GUEST_VM_DUMP_H

#include "arch/hvm.h"

struct vcpu;

/** hvm_exit_name() - word for an exit code, as 'vm info' and dumps show it. */
const char *hvm_exit_name(enum hvm_exit_code code);

/**
 * vcpu_dump() - registers, code bytes, last exit, exit counters. v is not running, or is the
 * caller.
 */
void vcpu_dump(struct vcpu *v);

#endif
