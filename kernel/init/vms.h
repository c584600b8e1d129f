/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last part of the boot: backend, configuration, control, guests.
 */
#ifndef KERNEL_INIT_VMS_H
#define KERNEL_INIT_VMS_H

#include "kernel/base/compiler.h"
#include "kernel/core/multiboot.h"

/**
 * vms_init() - boot modules by name, backend on this CPU, configuration, control. A machine that
 * cannot run guests, or a configuration with errors, is said and is no failure. text gets the
 * step's line. -ENOMEM.
 */
int MUST_CHECK vms_init(const struct boot_info *b, char *text, size_t size);

/**
 * vms_go() - let all CPUs run, create the VMs of the configuration, start those that ask for it.
 */
NORETURN void vms_go(void);

#endif
