/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words, quotes and options of a control request.
 */
#include "kernel/core/ctl_parse.h"

#include "kernel/base/err.h"
#include "kernel/base/str.h"

struct scan {
	const char *p, *end;
	char *out; /* next free place in args->buf; never overtakes the input */
	char *why;
	size_t why_size;
};

static int fail(struct scan *s, const char *text)
{
	fmt_snprintf(s->why, s->why_size, "%s", text);
	return -EINVAL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int escape(struct scan *s)
{
	static const char from[] = "\"\\nrt", to[] = "\"\\\n\r\t";

	if (s->p == s->end)
		return fail(s, "a quote is not closed");
	for (u32 i = 0; i < sizeof(from) - 1; i++) {
		if (*s->p == from[i]) {
			*s->out++ = to[i];
			s->p++;
			return 0;
		}
	}
	if (*s->p == 'x' && s->end - s->p >= 3) {
		int hi = hex_digit(s->p[1]), lo = hex_digit(s->p[2]);

		if (hi >= 0 && lo >= 0 && (hi || lo)) {
			*s->out++ = (char)(hi << 4 | lo);
			s->p += 3;
			return 0;
		}
	}
	return fail(s, "unknown escape, known: \\\" \\\\ \\n \\r \\t \\xHH (not \\x00)");
}

/* The rest of a quoted part; s->p is behind the opening quote. */
static int quoted(struct scan *s, char quote)
{
	while (s->p < s->end) {
		char c = *s->p++;
		int rc = 0;

		if (c == quote)
			return 0;
		if (c == '\\' && quote == '"')
			rc = escape(s);
		else
			*s->out++ = c;
		if (rc)
			return rc;
	}
	return fail(s, "a quote is not closed");
}

static bool key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

/* One word into args->buf; *eq = place of its first unquoted '=', NULL when there is none. */
static int next_word(struct scan *s, char **word, char **eq)
{
	bool plain = true;

	*word = s->out;
	*eq = NULL;
	while (s->p < s->end && *s->p != ' ' && *s->p != '\t') {
		char c = *s->p++;

		if (c == '"' || c == '\'') {
			int rc = quoted(s, c);

			if (rc)
				return rc;
			plain = false;
			continue;
		}
		if (c == '=' && plain && !*eq && s->out != *word)
			*eq = s->out;
		else if (!*eq && !key_char(c))
			plain = false;
		*s->out++ = c;
	}
	*s->out++ = '\0';
	return 0;
}

static int take_id(struct scan *s, struct ctl_args *args, const char *value)
{
	size_t n = strlen(value);

	for (size_t i = 0; i < n; i++)
		if (!key_char(value[i]))
			n = 0;
	if (!n || n > CTL_ID_MAX)
		return fail(s, "id= takes 1 to 32 characters of A-Z a-z 0-9 _ - .");
	if (args->id[0])
		return fail(s, "id= given twice");
	memcpy(args->id, value, n + 1);
	return 0;
}

static int take_option(struct scan *s, struct ctl_args *args, char *word, char *eq)
{
	*eq = '\0';
	if (strcmp(word, "id") == 0)
		return take_id(s, args, eq + 1);
	if (ctl_opt(args, word)) {
		fmt_snprintf(s->why, s->why_size, "%s= given twice", word);
		return -EINVAL;
	}
	if (args->opts == CTL_OPTS_MAX)
		return fail(s, "more than 12 options");
	args->opt[args->opts].key = word;
	args->opt[args->opts++].value = eq + 1;
	return 0;
}

static int check_chars(struct scan *s, size_t len)
{
	if (len > CTL_LINE_MAX)
		return fail(s, "line longer than 511 characters");
	for (size_t i = 0; i < len; i++)
		if (((u8)s->p[i] < ' ' && s->p[i] != '\t') || s->p[i] == 0x7f)
			return fail(s, "control character in the line");
	return 0;
}

int ctl_parse(const char *line, size_t len, struct ctl_args *args, char *why, size_t why_size)
{
	struct scan s = { line, line + len, args->buf, why, why_size };
	int rc;

	memset(args, 0, sizeof(*args));
	rc = check_chars(&s, len);
	while (!rc) {
		char *word, *eq;

		while (s.p < s.end && (*s.p == ' ' || *s.p == '\t'))
			s.p++;
		if (s.p == s.end)
			return 0;
		rc = next_word(&s, &word, &eq);
		if (rc)
			break;
		if (eq)
			rc = take_option(&s, args, word, eq);
		else if (args->words == CTL_WORDS_MAX)
			rc = fail(&s, "more than 24 words");
		else
			args->word[args->words++] = word;
	}
	return rc;
}

const char *ctl_opt(const struct ctl_args *args, const char *key)
{
	for (u32 i = 0; i < args->opts; i++)
		if (strcmp(args->opt[i].key, key) == 0)
			return args->opt[i].value;
	return NULL;
}

static bool bare(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (value[i] <= ' ' || value[i] > '~' || value[i] == '"' || value[i] == '\'' ||
		    value[i] == '\\')
			return false;
	return len > 0;
}

void ctl_quote(struct text *t, const char *value, size_t len)
{
	static const char named[] = "\"\\\n\r\t", letter[] = "\"\\nrt";

	if (bare(value, len)) {
		text_add(t, "%.*s", (int)len, value);
		return;
	}
	text_add(t, "\"");
	for (size_t i = 0; i < len; i++) {
		u32 k = 0;

		while (named[k] && named[k] != value[i])
			k++;
		if (named[k])
			text_add(t, "\\%c", letter[k]);
		else if (value[i] >= ' ' && value[i] != 0x7f)
			text_add(t, "%c", value[i]);
		else
			text_add(t, "\\x%02x", (u8)value[i]);
	}
	text_add(t, "\"");
}
