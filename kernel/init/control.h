/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot step that brings the control ports up with all verbs.
 */
#ifndef KERNEL_INIT_CONTROL_H
#define KERNEL_INIT_CONTROL_H

#include "kernel/base/compiler.h"
#include "kernel/core/acpi.h"
#include "kernel/core/config.h"

/**
 * control_init() - register the verbs and open the ports of config.host; config must stay. After
 * sched_init(), with interrupts routed. Returns 0 or -ENOSPC.
 */
int MUST_CHECK control_init(struct config *config, const struct acpi_info *acpi);

#endif
