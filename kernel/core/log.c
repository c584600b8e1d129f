/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formatting of log lines and the ring that keeps them.
 */
#include "kernel/core/log.h"

#include "arch/x86/cpu.h"
#include "arch/x86/earlycon.h"
#include "kernel/base/atomic.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/log_priv.h"
#include "kernel/core/timer.h"

#define RING_SIZE (64u << 10)
#define LINE_SIZE 400

/* Lines per window of one log_limit. */
#define LIMIT_LINES	10
#define LIMIT_WINDOW_NS 5000000000ull

/* Rounds of waiting for the log of another CPU: then write anyway, a lost line is worse. */
#define LOCK_ROUNDS 50000000u

static char ring[RING_SIZE];
static u64 ring_total; /* bytes ever written */
static u32 lock_word;  /* not a struct spinlock: taken in interrupts and in a panic */
static void (*sink)(const char *text, size_t len);
static bool raw_mode;

static bool lock_log(void)
{
	for (u32 i = 0; i < LOCK_ROUNDS && !raw_mode; i++) {
		if (atomic_cas(&lock_word, 0u, 1u))
			return true;
		cpu_pause();
	}
	return false;
}

static void unlock_log(bool locked)
{
	if (locked)
		atomic_store_release(&lock_word, 0u);
}

static void ring_put(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		ring[(ring_total + i) % RING_SIZE] = text[i];
	atomic_store_release(&ring_total, ring_total + len);
}

static void emit(enum log_level level, const char *line, size_t len)
{
	u64 flags = irq_save();
	bool locked = lock_log();

	ring_put(line, len);
	earlycon_write_e9(line, len);
	if (level != LOG_DEBUG) {
		if (sink && !raw_mode)
			sink(line, len);
		else
			earlycon_write_com1(line, len);
	}
	unlock_log(locked);
	irq_restore(flags);
}

static const char *const prefix[] = {
	[LOG_ERR] = "error: ",
	[LOG_WARN] = "warning: ",
	[LOG_INFO] = "",
	[LOG_DEBUG] = "debug: ",
};

static void log_vprintf(enum log_level level, const char *f, va_list ap)
{
	char line[LINE_SIZE];
	u64 us = time_ns() / 1000;
	size_t n = fmt_snprintf(line, sizeof(line) - 1, "%5lu.%06lu %s", us / 1000000,
				us % 1000000, prefix[level]);

	n += fmt_vsnprintf(line + n, sizeof(line) - 1 - n, f, ap);
	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	emit(level, line, n);
}

void log_printf(enum log_level level, const char *f, ...)
{
	va_list ap;

	va_start(ap, f);
	log_vprintf(level, f, ap);
	va_end(ap);
}

void log_limited(struct log_limit *l, enum log_level level, const char *f, ...)
{
	u64 now = time_ns();
	va_list ap;

	if (now - l->window_start_ns >= LIMIT_WINDOW_NS) {
		if (l->suppressed)
			log_printf(level, "(%u similar lines not shown)", l->suppressed);
		*l = (struct log_limit){ .window_start_ns = now };
	}
	if (l->in_window >= LIMIT_LINES) {
		l->suppressed++;
		return;
	}
	l->in_window++;
	va_start(ap, f);
	log_vprintf(level, f, ap);
	va_end(ap);
}

size_t log_read(u64 *cursor, char *buf, size_t size)
{
	u64 flags = irq_save();
	bool locked = lock_log();
	size_t n = 0;

	if (ring_total > RING_SIZE && *cursor < ring_total - RING_SIZE)
		*cursor = ring_total - RING_SIZE;
	for (; n < size && *cursor < ring_total; n++, (*cursor)++)
		buf[n] = ring[*cursor % RING_SIZE];
	unlock_log(locked);
	irq_restore(flags);
	return n;
}

u64 log_end(void)
{
	return atomic_load_acquire(&ring_total);
}

u64 log_set_sink(void (*fn)(const char *text, size_t len))
{
	u64 flags = irq_save(), from;
	bool locked = lock_log();

	sink = fn;
	from = ring_total;
	unlock_log(locked);
	irq_restore(flags);
	return from;
}

void log_set_raw(void)
{
	raw_mode = true;
}

void log_replay_tail(size_t bytes)
{
	u64 from = ring_total > bytes ? ring_total - bytes : 0;
	char buf[64];
	size_t n;

	while ((n = log_read(&from, buf, sizeof(buf))) > 0) {
		earlycon_write_com1(buf, n);
		earlycon_write_e9(buf, n);
		if (from == ring_total)
			break;
	}
}
