/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Posted-interrupt descriptor: other CPUs set bits of vectors, then the bit "outstanding
 * notification"; the CPU that runs the guest takes them. Intel SDM vol. 3 §31.6.
 */
#ifndef KERNEL_BASE_POSTED_H
#define KERNEL_BASE_POSTED_H

#include "kernel/base/bits.h"

/* In 64-bit words, all accessed atomically; aligned to its size. */
#define POSTED_WORDS   8
#define POSTED_CONTROL 4 /* the word after the 256 vectors */
#define POSTED_ON      BIT(0)

#endif
