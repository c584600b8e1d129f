/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/base/err.h"
#include "kernel/core/acpi_s5.h"
#include "unit.h"

static const u8 plain[] = { 0xff, 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0, 0, 0, 0 };
static const u8 bytes[] = { 0x08, '\\', '_', 'S', '5', '_', 0x12, 0x0a, 0x04,
			    0x0a, 5,	0x0a, 7,   0,	0 };
static const u8 later[] = { '_', 'S', '5', '_', 0x12, 6, 2, 1, 1, /* no Name before */
			    0x08, '_', 'S', '5', '_', 0x12, 0x46, 0x00, 0x02, 1, 0x0a, 3 };

TEST(finds)
{
	struct acpi_s5 s = { 9, 9 };

	CHECK_EQ(acpi_s5_find(plain, sizeof(plain), &s), 0);
	CHECK_EQ(s.type_a, 0);
	CHECK_EQ(s.type_b, 0);
	CHECK_EQ(acpi_s5_find(bytes, sizeof(bytes), &s), 0);
	CHECK_EQ(s.type_a, 5);
	CHECK_EQ(s.type_b, 7);
	CHECK_EQ(acpi_s5_find(later, sizeof(later), &s), 0);
	CHECK_EQ(s.type_a, 1);
	CHECK_EQ(s.type_b, 3);
}

TEST(refuses)
{
	struct acpi_s5 s = { 9, 9 };
	u8 b[sizeof(plain)];

	CHECK(acpi_s5_find(plain, 0, &s) == -ENOENT);
	for (size_t n = 0; n < 11; n++)
		CHECK(acpi_s5_find(plain, n, &s) == -ENOENT);
	memcpy(b, plain, sizeof(b));
	b[8] = 1; /* one element */
	CHECK(acpi_s5_find(b, sizeof(b), &s) == -ENOENT);
	memcpy(b, plain, sizeof(b));
	b[9] = 0x0b; /* a word: not a sleep type */
	CHECK(acpi_s5_find(b, sizeof(b), &s) == -ENOENT);
	CHECK_EQ(s.type_a, 9);
}

UNIT_MAIN({ "finds", finds }, { "refuses", refuses })
