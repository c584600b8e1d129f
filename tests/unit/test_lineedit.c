/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The editor against a small model of a terminal: one row, CR, BS-free cursor motion, ESC [ K.
 */
#include "kernel/core/lineedit.h"

#include "tests/unit/unit.h"

#define COLUMNS 80

static struct lineedit e;
static char row[COLUMNS + 1]; /* the row with the cursor */
static size_t column;
static u32 rows, bells;
static char csi[8];
static size_t csi_len;
static bool in_escape;

static void clear_row(size_t from)
{
	for (size_t i = from; i < COLUMNS; i++)
		row[i] = ' ';
}

static void end_escape(char c)
{
	if (c == 'K')
		clear_row(column);
	else if (c == 'D')
		column -= (size_t)atoi(csi);
	else if (c == 'J')
		clear_row(0);
	else
		CHECK(c == 'H');
	in_escape = false;
	CHECK(column < COLUMNS);
}

static void terminal(char c)
{
	if (in_escape) {
		if (c == '[')
			csi_len = 0;
		else if (c >= '0' && c <= '9')
			csi[csi_len++] = c;
		else
			end_escape(c);
		csi[csi_len] = '\0';
		return;
	}
	switch (c) {
	case '\033':
		in_escape = true;
		break;
	case '\r':
		column = 0;
		break;
	case '\n':
		rows++;
		clear_row(0);
		break;
	case '\a':
		bells++;
		break;
	default:
		if (((u8)c & 0xc0) == 0x80) /* rest of a character that is one '?' here */
			break;
		CHECK(column < COLUMNS - 1); /* never wraps */
		row[column++] = (char)((u8)c < 0x80 ? c : '?');
	}
}

static void write_terminal(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	for (size_t i = 0; i < len; i++)
		terminal(text[i]);
}

static const char *complete(void *ctx, const char *line, size_t len, u32 i, size_t *have)
{
	static const char *const words[] = { "start", "stat", "stop" };

	(void)ctx;
	(void)line;
	*have = len;
	for (u32 k = 0; k < 3; k++)
		if (strncmp(words[k], line, len) == 0 && i-- == 0)
			return words[k];
	return NULL;
}

static void begin(void)
{
	static const struct lineedit_env env = { .write = write_terminal, .complete = complete };

	clear_row(0);
	column = 0;
	rows = 0;
	bells = 0;
	in_escape = false;
	lineedit_init(&e, &env, "> ");
	lineedit_show(&e);
}

static bool type(const char *keys)
{
	bool done = false;

	for (; *keys; keys++)
		done = lineedit_input(&e, (u8)*keys);
	return done;
}

/* What the terminal shows must be the line, with the cursor at its place. */
static void expect(const char *line, size_t cursor)
{
	char want[COLUMNS + 1];

	CHECK_EQ(e.len, strlen(line));
	CHECK(memcmp(e.line, line, e.len) == 0);
	CHECK_EQ(e.cursor, cursor);
	snprintf(want, sizeof(want), "> %-78s", line);
	CHECK_STR(row, want);
	CHECK_EQ(column, cursor + 2);
}

static void enter(const char *line)
{
	CHECK(type(line) == false);
	CHECK(type("\r"));
	CHECK_STR(e.line, line);
	lineedit_next(&e);
	lineedit_show(&e);
}

TEST(typing)
{
	begin();
	type("hallo");
	expect("hallo", 5);
	type("\x02\x02\x02\x02\x7f");
	expect("allo", 0);
	type("h\x05!\x01\x1b[C\x1b[C\x1b[3~\x1b[D\x04");
	expect("hlo!", 1);
	type("\x06\x0b");
	expect("hl", 2);
	type(" ab  cd \x17");
	expect("hl ab  ", 7);
	type("\x15xyz\x1b[D\x15");
	expect("z", 0);
	CHECK(type("\r"));
	CHECK_STR(e.line, "z");
}

TEST(keys)
{
	begin();
	type("abcd\x1b[1~x\x1b[4~y\x1b[Hu\x1b[Fv\x1bOHw\x1b[7~m\x1b[8~n");
	expect("mwuxabcdyvn", 11);
	/* Unknown keys do nothing and leave nothing behind. */
	type("\x1b[24~\x1b[99999~\x1b[1;5Q\x1bq\x03");
	CHECK_EQ(e.len, 0);
	type("k");
	expect("k", 1);
	type("\x0c");
	expect("k", 1);
}

TEST(line_ends)
{
	begin();
	CHECK(lineedit_input(&e, '\r'));
	lineedit_next(&e);
	CHECK(!lineedit_input(&e, '\n')); /* CR LF is one end */
	CHECK(lineedit_input(&e, '\n'));
	lineedit_next(&e);
	CHECK(lineedit_input(&e, '\n'));
}

TEST(history)
{
	begin();
	enter("one");
	enter("two");
	enter("two");
	enter("");
	type("\x1b[A");
	expect("two", 3);
	type("\x1b[A");
	expect("one", 3);
	type("\x10\x10");
	expect("one", 3);
	type("\x1b[B");
	expect("two", 3);
	type("\x0e");
	expect("", 0);
	type("\x0e");
	expect("", 0);
	/* An edited old line does not change the history. */
	type("\x10x\x03\x10");
	expect("two", 3);
}

TEST(history_full)
{
	char line[80];

	begin();
	for (u32 i = 0; i < 200; i++) {
		snprintf(line, sizeof(line), "command number %u of many", i);
		enter(line);
		CHECK(e.history_len <= LINEEDIT_HISTORY);
	}
	for (u32 i = 0; i < 300; i++)
		type("\x10");
	CHECK(e.len > 10 && memcmp(e.line, "command number ", 15) == 0);
	for (u32 i = 0; i < 300; i++)
		type("\x0e");
	expect("", 0);
}

TEST(completes)
{
	begin();
	type("x\t");
	CHECK_EQ(bells, 1);
	type("\x7fs\t");
	expect("st", 2);
	type("\t"); /* several: a list, the line again below it */
	CHECK_EQ(rows, 2);
	expect("st", 2);
	type("o\t");
	expect("stop ", 5);
	type("\x15sta\t");
	CHECK_EQ(rows, 4);
	type("r\t");
	expect("start ", 6);
}

TEST(scrolls)
{
	char line[LINEEDIT_MAX + 1];

	begin();
	for (u32 i = 0; i < LINEEDIT_MAX; i++) {
		line[i] = (char)('a' + i % 26);
		CHECK(!lineedit_input(&e, (u8)line[i]));
		CHECK(column < COLUMNS);
	}
	line[LINEEDIT_MAX] = '\0';
	CHECK_EQ(bells, 0);
	type("!");
	CHECK_EQ(bells, 1);
	CHECK_EQ(row[column - 1], line[LINEEDIT_MAX - 1]);
	for (size_t i = LINEEDIT_MAX;
	     i-- > 0;) { /* the cursor is on its character, on the way back too */
		type("\x02");
		CHECK_EQ(row[column], line[i]);
	}
	type("\x05\x01");
	CHECK_EQ(column, 2);
	CHECK(memcmp(row + 2, line, 76) == 0);
	CHECK(type("\r"));
	CHECK_STR(e.line, line);
}

TEST(utf8)
{
	begin();
	type("a\xc3\xa4\xe2\x82\xac");
	CHECK_EQ(e.len, 6);
	CHECK_EQ(column, 5);
	type("\x02");
	CHECK_EQ(e.cursor, 3);
	type("\x7f");
	CHECK_EQ(e.len, 4);
	CHECK_EQ(e.cursor, 1);
	CHECK_EQ(column, 3);
	type("\x04");
	CHECK_EQ(e.len, 1);
}

TEST(other_output)
{
	begin();
	type("abc\x02");
	lineedit_hide(&e);
	CHECK_EQ(column, 0);
	CHECK_EQ(row[0], ' ');
	write_terminal(NULL, "log\r\n", 5);
	lineedit_show(&e);
	expect("abc", 2);
}

UNIT_MAIN({ "typing", typing }, { "keys", keys }, { "line_ends", line_ends },
	  { "history", history }, { "history_full", history_full }, { "completes", completes },
	  { "scrolls", scrolls }, { "utf8", utf8 }, { "other_output", other_output })
