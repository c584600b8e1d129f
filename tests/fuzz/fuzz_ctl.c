/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a serial line: through the line editor, and what it completes through parser and
 * dispatcher. What the parser takes must survive quoting and parsing again.
 */
#define _GNU_SOURCE /* memmem */
#include <stdlib.h>
#include <string.h>

#include "kernel/core/ctl.h"
#include "kernel/core/lineedit.h"
#include "kernel/core/term_filter.h"

static struct ctl ctl;

static int echo(struct ctl_out *out, const struct ctl_args *args)
{
	ctl_table(out, "word", (const struct ctl_column[]){ { "word", "word", 5 } }, 1);
	for (u32 i = 0; i < args->words; i++)
		ctl_cell(out, "%s", args->word[i]);
	for (u32 i = 0; i < args->opts; i++)
		ctl_text(out, args->opt[i].key, "%s", args->opt[i].value);
	if (args->words > 3)
		return ctl_fail(out, -1, "%s", args->word[3]);
	return 0;
}

static const struct ctl_verb verbs[] = {
	{ "a", NULL, "", "", "k n", 0, 9, CTL_ARG_VM, echo },
	{ "b", "c", "X", "", NULL, 1, 2, CTL_ARG_NONE, echo },
	{ "b", "d", "X", "", NULL, 1, 2, CTL_ARG_VM, echo },
};

static const char *names(enum ctl_arg kind, u32 i)
{
	(void)kind;
	return i < 2 ? (i ? "web" : "worker") : NULL;
}

struct reply {
	char text[1 << 16];
	size_t len;
};

static void capture(void *ctx, const char *text, size_t len)
{
	struct reply *r = ctx;

	if (len > sizeof(r->text) - r->len)
		abort();
	memcpy(r->text + r->len, text, len);
	r->len += len;
}

/* For tools: whole lines of printable characters, the last one ok or error. */
static void check_reply(const struct reply *r)
{
	size_t last = 0;

	if (!r->len || r->text[r->len - 1] != '\n')
		abort();
	for (size_t i = 0; i < r->len; i++) {
		if (r->text[i] != '\n' && (r->text[i] < ' ' || r->text[i] == 0x7f) &&
		    (signed char)r->text[i] >= 0)
			abort();
		if (r->text[i] == '\n' && i + 1 < r->len)
			last = i + 1;
	}
	if (memcmp(r->text + last, "ok\n", 3) != 0 && memcmp(r->text + last, "error ", 6) != 0)
		abort();
}

static void round_trip(const char *line, size_t len)
{
	static struct ctl_args a, b;
	char why[160], buf[CTL_LINE_MAX * 4 + 8], redo[CTL_LINE_MAX * 4 + 8];
	struct text t = text_make(buf, sizeof(buf));

	if (ctl_parse(line, len, &a, why, sizeof(why)) || !a.words)
		return;
	ctl_quote(&t, a.word[0], strlen(a.word[0]));
	if (t.full || t.len > CTL_LINE_MAX || strchr(a.word[0], '='))
		return;
	memcpy(redo, buf, t.len);
	if (ctl_parse(redo, t.len, &b, why, sizeof(why)) || b.words != 1 ||
	    strcmp(a.word[0], b.word[0]) != 0)
		abort();
}

static void request(const char *line, size_t len)
{
	static struct reply r;
	struct ctl_out tool = { .write = capture, .ctx = &r };
	struct ctl_out person = { .write = capture, .ctx = &r, .person = true };
	size_t have;

	r.len = 0;
	ctl_run(&ctl, line, len, &tool);
	check_reply(&r);
	r.len = 0;
	ctl_run(&ctl, line, len, &person);
	for (u32 i = 0; ctl_complete(&ctl, line, len, i, &have); i++)
		if (i > 8)
			abort();
	round_trip(line, len);
}

/* Filtered in pieces or at once, the text is the same, and no query is left in it. */
static void filter(const uint8_t *data, size_t size, size_t step)
{
	static char buf[4096 + TERM_FILTER_HELD], whole[sizeof(buf) * 2], pieces[sizeof(buf) * 2];
	struct term_filter f = { 0 }, g = { 0 };
	size_t n, m = 0;

	memcpy(buf, data, size);
	n = term_filter(&f, buf, size);
	memcpy(whole, buf, n);
	n += term_filter_end(&f, whole + n);
	for (size_t at = 0; at < size; at += step) {
		size_t k = size - at < step ? size - at : step;

		memcpy(buf, data + at, k);
		k = term_filter(&g, buf, k);
		memcpy(pieces + m, buf, k);
		m += k;
	}
	m += term_filter_end(&g, pieces + m);
	if (n != m || n > size || memcmp(whole, pieces, n) != 0 || memmem(whole, n, "\033[6n", 4))
		abort();
}

static const char *complete(void *ctx, const char *line, size_t len, u32 i, size_t *have)
{
	(void)ctx;
	return ctl_complete(&ctl, line, len, i, have);
}

static void ignore(void *ctx, const char *text, size_t len)
{
	(void)ctx;
	(void)text;
	(void)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lineedit e;
	const struct lineedit_env env = { .write = ignore, .complete = complete };

	if (size > 4096)
		return 0;
	memset(&ctl, 0, sizeof(ctl));
	ctl.names = names;
	if (ctl_add(&ctl, &ctl_help_verb, 1) || ctl_add(&ctl, verbs, 3))
		abort();
	lineedit_init(&e, &env, "> ");
	request((const char *)data, size);
	if (size)
		filter(data, size, 1 + data[0] % 7);
	for (size_t i = 0; i < size; i++) {
		if (e.cursor > e.len || e.len > LINEEDIT_MAX || e.left > LINEEDIT_MAX)
			abort();
		if (!lineedit_input(&e, data[i]))
			continue;
		request(e.line, e.len);
		lineedit_next(&e);
	}
	return 0;
}
