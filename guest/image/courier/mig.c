/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels between the hypervisor's port godwit.mig and TLS connections to other couriers, by the
 * frames of devices/courier/frame.h.
 */
#include "devices/courier/frame.h"
#include "guest/image/courier/courier.h"
#include "guest/image/lib/serial.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/str.h"

#define CHANNELS 6u

static struct channel {
	struct conn *conn; /* NULL: free */
	u16 id;
	bool shut; /* by the hypervisor: ends when all has been sent */
	u32 credit, owed, head, tail;
	struct pack pack;
	u8 ring[COURIER_WINDOW];
} channels[CHANNELS];

static u16 last_id = 1;

/* The frame that comes in. */
static u8 head[COURIER_HEAD];
static u32 have, left, text_len;
static char text[COURIER_TEXT_MAX + 1];

static struct channel *find(u16 id)
{
	for (u32 i = 0; i < CHANNELS; i++)
		if (channels[i].conn && channels[i].id == id)
			return &channels[i];
	return NULL;
}

static bool put(enum courier_frame type, u16 id, const void *data, u32 n)
{
	u8 h[COURIER_HEAD] = { (u8)type };

	if (port_room(PORT_MIG) < COURIER_HEAD + n)
		return false;
	put_le16(h + 2, id);
	put_le32(h + 4, n);
	port_write(PORT_MIG, h, sizeof(h));
	port_write(PORT_MIG, data, n);
	return true;
}

static bool put_text(enum courier_frame type, u16 id, const char *s)
{
	return put(type, id, s, (u32)min_u64(strlen(s), COURIER_TEXT_MAX));
}

static struct channel *begin(struct conn *conn, u16 id)
{
	for (u32 i = 0; i < CHANNELS; i++) {
		struct channel *c = &channels[i];

		if (c->conn)
			continue;
		c->conn = conn;
		c->id = id;
		c->shut = false;
		c->credit = COURIER_WINDOW;
		c->owed = c->head = c->tail = 0;
		c->pack.have = 0;
		c->pack.wire = 0;
		*conn_user(conn) = c;
		return c;
	}
	return NULL;
}

static void end(struct channel *c)
{
	conn_close(c->conn);
	c->conn = NULL;
}

/* ---- from the hypervisor ------------------------------------------------------------------ */

static void open(u16 id)
{
	struct conn *conn;

	text[text_len] = '\0';
	conn = conn_connect(text);
	if (conn && begin(conn, id))
		return;
	if (conn)
		conn_close(conn);
	(void)put_text(COURIER_CLOSE, id, conn ? "too many channels" :
						 "HOST must be an address, as 10.0.0.2");
}

static void finish(void)
{
	u16 id = get_le16(head + 2);
	struct channel *c = find(id);

	if (head[0] == COURIER_OPEN)
		open(id);
	else if (c && head[0] == COURIER_GRANT)
		c->credit += get_le32(text);
	else if (c && head[0] == COURIER_CLOSE)
		c->shut = true;
}

static void payload(const u8 *p, u32 n)
{
	struct channel *c = find(get_le16(head + 2));

	if (head[0] != COURIER_DATA) {
		u32 part = (u32)min_u64(n, COURIER_TEXT_MAX - text_len);

		memcpy(text + text_len, p, part);
		text_len += part;
	}
	if (c && head[0] == COURIER_DATA) {
		u32 at = c->head % COURIER_WINDOW, part = (u32)min_u64(n, COURIER_WINDOW - at);

		memcpy(c->ring + at, p, part);
		memcpy(c->ring, p + part, n - part);
		c->head += n;
	}
}

static bool input(void)
{
	const u8 *p;
	u32 n = port_peek(PORT_MIG, &p), part;

	if (!n)
		return false;
	if (have < COURIER_HEAD) {
		part = (u32)min_u64(n, COURIER_HEAD - have);
		memcpy(head + have, p, part);
		have += part;
		left = have == COURIER_HEAD ? get_le32(head + 4) : 0;
		text_len = 0;
	} else {
		part = (u32)min_u64(n, left);
		payload(p, part);
		left -= part;
	}
	port_drop(PORT_MIG, part);
	if (have == COURIER_HEAD && !left) {
		have = 0;
		finish();
	}
	return true;
}

/* ---- between channel and connection --------------------------------------------------------- */

static bool send(struct channel *c)
{
	u32 at = c->tail % COURIER_WINDOW;
	u32 n = (u32)min_u64(c->head - c->tail, COURIER_WINDOW - at);
	u8 more[COURIER_GRANT_MAX];

	if (conn_packed(c->conn)) {
		n = pack_write(&c->pack, c->conn, c->ring + at, n);
	} else {
		n = (u32)min_u64(n, conn_room(c->conn));
		if (n)
			conn_write(c->conn, c->ring + at, n);
		c->pack.wire += n;
	}
	if (!n)
		return false;
	c->tail += n;
	c->owed += n;
	put_le32(more, c->owed);
	put_le64(more + 4, c->pack.wire);
	if (c->owed >= COURIER_WINDOW / 4 && put(COURIER_GRANT, c->id, more, sizeof(more)))
		c->owed = 0;
	return true;
}

static bool receive(struct channel *c)
{
	static u8 buf[COURIER_DATA_MAX];
	u32 room = port_room(PORT_MIG), n = (u32)min_u64(c->credit, sizeof(buf));

	n = room > COURIER_HEAD ? (u32)min_u64(n, room - COURIER_HEAD) : 0;
	n = !n		      ? 0 :
	    conn_packed(c->conn) ? pack_read(&c->pack, c->conn, buf, n) :
				   conn_read(c->conn, buf, n);
	if (!n)
		return false;
	c->credit -= n;
	return put(COURIER_DATA, c->id, buf, n);
}

static bool serve(struct channel *c)
{
	bool some = send(c);

	if (!c->shut)
		some |= receive(c);
	if (conn_state(c->conn) == CONN_DOWN) {
		if (!c->shut && !put_text(COURIER_CLOSE, c->id, conn_error(c->conn)))
			return some;
		end(c);
	} else if (c->shut && c->head == c->tail && conn_state(c->conn) == CONN_UP) {
		end(c);
	}
	return some;
}

static void arrived(struct conn *conn)
{
	struct channel *c;

	last_id = (u16)(last_id + 2);
	c = begin(conn, last_id);
	if (c && put_text(COURIER_OPEN, c->id, conn_peer(conn)))
		return;
	if (c)
		end(c);
	else
		conn_close(conn);
}

bool mig_poll(void)
{
	struct conn *conn;
	bool some = input();

	for (u32 i = 0; (conn = conn_next(MIG_TCP_PORT, &i));)
		if (!*conn_user(conn))
			arrived(conn);
	for (u32 i = 0; i < CHANNELS; i++)
		if (channels[i].conn)
			some |= serve(&channels[i]);
	return some;
}

void mig_init(void)
{
	tls_listen(MIG_TCP_PORT);
}
