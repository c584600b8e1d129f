/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CRC32C by the instruction of that name, which every CPU that can run guests has (SSE4.2).
 */
#include "kernel/base/crc32c.h"

#include "kernel/base/bytes.h"

__attribute__((target("crc32"))) u32 crc32c(u32 crc, const void *p, size_t n)
{
	const u8 *b = p;
	u64 c = ~crc;

	for (; n >= 8; n -= 8, b += 8)
		c = __builtin_ia32_crc32di(c, get_le64(b));
	for (; n; n--, b++)
		c = __builtin_ia32_crc32qi((u32)c, *b);
	return ~(u32)c;
}
