/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is the table.
 */
#include <stdlib.h>

#include "iommu/amdvi/ivrs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ivrs v;
	char why[160];
	u16 alias;
	u8 settings;

	if (ivrs_parse(data, size, &v, why, sizeof(why)))
		return 0;
	for (u32 bdf = 0; bdf < 0x10000; bdf += 0x331)
		if (ivrs_unit_of(&v, 0, (u16)bdf, &alias, &settings) >= (int)v.units)
			abort();
	for (u32 i = 0; i < v.specials; i++)
		if (v.special[i].unit >= v.units)
			abort();
	for (u32 i = 0; i < v.memories; i++)
		if (v.memory[i].len == 0 || v.memory[i].base + v.memory[i].len < v.memory[i].base)
			abort();
	return 0;
}
