/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: COM1 (through the console), port 0xE9 and a ring in memory that the
 * 'log' verb prints and a dump shows.
 */
#ifndef KERNEL_CORE_LOG_H
#define KERNEL_CORE_LOG_H

#include <stdarg.h>

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/** log_printf() - one line (the newline is added). Context: any, also interrupt and panic. */
void log_printf(enum log_level level, const char *f, ...) PRINTF_LIKE(2, 3);

#define log_err(...)   log_printf(LOG_ERR, __VA_ARGS__)
#define log_warn(...)  log_printf(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_printf(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_printf(LOG_DEBUG, __VA_ARGS__)

/* State of one rate-limited message: static storage at the call site or in its object. */
struct log_limit {
	u64 window_start_ns;
	u32 in_window;
	u32 suppressed;
};

/**
 * log_limited() - as log_printf(), at most ten lines in any five seconds per
 * struct log_limit; the count of suppressed lines is printed when the window ends.
 */
void log_limited(struct log_limit *l, enum log_level level, const char *f, ...)
	PRINTF_LIKE(3, 4);

/**
 * log_read() - copy ring text from *cursor on (0: the oldest kept) into buf; returns
 * the bytes copied and moves *cursor. 0: nothing newer.
 */
size_t log_read(u64 *cursor, char *buf, size_t size);

/** log_end() - the log_read() cursor behind the newest line. */
u64 log_end(void);

/**
 * log_set_sink() - where lines go besides port 0xE9 and the ring, in place of the polled
 * COM1: the console. Returns the log_read() cursor of the first line that does.
 */
u64 log_set_sink(void (*sink)(const char *text, size_t len));

#endif
