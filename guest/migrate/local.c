/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two rings in memory, one each way; all of it on the boot CPU.
 */
#include "guest/migrate/local.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"

#define RING (128u << 10)

struct pair;

struct end {
	struct mig_channel ch;
	struct pair *pair;
	bool closed;
	u32 head, len;	    /* of ring: what this end can receive */
	u8 ring[RING];
};

struct pair {
	struct end end[2];
};

static struct end *peer_of(struct end *e)
{
	return &e->pair->end[e == &e->pair->end[0]];
}

static void wake(struct end *e)
{
	if (!e->closed && e->ch.wake)
		e->ch.wake(e->ch.wake_ctx);
}

static int local_send(struct mig_channel *c, const u8 *data, u32 n)
{
	struct end *e = container_of(c, struct end, ch), *to = peer_of(e);

	if (to->closed)
		return -EPIPE;
	n = (u32)min_u64(n, RING - to->len);
	for (u32 i = 0; i < n;) {
		u32 at = (to->head + to->len) % RING;
		u32 part = (u32)min_u64(n - i, RING - at);

		memcpy(to->ring + at, data + i, part);
		to->len += part;
		i += part;
	}
	if (n)
		wake(to);
	return (int)n;
}

static int local_recv(struct mig_channel *c, u8 *data, u32 n)
{
	struct end *e = container_of(c, struct end, ch), *from = peer_of(e);

	if (!e->len)
		return from->closed ? -EPIPE : 0;
	n = (u32)min_u64(n, min_u64(e->len, RING - e->head));
	memcpy(data, e->ring + e->head, n);
	e->head = (e->head + n) % RING;
	e->len -= n;
	wake(from);
	return (int)n;
}

static void local_close(struct mig_channel *c)
{
	struct end *e = container_of(c, struct end, ch), *other = peer_of(e);

	e->closed = true;
	if (other->closed)
		kfree(hv_owner(), e->pair, sizeof(*e->pair));
	else
		wake(other);
}

int mig_local_pair(struct mig_channel *end[2])
{
	static const struct mig_channel_ops ops = { local_send, local_recv, local_close };
	struct pair *p = kalloc(hv_owner(), sizeof(*p));

	if (!p)
		return -ENOMEM;
	for (u32 i = 0; i < 2; i++) {
		p->end[i].ch.ops = &ops;
		p->end[i].pair = p;
		end[i] = &p->end[i].ch;
	}
	return 0;
}
