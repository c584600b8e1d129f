/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC32C (Castagnoli polynomial, reflected), as iSCSI (RFC 3720) uses it.
 */
#ifndef KERNEL_BASE_CRC32C_H
#define KERNEL_BASE_CRC32C_H

#include "kernel/base/types.h"

/** crc32c() - continue crc (0 to start) over n bytes. Needs a CPU with SSE4.2. */
u32 crc32c(u32 crc, const void *p, size_t n);

#endif
