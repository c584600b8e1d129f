/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command set: a registry of verbs, the dispatcher, and the two forms of a reply, text
 * for people and key=value lines for tools. Pure; docs/control.md is its manual.
 */
#ifndef KERNEL_CORE_CTL_H
#define KERNEL_CORE_CTL_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/ctl_parse.h"

#define CTL_TABLES_MAX 12 /* calls of ctl_add() */
#define CTL_ERROR_MAX 200

struct ctl;
struct ctl_out;

/* Two-way text that a port can be connected to instead of the prompt: a guest's console. */
struct ctl_stream {
	/* read() - text from *cursor on (bytes since the beginning; too old: the oldest kept). */
	size_t (*read)(struct ctl_stream *s, u64 *cursor, char *buf, size_t size);
	/* end() - the cursor behind the newest text. */
	u64 (*end)(struct ctl_stream *s);
	/* write() - typed bytes; returns how many were taken. */
	size_t (*write)(struct ctl_stream *s, const u8 *data, size_t len);
	/* left() - NULL, or: a port that read it does so no longer. */
	void (*left)(struct ctl_stream *s);
	char name[32];
	u32 attached; /* ports that read it now; atomic, written by the hub */
};

/* What a positional argument names, for completion. */
enum ctl_arg { CTL_ARG_NONE, CTL_ARG_VM, CTL_ARG_VM_CONFIG };

struct ctl_verb {
	const char *name;
	const char *sub;       /* second word, NULL: the verb has none */
	const char *usage;     /* arguments, for help: "NAME [lines=N]" */
	const char *help;      /* one sentence */
	const char *options;   /* keys that it takes, separated by blanks; NULL: none */
	u8 min_args, max_args; /* positional, after verb and sub-verb */
	enum ctl_arg arg;
	/* run() - do it. 0, or -E... after ctl_fail(). args->word[] still holds the verb words. */
	int (*run)(struct ctl_out *out, const struct ctl_args *args);
};

struct ctl {
	struct {
		const struct ctl_verb *verb;
		u32 n;
	} table[CTL_TABLES_MAX];
	u32 tables;
	/* names() - the i-th name that an argument of this kind can have; NULL: no more. */
	const char *(*names)(enum ctl_arg kind, u32 i);
	struct ctl_args args; /* of the request that runs; there is one at a time */
};

struct ctl_column {
	const char *key;
	const char *head; /* NULL: not shown to people */
	s8 width;         /* negative: to the right; 0: as it comes */
};

/* Where a reply goes. The caller sets the first four, the rest starts at 0. */
struct ctl_out {
	void (*write)(void *ctx, const char *text, size_t len);
	void *ctx;
	bool person;     /* aligned text instead of key=value */
	struct ctl *ctl; /* for help */
	const struct ctl_args *args;
	u32 first; /* index of the first positional argument in args->word[] */
	const char *table;
	const struct ctl_column *column;
	u32 columns;
	u32 cell;
	char error[CTL_ERROR_MAX];
	struct ctl_stream *attach; /* set by a verb: connect the port after the reply */
	void (*after)(void);       /* set by a verb: run when the reply is out */
};

/** ctl_add() - register n verbs that live as long as c. Returns 0; -ENOSPC (CTL_TABLES_MAX). */
int MUST_CHECK ctl_add(struct ctl *c, const struct ctl_verb *verbs, u32 n);

/**
 * ctl_run() - parse and run one request, and write its whole reply: key=value lines, then "ok"
 * or "error CODE TEXT" (for people: text, or "error: TEXT"). An empty line gives no reply to
 * people. Returns what the verb returned, or -EINVAL, -ENOENT for a bad request.
 */
int ctl_run(struct ctl *c, const char *line, size_t len, struct ctl_out *out);

/**
 * ctl_complete() - the i-th word that can stand at the end of line (len characters, the cursor
 * at its end), NULL: no more. *have = how many of its characters are typed already.
 */
const char *ctl_complete(struct ctl *c, const char *line, size_t len, u32 i, size_t *have);

/* ---- for verbs ------------------------------------------------------------------------ */

/** ctl_arg() - positional argument i (after the verb words), NULL when there is none. */
const char *ctl_arg(const struct ctl_out *out, u32 i);

/**
 * ctl_arg_u64() - option key as a number from lo to hi. 0 (also when absent: *v stays), else
 * -EINVAL, -ERANGE with the error set.
 */
int MUST_CHECK ctl_opt_u64(struct ctl_out *out, const char *key, u64 lo, u64 hi, u64 *v);

/** ctl_fail() - set the error's text; returns rc. */
int ctl_fail(struct ctl_out *out, int rc, const char *f, ...) PRINTF_LIKE(3, 4);

/** ctl_text(), ctl_num(), ctl_bytes() - one fact, "key=value"; bytes get a unit for people. */
void ctl_text(struct ctl_out *out, const char *key, const char *f, ...) PRINTF_LIKE(3, 4);
void ctl_num(struct ctl_out *out, const char *key, u64 v);
void ctl_bytes(struct ctl_out *out, const char *key, u64 v);

/** ctl_line() - one line of free text: text="..." for tools. */
void ctl_line(struct ctl_out *out, const char *text, size_t len);

/** ctl_table() - begin a table; rows follow, each all of its cells in order. */
void ctl_table(struct ctl_out *out, const char *name, const struct ctl_column *column, u32 n);
void ctl_cell(struct ctl_out *out, const char *f, ...) PRINTF_LIKE(2, 3);
void ctl_cell_num(struct ctl_out *out, u64 v);
void ctl_cell_bytes(struct ctl_out *out, u64 v);

/* The verb "help", to be registered like any other. */
extern const struct ctl_verb ctl_help_verb;

#endif
