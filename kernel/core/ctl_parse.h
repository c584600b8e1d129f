/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request of the control protocol: a line of words, some of them key=value. Pure;
 * what it accepts is docs/control.md, section "Requests".
 */
#ifndef KERNEL_CORE_CTL_PARSE_H
#define KERNEL_CORE_CTL_PARSE_H

#include "kernel/base/compiler.h"
#include "kernel/base/fmt.h"
#include "kernel/base/types.h"

#define CTL_LINE_MAX 511 /* characters of a request, without its newline */
#define CTL_WORDS_MAX 24
#define CTL_OPTS_MAX 12
#define CTL_ID_MAX 32

struct ctl_opt {
	const char *key;
	const char *value;
};

/* The words of a request; strings point into buf. */
struct ctl_args {
	const char *word[CTL_WORDS_MAX]; /* verb first, without options */
	u32 words;
	struct ctl_opt opt[CTL_OPTS_MAX];
	u32 opts;
	char id[CTL_ID_MAX + 1]; /* of id=, "" when there is none */
	char buf[CTL_LINE_MAX + 1];
};

/**
 * ctl_parse() - split len characters of line into words at blanks. "..." keeps blanks and
 * knows \" \\ \n \r \t \xHH; '...' keeps everything. An unquoted word key=value is an option,
 * id=VALUE names the request. Returns 0, or -EINVAL with the reason in why: over-long line,
 * control character, unterminated quote, too many words, the same option twice. args->id is
 * set even then when it was read before the error.
 */
int MUST_CHECK ctl_parse(const char *line, size_t len, struct ctl_args *args, char *why,
			 size_t why_size);

/** ctl_opt() - value of an option, NULL when it was not given. */
const char *ctl_opt(const struct ctl_args *args, const char *key);

/**
 * ctl_quote() - append a value as replies carry it: bare when it is one or more printable
 * ASCII characters without blank, quote and backslash; else in double quotes with escapes
 * that ctl_parse() undoes.
 */
void ctl_quote(struct text *t, const char *value, size_t len);

#endif
