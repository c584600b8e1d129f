/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests' drivers, NICs and the switch between them, in one process: every form of ring and
 * offload, receivers that run dry, control commands, several queues, save and load.
 */
#include "virtio_net_model.h"

TEST(frames)
{
	exchange(0);
	exchange(RING_ALL);
	exchange(RING_ALL | F(MRG_RXBUF));
	exchange(RINGP);
	exchange(RING_ALL | RINGP | F(MRG_RXBUF) | BIT(VIRTIO_F_IN_ORDER));
}

static u16 be16(const u8 *p)
{
	return (u16)(p[0] << 8 | p[1]);
}

/* A TCP/IPv4 frame to be cut, its checksum not done. */
static void make_tso(unsigned i, u32 to, u32 payload, u32 mss, u8 *h)
{
	make(i, to, 54 + payload);
	frame[12] = 8, frame[13] = 0;
	frame[14] = 0x45, frame[23] = 6, frame[46] = 0x50, frame[47] = 0x10;
	memset(h, 0, 12);
	h[0] = 1;	     /* NEEDS_CSUM */
	h[1] = 1;	     /* TCPV4 */
	h[2] = 54;
	h[4] = (u8)mss, h[5] = (u8)(mss >> 8);
	h[6] = 34, h[8] = 16;
}

TEST(offload_metadata_passes)
{
	u8 h[12];

	for (int packed = 0; packed < 2; packed++) {
		setup();
		up(0, OFFLOADS | F(MRG_RXBUF) | RING_ALL | (packed ? RINGP : 0), 1, 60);
		up(1, OFFLOADS | F(MRG_RXBUF) | RING_ALL | (packed ? RINGP : 0), 1, 60);
		for (u32 k = 0; k < 50; k++) {
			make_tso(0, 1, 60000, 1448, h);
			send_hdr(0, 0, h, 60054);
			CHECK(receive(1, 0));
			CHECK_EQ(g[1].len, 60054);
			CHECK(!memcmp(g[1].data, frame, 60054));
			CHECK(!memcmp(g[1].hdr, h, 10));
			CHECK_EQ(be16((u8[]){ g[1].hdr[11], g[1].hdr[10] }),
				 (60066 + RXBUF - 1) / RXBUF);
		}
		done();
	}
}

TEST(offload_in_software)
{
	u8 h[12];
	u32 got = 0;

	setup();
	up(0, OFFLOADS, 1, 2);
	up(1, 0, 1, 60); /* takes nothing unfinished */
	make_tso(0, 1, 30000, 1000, h);
	send_hdr(0, 0, h, 30054);
	while (receive(1, 0)) {
		CHECK_EQ(g[1].len, 1054);
		CHECK_EQ(g[1].hdr[0] | g[1].hdr[1], 0);
		CHECK(!memcmp(g[1].data + 54, frame + 54 + got, 1000));
		got += 1000;
	}
	CHECK_EQ(got, 30000);
	done();
}

TEST(offload_not_negotiated)
{
	u8 h[12];

	setup();
	up(0, F(CSUM), 1, 2);
	up(1, 0, 1, 20);
	make_tso(0, 1, 3000, 1000, h);
	send_hdr(0, 0, h, 3054);
	CHECK_EQ(sw.port[g[0].port].count.tx_drop[NET_DROP_OFFLOAD], 1);
	h[1] = 77;
	send_hdr(0, 0, h, 3054);
	CHECK_EQ(sw.port[g[0].port].count.tx_drop[NET_DROP_OFFLOAD], 2);
	CHECK(!receive(1, 0));
	CHECK(!vp_negotiate(&g[2].p, V1 | F(HOST_TSO4)));
	CHECK(!vp_negotiate(&g[2].p, V1 | F(GUEST_TSO4)));
	CHECK(!vp_negotiate(&g[2].p, V1 | F(CTRL_RX)));
	done();
}

/* Short chains are given back and counted; the queue goes on. */
TEST(odd_chains)
{
	struct vd_buf b = { 0, 5, false };
	u32 used;

	setup();
	up(0, 0, 1, 2);
	up(1, 0, 1, 2);
	b.gpa = g[0].tx_mem[0];
	CHECK(vd_add(&g[0].p.vd[1], &b, 1, 0) >= 0);
	b.len = 12;
	CHECK(vd_add(&g[0].p.vd[1], &b, 1, 0) >= 0);
	b.len = 200, b.in = true; /* nothing readable */
	CHECK(vd_add(&g[0].p.vd[1], &b, 1, 0) >= 0);
	vp_kick(&g[0].p, 1);
	settle(now + VIRTIO_NET_POLL_NS); /* given back in a while */
	for (u32 i = 0; i < 3; i++)
		CHECK(vd_get(&g[0].p.vd[1], &used) >= 0 && !used);
	CHECK_EQ(sw.port[g[0].port].count.tx_drop[NET_DROP_RUNT], 3);
	send(0, 1, 60);
	CHECK(receive(1, 0));
	/* A buffer without room for a header breaks the receiver only. */
	b = (struct vd_buf){ g[2].p.next, 5, true };
	CHECK(vp_negotiate(&g[2].p, V1));
	vp_queue(&g[2].p, 0, 16);
	vp_ready(&g[2].p);
	CHECK(vd_add(&g[2].p.vd[0], &b, 1, 0) >= 0);
	send(0, 2, 60);
	CHECK_STR(g[2].p.why, "receive buffer too small");
	send(0, 1, 60);
	CHECK(receive(1, 0));
	done();
}

/* A receiver that is behind makes its senders wait, without loss; one that sleeps does not. */
TEST(receiver_runs_dry)
{
	for (int packed = 0; packed < 2; packed++) {
		u64 f = RING_ALL | (packed ? RINGP : 0);
		const u8 h[12] = { 0 };
		u32 sent = 0, used, got = 0;

		setup();
		up(0, f, 1, 2);
		up(1, f, 1, 4);
		for (u32 step = 0; step < 3000; step++) {
			if (rnd(2)) {
				make(0, 1, 64);
				/*
				 * The same buffer holds each frame: one in flight at a time matters
				 * not here.
				 */
				if (post(0, 0, h, 64) >= 0)
					sent++;
				vp_kick(&g[0].p, 1);
			} else if (receive(1, 0)) {
				got++;
			}
			settle(now + VIRTIO_NET_POLL_NS / 20);
		}
		do
			settle(now + VIRTIO_NET_POLL_NS);
		while (receive(1, 0) && ++got);
		CHECK_EQ(got, sent);
		CHECK(sent > 1000);
		/* Asleep: after a while frames are dropped, and the sender goes on. */
		for (u32 k = 0; k < 12; k++) {
			make(0, 1, 64);
			CHECK(post(0, 0, h, 64) >= 0);
		}
		vp_kick(&g[0].p, 1);
		settle(now + VIRTIO_NET_POLL_NS);
		CHECK_EQ(sw.port[g[1].port].count.rx_drop[NET_DROP_STALLED], 0);
		settle(now + 2 * VIRTIO_NET_PATIENCE_NS);
		CHECK_EQ(sw.port[g[1].port].count.rx_drop[NET_DROP_STALLED], 8);
		while (vd_get(&g[0].p.vd[1], &used) >= 0)
			;
		CHECK_EQ(g[0].p.vd[1].free, QSIZE);
		done();
	}
}

/* One who sends and sends is not asked to kick; who also listens is, at once. */
TEST(kicks_and_interrupts)
{
	const u8 h[12] = { 0 };

	for (int packed = 0; packed < 2; packed++) {
		u32 kicks = 0, got = 0;

		setup();
		up(0, RING_ALL | (packed ? RINGP : 0), 1, 10);
		up(1, RING_ALL | (packed ? RINGP : 0), 1, 60);
		for (u32 i = 0; i < 2000; i++) {
			struct vd_buf b = { g[0].tx_mem[0], 112, false };
			u32 used;

			while (vd_get(&g[0].p.vd[1], &used) >= 0)
				vd_irq(&g[0].p.vd[1], true);
			make(0, 1, 100);
			vd_poke(&g[0].ram, b.gpa, h, 12);
			vd_poke(&g[0].ram, b.gpa + 12, frame, 100);
			CHECK(vd_add(&g[0].p.vd[1], &b, 1, 0) >= 0);
			if (vd_should_kick(&g[0].p.vd[1])) {
				kicks++;
				vp_write(&g[0].p, g[0].p.notify + g[0].p.step, 2, 1);
			}
			settle(now + 5000);
			while (receive(1, 0))
				got++;
		}
		settle(now + 2 * VIRTIO_NET_POLL_NS);
		while (receive(1, 0))
			got++;
		CHECK_EQ(got, 2000);
		CHECK(kicks <= VIRTIO_NET_STREAK);
		CHECK(g[0].p.irqs[2] < 2000 / 10);
		CHECK(g[1].p.irqs[1] < 2000 / 10);
		settle(now + 2 * VIRTIO_NET_POLL_NS);
		/* To and fro: each at once, and sent chains cost no interrupt each. */
		g[0].p.irqs[2] = 0;
		patience = 0;
		for (u32 i = 0; i < 100; i++) {
			send(0, 1, 60);
			CHECK(receive(1, 0));
			send(1, 0, 60);
			CHECK(receive(0, 0));
			settle(now + 5000);
		}
		CHECK(g[0].p.irqs[2] < 12);
		patience = VIRTIO_NET_POLL_NS;
		done();
	}
}

TEST(rate_holds)
{
	const u8 h[12] = { 0 };
	u32 got = 0;

	setup();
	up(0, RING_ALL, 1, 2);
	up(1, RING_ALL, 1, 30);
	vswitch_set_rate(&sw, g[0].port, 10000000, 0, now);
	for (u32 ms = 0; ms < 10000; ms++) {
		for (u32 k = 0; k < 4; k++) {
			make(0, 1, 1250);
			(void)post(0, 0, h, 1250);
			vp_kick(&g[0].p, 1);
		}
		settle(now + 1000000);
		while (receive(1, 0))
			got++;
	}
	/* 1000 frames a second for 10 s, and a burst of 128 KiB. */
	CHECK(got > 9500 && got < 10605);
	CHECK_EQ(sw.port[g[1].port].count.rx_drop[NET_DROP_BUFFER], 0);
	done();
}

/* ---- control queue -------------------------------------------------------------------------- */

static u8 ctl(unsigned i, u8 class, u8 cmd, const void *data, u32 len)
{
	struct guest *x = &g[i];
	unsigned q = virtio_has(&x->n.dev, VIRTIO_NET_F_MQ) ? x->n.cfg.pairs * 2u : 2;
	u8 b[2048] = { class, cmd }, ack = 0xee;
	struct vd_buf buf[3] = { { x->ctl_mem, 2, false },
				 { x->ctl_mem + 2, len, false },
				 { x->ctl_mem + 4000, 1, true } };
	u32 used;

	memcpy(b + 2, data, len);
	vd_poke(&x->ram, x->ctl_mem, b, len + 2);
	if (!len)
		buf[1] = buf[2];
	CHECK(vd_add(&x->p.vd[q], buf, len ? 3 : 2, 0) >= 0);
	vp_kick(&x->p, q);
	CHECK(vd_get(&x->p.vd[q], &used) >= 0);
	CHECK_EQ(used, 1);
	vd_peek(&x->ram, x->ctl_mem + 4000, &ack, 1);
	return ack;
}

TEST(reception_modes)
{
	u8 table[4 + 6 + 4 + 6] = { 0 }, big[300] = { 0 };
	const u8 on = 1, off = 0;
	u8 group[6] = { 0x33, 0x33, 0, 0, 0, 7 };
	const u8 h[12] = { 0 };

	setup();
	up(0, 0, 1, 8);
	up(1, F(CTRL_VQ) | F(CTRL_RX) | F(CTRL_RX_EXTRA) | F(CTRL_MAC_ADDR), 1, 8);
	make(0, 1, 60);
	memcpy(frame, group, 6);
	send_hdr(0, 0, h, 60);
	CHECK(receive(1, 0)); /* promiscuous at first */
	CHECK_EQ(ctl(1, 0, 0, &off, 1), 0);
	send_hdr(0, 0, h, 60);
	CHECK(!receive(1, 0));
	CHECK_EQ(sw.port[g[1].port].count.rx_drop[NET_DROP_FILTER], 1);
	table[4 + 0] = 1; /* no unicast, one group address */
	memcpy(table + 8, group, 6);
	CHECK_EQ(ctl(1, 1, 0, table, 14), 0);
	make(0, 1, 60);
	memcpy(frame, group, 6);
	send_hdr(0, 0, h, 60);
	CHECK(receive(1, 0));
	CHECK_EQ(ctl(1, 0, 3, &on, 1), 0); /* no multicast */
	send_hdr(0, 0, h, 60);
	CHECK(!receive(1, 0));
	CHECK_EQ(ctl(1, 0, 3, &off, 1), 0);
	CHECK_EQ(ctl(1, 0, 5, &on, 1), 0); /* no broadcast */
	send(0, 0xff, 60);
	CHECK(!receive(1, 0));
	send(0, 1, 60);
	CHECK(receive(1, 0));
	CHECK_EQ(ctl(1, 0, 4, &on, 1), 0); /* no unicast */
	send(0, 1, 60);
	CHECK(!receive(1, 0));
	/* Malformed: refused, nothing changes. */
	CHECK_EQ(ctl(1, 0, 6, &on, 1), 1);
	CHECK_EQ(ctl(1, 0, 0, &on, 0), 1);
	CHECK_EQ(ctl(1, 1, 0, table, 12), 1);
	CHECK_EQ(ctl(1, 9, 0, table, 4), 1);
	CHECK_EQ(ctl(1, 1, 1, g[1].n.cfg.mac, 6), 0);
	CHECK_EQ(ctl(1, 1, 1, group, 6), 1);
	/*
	 * More addresses than there is room for: all are listened to, and a small table ends that.
	 */
	big[0] = 40;
	CHECK_EQ(ctl(1, 1, 0, big, 4 + 240 + 4), 0);
	make(0, 1, 60);
	frame[0] = 0x33;
	send_hdr(0, 0, h, 60);
	CHECK(receive(1, 0));
	CHECK_EQ(ctl(1, 1, 0, table, 14), 0);
	send_hdr(0, 0, h, 60);
	CHECK(!receive(1, 0));
	done();
}

TEST(vlan_filter)
{
	struct vswitch_config pc = { .name = "trunk", .mac = { 0x52, 0, 0, 0, 0, 2 }, .mtu = 1500,
				     .trunk = true };
	struct netbe be;
	const u8 five[2] = { 5, 0 };
	const u8 h[12] = { 0 };

	setup();
	vswitch_remove(&sw, g[2].port);
	be = virtio_net_be(&g[2].n);
	CHECK_EQ(vswitch_add(&sw, &pc, &be, now, &g[2].port), 0);
	virtio_net_attach(&g[2].n, &sw, g[2].port);
	CHECK_EQ(vswitch_allow(&sw, g[2].port, 5), 0);
	CHECK_EQ(vswitch_set_vlan(&sw, g[0].port, 5), 0);
	up(0, 0, 1, 4);
	up(2, F(CTRL_VQ) | F(CTRL_VLAN), 1, 4);
	send(0, 0xff, 60);
	CHECK(!receive(2, 0)); /* the driver has not asked for VLAN 5 */
	CHECK_EQ(ctl(2, 2, 0, five, 2), 0);
	send(0, 0xff, 60);
	CHECK(receive(2, 0));
	CHECK_EQ(g[2].len, 64);
	CHECK_EQ(ctl(2, 2, 1, five, 2), 0);
	send(0, 0xff, 60);
	CHECK(!receive(2, 0));
	/* And back, tagged, to an access port that knows no tags. */
	make(2, 0, 64);
	memcpy(frame + 12, (u8[]){ 0x81, 0, 0, 5, 0x88, 0xb5 }, 6);
	send_hdr(2, 0, h, 64);
	CHECK(receive(0, 0));
	CHECK_EQ(g[0].len, 60);
	done();
}

TEST(registers_link_announce)
{
	struct vp *p = &g[1].p;
	const u8 none = 0;

	setup();
	up(0, 0, 1, 4);
	up(1, F(CTRL_VQ) | F(GUEST_ANNOUNCE) | F(STATUS), 1, 4);
	CHECK_EQ(vp_read(p, p->device, 4), 0x52);
	CHECK_EQ(vp_read(p, p->device + 5, 1), 1);
	CHECK_EQ(vp_read(p, p->device + 6, 2), 1);
	CHECK_EQ(vp_read(p, p->device + 8, 2), 1);
	CHECK_EQ(vp_read(p, p->device + 10, 2), 1500);
	CHECK_EQ(vp_read(p, p->device + 12, 4), 1000);
	CHECK_EQ(vp_read(p, p->device + 16, 1), 1);
	virtio_net_announce(&g[1].n);
	CHECK_EQ(vp_read(p, p->device + 6, 2), 3);
	CHECK_EQ(p->irqs[0], 1);
	CHECK_EQ(ctl(1, 3, 0, &none, 0), 0);
	CHECK_EQ(vp_read(p, p->device + 6, 2), 1);
	virtio_net_set_link(&g[1].n, false);
	CHECK_EQ(vp_read(p, p->device + 6, 2), 0);
	CHECK_EQ(p->irqs[0], 2);
	send(0, 1, 60);
	CHECK(!receive(1, 0));
	virtio_net_set_link(&g[1].n, true);
	send(0, 1, 60);
	CHECK(receive(1, 0));
	done();
}

TEST(several_queues)
{
	u64 f = RING_ALL | F(CTRL_VQ) | F(MQ) | F(MRG_RXBUF);
	const u8 pairs[2] = { 4, 0 }, five[2] = { 5, 0 }, zero[2] = { 0, 0 };
	const u8 h[12] = { 0 };
	u32 used = 0;

	setup();
	done();
	vswitch_init(&sw);
	for (unsigned i = 0; i < 3; i++)
		plug(i, 4);
	up(0, f, 4, 8);
	up(1, f, 4, 8);
	CHECK_EQ(ctl(1, 4, 0, five, 2), 1);
	CHECK_EQ(ctl(1, 4, 0, zero, 2), 1);
	CHECK_EQ(ctl(0, 4, 0, pairs, 2), 0);
	CHECK_EQ(ctl(1, 4, 0, pairs, 2), 0);
	/* Answers of a flow come back on the queue it was sent from. */
	for (u32 k = 0; k < 200; k++) {
		unsigned from = k % 4;
		u8 ip[26] = { 0x45 };

		for (u32 b = 12; b < 24; b++)
			ip[b] = (u8)rnd(256);
		make(1, 0, 80);
		frame[12] = 8, frame[13] = 0;
		memcpy(frame + 14, ip, 26);
		send_hdr(1, from, h, 80);
		for (unsigned q = 0; q < 4; q++)
			while (receive(0, q))
				;
		make(0, 1, 80);
		frame[12] = 8, frame[13] = 0;
		memcpy(frame + 14, ip, 26);
		memcpy(frame + 26, ip + 16, 4); /* source and destination exchanged, ports too */
		memcpy(frame + 30, ip + 12, 4);
		memcpy(frame + 34, ip + 22, 2);
		memcpy(frame + 36, ip + 20, 2);
		send_hdr(0, 0, h, 80);
		CHECK(receive(1, from));
		used |= 1u << from;
	}
	CHECK_EQ(used, 15);
	done();
	/* Without MQ the control queue is the third. */
	vswitch_init(&sw);
	for (unsigned i = 0; i < 3; i++)
		plug(i, 4);
	up(0, F(CTRL_VQ) | F(CTRL_RX), 1, 4);
	CHECK_EQ(ctl(0, 0, 0, (u8[]){ 0 }, 1), 0);
	done();
}

TEST(moves)
{
	static u8 was[sizeof(struct virtio_net)];
	struct virtio_net_config cfg;
	struct virtio_net_env env;
	struct virtio_env pci;

	setup();
	up(0, RING_ALL, 1, 8);
	up(1, RING_ALL | RINGP | F(MRG_RXBUF) | F(CTRL_VQ) | F(CTRL_RX), 1, 8);
	for (u32 i = 0; i < 33; i++) {
		send(0, 1, 100 + i);
		CHECK(receive(1, 0));
	}
	CHECK_EQ(ctl(1, 0, 0, (u8[]){ 0 }, 1), 0);
	virtio_net_quiesce(&g[1].n);
	memcpy(was, &g[1].n, sizeof(was));
	cfg = g[1].n.cfg, env = g[1].n.env, pci = vp_env(&g[1].p);
	virtio_net_init(&g[1].n, &cfg, &env, &scratch, &g[1].ram.mem, &pci);
	virtio_net_attach(&g[1].n, &sw, g[1].port);
	for (u32 k = 0; k < virtio_net_nfields; k++)
		memcpy((u8 *)&g[1].n + virtio_net_fields[k].offset,
		       was + virtio_net_fields[k].offset,
		       virtio_net_fields[k].size * virtio_net_fields[k].count);
	CHECK_EQ(virtio_net_resume(&g[1].n, true), 0);
	CHECK_EQ(g[1].n.modes, 0);
	for (u32 i = 0; i < 33; i++) {
		send(0, 1, 100 + i);
		CHECK(receive(1, 0));
		send(1, 0, 100 + i);
		CHECK(receive(0, 0));
		CHECK_EQ(g[0].len, 100 + i);
	}
	g[1].n.active_pairs = 2;
	CHECK_EQ(virtio_net_resume(&g[1].n, true), -EINVAL);
	done();
}

UNIT_MAIN({ "frames", frames }, { "offload_metadata_passes", offload_metadata_passes },
	  { "offload_in_software", offload_in_software },
	  { "offload_not_negotiated", offload_not_negotiated }, { "odd_chains", odd_chains },
	  { "receiver_runs_dry", receiver_runs_dry }, { "rate_holds", rate_holds },
	  { "kicks_and_interrupts", kicks_and_interrupts },
	  { "reception_modes", reception_modes }, { "vlan_filter", vlan_filter },
	  { "registers_link_announce", registers_link_announce },
	  { "several_queues", several_queues }, { "moves", moves })
