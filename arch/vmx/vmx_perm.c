/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two ranges of 8192 MSRs, a bit for reads and a bit for writes.
 */
#include "arch/vmx/vmx_perm.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"

#define RANGE	    0x2000u
#define HIGH_BASE   0xc0000000u
#define HIGH_READS  1024u
#define LOW_WRITES  2048u

static void set_bit(u8 *map, u32 n, bool on)
{
	u8 bit = (u8)BIT(n % 8);

	map[n / 8] = (u8)(on ? map[n / 8] | bit : map[n / 8] & ~bit);
}

int vmx_bitmap_set(u8 *map, u32 msr, bool read, bool write)
{
	u32 n = msr;

	if (msr >= HIGH_BASE) {
		n = msr - HIGH_BASE;
		map += HIGH_READS;
	}
	if (n >= RANGE)
		return -EINVAL;
	set_bit(map, n, read);
	set_bit(map + LOW_WRITES, n, write);
	return 0;
}
