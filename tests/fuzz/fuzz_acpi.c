/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input: where the root table lies (2 bytes), then memory with all tables, found under any
 * address with those low bits. Checksums are put right first, so that inputs get behind them.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/base/bytes.h"
#include "kernel/core/acpi.h"

static uint8_t *mem;
static size_t mem_len;

static void *phys_mem(hpa_t pa, size_t len)
{
	size_t off = pa & 0x1fff;

	return off <= mem_len && len <= mem_len - off ? mem + off : NULL;
}

static const void *phys(void *ctx, hpa_t pa, size_t len)
{
	(void)ctx;
	return phys_mem(pa, len);
}

static void fix(uint8_t *t, size_t len, size_t at)
{
	uint8_t s = 0;

	t[at] = 0;
	for (size_t i = 0; i < len; i++)
		s = (uint8_t)(s + t[i]);
	t[at] = (uint8_t)-s;
}

static void fix_table(hpa_t pa)
{
	uint8_t *t = phys_mem(pa, ACPI_HEADER_LEN);

	if (t && get_le32(t + 4) >= ACPI_HEADER_LEN && phys_mem(pa, get_le32(t + 4)))
		fix(t, get_le32(t + 4), 9);
}

static void fix_all(uint32_t root)
{
	uint8_t *t = phys_mem(root, ACPI_HEADER_LEN);
	uint32_t len = t ? get_le32(t + 4) : 0;

	if (!t || !phys_mem(root, len))
		return;
	for (uint32_t at = ACPI_HEADER_LEN; at + 8 <= len && at < 200; at += 8)
		fix_table(get_le64(t + at));
	fix_table(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct acpi_info a;
	const struct boot_env env = { .phys = phys };
	uint8_t rsdp[36] = "RSD PTR ";
	char why[160];

	if (size < 2 || size > 0x2000)
		return 0;
	mem_len = size - 2;
	mem = malloc(mem_len ? mem_len : 1);
	memcpy(mem, data + 2, mem_len);
	rsdp[15] = 2;
	put_le32(rsdp + 20, 36);
	put_le64(rsdp + 24, get_le16(data) & 0x1fff);
	fix(rsdp, 20, 8);
	fix(rsdp, 36, 32);
	fix_all(get_le16(data) & 0x1fff);
	if (acpi_parse(rsdp, 36, &env, &a, why, sizeof(why)) == 0) {
		if (a.cpus > ACPI_CPUS || a.ioapics > ACPI_IOAPICS || a.segments > ACPI_SEGMENTS ||
		    a.overrides > ACPI_OVERRIDES || a.nmis > ACPI_LINT_NMIS)
			abort();
		(void)acpi_sci(&a);
	}
	free(mem);
	return 0;
}
