/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is the table; bridges are where their address says so.
 */
#include <stdlib.h>

#include "iommu/vtd/dmar.h"

static bool bridge(void *ctx, u16 bdf, u8 *secondary, u8 *subordinate)
{
	(void)ctx;
	*secondary = (u8)(bdf >> 3);
	*subordinate = (u8)(*secondary + (bdf & 7));
	return (bdf & 0x10) != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dmar d;
	const struct dmar_topology topo = { .bridge = bridge };
	char why[160];
	u16 source;

	if (dmar_parse(data, size, &d, why, sizeof(why)))
		return 0;
	for (u32 bdf = 0; bdf < 0x10000; bdf += 0x731) {
		int u = dmar_unit_of(&d, &topo, 0, (u16)bdf);

		if (u >= (int)d.units)
			abort();
		for (u32 i = 0; i < d.rmrrs; i++)
			(void)dmar_scopes_match(&d, d.rmrr[i].scopes, &topo, (u16)bdf);
	}
	for (u32 i = 0; i < d.rmrrs; i++)
		if (d.rmrr[i].len == 0 || d.rmrr[i].base + d.rmrr[i].len < d.rmrr[i].base)
			abort();
	(void)dmar_special(&d, &topo, DMAR_SCOPE_IOAPIC, 0, &source);
	return 0;
}
