/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two forms of a reply: aligned text for people, key=value lines for tools.
 */
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/ctl.h"

#define VALUE_MAX 200 /* characters of one value; longer ones are cut */
#define LABEL 18      /* width of the first column of facts, for people */

static void put(struct ctl_out *out, const struct text *t)
{
	out->write(out->ctx, t->buf, t->len);
}

const char *ctl_arg(const struct ctl_out *out, u32 i)
{
	u32 at = out->first + i;

	return at < out->args->words ? out->args->word[at] : NULL;
}

int ctl_opt_u64(struct ctl_out *out, const char *key, u64 lo, u64 hi, u64 *v)
{
	const char *s = ctl_opt(out->args, key);
	u64 n;
	int rc;

	if (!s)
		return 0;
	rc = str_to_u64(s, &n);
	if (!rc && (n < lo || n > hi))
		rc = -ERANGE;
	if (rc)
		return ctl_fail(out, rc, "%s=%s: a number from %lu to %lu is needed", key, s, lo,
				hi);
	*v = n;
	return 0;
}

int ctl_fail(struct ctl_out *out, int rc, const char *f, ...)
{
	va_list ap;

	va_start(ap, f);
	fmt_vsnprintf(out->error, sizeof(out->error), f, ap);
	va_end(ap);
	/* One reply is one line, whatever was quoted in the text. */
	for (char *p = out->error; *p; p++)
		if ((u8)*p < ' ' || *p == 0x7f)
			*p = '?';
	return rc;
}

static void add_human(struct text *t, u64 bytes)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	u32 u = 0;
	u64 rest = 0;

	while (bytes >= 1024 && u + 1 < ARRAY_SIZE(unit)) {
		rest = bytes & 1023;
		bytes >>= 10;
		u++;
	}
	if (rest)
		text_add(t, "%lu.%lu %s", bytes, rest * 10 / 1024, unit[u]);
	else
		text_add(t, "%lu %s", bytes, unit[u]);
}

static void fact(struct ctl_out *out, const char *key, const char *value)
{
	char buf[VALUE_MAX * 4 + 60];
	struct text t = text_make(buf, sizeof(buf) - 1);

	if (out->person) {
		for (const char *p = key; *p; p++)
			text_add(&t, "%c", *p == '_' ? ' ' : *p);
		text_add(&t, "%*s", t.len < LABEL ? (int)(LABEL - t.len) : 1, "");
		text_add(&t, "%s", value);
	} else {
		text_add(&t, "%s=", key);
		ctl_quote(&t, value, strlen(value));
	}
	buf[t.len++] = '\n';
	put(out, &t);
}

void ctl_text(struct ctl_out *out, const char *key, const char *f, ...)
{
	char value[VALUE_MAX];
	va_list ap;

	va_start(ap, f);
	fmt_vsnprintf(value, sizeof(value), f, ap);
	va_end(ap);
	fact(out, key, value);
}

void ctl_num(struct ctl_out *out, const char *key, u64 v)
{
	ctl_text(out, key, "%lu", v);
}

void ctl_bytes(struct ctl_out *out, const char *key, u64 v)
{
	char value[32];
	struct text t = text_make(value, sizeof(value));

	if (out->person)
		add_human(&t, v);
	else
		text_add(&t, "%lu", v);
	fact(out, key, value);
}

void ctl_line(struct ctl_out *out, const char *text, size_t len)
{
	char buf[VALUE_MAX * 4 + 20];
	struct text t = text_make(buf, sizeof(buf) - 1);

	if (len > VALUE_MAX)
		len = VALUE_MAX;
	if (out->person) {
		text_add(&t, "%.*s", (int)len, text);
	} else {
		text_add(&t, "text=");
		ctl_quote(&t, text, len);
	}
	buf[t.len++] = '\n';
	put(out, &t);
}

/* ---- tables ------------------------------------------------------------------------------ */

static void pad(struct text *t, const struct ctl_column *c, const char *value, bool last)
{
	const char *gap = last ? "" : "  ";

	if (c->width < 0)
		text_add(t, "%*s%s", -c->width, value, gap);
	else
		text_add(t, "%-*s%s", last ? 0 : c->width, value, gap);
}

static u32 last_shown(const struct ctl_out *out)
{
	u32 last = 0;

	for (u32 i = 0; i < out->columns; i++)
		if (out->column[i].head)
			last = i;
	return last;
}

void ctl_table(struct ctl_out *out, const char *name, const struct ctl_column *column, u32 n)
{
	char buf[VALUE_MAX];
	struct text t = text_make(buf, sizeof(buf) - 1);

	out->table = name;
	out->column = column;
	out->columns = n;
	out->cell = 0;
	if (out->person) {
		for (u32 i = 0; i < n; i++)
			if (column[i].head)
				pad(&t, &column[i], column[i].head, i == last_shown(out));
	} else {
		text_add(&t, "table=%s", name);
	}
	buf[t.len++] = '\n';
	put(out, &t);
}

static void cell(struct ctl_out *out, const char *value)
{
	char buf[VALUE_MAX * 4 + 60];
	struct text t = text_make(buf, sizeof(buf) - 1);
	const struct ctl_column *c = &out->column[out->cell];

	if (out->person) {
		if (c->head)
			pad(&t, c, value, out->cell == last_shown(out));
	} else {
		if (!out->cell)
			text_add(&t, "row=%s", out->table);
		text_add(&t, " %s=", c->key);
		ctl_quote(&t, value, strlen(value));
	}
	out->cell++;
	if (out->cell == out->columns) {
		buf[t.len++] = '\n';
		out->cell = 0;
	}
	put(out, &t);
}

void ctl_cell(struct ctl_out *out, const char *f, ...)
{
	char value[VALUE_MAX];
	va_list ap;

	va_start(ap, f);
	fmt_vsnprintf(value, sizeof(value), f, ap);
	va_end(ap);
	cell(out, value);
}

void ctl_cell_num(struct ctl_out *out, u64 v)
{
	ctl_cell(out, "%lu", v);
}

void ctl_cell_bytes(struct ctl_out *out, u64 v)
{
	char value[32];
	struct text t = text_make(value, sizeof(value));

	if (out->person)
		add_human(&t, v);
	else
		text_add(&t, "%lu", v);
	cell(out, value);
}
