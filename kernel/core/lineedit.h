/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line editor for a terminal on a serial line: cursor keys, history, completion. Pure;
 * bytes in, bytes out. The line stays in one row and scrolls sideways.
 */
#ifndef KERNEL_CORE_LINEEDIT_H
#define KERNEL_CORE_LINEEDIT_H

#include "kernel/base/types.h"

#define LINEEDIT_MAX 511 /* bytes in a line */
#define LINEEDIT_HISTORY 2048
#define LINEEDIT_COLUMNS 79 /* one less than a terminal has: the cursor never wraps */

struct lineedit_env {
	void *ctx;
	/* write() - to the terminal. */
	void (*write)(void *ctx, const char *text, size_t len);
	/* complete() - as ctl_complete(). */
	const char *(*complete)(void *ctx, const char *line, size_t len, u32 i, size_t *have);
};

enum lineedit_key { LINEEDIT_PLAIN, LINEEDIT_ESC, LINEEDIT_CSI };

struct lineedit {
	struct lineedit_env env;
	const char *prompt;
	char line[LINEEDIT_MAX + 1];
	size_t len, cursor;
	size_t left; /* first byte shown: the row scrolls sideways */
	u8 state;    /* enum lineedit_key: within an escape sequence */
	u8 param;    /* first number of a CSI sequence */
	bool after_cr;
	bool visible;
	char history[LINEEDIT_HISTORY]; /* lines, each ended by NUL, the newest last */
	size_t history_len;
	size_t browse; /* offset of the line shown from history; history_len: none */
};

/** lineedit_init() - empty line, nothing drawn yet; prompt lives as long as e. */
void lineedit_init(struct lineedit *e, const struct lineedit_env *env, const char *prompt);

/**
 * lineedit_input() - one byte typed. True: the line is complete, in e->line (terminated, e->len
 * bytes) until lineedit_next(). Keys: docs/control.md, section "The console".
 */
bool lineedit_input(struct lineedit *e, u8 c);

/** lineedit_next() - put the line that lineedit_input() completed into the history, empty it. */
void lineedit_next(struct lineedit *e);

/** lineedit_hide(), lineedit_show() - take the input row off the screen, draw it again: for
 * other output in between. */
void lineedit_hide(struct lineedit *e);
void lineedit_show(struct lineedit *e);

#endif
