/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two ends: panic() when the hypervisor is broken (the machine stops), and the
 * VM stop of guest/vm/vm.h when a guest is (everything else goes on).
 */
#ifndef KERNEL_CORE_PANIC_H
#define KERNEL_CORE_PANIC_H

#include "kernel/base/assert.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/**
 * panic() - stop all CPUs, print the reason, a symbolised backtrace and the end of
 * the log on COM1 and port 0xE9, then halt (or exit the emulator, when it has a
 * debug-exit port and the command line says 'panic=exit').
 */
NORETURN void panic(const char *f, ...) PRINTF_LIKE(1, 2);

/** ksym_name() - name of the function holding addr, and the offset in it; NULL if none. */
const char *ksym_name(u64 addr, u64 *offset);

#endif
