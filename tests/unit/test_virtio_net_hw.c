/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A NIC whose frames hardware reads and writes in the guest's memory by itself.
 */
#include "unit.h"

#include "virtio_net_model.h"

/* Hardware at a port: reads what it gets until it is told that it has. */
static struct frame_owner reads[16];
static u32 nreads;

static u32 hw_caps(void *ctx, const struct frame *f)
{
	(void)ctx, (void)f;
	return NETBE_CSUM | NETBE_TCP4;
}

static enum net_drop hw_send(void *ctx, const struct frame *f)
{
	(void)ctx;
	if (!f->body_len)
		return NET_OK;
	f->owner->uses++;
	reads[nreads++] = *f->owner;
	return NET_OK;
}

static void hw_flush(void *ctx)
{
	(void)ctx;
}

static void hw_read(u32 i)
{
	reads[i].done(reads[i].ctx, reads[i].token);
}

static void hw_drain(void *ctx)
{
	(void)ctx;
	for (u32 i = 0; i < nreads; i++)
		if (reads[i].done)
			hw_read(i);
	nreads = 0;
}

static u32 returned(unsigned i)
{
	u32 n = 0, len;

	while (vd_get(&g[i].p.vd[1], &len) >= 0)
		n++;
	return n;
}

static void hardware_reads(u64 features)
{
	static const struct netbe_ops ops = { hw_caps, hw_send, hw_flush, NULL, hw_drain };
	const struct vswitch_config pc = { .name = "hw", .open = true, .mtu = 1500 };
	const struct netbe be = { &ops, NULL };
	u32 id = 0;

	setup();
	nreads = 0;
	CHECK_EQ(vswitch_add(&sw, &pc, &be, now, &id), 0);
	up(0, features, 1, 20);
	up(1, features, 1, 20);
	for (u32 k = 0; k < 4; k++) {
		send(0, 9, k == 1 ? 60 : 1000);
		CHECK_EQ(returned(0), 0);
	}
	send(0, 1, 60); /* to another guest: waits behind the others */
	CHECK(receive(1, 0));
	CHECK_EQ(nreads, 3);
	CHECK_EQ(sw.port[id].count.rx_direct, 3 * (1000 - FRAME_HEAD_IN));
	hw_read(1);
	settle(now + patience);
	CHECK_EQ(returned(0), 0);
	hw_read(0);
	settle(now + patience);
	CHECK_EQ(returned(0), 3);
	hw_read(2);
	settle(now + patience);
	CHECK_EQ(returned(0), 2);
	/* Pause: nothing is under way, and all is given back. */
	nreads = 0;
	send(0, 9, 1000);
	virtio_net_quiesce(&g[0].n);
	CHECK_EQ(nreads, 0);
	CHECK_EQ(returned(0), 1);
	CHECK_EQ(virtio_net_resume(&g[0].n, true), 0);
	/* A reset waits for the hardware; then the ring begins anew. */
	send(0, 9, 1000);
	virtio_net_reset(&g[0].n);
	CHECK_EQ(nreads, 0);
	CHECK_EQ(g[0].n.out[0].count, 0);
	done();
}

TEST(hardware_reads_memory)
{
	hardware_reads(RING_ALL | F(MRG_RXBUF));
	hardware_reads(RING_ALL | RINGP | BIT(VIRTIO_F_IN_ORDER));
}

/* Hardware that writes frames into the buffers that the NIC gives. */
static u8 *buffers[VIRTIO_NET_HW_MAX];
static u32 nbuffers, withdrawn;
static bool late_frame; /* came before it was withdrawn */

static void hw_withdraw(void *ctx)
{
	(void)ctx;
	CHECK(!virtio_net_hw_buffer(&g[0].n)); /* none while it ends */
	if (late_frame)
		virtio_net_hw_filled(&g[0].n, 100);
	late_frame = false;
	nbuffers = 0;
	withdrawn++;
}

static void hw_fill(void)
{
	u8 *p;

	while (nbuffers < VIRTIO_NET_HW_MAX && (p = virtio_net_hw_buffer(&g[0].n)) != NULL)
		buffers[nbuffers++] = p;
}

/* A frame of len bytes from outside to guest 0 is in the oldest buffer. */
static void hw_write(u32 len)
{
	make(7, 0, len);
	frame[5] = 0;
	memcpy(buffers[0], frame, len);
	memmove(buffers, buffers + 1, --nbuffers * sizeof(buffers[0]));
	virtio_net_hw_filled(&g[0].n, len);
	vswitch_flush(&sw);
}

static u32 up_with_writes(u64 features)
{
	static const struct netbe_ops ops = { hw_caps, hw_send, hw_flush, NULL, hw_drain };
	const struct vswitch_config pc = { .name = "hw", .open = true, .mtu = 1500 };
	const struct netbe be = { &ops, NULL };
	u32 id = 0;

	setup();
	nbuffers = withdrawn = 0;
	CHECK_EQ(vswitch_add(&sw, &pc, &be, now, &id), 0);
	g[0].n.hw = (struct virtio_net_hw){ NULL, hw_withdraw, id, 1522 };
	CHECK(!virtio_net_hw_buffer(&g[0].n)); /* no driver */
	up(0, features, 1, 60);
	up(1, 0, 1, 20);
	hw_fill();
	return id;
}

static void expect_frame(u32 len)
{
	CHECK(receive(0, 0));
	CHECK_EQ(g[0].len, len);
	CHECK(!memcmp(g[0].data, frame, len));
	CHECK_EQ(g[0].hdr[10], 1);
}

static void hardware_writes(u64 features)
{
	u32 id = up_with_writes(features | F(MRG_RXBUF)), had, hw_had;

	CHECK_EQ(nbuffers, QSIZE / 4);
	for (u32 i = 0; i < 200; i++) {
		u32 len = 60 + rnd(1450);

		hw_write(len);
		expect_frame(len);
		send(1, 0, 100); /* another guest's frame in between */
		expect_frame(100);
		hw_fill();
		CHECK_EQ(nbuffers, QSIZE / 4);
	}
	CHECK_EQ(sw.port[id].count.tx_frames, 200);
	CHECK(sw.port[g[0].port].count.rx_direct > 200 * 60);
	/* What the switch does not admit is not shown, and its buffer is used again. */
	make(1, 0, 100); /* another guest's address, from outside */
	memcpy(buffers[0], frame, 100);
	virtio_net_hw_filled(&g[0].n, 100);
	virtio_net_hw_filled(&g[0].n, 0);
	CHECK(!receive(0, 0));
	CHECK_EQ(sw.port[id].count.tx_drop[NET_DROP_SPOOF], 1);
	had = g[0].n.in.count;
	CHECK(virtio_net_hw_buffer(&g[0].n) && virtio_net_hw_buffer(&g[0].n));
	CHECK_EQ(g[0].n.in.count, had);
	vswitch_set_up(&sw, g[0].port, false);
	virtio_net_hw_filled(&g[0].n, 100);
	CHECK(!receive(0, 0));
	vswitch_set_up(&sw, g[0].port, true);
	/* Without bus mastering hardware has none; what it wrote before is not shown. */
	hw_fill();
	hw_had = g[0].n.in.posted;
	make(7, 0, 100);
	memcpy(buffers[0], frame, 100);
	late_frame = true;
	vcfg_write(&g[0].n.dev.cfg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	CHECK_EQ(withdrawn, 1);
	hw_fill();
	CHECK_EQ(nbuffers, 0);
	CHECK(!receive(0, 0));
	vcfg_write(&g[0].n.dev.cfg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	hw_fill();
	CHECK_EQ(g[0].n.in.posted, hw_had);
	hw_write(90);
	expect_frame(90);
	hw_fill();
	had = g[0].n.in.count;
	withdrawn = 0;
	/* Pause: all buffers go back to the driver; a reset forgets them. */
	virtio_net_quiesce(&g[0].n);
	CHECK_EQ(withdrawn, 1);
	CHECK(!virtio_net_hw_buffer(&g[0].n));
	for (u32 i = 0, len; i < had; i++) {
		int b = vd_get(&g[0].p.vd[0], &len);

		CHECK(b >= 0 && len == 0);
		add_rx(&g[0], 0, g[0].rx_at[0][b]);
	}
	CHECK(vd_get(&g[0].p.vd[0], &had) < 0);
	CHECK_EQ(virtio_net_resume(&g[0].n, true), 0);
	hw_fill();
	CHECK_EQ(nbuffers, QSIZE / 4);
	hw_write(80);
	expect_frame(80);
	virtio_net_reset(&g[0].n);
	CHECK_EQ(withdrawn, 2);
	CHECK_EQ(g[0].n.in.count, 0);
	done();
}

TEST(hardware_writes_memory)
{
	rx_cut = RXBUF;
	hardware_writes(RING_ALL);
	hardware_writes(RING_ALL | RINGP);
	/* Chains would leave the order, or are too small for a frame. */
	(void)up_with_writes(RING_ALL | F(MRG_RXBUF) | BIT(VIRTIO_F_IN_ORDER));
	CHECK_EQ(nbuffers, 0);
	done();
	(void)up_with_writes(RING_ALL);
	CHECK_EQ(nbuffers, 0);
	done();
	rx_cut = 100;
	(void)up_with_writes(RING_ALL | F(MRG_RXBUF));
	CHECK_EQ(nbuffers, 0);
	send(1, 0, 100);
	expect_frame(100);
	done();
}

/* A driver that gives away descriptors again which hardware's chains before them hold up. */
static void chains_without_end_as(u64 features, const char *why)
{
	static const struct netbe_ops ops = { hw_caps, hw_send, hw_flush, NULL, hw_drain };
	const struct vswitch_config pc = { .name = "hw", .open = true, .mtu = 1500 };
	const struct netbe be = { &ops, NULL };
	struct vd *d = &g[0].p.vd[1];
	struct vd_buf runt;
	u32 id = 0;

	setup();
	nreads = 0;
	CHECK_EQ(vswitch_add(&sw, &pc, &be, now, &id), 0);
	up(0, features, 1, 2);
	send(0, 9, 1000);
	CHECK_EQ(nreads, 1);
	runt = (struct vd_buf){ g[0].tx_mem[0], 5, false };
	for (u32 i = 0; i < 2u * d->s.size && !g[0].p.why; i++) {
		memset(d->taken, 0, sizeof(d->taken));
		d->free = d->s.size;
		CHECK(vd_add(d, &runt, 1, 0) >= 0);
		vp_write(&g[0].p, g[0].p.notify + g[0].p.step, 2, 1);
		settle(now + VIRTIO_NET_POLL_NS);
		CHECK(g[0].n.out[0].count <= d->s.size);
	}
	CHECK_STR(g[0].p.why, why);
	virtio_net_reset(&g[0].n);
	CHECK_EQ(nreads, 0); /* nothing is under way any more */
	g[0].p.why = NULL;
	done();
}

TEST(chains_without_end)
{
	chains_without_end_as(0, "available index jumps");
	chains_without_end_as(RINGP, "more chains under way than descriptors");
}

UNIT_MAIN({ "hardware_reads_memory", hardware_reads_memory },
	  { "hardware_writes_memory", hardware_writes_memory },
	  { "chains_without_end", chains_without_end })
