/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/core/ctl_parse.h"

#include "kernel/base/err.h"
#include "tests/unit/unit.h"

static struct ctl_args a;
static char why[120];

static int parse(const char *line)
{
	why[0] = '\0';
	return ctl_parse(line, strlen(line), &a, why, sizeof(why));
}

TEST(words)
{
	CHECK_EQ(parse("  vm \tstart   web  "), 0);
	CHECK_EQ(a.words, 3);
	CHECK_STR(a.word[0], "vm");
	CHECK_STR(a.word[1], "start");
	CHECK_STR(a.word[2], "web");
	CHECK_EQ(parse(""), 0);
	CHECK_EQ(a.words, 0);
}

TEST(quotes)
{
	CHECK_EQ(parse("a\" b \"c 'x \\n' \"\\x41\\n\\\"\\\\\\r\\t\" ''"), 0);
	CHECK_EQ(a.words, 4);
	CHECK_STR(a.word[0], "a b c");
	CHECK_STR(a.word[1], "x \\n");
	CHECK_STR(a.word[2], "A\n\"\\\r\t");
	CHECK_STR(a.word[3], "");
}

TEST(bad_quotes)
{
	CHECK_EQ(parse("x \"open"), -EINVAL);
	CHECK(strstr(why, "not closed"));
	CHECK_EQ(parse("x 'open"), -EINVAL);
	CHECK_EQ(parse("x \"\\"), -EINVAL);
	CHECK_EQ(parse("x \"\\q\""), -EINVAL);
	CHECK(strstr(why, "escape"));
	CHECK_EQ(parse("x \"\\x00\""), -EINVAL);
	CHECK_EQ(parse("x \"\\x4\""), -EINVAL);
}

TEST(options)
{
	CHECK_EQ(parse("log lines=20 name=\"a b\" text=x=y"), 0);
	CHECK_EQ(a.words, 1);
	CHECK_EQ(a.opts, 3);
	CHECK_STR(ctl_opt(&a, "lines"), "20");
	CHECK_STR(ctl_opt(&a, "name"), "a b");
	CHECK_STR(ctl_opt(&a, "text"), "x=y");
	CHECK(!ctl_opt(&a, "line"));
	/* No option: quoted, no key, or a key of other characters. */
	CHECK_EQ(parse("\"lines=20\" =5 a/b=c"), 0);
	CHECK_EQ(a.words, 3);
	CHECK_EQ(a.opts, 0);
	CHECK_EQ(parse("x a=1 a=2"), -EINVAL);
	CHECK_STR(why, "a= given twice");
}

TEST(ids)
{
	CHECK_EQ(parse("id=ab-1.2_Z mem"), 0);
	CHECK_STR(a.id, "ab-1.2_Z");
	CHECK_EQ(a.words, 1);
	CHECK_EQ(a.opts, 0);
	CHECK_EQ(parse("mem id="), -EINVAL);
	CHECK_EQ(parse("mem id=\"a b\""), -EINVAL);
	CHECK_EQ(parse("id=1 id=2"), -EINVAL);
	CHECK_STR(a.id, "1");
	CHECK_EQ(parse("id=123456789012345678901234567890123"), -EINVAL);
	CHECK_STR(a.id, "");
	/* Known even when something after it is wrong. */
	CHECK_EQ(parse("id=9 \"open"), -EINVAL);
	CHECK_STR(a.id, "9");
}

TEST(limits)
{
	char line[CTL_LINE_MAX + 2];

	memset(line, 'x', sizeof(line));
	CHECK_EQ(ctl_parse(line, CTL_LINE_MAX, &a, why, sizeof(why)), 0);
	CHECK_EQ(strlen(a.word[0]), CTL_LINE_MAX);
	CHECK_EQ(ctl_parse(line, CTL_LINE_MAX + 1, &a, why, sizeof(why)), -EINVAL);
	CHECK(strstr(why, "511"));
	for (size_t i = 1; i < sizeof(line); i += 2)
		line[i] = ' ';
	CHECK_EQ(ctl_parse(line, CTL_WORDS_MAX * 2, &a, why, sizeof(why)), 0);
	CHECK_EQ(a.words, CTL_WORDS_MAX);
	CHECK_EQ(ctl_parse(line, CTL_WORDS_MAX * 2 + 1, &a, why, sizeof(why)), -EINVAL);
	CHECK(strstr(why, "words"));
	CHECK_EQ(parse("a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1"), 0);
	CHECK_EQ(parse("a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1"), -EINVAL);
	CHECK_EQ(parse("a\001b"), -EINVAL);
	CHECK_EQ(parse("a\177"), -EINVAL);
	CHECK_EQ(ctl_parse("a\0b", 3, &a, why, sizeof(why)), -EINVAL);
}

TEST(quoting)
{
	char buf[64];
	struct text t = text_make(buf, sizeof(buf));

	ctl_quote(&t, "plain-1/2:3", 11);
	CHECK_STR(buf, "plain-1/2:3");
	t = text_make(buf, sizeof(buf));
	ctl_quote(&t, "", 0);
	CHECK_STR(buf, "\"\"");
	t = text_make(buf, sizeof(buf));
	ctl_quote(&t, "a \"b\\\n\033", 7);
	CHECK_STR(buf, "\"a \\\"b\\\\\\n\\x1b\"");
	/* What it writes reads back as the same value. */
	CHECK_EQ(parse(buf), 0);
	CHECK_EQ(a.words, 1);
	CHECK_STR(a.word[0], "a \"b\\\n\033");
}

UNIT_MAIN({ "words", words }, { "quotes", quotes }, { "bad_quotes", bad_quotes },
	  { "options", options }, { "ids", ids }, { "limits", limits }, { "quoting", quoting })
