/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes out of old terminal output what a terminal would answer: shown again, it would have the
 * answers typed at whoever reads now. Pure.
 */
#ifndef KERNEL_CORE_TERM_FILTER_H
#define KERNEL_CORE_TERM_FILTER_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define TERM_FILTER_HELD 16 /* bytes of a control sequence; longer ones are dropped */

struct term_filter {
	u8 len; /* bytes held back: the beginning of a control sequence */
	char held[TERM_FILTER_HELD];
};

/**
 * term_filter() - filter n bytes in place; returns how many are left. Queries are ESC Z and the
 * control sequences ESC [ ... c (identify) and ESC [ ... n (report). Broken and over-long sequences
 * are dropped as well: what is left of them could make a query of the text around. An unfinished
 * sequence is held back for the next call: room for n + TERM_FILTER_HELD bytes is needed in buf.
 */
size_t term_filter(struct term_filter *f, char *buf, size_t n);

/** term_filter_end() - what was held back, to buf; at most TERM_FILTER_HELD bytes. */
size_t term_filter_end(struct term_filter *f, char *buf);

#endif
