/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts a VM's kernel, its modules and its tables into guest memory and the boot vCPU at
 * the kernel's entry, by what the configuration names.
 */
#ifndef GUEST_LOAD_LOAD_VM_H
#define GUEST_LOAD_LOAD_VM_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct vm;

/**
 * load_vm_kernel() - find the boot modules that vm->config names, take the first loader that knows
 * the kernel's format, write kernel, initrd or modules, command line, memory map and ACPI tables
 * to guest memory and set the registers of vCPU 0. why gets the reason of a failure. Returns
 * 0; -ENOENT: no such module; -ENOEXEC: no loader knows the image or it is damaged; -ENOMEM: it
 * does not fit the VM's memory. Context: control, all vCPUs of vm parked.
 */
int MUST_CHECK load_vm_kernel(struct vm *vm, char *why, size_t why_size);

#endif
