/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels over the courier's port against a model courier that echoes: everything arrives once
 * and in order, nobody sends more than was granted, and what is against the rules ends it.
 */
#include "unit.h"

#include "devices/courier/mux.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"

static struct courier_mux m;
static u8 out[1u << 20];
static u32 out_len, out_room, accepts, wakes, says, seed;
static struct mig_channel *came;
static bool refuse;
static char last[COURIER_TEXT_MAX + 1];

static u32 rnd(u32 n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static u32 room(void *ctx)
{
	(void)ctx;
	return out_room - out_len;
}

static void send(void *ctx, const u8 *data, u32 n)
{
	(void)ctx;
	CHECK(out_len + n <= out_room);
	memcpy(out + out_len, data, n);
	out_len += n;
}

static int on_accept(void *ctx, struct mig_channel *c)
{
	(void)ctx;
	accepts++;
	came = c;
	return refuse ? -EBUSY : 0;
}

static void said(void *ctx, const char *why)
{
	(void)ctx;
	says++;
	strncpy(last, why, sizeof(last) - 1);
}

static void on_wake(void *ctx)
{
	(void)ctx;
	wakes++;
}

static void setup(void)
{
	const struct courier_env env = { NULL, room, send, on_accept, said };

	courier_mux_init(&m, &env);
	out_len = accepts = wakes = says = 0;
	out_room = sizeof(out);
	refuse = false;
	seed = 3;
	courier_mux_reset(&m, true);
}

static void frame(u8 type, u16 id, const void *data, u32 n)
{
	u8 head[COURIER_HEAD] = { type };

	put_le16(head + 2, id);
	put_le32(head + 4, n);
	courier_mux_input(&m, head, sizeof(head));
	courier_mux_input(&m, data, n);
}

/* The frame at the front of what was sent: its type; leaves the queue. */
static u8 next(u16 *id, u8 *data, u32 *n)
{
	u8 type = out[0];

	CHECK(out_len >= COURIER_HEAD);
	*id = get_le16(out + 2);
	*n = get_le32(out + 4);
	CHECK(out_len >= COURIER_HEAD + *n);
	memcpy(data, out + COURIER_HEAD, *n);
	out_len -= COURIER_HEAD + *n;
	memmove(out, out + COURIER_HEAD + *n, out_len);
	return type;
}

static struct mig_channel *connect(void)
{
	struct mig_channel *c = NULL;
	char why[80];

	CHECK_EQ(courier_mux_connect(&m, "10.0.0.2", 7000, &c, why, sizeof(why)), 0);
	c->wake = on_wake;
	return c;
}

TEST(opens_and_closes)
{
	u8 data[COURIER_TEXT_MAX], b[4];
	struct mig_channel *c, *d, *e = NULL;
	char why[80];
	u32 n;
	u16 id;

	setup();
	c = connect();
	CHECK_EQ(next(&id, data, &n), COURIER_OPEN);
	CHECK(id == 2 && n == 13 && !memcmp(data, "10.0.0.2:7000", 13));
	CHECK_EQ(c->ops->recv(c, b, 4), 0);
	frame(COURIER_DATA, 2, "ab", 2);
	frame(COURIER_CLOSE, 2, "gone\n", 5);
	CHECK(wakes == 2 && says == 1 && !strcmp(last, "gone?") && !strcmp(c->why, "gone?"));
	CHECK_EQ(c->ops->recv(c, b, 4), 2);
	CHECK_EQ(c->ops->recv(c, b, 4), -EPIPE);
	CHECK_EQ(c->ops->send(c, b, 4), -EPIPE);
	c->ops->close(c);
	CHECK_EQ(out_len, 0);
	/* As many as there are; one more is refused either way. */
	c = connect();
	(void)connect();
	(void)connect();
	frame(COURIER_OPEN, 1, "10.0.0.2:5", 10);
	CHECK_EQ(accepts, 1);
	d = came;
	CHECK_EQ(courier_mux_connect(&m, "h", 1, &e, why, sizeof(why)), -EBUSY);
	out_len = 0;
	frame(COURIER_OPEN, 3, "", 0);
	CHECK_EQ(next(&id, data, &n), COURIER_CLOSE);
	CHECK(id == 3 && accepts == 1);
	/* No room to say that it closed: said later, and the channel is not reused before. */
	out_room = 4;
	d->ops->close(d);
	frame(COURIER_DATA, 1, "late", 4);
	CHECK_EQ(courier_mux_connect(&m, "h", 1, &e, why, sizeof(why)), -EBUSY);
	out_room = sizeof(out);
	courier_mux_room(&m);
	CHECK_EQ(next(&id, data, &n), COURIER_CLOSE);
	CHECK_EQ(id, 1);
	refuse = true;
	frame(COURIER_OPEN, 5, "", 0);
	CHECK(next(&id, data, &n) == COURIER_CLOSE && id == 5);
	courier_mux_reset(&m, false);
	CHECK_EQ(c->ops->send(c, b, 1), -EPIPE);
	c->ops->close(c);
	CHECK_EQ(courier_mux_connect(&m, "h", 1, &e, why, sizeof(why)), -ENODEV);
}

/* The model: echoes what it gets as its own credit allows, grants what it has sent back. */
struct model {
	u8 held[COURIER_WINDOW];
	u32 len, credit, owed, granted;
};

static void model_run(struct model *w, u16 channel)
{
	static u8 data[COURIER_DATA_MAX];
	u8 b[COURIER_GRANT_MAX];
	u32 n;
	u16 id;

	while (out_len) {
		u8 type = next(&id, data, &n);

		CHECK(id == channel && (type == COURIER_DATA || type == COURIER_GRANT));
		if (type == COURIER_GRANT) {
			w->credit += get_le32(data);
			continue;
		}
		CHECK(n <= sizeof(w->held) - w->len - w->owed);
		memcpy(w->held + w->len, data, n);
		w->len += n;
	}
	n = 1 + rnd(COURIER_DATA_MAX);
	n = n > w->len ? w->len : n;
	n = n > w->credit ? w->credit : n;
	frame(COURIER_DATA, channel, w->held, n);
	memmove(w->held, w->held + n, w->len - n);
	w->len -= n;
	w->credit -= n;
	w->owed += n;
	if (rnd(3) == 0) {
		w->granted += w->owed;
		put_le32(b, w->owed);
		put_le64(b + 4, w->granted / 3); /* it compresses */
		frame(COURIER_GRANT, channel, b, rnd(2) ? 4 : COURIER_GRANT_MAX);
		w->owed = 0;
	}
}

TEST(echoes)
{
	static struct model w;
	static u8 buf[40000];
	u32 sent = 0, got = 0;
	struct mig_channel *c;

	setup();
	c = connect();
	out_len = 0;
	w = (struct model){ .credit = COURIER_WINDOW };
	while (got < 3000000) {
		u32 n = 1 + rnd(sizeof(buf));
		int rc;

		out_room = 100 + rnd(50000);
		for (u32 i = 0; i < n; i++)
			buf[i] = (u8)((sent + i) * 7 >> 3);
		rc = c->ops->send(c, buf, n);
		CHECK(rc >= 0 && (u32)rc <= n);
		sent += (u32)rc;
		rc = c->ops->recv(c, buf, 1 + rnd(sizeof(buf)));
		CHECK(rc >= 0);
		for (int i = 0; i < rc; i++, got++)
			CHECK_EQ(buf[i], (u8)(got * 7 >> 3));
		out_room = sizeof(out);
		courier_mux_room(&m);
		model_run(&w, 2);
	}
	CHECK(says == 0 && !m.broken);
	CHECK(c->wire > got / 4 && c->wire <= got / 3 + sizeof(w.held));
}

TEST(rules)
{
	static const struct {
		u8 type;
		u16 id;
		u32 n;
	} bad[] = {
		{ 0, 2, 0 },
		{ 9, 2, 0 },
		{ COURIER_DATA, 2, COURIER_DATA_MAX + 1 },
		{ COURIER_GRANT, 2, 3 },
		{ COURIER_GRANT, 2, COURIER_GRANT_MAX + 1 },
		{ COURIER_GRANT, 2, 4 }, /* of 2 more than there can be */
		{ COURIER_OPEN, 4, 0 },	 /* the hypervisor's numbers */
		{ COURIER_OPEN, 1, COURIER_TEXT_MAX + 1 },
		{ COURIER_CLOSE, 2, ~0u },
	};
	static const u8 two[COURIER_DATA_MAX + 8] = { 2 };

	for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct mig_channel *c;
		u8 head[COURIER_HEAD] = { bad[i].type };
		u8 b;

		setup();
		c = connect();
		put_le16(head + 2, bad[i].id);
		put_le32(head + 4, bad[i].n);
		courier_mux_input(&m, head, sizeof(head));
		courier_mux_input(&m, two, bad[i].n > sizeof(two) ? 8 : bad[i].n);
		CHECK(m.broken && says == 1 && wakes == 1);
		CHECK_EQ(c->ops->recv(c, &b, 1), -EPIPE);
		courier_mux_reset(&m, true);
		CHECK(!m.broken);
	}
	/* More than was granted. */
	setup();
	connect();
	for (u32 i = 0; i < COURIER_WINDOW / COURIER_DATA_MAX; i++)
		frame(COURIER_DATA, 2, two, COURIER_DATA_MAX);
	CHECK(!m.broken);
	frame(COURIER_DATA, 2, two, 1);
	CHECK(m.broken);
}

UNIT_MAIN({ "opens_and_closes", opens_and_closes }, { "echoes", echoes }, { "rules", rules })
