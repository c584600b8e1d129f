/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three ranges of 8192 MSRs, 2 KiB of map each.
 */
#include "arch/svm/svm_perm.h"

#include "kernel/base/err.h"

int svm_msrpm_set(u8 *map, u32 msr, bool read, bool write)
{
	static const u32 base[3] = { 0, 0xc0000000, 0xc0010000 };

	for (u32 i = 0; i < ARRAY_SIZE(base); i++) {
		u32 n = msr - base[i];
		u8 *byte;
		unsigned shift;

		if (n >= 0x2000)
			continue;
		byte = &map[i * 2048 + n / 4];
		shift = n % 4 * 2;
		*byte = (u8)((*byte & ~(3u << shift)) |
			     ((read ? 1u : 0u) | (write ? 2u : 0u)) << shift);
		return 0;
	}
	return -EINVAL;
}
