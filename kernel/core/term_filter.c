/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recogniser of control sequences (ECMA-48 §5.4) with one sequence of memory.
 */
#include "kernel/core/term_filter.h"

#include "kernel/base/str.h"

#define ESC '\033'

enum verdict { MORE, PASS, DROP };

/* What the held bytes are, the newest last. */
static enum verdict judge(const struct term_filter *f)
{
	char c = f->held[f->len - 1];

	if (f->len == 1)
		return c == ESC ? MORE : PASS;
	if (f->len == 2 && c != '[')
		return c == 'Z' ? DROP : PASS;
	if (f->len == 2 || (c >= ' ' && c <= '?'))
		return f->len == TERM_FILTER_HELD ? DROP : MORE;
	return c == 'c' || c == 'n' || (u8)c < ' ' ? DROP : PASS;
}

size_t term_filter_end(struct term_filter *f, char *buf)
{
	size_t n = f->len;

	memcpy(buf, f->held, n);
	f->len = 0;
	return n;
}

size_t term_filter(struct term_filter *f, char *buf, size_t n)
{
	size_t out = 0, in = TERM_FILTER_HELD;

	memmove(buf + in, buf, n);
	for (n += in; in < n; in++) {
		enum verdict v;

		if (buf[in] == ESC) /* ends what was unfinished */
			f->len = 0;
		f->held[f->len++] = buf[in];
		v = judge(f);
		if (v == PASS)
			out += term_filter_end(f, buf + out);
		else if (v == DROP)
			f->len = 0;
	}
	return out;
}
