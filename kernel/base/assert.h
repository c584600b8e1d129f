/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions for our own invariants. Nothing that a guest, the stream, the
 * configuration or firmware can cause may assert.
 */
#ifndef KERNEL_BASE_ASSERT_H
#define KERNEL_BASE_ASSERT_H

#include "kernel/base/compiler.h"

/** assert_failed() - the hypervisor panics, host tests abort. */
NORETURN void assert_failed(const char *file, int line, const char *cond);

#define ASSERT(c)                                                   \
	do {                                                        \
		if (unlikely(!(c)))                                 \
			assert_failed(__FILE__, __LINE__, #c);      \
	} while (0)

#endif
