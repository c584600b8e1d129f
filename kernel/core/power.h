/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends of the machine that are wanted: power-off, reset, and the emulator's exit port.
 */
#ifndef KERNEL_CORE_POWER_H
#define KERNEL_CORE_POWER_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct acpi_fadt;

/** power_init() - the machine's ACPI registers; f is copied. Before it power-off only halts. */
void power_init(const struct acpi_fadt *f);

/** host_poweroff() - soft-off by ACPI, else the exit port, else halt. All guests are to be off. */
NORETURN void host_poweroff(void);

/**
 * host_reboot() - ACPI reset register, port CF9, keyboard controller, triple fault, in this order.
 */
NORETURN void host_reboot(void);

/* Values for the exit port; the emulator's exit status is 2 * value + 1. */
#define DEBUG_EXIT_OK	 0x10
#define DEBUG_EXIT_PANIC 0x11

/** host_set_debug_exit() - there is an isa-debug-exit device at port ("debug-exit=0xf4"). */
void host_set_debug_exit(u16 port);

/** host_debug_exit() - end the emulator with a status; returns when there is no such port. */
void host_debug_exit(u8 value);

#endif
