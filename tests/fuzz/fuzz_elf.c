/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A multiboot1 kernel made of the input: segments that are accepted lie inside the file and RAM,
 * share no byte, and modules lie behind them.
 */
#include <stdlib.h>

#include "guest/load/mbkernel.h"
#include "kernel/base/bits.h"

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_segments(const struct elf_image *e, size_t size)
{
	check(e->segs > 0 && e->segs <= ELF_SEGMENTS);
	for (u32 i = 0; i < e->segs; i++) {
		const struct elf_segment *s = &e->seg[i];

		check(range_within(s->off, s->filesz, 0, size));
		check(s->memsz >= s->filesz && s->paddr + s->memsz >= s->paddr);
		for (u32 j = 0; j < i; j++)
			check(!ranges_overlap(s->paddr, s->memsz, e->seg[j].paddr,
					      e->seg[j].memsz));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mbkernel_modules m = { .mod = { { .string = "a" }, { .string = "b" } }, .count = 2 };
	static u8 buf[MBKERNEL_INFO_MAX];
	struct elf_image e;
	struct e820_map map;
	size_t len;
	char why[160];

	if (elf_parse(data, size, &e, why, sizeof(why)) == 0)
		check_segments(&e, size);
	if (mbkernel_parse(data, size, &e, why, sizeof(why)))
		return 0;
	check_segments(&e, size);
	check(e820_build((size % 100 + 1) * SIZE_2M, &map) == 0);
	m.mod[0].len = data[size - 1] * 4099u;
	m.mod[1].len = data[0];
	if (mbkernel_plan(&e, &map, &m, why, sizeof(why)))
		return 0;
	for (u32 i = 0; i < m.count; i++) {
		check(is_aligned(m.mod[i].at, PAGE_SIZE));
		check(range_within(m.mod[i].at, m.mod[i].len, 0, map.usable_end));
		for (u32 s = 0; s < e.segs; s++)
			check(!ranges_overlap(m.mod[i].at, m.mod[i].len, e.seg[s].paddr,
					      e.seg[s].memsz));
	}
	check(mbkernel_info(&map, "x", &m, buf, &len) == 0);
	return 0;
}
