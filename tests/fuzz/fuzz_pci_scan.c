/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration space made of the input: each read takes the bytes at a place that depends on
 * the address, so that bridges lead somewhere and lists go on.
 */
#include <stdlib.h>

#include "kernel/core/pci_scan.h"

struct input {
	const uint8_t *data;
	size_t size;
	unsigned reads;
};

static u32 read_cfg(void *ctx, u16 bdf, u16 off, u8 size)
{
	struct input *in = ctx;
	u32 v = 0;

	if (off % size || off + size > 4096)
		abort();
	in->reads++;
	for (u8 i = 0; i < size; i++) {
		size_t at = (size_t)(bdf & 7) * 256 + PCI_BUS(bdf) * 64u + off + i;

		v |= (u32)in->data[at % in->size] << (8 * i);
	}
	return v;
}

static void write_cfg(void *ctx, u16 bdf, u16 off, u8 size, u32 v)
{
	(void)ctx;
	(void)bdf;
	(void)v;
	if (off % size || off + size > 64)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pci_func funcs[64];
	struct input in = { data, size, 0 };
	struct pci_cfg cfg = { read_cfg, write_cfg, &in, 4096 };
	static struct pci_list l;

	l = (struct pci_list){ .func = funcs, .capacity = 64 };

	if (size < 64)
		return 0;
	pci_scan(&cfg, data[0] % 250, (u8)(data[0] % 250 + 3), &l);
	for (u32 i = 0; i < l.count; i++)
		if (funcs[i].parent >= (s16)i)
			abort();
	return 0;
}
