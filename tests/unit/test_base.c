/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel/base: strings, numbers, formatting, CRC, readers.
 */
#include "unit.h"

#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/crc32c.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

TEST(crc_known_answer)
{
	CHECK_EQ(crc32c(0, "123456789", 9), 0xe3069283);
	CHECK_EQ(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
}

TEST(numbers)
{
	u64 v = 7;

	CHECK_EQ(str_to_u64("18446744073709551615", &v), 0);
	CHECK_EQ(v, ~0ull);
	CHECK_EQ(str_to_u64("18446744073709551616", &v), -ERANGE);
	CHECK_EQ(str_to_u64("0x", &v), -EINVAL);
	CHECK_EQ(str_to_u64("", &v), -EINVAL);
	CHECK_EQ(str_to_u64("12a", &v), -EINVAL);
	CHECK_EQ(v, ~0ull);
	CHECK_EQ(str_to_size("256M", &v), 0);
	CHECK_EQ(v, 256ull << 20);
	CHECK_EQ(str_to_size("256MB", &v), -EINVAL);
	CHECK_EQ(str_to_size("17179869184G", &v), -ERANGE);
}

TEST(formatting)
{
	char b[64];

	fmt_snprintf(b, sizeof(b), "%5d|%-5d|%05d|%+d", -42, -42, -42, 42);
	CHECK_STR(b, "  -42|-42  |-0042|+42");
	fmt_snprintf(b, sizeof(b), "%08lx %X %.4x %c %5s|%-5s|%.2s", 0xabcul, 0xabcu, 0x1fu, 'q',
		     "ab", "cd", "efg");
	CHECK_STR(b, "00000abc ABC 001f q    ab|cd   |ef");
	fmt_snprintf(b, sizeof(b), "%#x %#lx %#X %#06x", 0u, 0xabcul, 0xau, 0x1fu);
	CHECK_STR(b, "0 0xabc 0xA 0x001f");
	CHECK_EQ(fmt_snprintf(b, 4, "%s", "abcdef"), 6);
	CHECK_STR(b, "abc");
	fmt_snprintf(b, sizeof(b), "%*d %%", 4, 7);
	CHECK_STR(b, "   7 %");
}

TEST(reader_bounds)
{
	u8 data[5] = { 1, 2, 3, 4, 5 };
	struct reader r = reader_make(data, sizeof(data));

	CHECK_EQ(reader_u32(&r), 0x04030201);
	CHECK(!r.overrun);
	CHECK_EQ(reader_u16(&r), 0);
	CHECK(r.overrun);
	CHECK_EQ(reader_left(&r), 0);
}

TEST(fields)
{
	CHECK_EQ(MASK(63, 0), ~0ull);
	CHECK_EQ(field_get(0xabcd, 11, 4), 0xbc);
	CHECK_EQ(field_set(0xffff, 11, 4, 0), 0xf00f);
	CHECK(range_within(10, 5, 10, 5));
	CHECK(!range_within(10, 6, 10, 5));
	CHECK(!range_within(~0ull, 2, 0, ~0ull));
}

UNIT_MAIN({ "crc_known_answer", crc_known_answer }, { "numbers", numbers },
	  { "formatting", formatting }, { "reader_bounds", reader_bounds }, { "fields", fields })
