/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/core/term_filter.h"

#include "tests/unit/unit.h"

/* The text through the filter in pieces of 'step' bytes, and what stays held. */
static void expect(const char *text, const char *want, size_t held)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		struct term_filter f = { 0 };
		char all[256] = "";
		size_t total = 0;

		for (size_t at = 0; at < strlen(text); at += step) {
			size_t n = strlen(text) - at < step ? strlen(text) - at : step;
			char *buf = malloc(n + TERM_FILTER_HELD);

			memcpy(buf, text + at, n);
			n = term_filter(&f, buf, n);
			memcpy(all + total, buf, n);
			total += n;
			free(buf);
		}
		all[total] = '\0';
		CHECK_STR(all, want);
		CHECK_EQ(f.len, held);
		CHECK_EQ(term_filter_end(&f, all + total), held);
		CHECK(memcmp(all + total, text + strlen(text) - held, held) == 0);
	}
}

TEST(plain)
{
	expect("guest# ls\r\nfile\r\n", "guest# ls\r\nfile\r\n", 0);
	expect("\033[1;31mred\033[0m \033[2J\033[H\033(B\033[?25l",
	       "\033[1;31mred\033[0m \033[2J\033[H\033(B\033[?25l", 0);
}

TEST(queries)
{
	expect("# \033[6n\033[5nx\033[cy\033[>0cz\033Z!", "# xyz!", 0);
	expect("a\033[?6nb", "ab", 0);
}

TEST(unfinished)
{
	expect("ab\033", "ab", 1);
	expect("ab\033[12;", "ab", 5);
	expect("\033\033[6n", "", 0); /* ESC begins anew */
	expect("\033[1\033[6nx", "x", 0);
	expect("\033[\033[6n6n", "6n", 0);
	expect("\033[1\n6n", "6n", 0);
	expect("\033[00000000000000000006n", "000006n", 0);
}

UNIT_MAIN({ "plain", plain }, { "queries", queries }, { "unfinished", unfinished })
