/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bzImage made of the input: whatever is accepted must be planned inside RAM, without overlap,
 * and its copies must stay inside the file. The first bytes choose the machine.
 */
#include <stdlib.h>
#include <string.h>

#include "guest/load/bzimage.h"
#include "guest/vm/machine.h"
#include "kernel/base/bits.h"

#define PREFIX 6

static void check(bool good)
{
	if (!good)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static u8 page[4096];
	struct bzimage_plan p;
	struct e820_map map;
	struct bzimage k;
	u64 initrd, sum = 0;
	char why[160];

	if (size < PREFIX)
		return 0;
	if (e820_build((u64)(data[0] | data[1] << 8) * SIZE_2M, &map))
		return 0;
	initrd = (u64)(data[2] | data[3] << 8) << (data[4] % 48);
	(void)bzimage_probe(data + PREFIX, size - PREFIX);
	if (bzimage_parse(data + PREFIX, size - PREFIX, &k, why, sizeof(why)))
		return 0;
	for (u64 i = 0; i < k.kernel_len; i++)
		sum += k.image[k.kernel_off + i];
	p = (struct bzimage_plan){ .initrd_len = initrd, .cmdline_len = data[5] * 100u };
	if (bzimage_plan(&k, &map, &p, why, sizeof(why)))
		return 0;
	check(p.kernel >= E820_BIOS_END && p.kernel <= map.usable_end);
	check(range_within(p.kernel, k.init_size, 0, map.usable_end) &&
	      k.kernel_len <= k.init_size);
	check(p.cmdline_len < BZIMAGE_CMDLINE_MAX);
	if (initrd) {
		check(range_within(p.initrd, initrd, p.kernel + k.init_size,
				   map.usable_end - p.kernel - k.init_size));
		check(p.initrd + initrd - 1 <= k.initrd_max);
	}
	bzimage_params(&k, &p, &map, page);
	check(page[0x210] == 0xff && sum + 1);
	return 0;
}
