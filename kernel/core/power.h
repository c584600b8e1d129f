/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of the machine that are wanted: power-off, reset, and the emulator's exit port.
 */
#ifndef KERNEL_CORE_POWER_H
#define KERNEL_CORE_POWER_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* Values for the exit port; the emulator's exit status is 2 * value + 1. */
#define DEBUG_EXIT_OK	 0x10
#define DEBUG_EXIT_PANIC 0x11
#define DEBUG_EXIT_FAIL	 0x12

/** host_set_debug_exit() - there is an isa-debug-exit device at port ("debug-exit=0xf4"). */
void host_set_debug_exit(u16 port);

/** host_debug_exit() - end the emulator with a status; returns when there is no such port. */
void host_debug_exit(u8 value);

#endif
