/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded printf-style formatting. Understands %d %i %u %x %X %o %c %s %p %%, the flags
 * '-', '0', '+' and '#' (0x), width and precision (also '*'), and the lengths hh h l ll z.
 */
#ifndef KERNEL_BASE_FMT_H
#define KERNEL_BASE_FMT_H

#include <stdarg.h>

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/**
 * fmt_vsnprintf() - format into buf, always terminated when size > 0.
 * Returns the length the whole text would have had (may exceed size - 1).
 */
size_t fmt_vsnprintf(char *buf, size_t size, const char *f, va_list ap);

/** fmt_snprintf() - as fmt_vsnprintf(). */
size_t fmt_snprintf(char *buf, size_t size, const char *f, ...) PRINTF_LIKE(3, 4);

/* An append-only text buffer; 'full' is set when something was cut. */
struct text {
	char *buf;
	size_t size;
	size_t len;
	bool full;
};

/** text_make() - buffer of size bytes (> 0), terminated at once. */
struct text text_make(char *buf, size_t size);

/** text_add() - append formatted text; cuts and sets t->full at the end of the buffer. */
void text_add(struct text *t, const char *f, ...) PRINTF_LIKE(2, 3);

#endif
