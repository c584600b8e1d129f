/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames to channels and back. What the courier sends is bounded by what it was granted, so there
 * is always a place for it, and one channel never holds up another or a frame of control.
 */
#include "devices/courier/mux.h"

#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

#define GRANT_AT (COURIER_WINDOW / 4)

static struct courier_channel *of(struct mig_channel *c)
{
	return container_of(c, struct courier_channel, ch);
}

static struct courier_channel *find(struct courier_mux *m, u16 id)
{
	for (u32 i = 0; i < COURIER_CHANNELS; i++)
		if (m->channel[i].open && m->channel[i].id == id)
			return &m->channel[i];
	return NULL;
}

/* One that nobody holds and the courier does not know. */
static struct courier_channel *vacant(struct courier_mux *m)
{
	for (u32 i = 0; i < COURIER_CHANNELS; i++)
		if (!m->channel[i].used && !m->channel[i].open)
			return &m->channel[i];
	return NULL;
}

static void wake(struct courier_channel *c)
{
	if (c->used && c->ch.wake)
		c->ch.wake(c->ch.wake_ctx);
}

/* ---- to the courier ---------------------------------------------------------------------- */

static bool put(struct courier_mux *m, enum courier_frame type, u16 id, const void *data, u32 n)
{
	u8 head[COURIER_HEAD] = { (u8)type };

	if (m->env.room(m->env.ctx) < COURIER_HEAD + n)
		return false;
	put_le16(head + 2, id);
	put_le32(head + 4, n);
	m->env.send(m->env.ctx, head, COURIER_HEAD);
	m->env.send(m->env.ctx, data, n);
	return true;
}

static void grant(struct courier_channel *c)
{
	u8 n[4];

	put_le32(n, c->owed);
	if (c->open && !c->shut && c->owed >= GRANT_AT &&
	    put(c->mux, COURIER_GRANT, c->id, n, sizeof(n)))
		c->owed = 0;
}

static void shut(struct courier_channel *c)
{
	c->shut = true;
	if (c->open && put(c->mux, COURIER_CLOSE, c->id, "", 0))
		c->open = false;
}

static int channel_send(struct mig_channel *ch, const u8 *data, u32 n)
{
	struct courier_channel *c = of(ch);
	u32 room = c->mux->env.room(c->mux->env.ctx);

	if (!c->open)
		return -EPIPE;
	n = (u32)min_u64(n, min_u64(c->credit, COURIER_DATA_MAX));
	n = (u32)min_u64(n, room > COURIER_HEAD ? room - COURIER_HEAD : 0);
	if (!n || !put(c->mux, COURIER_DATA, c->id, data, n))
		return 0;
	c->credit -= n;
	return (int)n;
}

static int channel_recv(struct mig_channel *ch, u8 *data, u32 n)
{
	struct courier_channel *c = of(ch);
	u32 have = c->head - c->tail, at = c->tail % COURIER_WINDOW, part;

	if (!have)
		return c->open ? 0 : -EPIPE;
	n = (u32)min_u64(n, have);
	part = (u32)min_u64(n, COURIER_WINDOW - at);
	memcpy(data, c->ring + at, part);
	memcpy(data + part, c->ring, n - part);
	c->tail += n;
	c->owed += n;
	grant(c);
	return (int)n;
}

static void channel_close(struct mig_channel *ch)
{
	struct courier_channel *c = of(ch);

	c->used = false;
	c->head = c->tail = 0;
	shut(c);
}

static void start(struct courier_channel *c, struct courier_mux *m, u16 id)
{
	static const struct mig_channel_ops ops = { channel_send, channel_recv, channel_close };

	c->ch = (struct mig_channel){ .ops = &ops };
	c->mux = m;
	c->used = c->open = true;
	c->shut = false;
	c->id = id;
	c->credit = COURIER_WINDOW;
	c->owed = c->head = c->tail = 0;
}

int courier_mux_connect(struct courier_mux *m, const char *host, u16 port,
			struct mig_channel **out, char *why, size_t why_size)
{
	struct courier_channel *c = vacant(m);
	char text[COURIER_TEXT_MAX];
	u32 n = (u32)fmt_snprintf(text, sizeof(text), "%s:%u", host, port);

	if (!m->ready || m->broken) {
		str_copy(why, why_size, "no courier is running");
		return -ENODEV;
	}
	if (n >= sizeof(text)) {
		str_copy(why, why_size, "the host's name is too long");
		return -EINVAL;
	}
	m->last_id = (u16)(m->last_id + 2);
	if (!c || !put(m, COURIER_OPEN, m->last_id, text, n)) {
		str_copy(why, why_size, "the courier has no channel free");
		return -EBUSY;
	}
	start(c, m, m->last_id);
	*out = &c->ch;
	return 0;
}

void courier_mux_room(struct courier_mux *m)
{
	for (u32 i = 0; i < COURIER_CHANNELS; i++) {
		struct courier_channel *c = &m->channel[i];

		if (c->shut)
			shut(c);
		grant(c);
		if (c->open && c->credit)
			wake(c);
	}
}

/* ---- from the courier -------------------------------------------------------------------- */

static void end_all(struct courier_mux *m)
{
	for (u32 i = 0; i < COURIER_CHANNELS; i++) {
		if (m->channel[i].open)
			m->channel[i].ch.why = "the connection was lost with the courier";
		m->channel[i].open = false;
		wake(&m->channel[i]);
	}
}

static void break_it(struct courier_mux *m, const char *why)
{
	m->broken = true;
	m->env.said(m->env.ctx, why);
	end_all(m);
}

/* The head is complete: may there be such a frame? */
static void begin(struct courier_mux *m)
{
	const struct courier_channel *c = find(m, get_le16(m->head + 2));
	u32 n = get_le32(m->head + 4);
	bool good;

	switch (m->head[0]) {
	case COURIER_DATA:
		/* Of a channel that was closed here, some may still be on the way. */
		good = n <= COURIER_DATA_MAX &&
		       (!c || n <= COURIER_WINDOW - c->owed - (c->head - c->tail));
		break;
	case COURIER_GRANT:
		good = n == 4 || n == COURIER_GRANT_MAX;
		break;
	case COURIER_OPEN:
		good = n <= COURIER_TEXT_MAX && !c && (get_le16(m->head + 2) & 1);
		break;
	case COURIER_CLOSE:
		good = n <= COURIER_TEXT_MAX;
		break;
	default:
		good = false;
	}
	m->left = n;
	m->len = 0;
	if (!good)
		break_it(m, "the courier sent a frame that cannot be; it is not listened to");
}

static void payload(struct courier_mux *m, const u8 *p, u32 n)
{
	struct courier_channel *c = find(m, get_le16(m->head + 2));
	u32 at, part;

	if (m->head[0] != COURIER_DATA) {
		memcpy(m->text + m->len, p, n);
		m->len += n;
		return;
	}
	if (!c || !c->used)
		return;
	at = c->head % COURIER_WINDOW;
	part = (u32)min_u64(n, COURIER_WINDOW - at);
	memcpy(c->ring + at, p, part);
	memcpy(c->ring, p + part, n - part);
	c->head += n;
}

static void accepted(struct courier_mux *m, u16 id)
{
	struct courier_channel *c = vacant(m);

	if (!c) {
		(void)put(m, COURIER_CLOSE, id, "busy", 4);
		return;
	}
	start(c, m, id);
	if (m->env.accept(m->env.ctx, &c->ch))
		channel_close(&c->ch);
}

/* The courier's words reach the log: nothing but text in them. */
static void say(struct courier_mux *m)
{
	for (u32 i = 0; i < m->len; i++)
		if (m->text[i] < ' ' || m->text[i] > '~')
			m->text[i] = '?';
	m->text[m->len] = '\0';
	if (m->len)
		m->env.said(m->env.ctx, m->text);
}

static void finish(struct courier_mux *m)
{
	u16 id = get_le16(m->head + 2);
	struct courier_channel *c = find(m, id);
	u32 more;

	if (m->head[0] == COURIER_OPEN) {
		accepted(m, id);
		return;
	}
	if (!c)
		return;
	switch (m->head[0]) {
	case COURIER_GRANT:
		more = get_le32(m->text);
		if (more > COURIER_WINDOW - c->credit) {
			break_it(m, "the courier grants more than there is");
			return;
		}
		c->credit += more;
		if (m->len == COURIER_GRANT_MAX)
			c->ch.wire = get_le64((const u8 *)m->text + 4);
		break;
	case COURIER_CLOSE:
		c->open = false;
		say(m);
		str_copy(c->why, sizeof(c->why), m->text);
		c->ch.why = m->len ? c->why : NULL;
		break;
	default:
		break;
	}
	wake(c);
}

void courier_mux_input(struct courier_mux *m, const u8 *p, u32 n)
{
	while (n && m->ready && !m->broken) {
		u32 part = (u32)min_u64(n, m->have < COURIER_HEAD ? COURIER_HEAD - m->have
								  : m->left);

		if (m->have < COURIER_HEAD) {
			memcpy(m->head + m->have, p, part);
			m->have += part;
			if (m->have == COURIER_HEAD)
				begin(m);
		} else {
			payload(m, p, part);
			m->left -= part;
		}
		p += part;
		n -= part;
		if (m->have == COURIER_HEAD && !m->left && !m->broken) {
			m->have = 0;
			finish(m);
		}
	}
}

void courier_mux_reset(struct courier_mux *m, bool up)
{
	m->ready = up;
	m->broken = false;
	m->have = m->left = m->len = 0;
	end_all(m);
}

void courier_mux_init(struct courier_mux *m, const struct courier_env *env)
{
	memset(m, 0, sizeof(*m));
	m->env = *env;
}
