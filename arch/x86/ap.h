/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What boot.S and ap.S share with kernel/init/smp.c.
 */
#ifndef ARCH_X86_AP_H
#define ARCH_X86_AP_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* Real-mode code, position-independent, to be copied to a page below 1 MiB. */
extern const u8 ap_trampoline[], ap_trampoline_end[];

/* Defined in smp.c, read by boot.S: final page tables, and the areas to search by APIC id. */
struct pcpu;
extern u64 ap_cr3;
extern u32 ap_count;
extern struct pcpu *ap_pcpus[];

/** ap_main() - first C code of an application processor, on its own stack and page tables. */
NORETURN void ap_main(void);

#endif
