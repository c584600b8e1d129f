/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of a guest kernel: ACPI power-off and reset.
 */
#ifndef GUEST_IMAGE_LIB_POWER_H
#define GUEST_IMAGE_LIB_POWER_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/** power_off() - status 0: passed. Only a machine with a debug-exit port passes it on. */
void power_off(u8 status) NORETURN;

/** power_reset() - by port CF9h. */
void power_reset(void) NORETURN;

/** power_triple_fault() - the CPU shuts down. */
void power_triple_fault(void) NORETURN;

#endif
