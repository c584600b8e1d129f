/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The console of a VM: a ring of what its UART sent, readable by any control port at any time.
 */
#ifndef GUEST_VM_CONSOLE_H
#define GUEST_VM_CONSOLE_H

#include "kernel/base/compiler.h"
#include "kernel/core/ctl.h"

struct vm;

/* Kept for those who attach later. */
#define VM_CONSOLE_RING (16u << 10)

/** vm_console_create() - the ring of a new VM, on the hypervisor's account; vm_console_destroy() -
 * whoever is attached gets the prompt back. 0 or -ENOMEM. */
int MUST_CHECK vm_console_create(struct vm *vm);
void vm_console_destroy(struct vm *vm);

/** vm_console_named() - vm has a new name. vm_console_swap() - what was printed and who is attached
 * goes from one VM to the other. vCPUs of both parked. */
void vm_console_named(struct vm *vm);
void vm_console_swap(struct vm *a, struct vm *b);

/** vm_console_stream() - for a control port to attach to. */
struct ctl_stream *vm_console_stream(struct vm *vm);

#endif
