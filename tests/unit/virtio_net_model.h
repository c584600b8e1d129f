/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests with a driver for their NIC and the switch between them: a frame goes from one to another,
 * and what comes is compared with what was sent.
 */
#ifndef TESTS_UNIT_VIRTIO_NET_MODEL_H
#define TESTS_UNIT_VIRTIO_NET_MODEL_H

#include "unit.h"

#include "devices/virtio/virtio_net.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "virtio_driver.h"

#define F(x)	 BIT(VIRTIO_NET_F_##x)
#define V1	 BIT(VIRTIO_F_VERSION_1)
#define RING_ALL (BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC))
#define RINGP	 BIT(VIRTIO_F_RING_PACKED)
#define OFFLOADS                                                                           \
	(F(CSUM) | F(GUEST_CSUM) | F(GUEST_TSO4) | F(GUEST_TSO6) | F(HOST_TSO4) |          \
	 F(HOST_TSO6) | F(GUEST_USO4) | F(GUEST_USO6) | F(HOST_USO))

#define QSIZE 128u
#define RXBUF 1600u
#define TXBUF 70000u

/* A guest: memory, driver, NIC. */
struct guest {
	struct vd_ram ram;
	struct vp p;
	struct virtio_net n;
	u32 port;
	bool deferred, timed;
	u64 timer;
	gpa_t rx_mem[4], tx_mem[4], ctl_mem;
	u32 rx_len;		/* bytes of a receive buffer */
	gpa_t rx_at[4][VD_MAX]; /* by ID */
	/* The last packet. */
	u8 hdr[12], data[70000];
	u32 len, packets;
};

static struct guest g[3];
static struct vswitch sw;
static struct virtio_net_scratch scratch;
static u64 now, patience = VIRTIO_NET_POLL_NS; /* how long a test waits for a frame sent */
static u32 seed = 3;

static u32 rnd(u32 n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static u64 env_now(void *ctx)
{
	(void)ctx;
	return now;
}

static void env_defer(void *ctx)
{
	((struct guest *)ctx)->deferred = true;
}

static void env_timer(void *ctx, u64 ns)
{
	struct guest *x = ctx;

	x->timer = now + ns;
	x->timed = true;
}

static void env_room(void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < 3; i++)
		if (g[i].n.waiting)
			g[i].deferred = true;
}

/* Run what was put off; time passes when nothing else is left to do. */
static void settle(u64 until)
{
	for (u32 round = 0; round < 100000; round++) {
		bool busy = false;

		for (unsigned i = 0; i < 3; i++) {
			if (g[i].timed && g[i].timer <= now)
				g[i].timed = false, g[i].deferred = true;
			if (!g[i].deferred)
				continue;
			g[i].deferred = false;
			virtio_net_work(&g[i].n);
			busy = true;
		}
		if (busy)
			continue;
		if (now >= until)
			return;
		now = until;
		for (unsigned i = 0; i < 3; i++)
			if (g[i].timed && g[i].timer < now)
				now = g[i].timer;
	}
	CHECK(!"settled");
}

static void plug(unsigned i, u16 pairs)
{
	struct guest *x = &g[i];
	struct virtio_net_config cfg = { { 0x52, 0, 0, 0, 0, (u8)i }, pairs, 1500, true, 1000 };
	struct vswitch_config pc = { .name = "g", .mtu = 1500 };
	struct virtio_net_env env = { x, env_now, env_defer, env_timer, env_room };
	struct virtio_env pci = vp_env(&x->p);
	struct netbe be;

	memset(x, 0, sizeof(*x));
	vd_ram_init(&x->ram, VD_PAGES, i % 2);
	x->p.msix = true;
	memcpy(pc.mac, cfg.mac, 6);
	virtio_net_init(&x->n, &cfg, &env, &scratch, &x->ram.mem, &pci);
	be = virtio_net_be(&x->n);
	CHECK_EQ(vswitch_add(&sw, &pc, &be, now, &x->port), 0);
	virtio_net_attach(&x->n, &sw, x->port);
	vp_probe(&x->p, &x->n.dev, &x->ram);
}

static u32 rx_cut = 100; /* bytes of the first of two pieces of a receive buffer */

static void add_rx(struct guest *x, unsigned pair, gpa_t at)
{
	u32 cut = rx_cut;
	struct vd_buf b[2] = { { at, cut, true }, { at + cut, x->rx_len - cut, true } };
	int id = vd_add(&x->p.vd[pair * 2], b, cut < x->rx_len ? 2 : 1, 0);

	CHECK(id >= 0);
	x->rx_at[pair][id] = at;
}

static void up(unsigned i, u64 features, u16 pairs, u32 rx_buffers)
{
	struct guest *x = &g[i];

	CHECK(vp_negotiate(&x->p, features | V1));
	x->rx_len = features & F(MRG_RXBUF) ? RXBUF : features & F(GUEST_TSO4) ? TXBUF : RXBUF;
	for (unsigned k = 0; k < pairs; k++) {
		vp_queue(&x->p, 2 * k, QSIZE);
		vp_queue(&x->p, 2 * k + 1, QSIZE);
		x->rx_mem[k] = vp_alloc(&x->p, x->rx_len * rx_buffers);
		x->tx_mem[k] = vp_alloc(&x->p, TXBUF);
	}
	if (features & F(CTRL_VQ)) {
		vp_queue(&x->p, features & F(MQ) ? x->n.cfg.pairs * 2u : 2, 16);
		x->ctl_mem = vp_alloc(&x->p, 4096);
	}
	vp_ready(&x->p);
	for (unsigned k = 0; k < pairs; k++) {
		for (u32 b = 0; b < rx_buffers; b++)
			add_rx(x, k, x->rx_mem[k] + b * x->rx_len);
		vp_kick(&x->p, 2 * k);
	}
}

static void setup(void)
{
	now = BUCKET_SECOND;
	vswitch_init(&sw);
	for (unsigned i = 0; i < 3; i++)
		plug(i, 1);
}

static void done(void)
{
	for (unsigned i = 0; i < 3; i++)
		vd_ram_free(&g[i].ram);
}

/* Take one packet from the receive queue, put its buffers back; false: none. */
static bool receive(unsigned i, unsigned pair)
{
	struct guest *x = &g[i];
	struct vd *d = &x->p.vd[pair * 2];
	u32 len, buffers = 1;

	x->len = 0;
	for (u32 b = 0; b < buffers; b++) {
		int id = vd_get(d, &len);

		if (id < 0) {
			CHECK_EQ(b, 0); /* a packet shows whole or not at all */
			return false;
		}
		CHECK(len <= x->rx_len);
		if (!b) {
			CHECK(len > 12);
			vd_peek(&x->ram, x->rx_at[pair][id], x->hdr, 12);
			buffers = x->hdr[10] | x->hdr[11] << 8;
			CHECK(buffers >= 1);
			vd_peek(&x->ram, x->rx_at[pair][id] + 12, x->data, len - 12);
			x->len = len - 12;
		} else {
			vd_peek(&x->ram, x->rx_at[pair][id], x->data + x->len, len);
			x->len += len;
		}
		add_rx(x, pair, x->rx_at[pair][id]);
	}
	vp_kick(&x->p, pair * 2);
	x->packets++;
	return true;
}

static u8 frame[70000];

/* An Ethernet frame of random bytes from guest i to guest 'to' (FFh: everybody). */
static void make(unsigned i, u32 to, u32 len)
{
	for (u32 k = 0; k < len; k++)
		frame[k] = (u8)rnd(256);
	memset(frame, to == 0xff ? 0xff : 0, 6);
	if (to != 0xff)
		frame[0] = 0x52, frame[5] = (u8)to;
	memcpy(frame + 6, (u8[]){ 0x52, 0, 0, 0, 0, (u8)i, 0x88, 0xb5 }, 8);
}

/* Queue frame[] with header h, header and frame cut into pieces somewhere. */
static int post(unsigned i, unsigned pair, const u8 *h, u32 len)
{
	struct guest *x = &g[i];
	struct vd *d = &x->p.vd[pair * 2 + 1];
	gpa_t at = x->tx_mem[pair];
	u32 cut = rnd(len - 1) + 1;
	struct vd_buf b[3] = { { at, 12, false },
			       { at + 12, cut, false },
			       { at + 12 + cut, len - cut, false } };
	u32 used;

	while (vd_get(d, &used) >= 0)
		CHECK_EQ(used, 0);
	vd_poke(&x->ram, at, h, 12);
	vd_poke(&x->ram, at + 12, frame, len);
	if (rnd(2)) { /* header and frame in one */
		b[1].gpa -= 12;
		b[1].len += 12;
		return vd_add(d, b + 1, 2, 0);
	}
	return vd_add(d, b, 3, 0);
}

static void send_hdr(unsigned i, unsigned pair, const u8 *h, u32 len)
{
	CHECK(post(i, pair, h, len) >= 0);
	vp_kick(&g[i].p, pair * 2 + 1);
	settle(now + patience);
}

static void send(unsigned i, u32 to, u32 len)
{
	const u8 h[12] = { 0 };

	make(i, to, len);
	send_hdr(i, 0, h, len);
}

static void exchange(u64 features)
{
	setup();
	up(0, features, 1, 20);
	up(1, features, 1, 20);
	up(2, 0, 1, 20);
	for (u32 k = 0; k < 500; k++) {
		u32 from = k & 1, len = 14 + rnd(1501);

		send(from, !from, len);
		CHECK(receive(!from, 0));
		CHECK_EQ(g[!from].len, len);
		CHECK(!memcmp(g[!from].data, frame, len));
		CHECK(!receive(!from, 0));
		CHECK(!receive(2, 0));
	}
	send(2, 0xff, 60);
	CHECK(receive(0, 0) && receive(1, 0));
	CHECK(!receive(2, 0));
	CHECK(g[0].p.irqs[1] && g[1].p.irqs[1]);
	CHECK_EQ(g[0].p.breaks + g[1].p.breaks, 0);
	done();
}

#endif
