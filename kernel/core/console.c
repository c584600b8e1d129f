/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hub between serial ports, control requests, the log and guest consoles. All of it
 * runs on the boot CPU in softirq context, so sessions need no lock.
 */
#include "kernel/core/console.h"

#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/lineedit.h"
#include "kernel/core/log.h"
#include "kernel/core/log_priv.h"
#include "kernel/core/percpu.h"
#include "kernel/core/serial.h"
#include "kernel/core/term_filter.h"
#include "kernel/core/timer.h"

/* Queues out. The longest reply is that of 'log': its ring, each line with a few bytes around. */
#define PEOPLE_QUEUE (32u << 10)
#define TOOLS_QUEUE (128u << 10)
#define REPLY_MAX (TOOLS_QUEUE * 3 / 4)

#define TYPED 64 /* bytes of input handled at once */
#define PUMP_NS 1000000ull
#define CHUNK 512 /* bytes moved at once; longer than any log line */

struct session {
	bool used;
	bool person;
	u32 port;
	const struct console_remote *remote; /* NULL: a serial port */
	struct ctl_stream *attached;
	u64 cursor;     /* in the attached stream */
	u64 replay_end; /* the stream's text before this was there when the port was attached */
	struct term_filter filter;
	u64 log_cursor; /* person: what of the log has been shown */
	struct lineedit edit;
	/* tool: the request so far; one byte more shows that it is too long */
	char line[CTL_LINE_MAX + 2];
	size_t len;
};

enum { PEOPLE, TOOLS, REMOTE, SESSIONS };

static struct session sessions[SESSIONS];
static struct ctl ctl;
static char prompt[CONFIG_NAME_LEN + 4];
static bool started;

/* Streams are pumped at once after a pause, else every PUMP_NS. */
static u32 stream_ready; /* atomic: text has come since the last pump, and that was told */
static u64 pumped_at;
static struct timer pump_timer;
static bool pump_armed;

struct ctl *console_ctl(void)
{
	return &ctl;
}

void console_notify(void)
{
	if (!(atomic_or(&pcpu_get(0)->softirq, SOFTIRQ_CONSOLE) & SOFTIRQ_CONSOLE))
		cpu_kick(0);
}

void console_stream_ready(void)
{
	if (!atomic_swap(&stream_ready, 1u))
		console_notify();
}

void console_flush(void)
{
	for (u32 i = 0; i < SESSIONS; i++)
		if (sessions[i].used && !sessions[i].remote)
			serial_flush(sessions[i].port);
}

/* ---- ports ------------------------------------------------------------------------------ */

static size_t port_room(const struct session *s)
{
	return s->remote ? s->remote->room() : serial_room(s->port);
}

static void port_write(const struct session *s, const char *text, size_t len)
{
	if (s->remote)
		s->remote->write(text, len);
	else if (s->used)
		serial_write(s->port, text, len);
}

static size_t port_read(const struct session *s, u8 *buf, size_t size)
{
	return s->remote ? s->remote->read(buf, size) : serial_read(s->port, buf, size);
}

/* ---- output ----------------------------------------------------------------------------- */

static void put_raw(void *ctx, const char *text, size_t len)
{
	port_write(ctx, text, len);
}

/* Text of ours: people's terminals want CR before LF. */
static void put(void *ctx, const char *text, size_t len)
{
	const struct session *s = ctx;
	size_t from = 0;

	for (size_t i = 0; i < len && s->person; i++) {
		if (text[i] != '\n')
			continue;
		port_write(s, text + from, i - from);
		port_write(s, "\r\n", 2);
		from = i + 1;
	}
	port_write(s, text + from, len - from);
}

static void PRINTF_LIKE(2, 3) say(struct session *s, const char *f, ...)
{
	char buf[120];
	va_list ap;

	va_start(ap, f);
	fmt_vsnprintf(buf, sizeof(buf), f, ap);
	va_end(ap);
	put(s, buf, strlen(buf));
}

/* ---- attached streams ------------------------------------------------------------------- */

static void attach(struct session *s, struct ctl_stream *stream)
{
	atomic_add(&stream->attached, 1u);
	s->attached = stream;
	s->cursor = 0;
	s->replay_end = stream->end(stream);
	s->filter.len = 0;
	if (s->person)
		say(s, "[console of %s, Ctrl-] leaves]\n", stream->name);
}

static void detach(struct session *s)
{
	if (s->person)
		say(s, "\n[left console of %s]\n", s->attached->name);
	else
		port_write(s, "\x1d\n", 2);
	atomic_add(&s->attached->attached, ~0u);
	if (s->attached->left)
		s->attached->left(s->attached);
	s->attached = NULL;
	if (s->person)
		lineedit_show(&s->edit);
}

/* A tool finds the end of raw mode by 1Dh LF; a 1Dh that the guest sends is doubled. */
static void put_stream(struct session *s, const char *buf, size_t n)
{
	size_t from = 0;

	for (size_t i = 0; i < n && !s->person; i++) {
		if (buf[i] != CONSOLE_LEAVE)
			continue;
		port_write(s, buf + from, i + 1 - from);
		from = i;
	}
	port_write(s, buf + from, n - from);
}

/* The next text for the port, at most CHUNK bytes; what is shown again is filtered. */
static size_t read_stream(struct session *s, char buf[CHUNK + TERM_FILTER_HELD])
{
	u64 left = s->replay_end > s->cursor ? s->replay_end - s->cursor : CHUNK;
	bool replay = s->replay_end > s->cursor;
	size_t n;

	n = s->attached->read(s->attached, &s->cursor, buf, left < CHUNK ? left : CHUNK);
	if (!replay)
		return n;
	n = term_filter(&s->filter, buf, n);
	if (s->cursor >= s->replay_end)
		n += term_filter_end(&s->filter, buf + n);
	return n;
}

static void pump_stream(struct session *s)
{
	char buf[CHUNK + TERM_FILTER_HELD];

	while (port_room(s) >= 2 * sizeof(buf)) {
		u64 before = s->cursor;
		size_t n = read_stream(s, buf);

		if (s->cursor == before)
			return;
		if (before >= s->replay_end && s->cursor - n != before && s->person)
			say(s, "\n[%lu bytes lost: the port is too slow]\n",
			    s->cursor - n - before);
		put_stream(s, buf, n);
	}
}

void console_forget(struct ctl_stream *stream)
{
	for (u32 i = 0; i < SESSIONS; i++) {
		if (sessions[i].attached != stream)
			continue;
		pump_stream(&sessions[i]);
		detach(&sessions[i]);
	}
}

void console_set_remote(const struct console_remote *remote)
{
	struct session *s = &sessions[REMOTE];

	if (s->attached)
		detach(s);
	s->len = 0;
	s->remote = remote;
	s->used = remote != NULL;
}

/* ---- the log on people's port ----------------------------------------------------------- */

/* A line "   12.345678 debug: ...", when those are for the ring only. */
static bool is_hidden(const char *line, size_t len)
{
	static const char word[] = " debug: ";
	size_t i = 0;

	while (i < len && line[i] == ' ')
		i++;
	while (i < len && line[i] != ' ')
		i++;
	return len - i >= sizeof(word) &&
	       memcmp(line + i, word, sizeof(word) - 1) == 0;
}

static void put_lines(struct session *s, const char *text, size_t len)
{
	for (size_t from = 0, to; from < len; from = to) {
		for (to = from; text[to] != '\n';)
			to++;
		to++;
		if (is_hidden(text + from, to - from))
			continue;
		lineedit_hide(&s->edit);
		put(s, text + from, to - from);
	}
}

static void pump_log(struct session *s)
{
	char buf[CHUNK];

	while (port_room(s) >= 2 * sizeof(buf)) {
		u64 cursor = s->log_cursor;
		size_t n = log_read(&cursor, buf, sizeof(buf)), lines = n, from = 0;

		while (lines && buf[lines - 1] != '\n')
			lines--;
		if (!lines)
			break;
		if (cursor - n != s->log_cursor) {
			lineedit_hide(&s->edit);
			while (from < lines && buf[from++] != '\n')
				; /* the rest of a line whose beginning is gone */
			say(s, "[%lu bytes of the log were overwritten]\n",
			    cursor - n - s->log_cursor + from);
		}
		s->log_cursor = cursor - (n - lines);
		put_lines(s, buf + from, lines - from);
	}
	lineedit_show(&s->edit);
}

static void pump(struct session *s)
{
	if (s->attached)
		pump_stream(s);
	else if (s->person)
		pump_log(s);
}

/* ---- input ------------------------------------------------------------------------------ */

static void request(struct session *s, const char *line, size_t len)
{
	struct ctl_out out = { .write = put, .ctx = s, .person = s->person };

	ctl_run(&ctl, line, len, &out);
	if (out.attach)
		attach(s, out.attach);
	if (out.after) {
		console_flush();
		log_set_sink(NULL); /* nobody serves the softirq any more */
		out.after();
	}
}

static void person_byte(struct session *s, u8 c)
{
	if (!lineedit_input(&s->edit, c))
		return;
	request(s, s->edit.line, s->edit.len);
	lineedit_next(&s->edit);
	if (!s->attached)
		lineedit_show(&s->edit);
}

static void tool_byte(struct session *s, u8 c)
{
	size_t len = s->len;

	if (c == CONSOLE_LEAVE) {
		s->len = 0;
	} else if (c == '\n') {
		s->len = 0;
		request(s, s->line, len);
	} else if (c != '\r' && len < sizeof(s->line)) {
		s->line[s->len++] = (char)c;
	}
}

/* Up to Ctrl-] goes to the guest; returns how much of buf was used. */
static size_t to_stream(struct session *s, const u8 *buf, size_t n)
{
	size_t len = 0;

	while (len < n && buf[len] != CONSOLE_LEAVE)
		len++;
	if (len && s->attached->write(s->attached, buf, len) < len && s->person)
		say(s, "\a");
	if (len < n) {
		detach(s);
		len++;
	}
	return len;
}

/* A tool's request waits until its reply fits the queue; then nothing of it can be lost. */
static bool ready(const struct session *s)
{
	return s->attached || s->person || port_room(s) >= REPLY_MAX;
}

/* What is read cannot wait any more: of requests, only one. */
static size_t chunk(const struct session *s)
{
	return s->attached || s->person ? TYPED : 1;
}

static void input(struct session *s)
{
	u8 buf[TYPED];
	size_t n;

	while (s->used && ready(s) && (n = port_read(s, buf, chunk(s))) > 0) {
		for (size_t i = 0; i < n;) {
			if (s->attached)
				i += to_stream(s, buf + i, n - i);
			else if (s->person)
				person_byte(s, buf[i++]);
			else
				tool_byte(s, buf[i++]);
		}
	}
}

/* ---- set-up ----------------------------------------------------------------------------- */

/* The sink of the log: under its lock, perhaps in an interrupt, so only a post. */
static void log_sink(const char *text, size_t len)
{
	(void)text;
	(void)len;
	console_notify();
}

/* Log lines have no business in the replies on COM1. */
static void no_sink(const char *text, size_t len)
{
	(void)text;
	(void)len;
}

static void start(void)
{
	struct session *s = &sessions[PEOPLE];

	started = true;
	if (!s->used) {
		if (sessions[TOOLS].used && sessions[TOOLS].port == 0)
			log_set_sink(no_sink);
		return;
	}
	s->log_cursor = log_set_sink(log_sink);
	say(s, "\nThis is %s, Godwit %s. Type help for the commands.\n", prompt, GODWIT_VERSION);
	str_copy(prompt + strlen(prompt), 3, "> ");
	lineedit_show(&s->edit);
}

static void pump_due(void *ctx)
{
	(void)ctx;
	pump_armed = false;
	console_notify();
}

/* True: the timer will bring us back to pump the streams. */
static bool pump_later(void)
{
	u64 now = time_ns();

	if (atomic_load_relaxed(&stream_ready) && now - pumped_at < PUMP_NS) {
		if (!pump_armed)
			pump_armed = !timer_arm(&pump_timer, tsc_read() + ns_to_tsc(PUMP_NS));
		if (pump_armed)
			return true;
	}
	pumped_at = now;
	atomic_swap(&stream_ready, 0u);
	return false;
}

static void serve(void)
{
	bool later = pump_later();

	if (!started)
		start();
	for (u32 i = 0; i < SESSIONS; i++) {
		if (!sessions[i].used)
			continue;
		input(&sessions[i]);
		if (!sessions[i].attached || !later)
			pump(&sessions[i]);
	}
}

static const char *complete(void *ctx, const char *line, size_t len, u32 i, size_t *have)
{
	(void)ctx;
	return ctl_complete(&ctl, line, len, i, have);
}

static void open_port(u32 which, const char *key, const char *name, const struct acpi_info *acpi)
{
	struct session *s = &sessions[which];
	int port = config_port_index(name), rc;

	if (port < 0)
		return;
	rc = serial_open((u32)port, acpi, which == PEOPLE ? PEOPLE_QUEUE : TOOLS_QUEUE);
	if (rc) {
		log_warn("host.%s: %s cannot be used: %s", key, name,
			 rc == -ENODEV ? "no 16550 answers at its ports" : err_name(rc));
		return;
	}
	s->used = true;
	s->person = which == PEOPLE;
	s->port = (u32)port;
	log_info("%s: %s on %s", key, which == PEOPLE ? "prompt" : "requests", name);
}

void console_init(const struct config *config, const struct acpi_info *acpi)
{
	static const struct lineedit_env env = { .ctx = &sessions[PEOPLE],
						 .write = put_raw,
						 .complete = complete };

	str_copy(prompt, CONFIG_NAME_LEN, config->host.name);
	lineedit_init(&sessions[PEOPLE].edit, &env, prompt);
	open_port(PEOPLE, "console", config->host.console, acpi);
	open_port(TOOLS, "ctl", config->host.ctl, acpi);
	timer_init(&pump_timer, pump_due, NULL);
	softirq_register(SOFTIRQ_CONSOLE, serve);
	console_notify();
}
