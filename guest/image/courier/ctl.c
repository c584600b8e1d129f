/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remote control: requests of several tools, one after another, to the one port godwit.ctl. A tool
 * that is attached to a console has the port until it leaves.
 */
#include "guest/image/courier/courier.h"
#include "kernel/base/bits.h"
#include "kernel/base/str.h"

#define CLIENTS 4u
#define LINE 600u /* the hypervisor says what is too long */
#define LEAVE 0x1d

static struct client {
	struct conn *conn; /* NULL: free */
	u32 len;
	bool whole;
	char line[LINE];
} clients[CLIENTS];

/* Whose reply is on its way, and how far it is. */
static struct client *owner;
static u32 turn;
static bool console, stream, escape;
static char word[6];
static u32 column;

/* Does the owner's turn end with this byte of the reply? */
static bool ends(u8 b)
{
	bool ok, error;

	if (stream) {
		ok = escape && b == '\n';
		escape = b == LEAVE && !escape;
		return ok;
	}
	if (b != '\n') {
		if (column < sizeof(word))
			word[column] = (char)b;
		column++;
		return false;
	}
	ok = column == 2 && !memcmp(word, "ok", 2);
	error = column >= 6 && !memcmp(word, "error ", 6);
	column = 0;
	stream = ok && console;
	escape = false;
	return error || (ok && !console);
}

static bool reply(void)
{
	const u8 *p;
	u32 n = port_peek(PORT_CTL, &p), i = 0;
	bool end = false;

	n = owner ? (u32)min_u64(n, conn_room(owner->conn)) : n;
	if (!n)
		return false;
	while (i < n && !end)
		end = ends(p[i++]);
	if (owner)
		conn_write(owner->conn, p, i);
	port_drop(PORT_CTL, i);
	if (end)
		owner = NULL;
	return true;
}

static bool listen(struct client *c)
{
	bool some = false;
	u32 n = 0;

	if (c == owner && stream) {
		char typed[1024];

		n = (u32)min_u64(sizeof(typed), port_room(PORT_CTL));
		n = n ? conn_read(c->conn, typed, n) : 0;
		port_write(PORT_CTL, typed, n);
		return n != 0;
	}
	while (!c->whole && c->len < LINE && (n = conn_read(c->conn, c->line + c->len, 1))) {
		c->whole = c->line[c->len++] == '\n';
		some = true;
	}
	if (c->whole || c->len < LINE)
		return some;
	c->len = 0; /* no request is that long */
	conn_write(c->conn, "error EINVAL too long\n", 22);
	return true;
}

static bool contains(const char *line, u32 len, const char *what)
{
	u32 n = (u32)strlen(what);

	for (u32 i = 0; i + n <= len; i++)
		if (!memcmp(line + i, what, n))
			return true;
	return false;
}

/* The next one that waits has its turn. */
static bool request(void)
{
	for (u32 i = 0; i < CLIENTS && !owner; i++) {
		struct client *c = &clients[turn++ % CLIENTS];

		if (!c->conn || !c->whole || port_room(PORT_CTL) < c->len)
			continue;
		owner = c;
		column = 0;
		stream = false;
		/* Raw bytes follow the "ok" of these, or the client is gone then. */
		console = contains(c->line, c->len, "vm console ") ||
			  contains(c->line, c->len, "save ") ||
			  contains(c->line, c->len, "restore");
		port_write(PORT_CTL, c->line, c->len);
		c->whole = false;
		c->len = 0;
		return true;
	}
	return false;
}

static void welcome(struct conn *conn)
{
	for (u32 i = 0; i < CLIENTS && !*conn_user(conn); i++)
		if (!clients[i].conn) {
			clients[i].conn = conn;
			clients[i].len = 0;
			clients[i].whole = false;
			*conn_user(conn) = &clients[i];
		}
}

static void bye(struct conn *conn)
{
	struct client *c = *conn_user(conn);

	if (c && c == owner) {
		port_reopen(PORT_CTL);
		owner = NULL;
	}
	if (c)
		c->conn = NULL;
	conn_close(conn);
}

bool ctl_poll(void)
{
	struct conn *conn;
	bool some = false;

	for (u32 i = 0; (conn = conn_next(CTL_TCP_PORT, &i));) {
		if (!*conn_user(conn))
			welcome(conn);
		if (*conn_user(conn))
			some |= listen(*conn_user(conn));
		if (conn_state(conn) == CONN_DOWN)
			bye(conn);
	}
	return some | request() | reply();
}

void ctl_init(void)
{
	tls_listen(CTL_TCP_PORT);
}
