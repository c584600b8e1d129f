/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host side of ASSERT(): a broken invariant ends the test program.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kernel/base/assert.h"

void assert_failed(const char *file, int line, const char *cond)
{
	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, cond);
	abort();
}
