/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys, drawing, history and completion of the line editor.
 */
#include "kernel/core/lineedit.h"

#include "kernel/base/compiler.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

#define CTRL(c) ((c)&0x1f)
#define KEY_ESC 0x1b
#define KEY_DEL 0x7f
#define MAX_LISTED 40

static void out(struct lineedit *e, const char *text, size_t len)
{
	e->env.write(e->env.ctx, text, len);
}

static void outs(struct lineedit *e, const char *text)
{
	out(e, text, strlen(text));
}

/* ---- UTF-8: continuation bytes belong to the character before --------------------------- */

static bool is_cont(char c)
{
	return ((u8)c & 0xc0) == 0x80;
}

static size_t prev_char(const struct lineedit *e, size_t at)
{
	do
		at--;
	while (at && is_cont(e->line[at]));
	return at;
}

static size_t next_char(const struct lineedit *e, size_t at)
{
	do
		at++;
	while (at < e->len && is_cont(e->line[at]));
	return at;
}

static size_t columns(const struct lineedit *e, size_t from, size_t to)
{
	size_t n = 0;

	for (; from < to; from++)
		n += !is_cont(e->line[from]);
	return n;
}

/* ---- drawing ---------------------------------------------------------------------------- */

/* Move the window so that the cursor is in it. */
static void scroll(struct lineedit *e, size_t room)
{
	if (e->left > e->cursor)
		e->left = e->cursor;
	while (columns(e, e->left, e->cursor) >= room)
		e->left = next_char(e, e->left);
}

static void draw(struct lineedit *e)
{
	size_t room = LINEEDIT_COLUMNS - strlen(e->prompt);
	size_t end, back;
	char move[16];

	scroll(e, room);
	end = e->left;
	while (end < e->len && columns(e, e->left, end) < room)
		end = next_char(e, end);
	outs(e, "\r");
	outs(e, e->prompt);
	out(e, e->line + e->left, end - e->left);
	outs(e, "\033[K");
	back = columns(e, e->cursor, end);
	if (back) {
		fmt_snprintf(move, sizeof(move), "\033[%zuD", back);
		outs(e, move);
	}
	e->visible = true;
}

void lineedit_hide(struct lineedit *e)
{
	if (e->visible)
		outs(e, "\r\033[K");
	e->visible = false;
}

void lineedit_show(struct lineedit *e)
{
	if (!e->visible)
		draw(e);
}

/* ---- changes ---------------------------------------------------------------------------- */

static void erase(struct lineedit *e, size_t from, size_t to)
{
	memmove(e->line + from, e->line + to, e->len - to);
	e->len -= to - from;
	if (e->cursor >= to)
		e->cursor -= to - from;
	else if (e->cursor > from)
		e->cursor = from;
	if (e->left > e->len)
		e->left = 0;
	draw(e);
}

static void insert(struct lineedit *e, const char *text, size_t n)
{
	size_t room = LINEEDIT_COLUMNS - strlen(e->prompt);

	if (n > LINEEDIT_MAX - e->len) {
		outs(e, "\a");
		return;
	}
	memmove(e->line + e->cursor + n, e->line + e->cursor, e->len - e->cursor);
	memcpy(e->line + e->cursor, text, n);
	e->len += n;
	e->cursor += n;
	/* At the end of a row with room left, the characters alone are enough. */
	if (e->visible && e->cursor == e->len && columns(e, e->left, e->len) < room)
		out(e, text, n);
	else
		draw(e);
}

static void set_line(struct lineedit *e, const char *text)
{
	e->len = strlen(text);
	memcpy(e->line, text, e->len);
	e->cursor = e->len;
	e->left = 0;
	draw(e);
}

static void kill_word(struct lineedit *e)
{
	size_t from = e->cursor;

	while (from && e->line[from - 1] == ' ')
		from--;
	while (from && e->line[from - 1] != ' ')
		from--;
	erase(e, from, e->cursor);
}

/* ---- history ---------------------------------------------------------------------------- */

/* Start of the entry that ends (with its NUL) at 'end'. */
static size_t entry_before(const struct lineedit *e, size_t end)
{
	size_t at = end - 1;

	while (at && e->history[at - 1])
		at--;
	return at;
}

static void history_up(struct lineedit *e)
{
	if (!e->browse)
		return;
	e->browse = entry_before(e, e->browse);
	set_line(e, e->history + e->browse);
}

static void history_down(struct lineedit *e)
{
	if (e->browse == e->history_len)
		return;
	e->browse += strlen(e->history + e->browse) + 1;
	set_line(e, e->browse == e->history_len ? "" : e->history + e->browse);
}

static void history_add(struct lineedit *e)
{
	size_t need = e->len + 1, drop = 0;

	if (!e->len)
		return;
	if (e->history_len && strcmp(e->history + entry_before(e, e->history_len), e->line) == 0)
		return;
	while (e->history_len - drop + need > LINEEDIT_HISTORY)
		drop += strlen(e->history + drop) + 1;
	e->history_len -= drop;
	memmove(e->history, e->history + drop, e->history_len);
	memcpy(e->history + e->history_len, e->line, need);
	e->history_len += need;
}

/* ---- completion ------------------------------------------------------------------------- */

static const char *candidate(struct lineedit *e, u32 i, size_t *have)
{
	if (!e->env.complete)
		return NULL;
	return e->env.complete(e->env.ctx, e->line, e->cursor, i, have);
}

static void list(struct lineedit *e)
{
	const char *s;
	size_t have;

	outs(e, "\r\n");
	for (u32 i = 0; i < MAX_LISTED && (s = candidate(e, i, &have)); i++) {
		outs(e, s);
		outs(e, "  ");
	}
	outs(e, "\r\n");
	draw(e);
}

static void complete(struct lineedit *e)
{
	size_t have = 0, common, n;
	const char *first = candidate(e, 0, &have), *s;
	u32 i;

	if (!first) {
		outs(e, "\a");
		return;
	}
	common = strlen(first);
	for (i = 1; (s = candidate(e, i, &n)); i++) {
		size_t k = 0;

		while (k < common && s[k] == first[k])
			k++;
		common = k;
	}
	if (common > have)
		insert(e, first + have, common - have);
	if (i == 1)
		insert(e, " ", 1);
	else if (common == have)
		list(e);
}

/* ---- keys ------------------------------------------------------------------------------- */

static void move(struct lineedit *e, size_t to)
{
	e->cursor = to;
	draw(e);
}

static void key_left(struct lineedit *e)
{
	if (e->cursor)
		move(e, prev_char(e, e->cursor));
}

static void key_right(struct lineedit *e)
{
	if (e->cursor < e->len)
		move(e, next_char(e, e->cursor));
}

static void key_home(struct lineedit *e)
{
	move(e, 0);
}

static void key_end(struct lineedit *e)
{
	move(e, e->len);
}

static void key_backspace(struct lineedit *e)
{
	if (e->cursor)
		erase(e, prev_char(e, e->cursor), e->cursor);
}

static void key_delete(struct lineedit *e)
{
	if (e->cursor < e->len)
		erase(e, e->cursor, next_char(e, e->cursor));
}

static void key_kill_end(struct lineedit *e)
{
	erase(e, e->cursor, e->len);
}

static void key_kill_start(struct lineedit *e)
{
	erase(e, 0, e->cursor);
}

static void key_cancel(struct lineedit *e)
{
	outs(e, "^C\r\n");
	e->browse = e->history_len;
	set_line(e, "");
}

static void key_redraw(struct lineedit *e)
{
	outs(e, "\033[H\033[2J");
	draw(e);
}

struct binding {
	u8 key;
	void (*fn)(struct lineedit *e);
};

static const struct binding control[] = {
	{ CTRL('A'), key_home },       { CTRL('B'), key_left },     { CTRL('C'), key_cancel },
	{ CTRL('D'), key_delete },     { CTRL('E'), key_end },      { CTRL('F'), key_right },
	{ CTRL('H'), key_backspace },  { CTRL('I'), complete },     { CTRL('K'), key_kill_end },
	{ CTRL('L'), key_redraw },     { CTRL('N'), history_down }, { CTRL('P'), history_up },
	{ CTRL('U'), key_kill_start }, { CTRL('W'), kill_word },    { KEY_DEL, key_backspace },
};

/* Last byte of ESC [ ... and ESC O ... */
static const struct binding final[] = {
	{ 'A', history_up }, { 'B', history_down }, { 'C', key_right },
	{ 'D', key_left },   { 'F', key_end },      { 'H', key_home },
};

/* Number of ESC [ n ~ */
static const struct binding tilde[] = {
	{ 1, key_home }, { 3, key_delete }, { 4, key_end }, { 7, key_home }, { 8, key_end },
};

static void run(struct lineedit *e, const struct binding *b, size_t n, u8 key)
{
	for (size_t i = 0; i < n; i++)
		if (b[i].key == key)
			b[i].fn(e);
}

/* A byte within an escape sequence. */
static void escape(struct lineedit *e, u8 c)
{
	if (e->state == LINEEDIT_ESC) {
		e->param = 0;
		e->state = c == '[' || c == 'O' ? LINEEDIT_CSI : LINEEDIT_PLAIN;
		return;
	}
	if (c >= '0' && c <= '9') {
		e->param = (u8)(e->param < 20 ? e->param * 10 + (c - '0') : 255);
		return;
	}
	if (c == ';')
		return;
	e->state = LINEEDIT_PLAIN;
	if (c == '~')
		run(e, tilde, ARRAY_SIZE(tilde), e->param);
	else
		run(e, final, ARRAY_SIZE(final), c);
}

static bool enter(struct lineedit *e)
{
	e->line[e->len] = '\0';
	outs(e, "\r\n");
	e->visible = false;
	return true;
}

bool lineedit_input(struct lineedit *e, u8 c)
{
	bool second = e->after_cr && c == '\n';

	e->after_cr = c == '\r';
	if (second)
		return false;
	if (e->state != LINEEDIT_PLAIN) {
		escape(e, c);
		return false;
	}
	if (c == '\r' || c == '\n')
		return enter(e);
	if (c == KEY_ESC)
		e->state = LINEEDIT_ESC;
	else if (c >= ' ' && c != KEY_DEL)
		insert(e, (const char *)&c, 1);
	else
		run(e, control, ARRAY_SIZE(control), c);
	return false;
}

void lineedit_next(struct lineedit *e)
{
	history_add(e);
	e->browse = e->history_len;
	e->len = 0;
	e->cursor = 0;
	e->left = 0;
}

void lineedit_init(struct lineedit *e, const struct lineedit_env *env, const char *prompt)
{
	memset(e, 0, sizeof(*e));
	e->env = *env;
	e->prompt = prompt;
}
