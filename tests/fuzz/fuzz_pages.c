/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is the payload of a memory record for a VM of 6 MiB.
 */
#include <stdlib.h>
#include <string.h>

#include "guest/migrate/pages.h"

#define BLOCKS 3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void clear(void *ctx, u64 i)
{
	struct gmap *m = ctx;

	memset(m->block[i], 0, SIZE_2M);
	m->raw[0] &= ~BIT(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static u8 *block[BLOCKS];
	u64 raw = 7;
	struct gmap m = { .block = block, .blocks = BLOCKS, .low_blocks = 2, .vga_base = 0xa0000,
			  .vga_len = 0x20000, .raw = &raw, .clear = clear, .ctx = &m };
	int rc;

	for (int i = 0; i < BLOCKS && !block[i]; i++)
		block[i] = aligned_alloc(PAGE_SIZE, SIZE_2M);
	rc = mig_pages_load(&m, data, (u32)size);
	return rc > 0 ? abort(), 0 : 0;
}
