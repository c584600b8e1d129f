/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/base/err.h"
#include "kernel/core/cmdline.h"
#include "unit.h"

TEST(words)
{
	char v[8];

	CHECK(!cmdline_find("", "a", v, sizeof(v)));
	CHECK(!cmdline_find("   ", "a", v, sizeof(v)));
	CHECK(cmdline_find("a", "a", v, sizeof(v)));
	CHECK_STR(v, "");
	CHECK(cmdline_find("  x a=1\tb=2 ", "a", v, sizeof(v)));
	CHECK_STR(v, "1");
	CHECK(cmdline_find("a=1 a=2", "a", v, sizeof(v)));
	CHECK_STR(v, "2");
	CHECK(!cmdline_find("ab=1 ba", "a", v, sizeof(v)));
	CHECK(cmdline_find("ab", "ab", NULL, 0));
	CHECK(cmdline_find("a=b=c", "a", v, sizeof(v)));
	CHECK_STR(v, "b=c");
}

TEST(cut)
{
	char v[4] = "zzz";

	CHECK(cmdline_find("k=abcdef", "k", v, sizeof(v)));
	CHECK_STR(v, "abc");
}

TEST(numbers)
{
	u64 v = 7;

	CHECK_EQ(cmdline_find_u64("p=0xf4", "p", &v), 0);
	CHECK_EQ(v, 0xf4);
	CHECK(cmdline_find_u64("p=0xf4", "q", &v) == -ENOENT);
	CHECK(cmdline_find_u64("p=", "p", &v) == -EINVAL);
	CHECK(cmdline_find_u64("p=99999999999999999999999999", "p", &v) == -EINVAL ||
	      cmdline_find_u64("p=99999999999999999999999999", "p", &v) == -ERANGE);
	CHECK_EQ(v, 0xf4);
}

UNIT_MAIN({ "words", words }, { "cut", cut }, { "numbers", numbers })
