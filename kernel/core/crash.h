/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deliberate faults ("crash=NAME" on the command line), so that tests see each dump and
 * each protection work on the running machine.
 */
#ifndef KERNEL_CORE_CRASH_H
#define KERNEL_CORE_CRASH_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/** crash_run() - commit the named fault; returns only when the name is unknown (logged). */
void crash_run(const char *name);

#endif
