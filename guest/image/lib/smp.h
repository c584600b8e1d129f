/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other CPUs of a guest kernel: started by INIT and SIPI, each runs one function at a time.
 */
#ifndef GUEST_IMAGE_LIB_SMP_H
#define GUEST_IMAGE_LIB_SMP_H

#include "guest/image/lib/boot.h"

/**
 * smp_start() - reset CPU cpu (1..boot_cpus()-1) and run fn(arg) on it in 64-bit mode, interrupts
 * disabled, its APIC set up. False when it did not arrive within a second.
 */
bool smp_start(u32 cpu, void (*fn)(void *arg), void *arg);

/** smp_wait() - until fn of smp_start() returned; false after ms milliseconds. */
bool smp_wait(u32 cpu, u32 ms);

/** smp_init_sipi() - INIT, then SIPI to the page of real-mode code at pa (< 1 MiB). */
void smp_init_sipi(u32 cpu, u32 pa);

/** smp_start_raw() - copy real-mode code to SMP_TRAMPOLINE and start cpu there. */
void smp_start_raw(u32 cpu, const void *code, u32 len);

#endif
