/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is what a boot loader left in memory at BASE; nothing else can be reached. The first
 * byte chooses the protocol.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/base/bits.h"
#include "kernel/core/multiboot.h"

#define BASE 0x9000u

struct input {
	const uint8_t *data;
	size_t size;
};

static const void *phys(void *ctx, hpa_t pa, size_t len)
{
	const struct input *in = ctx;
	u64 end;

	if (!checked_add(pa, len, &end))
		return NULL;
	return range_within(pa, len, BASE, in->size) ? in->data + (pa - BASE) : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct boot_info b;
	static u8 pages[64 << 10];
	struct input in = { pages, sizeof(pages) };
	const struct boot_env env = { .ctx = &in, .phys = phys };
	char why[160], name[BOOT_STRING_LEN];
	u32 magic;

	if (size < 1 || size > sizeof(pages))
		return 0;
	memset(pages, 0, sizeof(pages));
	memcpy(pages, data + 1, size - 1);
	magic = data[0] & 1 ? MULTIBOOT2_LOADED : MULTIBOOT1_LOADED;
	if (multiboot_parse(magic, BASE, &env, &b, why, sizeof(why)))
		return 0;
	if (b.ranges == 0 || b.ranges > BOOT_RANGES || b.modules > BOOT_MODULES)
		abort();
	for (u32 i = 0; i < b.ranges; i++)
		if (b.range[i].base + b.range[i].len < b.range[i].base)
			abort();
	for (u32 i = 0; i < b.modules; i++) {
		boot_module_name(&b.module[i], name, sizeof(name));
		if (boot_module_find(&b, name) > &b.module[i])
			abort();
	}
	return 0;
}
