/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The executor on a live vCPU: instructions that reach MMIO or string ports.
 */
#ifndef GUEST_VM_EXEC_H
#define GUEST_VM_EXEC_H

#include "guest/vm/exit.h"

/** exec_current() - decode and execute the instruction at RIP; an unknown form fails the VM. */
enum exit_result exec_current(struct vcpu *v);

struct insn;
/** exec_insn() - the same for one already decoded. */
enum exit_result exec_insn(struct vcpu *v, const struct insn *in);

#endif
