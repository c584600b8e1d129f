/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pattern search for the _S5_ package; all bytes are foreign.
 */
#include "kernel/core/acpi_s5.h"

#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define AML_NAME    0x08
#define AML_PACKAGE 0x12
#define AML_ZERO    0x00
#define AML_ONE	    0x01
#define AML_BYTE    0x0a

static bool read_small(struct reader *r, u8 *out)
{
	u8 op = reader_u8(r);

	if (op == AML_BYTE)
		*out = reader_u8(r);
	else if (op == AML_ZERO || op == AML_ONE)
		*out = op;
	else
		return false;
	return !r->overrun && *out < 8;
}

/* r stands behind the name. */
static bool read_package(struct reader *r, struct acpi_s5 *out)
{
	u8 lead, a, b;

	if (reader_u8(r) != AML_PACKAGE)
		return false;
	lead = reader_u8(r);
	(void)reader_bytes(r, lead >> 6); /* length bytes; an overrun shows below */
	if (reader_u8(r) < 2)
		return false;
	if (!read_small(r, &a) || !read_small(r, &b))
		return false;
	*out = (struct acpi_s5){ .type_a = a, .type_b = b };
	return true;
}

int acpi_s5_find(const u8 *aml, size_t len, struct acpi_s5 *out)
{
	for (size_t i = 1; i + 4 <= len; i++) {
		struct reader r;
		bool named;

		if (memcmp(aml + i, "_S5_", 4) != 0)
			continue;
		/* Name "_S5_" or, with the root prefix, Name "\_S5_". */
		named = aml[i - 1] == AML_NAME ||
			(i >= 2 && aml[i - 1] == '\\' && aml[i - 2] == AML_NAME);
		r = reader_make(aml + i + 4, len - i - 4);
		if (named && read_package(&r, out))
			return 0;
	}
	return -ENOENT;
}
