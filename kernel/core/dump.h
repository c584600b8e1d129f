/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readable dumps: registers, code bytes and a backtrace with names.
 */
#ifndef KERNEL_CORE_DUMP_H
#define KERNEL_CORE_DUMP_H

#include "arch/x86/trap.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/** dump_trap() - registers, code and backtrace of an exception, to the log. */
void dump_trap(const struct trap_frame *f);

/** dump_backtrace() - names along the frame-pointer chain from rbp; rip goes first, 0 = none. */
void dump_backtrace(u64 rbp, u64 rip);

/** panic_trap() - panic() with an exception's frame. */
NORETURN void panic_trap(struct trap_frame *frame);

/** panic_in_progress() - is a CPU dumping? Then an NMI means: stop. */
bool panic_in_progress(void);

#endif
