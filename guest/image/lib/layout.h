/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers that assembly and C of the runtime library share: selectors, stacks, low memory.
 */
#ifndef GUEST_IMAGE_LIB_LAYOUT_H
#define GUEST_IMAGE_LIB_LAYOUT_H

#define MAX_CPUS   8
#define STACK_SIZE 32768

/* Selectors. SEL_TSS + 16 * cpu. */
#define SEL_CODE64    0x08
#define SEL_DATA      0x10
#define SEL_CODE32    0x18
#define SEL_CODE16    0x20
#define SEL_DATA16    0x28
#define SEL_USER_DATA 0x33
#define SEL_USER_CODE 0x3b
#define SEL_SPARE     0x40 /* free for a test: two entries */
#define SEL_TSS	      0x50

/* Real-mode start code of the other CPUs, and what it is told. */
#define SMP_TRAMPOLINE 0x8000
#define SMP_SCRATCH    0x9000 /* a page for tests' own real-mode data */

#endif
