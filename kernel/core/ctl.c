/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registry and dispatcher of the control verbs, help and completion.
 */
#include "kernel/core/ctl.h"

#include "kernel/base/err.h"
#include "kernel/base/str.h"

int ctl_add(struct ctl *c, const struct ctl_verb *verbs, u32 n)
{
	if (c->tables == CTL_TABLES_MAX)
		return -ENOSPC;
	c->table[c->tables].verb = verbs;
	c->table[c->tables++].n = n;
	return 0;
}

/* The i-th verb of all tables. */
static const struct ctl_verb *verb_at(const struct ctl *c, u32 i)
{
	for (u32 t = 0; t < c->tables; i -= c->table[t++].n)
		if (i < c->table[t].n)
			return &c->table[t].verb[i];
	return NULL;
}

/* Is v the first verb of its name? (Verbs with sub-verbs come several times.) */
static bool first_of_name(const struct ctl *c, u32 at)
{
	const struct ctl_verb *v = verb_at(c, at);

	for (u32 i = 0; i < at; i++)
		if (strcmp(verb_at(c, i)->name, v->name) == 0)
			return false;
	return true;
}

static void list_subs(struct ctl_out *out, const char *name, char *buf, size_t size)
{
	struct text t = text_make(buf, size);
	const struct ctl_verb *v;

	for (u32 i = 0; (v = verb_at(out->ctl, i)); i++)
		if (strcmp(v->name, name) == 0 && v->sub)
			text_add(&t, "%s%s", t.len ? ", " : "", v->sub);
}

static const struct ctl_verb *find(struct ctl_out *out, const struct ctl_args *a)
{
	char subs[120];
	bool known = false;
	const struct ctl_verb *v;

	for (u32 i = 0; (v = verb_at(out->ctl, i)); i++) {
		if (strcmp(v->name, a->word[0]) != 0)
			continue;
		known = true;
		if (!v->sub || (a->words > 1 && strcmp(v->sub, a->word[1]) == 0))
			return v;
	}
	if (!known) {
		ctl_fail(out, 0, "unknown verb %s, try help", a->word[0]);
		return NULL;
	}
	list_subs(out, a->word[0], subs, sizeof(subs));
	if (a->words > 1)
		ctl_fail(out, 0, "%s %s: unknown, there is: %s", a->word[0], a->word[1], subs);
	else
		ctl_fail(out, 0, "%s takes one of: %s", a->word[0], subs);
	return NULL;
}

static bool word_in(const char *list, const char *word)
{
	size_t n = strlen(word);

	while (list && *list) {
		size_t len = 0;

		while (list[len] && list[len] != ' ')
			len++;
		if (len == n && strncmp(list, word, n) == 0)
			return true;
		list += len + (list[len] == ' ');
	}
	return false;
}

static int usage(struct ctl_out *out, const struct ctl_verb *v)
{
	return ctl_fail(out, -EINVAL, "usage: %s%s%s%s%s", v->name, v->sub ? " " : "",
			v->sub ? v->sub : "", v->usage[0] ? " " : "", v->usage);
}

static int dispatch(struct ctl_out *out, const struct ctl_args *a)
{
	const struct ctl_verb *v = find(out, a);
	u32 args;

	if (!v)
		return -ENOENT;
	out->first = v->sub ? 2 : 1;
	args = a->words - out->first;
	if (args < v->min_args || args > v->max_args)
		return usage(out, v);
	for (u32 i = 0; i < a->opts; i++)
		if (!word_in(v->options, a->opt[i].key))
			return ctl_fail(out, -EINVAL, "unknown option %s=, %s%s", a->opt[i].key,
					v->options ? "known: " : "there is none",
					v->options ? v->options : "");
	return v->run(out, a);
}

static void put(struct ctl_out *out, const char *f, ...) PRINTF_LIKE(2, 3);

static void put(struct ctl_out *out, const char *f, ...)
{
	char buf[CTL_ERROR_MAX + 40];
	va_list ap;
	size_t n;

	va_start(ap, f);
	n = fmt_vsnprintf(buf, sizeof(buf), f, ap);
	va_end(ap);
	out->write(out->ctx, buf, n < sizeof(buf) ? n : sizeof(buf) - 1);
}

int ctl_run(struct ctl *c, const char *line, size_t len, struct ctl_out *out)
{
	struct ctl_args *a = &c->args;
	int rc = ctl_parse(line, len, a, out->error, sizeof(out->error));

	out->ctl = c;
	out->args = a;
	if (a->id[0])
		put(out, "id=%s\n", a->id);
	if (!rc && !a->words) {
		if (out->person)
			return 0;
		rc = ctl_fail(out, -EINVAL, "empty request");
	}
	if (!rc)
		rc = dispatch(out, a);
	if (rc && !out->error[0])
		ctl_fail(out, rc, "%s failed", a->word[0]);
	if (rc)
		out->attach = NULL;
	if (rc && out->person)
		put(out, "error: %s\n", out->error);
	else if (rc)
		put(out, "error %s %s\n", err_name(rc), out->error);
	else if (!out->person)
		put(out, "ok\n");
	return rc;
}

/* ---- help -------------------------------------------------------------------------------- */

static const struct ctl_column help_columns[] = {
	{ "verb", "verb", 40 },
	{ "help", "what it does", 0 },
};

static int help(struct ctl_out *out, const struct ctl_args *args)
{
	const char *want = ctl_arg(out, 0), *sub = ctl_arg(out, 1);
	const struct ctl_verb *v;
	char text[80];
	u32 shown = 0;

	(void)args;
	ctl_table(out, "verb", help_columns, ARRAY_SIZE(help_columns));
	for (u32 i = 0; (v = verb_at(out->ctl, i)); i++) {
		if ((want && strcmp(v->name, want) != 0) ||
		    (sub && (!v->sub || strcmp(v->sub, sub) != 0)))
			continue;
		fmt_snprintf(text, sizeof(text), "%s%s%s%s%s", v->name, v->sub ? " " : "",
			     v->sub ? v->sub : "", v->usage[0] ? " " : "", v->usage);
		ctl_cell(out, "%s", text);
		ctl_cell(out, "%s", v->help);
		shown++;
	}
	if (shown)
		return 0;
	return ctl_fail(out, -ENOENT, "no verb %s%s%s", want, sub ? " " : "", sub ? sub : "");
}

const struct ctl_verb ctl_help_verb = { .name = "help",
					.usage = "[VERB [SUB]]",
					.help = "what there is, or one verb",
					.max_args = 2,
					.run = help };

/* ---- completion -------------------------------------------------------------------------- */

struct words {
	const char *word[CTL_WORDS_MAX];
	size_t len[CTL_WORDS_MAX];
	u32 n; /* the last one, perhaps empty, is the one to complete */
};

static void split(const char *line, size_t len, struct words *w)
{
	size_t i = 0;

	w->n = 0;
	while (w->n < CTL_WORDS_MAX) {
		size_t from;

		while (i < len && line[i] == ' ')
			i++;
		for (from = i; i < len && line[i] != ' ';)
			i++;
		w->word[w->n] = line + from;
		w->len[w->n++] = i - from;
		if (i == len)
			return;
	}
}

static bool same(const struct words *w, u32 k, const char *s)
{
	return strlen(s) == w->len[k] && strncmp(w->word[k], s, w->len[k]) == 0;
}

static bool begins(const struct words *w, const char *s)
{
	return strncmp(s, w->word[w->n - 1], w->len[w->n - 1]) == 0;
}

/* The i-th candidate among verb names (k = 0) or sub-verbs of the first word (k = 1). */
static const char *complete_verb(struct ctl *c, const struct words *w, u32 i)
{
	const struct ctl_verb *v;

	for (u32 at = 0; (v = verb_at(c, at)); at++) {
		const char *s = w->n == 1 ? v->name : v->sub;

		if (w->n == 1 ? !first_of_name(c, at) : !v->sub || !same(w, 0, v->name))
			continue;
		if (begins(w, s) && i-- == 0)
			return s;
	}
	return NULL;
}

static const char *complete_arg(struct ctl *c, const struct words *w, enum ctl_arg kind, u32 i)
{
	const char *s;

	for (u32 at = 0; c->names && (s = c->names(kind, at)); at++)
		if (begins(w, s) && i-- == 0)
			return s;
	return NULL;
}

const char *ctl_complete(struct ctl *c, const char *line, size_t len, u32 i, size_t *have)
{
	const struct ctl_verb *v;
	struct words w;

	split(line, len, &w);
	*have = w.len[w.n - 1];
	if (w.n == 1)
		return complete_verb(c, &w, i);
	for (u32 at = 0; (v = verb_at(c, at)); at++) {
		if (!same(&w, 0, v->name) || (v->sub && w.n > 2 && !same(&w, 1, v->sub)))
			continue;
		if (v->sub && w.n == 2)
			return complete_verb(c, &w, i);
		return v->arg == CTL_ARG_NONE ? NULL : complete_arg(c, &w, v->arg, i);
	}
	return NULL;
}
