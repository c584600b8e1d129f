/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twin of a VF under a driver that behaves as igbvf, and under one that does not.
 */
#include "unit.h"

#include "devices/net/offload.h"
#include "devices/sriov/vf_twin.h"
#include "kernel/base/err.h"
#include "vf_driver.h"

#define PAGES 128u

static struct vd_ram ram;
static struct vf_twin t;
static struct vf_driver d;
static u64 now;
static u32 raised[VF_TWIN_VECTORS];
static u8 sent[65536 + 64], got[65536];
static u32 sent_len, sent_frames;
static struct frame sent_frame;

static void on_send(void *ctx, struct frame *f)
{
	(void)ctx;
	sent_len = frame_read(f, 0, sent, sizeof(sent));
	sent_frame = *f;
	sent_frames++;
}

static void io(void *dev, u32 off, bool write, u64 *value)
{
	u32 irqs;

	vf_twin_io(dev, off, 4, write, value);
	while (vf_twin_work(dev))
		;
	irqs = vf_twin_irqs(dev, now);
	for (u32 i = 0; i < VF_TWIN_VECTORS; i++)
		raised[i] += irqs >> i & 1;
}

static void start(void)
{
	const struct vf_twin_env env = { NULL, on_send };

	if (!ram.page)
		vd_ram_init(&ram, PAGES, false);
	memset(ram.hole, 0, sizeof(ram.hole));
	vf_twin_init(&t, &env, &ram.mem);
	t.open = true;
	t.max_frame = 1522;
	memset(raised, 0, sizeof(raised));
	sent_frames = 0;
	d = (struct vf_driver){ .ram = &ram, .dev = &t, .io = io };
	vfd_open(&d, 0x82000002);
}

static enum net_drop receive(const u8 *bytes, u32 n)
{
	struct virtq_seg seg = { (u8 *)(uintptr_t)bytes, 0, n };
	struct frame f = { .seg = &seg, .nseg = 1, .body_len = n };
	enum net_drop rc;

	f.body_len -= frame_read(&f, 0, f.head, FRAME_HEAD_IN);
	f.head_len = f.body_off = n - f.body_len;
	rc = vf_twin_receive(&t, &f);
	vf_twin_flush(&t);
	return rc;
}

static void pattern(u8 *p, u32 n, u32 seed)
{
	for (u32 i = 0; i < n; i++)
		p[i] = (u8)(i * 7 + seed);
	p[0] &= 0xfe;
}

TEST(registers)
{
	u64 v = 0x1122334455667788ull;

	start();
	CHECK_EQ(vfd_rd(&d, 0x2828), 0x02010810);
	CHECK_EQ(vfd_rd(&d, 0x1700), 0x8081);
	CHECK_EQ(vfd_rd(&d, 0x1524), 7);
	vfd_wr(&d, 0x1528, 5);
	CHECK_EQ(vfd_rd(&d, 0x1524), 2);
	vfd_wr(&d, 0x3800, ~0u);
	CHECK_EQ(vfd_rd(&d, 0x3800), 0xffffff80);
	vf_twin_io(&t, 0x2800, 8, true, &v);
	v = 0;
	vf_twin_io(&t, 0x2800, 8, false, &v);
	CHECK_EQ(v, 0x1122334455667780ull);
	vf_twin_io(&t, 0x2802, 2, false, &v);
	CHECK_EQ(v, 0);
	for (u32 off = 0x1000; off < 0x4000; off += 4)
		if (off < 0x2800 ? off > 0x1740 : (off & 0xfff) >= 0x840) {
			vfd_wr(&d, off, ~0u);
			CHECK_EQ(vfd_rd(&d, off), 0);
		}
	vf_twin_reset(&t);
	CHECK_EQ(vfd_rd(&d, 0x3800) | vfd_rd(&d, 0x2828) | vfd_rd(&d, 0x1524), 0);
}

TEST(sends_frames_whole_and_in_order)
{
	static u8 want[1500];

	start();
	for (u32 i = 0; i < 100; i++) {
		u32 n = 60 + i * 13;

		pattern(want, n, i);
		memcpy(vfd_ptr(&d, VFD_TX_BUF), want, n);
		vfd_put_frame(&d, VFD_TX_BUF, n, i % 3 ? 0 : 20, 0, 0);
		vfd_kick(&d);
		CHECK_EQ(sent_frames, i + 1);
		CHECK_EQ(sent_len, n);
		CHECK_EQ(memcmp(sent, want, n), 0);
		/* As on hardware: only a frame's last descriptor says that it is done. */
		CHECK_EQ(vfd_desc(&d, VFD_TX, (d.tx_tail + VFD_SLOTS - 1) % VFD_SLOTS)[3] & 1, 1);
		CHECK_EQ(raised[0], i + 1);
		vfd_wr(&d, 0x1524, 1);
	}
	CHECK_EQ(vfd_rd(&d, 0x3810), d.tx_tail);
	CHECK_EQ(t.count.tx_packets, 100);
	CHECK(ram.dirty[VFD_TX / 4096]);
}

TEST(waits_for_the_end_of_a_frame)
{
	const u32 half[4] = { VFD_TX_BUF, 0, 0x20300000u | 30, 60 << 14 };

	start();
	pattern(vfd_ptr(&d, VFD_TX_BUF), 60, 1);
	vfd_put(&d, half);
	vfd_kick(&d);
	CHECK_EQ(sent_frames, 0);
	CHECK_EQ(vfd_rd(&d, 0x3810), 0);
	vfd_put_frame(&d, VFD_TX_BUF + 30, 30, 0, 0, 0);
	vfd_kick(&d);
	CHECK_EQ(sent_frames, 1);
	CHECK_EQ(sent_len, 60);
	CHECK_EQ(vfd_rd(&d, 0x3810), 2);
}

TEST(heads_are_written_back)
{
	u32 *word;

	start();
	word = vfd_ptr(&d, 0x3000);
	*word = 99;
	vfd_wr(&d, 0x3838, 0x3001);
	vfd_put_frame(&d, VFD_TX_BUF, 60, 0, 0, 0);
	vfd_kick(&d);
	CHECK_EQ(*word, 1);
	CHECK_EQ(vfd_desc(&d, VFD_TX, 0)[3] & 1, 0);
}

/* Ethernet, IPv4, TCP with n bytes of data, as a stack leaves it for segmentation. */
static u32 tcp_frame(u8 *p, u32 n)
{
	memset(p, 0, 54);
	pattern(p + 54, n, 3);
	p[12] = 8;
	p[14] = 0x45;
	p[22] = 64;
	p[23] = 6;
	memcpy(p + 26, "\12\0\0\1\12\0\0\2", 8);
	p[46] = 0x50;
	p[47] = 0x18;
	return 54 + n;
}

static u32 parts, part_bytes;

static void on_part(void *ctx, const struct frame *f)
{
	static u8 b[2048];
	u32 n = frame_read(f, 0, b, sizeof(b));

	(void)ctx;
	CHECK_EQ((u32)(b[16] << 8 | b[17]), n - 14);
	CHECK_EQ(offload_sum(0, b + 14, 20, 0) % 0xffff, 0);
	CHECK_EQ(offload_sum(offload_sum(6 + n - 34, b + 26, 8, 0), b + 34, n - 34, 0) % 0xffff, 0);
	parts++;
	part_bytes += n - 54;
}

TEST(offloads)
{
	const u32 context[4] = { 14 << 9 | 20, 0, 0x20200000u | 1 << 11 | 1 << 10,
				 1448u << 16 | 20 << 8 };
	u32 n;

	start();
	n = tcp_frame(vfd_ptr(&d, VFD_TX_BUF), 1000);
	vfd_put(&d, context);
	vfd_put_frame(&d, VFD_TX_BUF, n, 0, 0, 0x200);
	vfd_kick(&d);
	CHECK_EQ(sent_frames, 1);
	CHECK_EQ(sent_frame.flags, FRAME_CSUM);
	CHECK_EQ(sent_frame.csum_start, 34);
	CHECK_EQ(sent_frame.csum_offset, 16);
	n = tcp_frame(vfd_ptr(&d, VFD_TX_BUF), 4000);
	vfd_put(&d, context);
	vfd_put_frame(&d, VFD_TX_BUF, n, 54, 0x80000000u, 0x300);
	t.env.send = on_send;
	vfd_kick(&d);
	CHECK_EQ(sent_frames, 2);
	CHECK_EQ(sent_frame.gso, FRAME_TCP4);
	CHECK_EQ(sent_frame.gso_size, 1448);
	CHECK_EQ((u32)(sent[16] << 8 | sent[17]), n - 14);
	sent_frame.seg = t.seg;
	CHECK(offload_segment(&sent_frame, on_part, NULL));
	CHECK_EQ(parts, 3);
	CHECK_EQ(part_bytes, 4000);
	CHECK_EQ(t.count.malformed, 0);
}

TEST(vlan_tags_are_inserted)
{
	const u32 context[4] = { 0x0123u << 16 | 14 << 9, 0, 0x20200000u, 0 };

	start();
	pattern(vfd_ptr(&d, VFD_TX_BUF), 100, 9);
	vfd_put(&d, context);
	vfd_put_frame(&d, VFD_TX_BUF, 100, 0, 0x40000000u, 0);
	vfd_kick(&d);
	CHECK_EQ(sent_len, 104);
	CHECK_EQ(memcmp(sent + 12, "\x81\0\1\x23", 4), 0);
	CHECK_EQ(memcmp(sent + 16, (u8 *)vfd_ptr(&d, VFD_TX_BUF) + 12, 88), 0);
}

static void receives(u32 max, u32 srrctl)
{
	static u8 want[9000];

	start();
	vfd_open(&d, srrctl);
	t.max_frame = (u16)(max + 22);
	for (u32 i = 0; i < 60; i++) {
		u32 n = 60 + i * (max - 60) / 60;

		pattern(want, n, i);
		CHECK_EQ(receive(want, n), NET_OK);
		vfd_wr(&d, 0x1524, 7);
		CHECK_EQ(raised[1], i + 1);
		CHECK_EQ(vfd_receive(&d, got), n);
		CHECK_EQ(memcmp(got, want, n), 0);
	}
	CHECK_EQ(vfd_receive(&d, got), 0);
	CHECK_EQ(vfd_rd(&d, 0x2810), d.rx_next);
	CHECK_EQ(t.count.rx_packets, 60);
}

TEST(receives_into_one_buffer)
{
	receives(1500, 0x82000002);
}

TEST(receives_into_several)
{
	receives(8900, 0x82000002);
}

TEST(receives_with_a_header_buffer)
{
	receives(8900, 0x8a000202);
}

TEST(full_ring_and_filters)
{
	u8 f[2000];

	start();
	pattern(f, sizeof(f), 0);
	for (u32 i = 0; i < VFD_SLOTS - 1; i++)
		CHECK_EQ(receive(f, 100), NET_OK);
	CHECK_EQ(receive(f, 100), NET_DROP_STALLED);
	CHECK_EQ(vfd_receive(&d, got), 100);
	CHECK_EQ(receive(f, 100), NET_OK);
	CHECK_EQ(receive(f, 1519), NET_DROP_OVERSIZE);
	f[0] = 1;
	CHECK_EQ(receive(f, 100), NET_DROP_FILTER);
	t.multicast = true;
	CHECK_EQ(receive(f, 100), NET_DROP_STALLED);
	memset(f, 0xff, 6);
	t.multicast = false;
	CHECK_EQ(receive(f, 100), NET_DROP_STALLED);
	vf_twin_stop_queues(&t);
	CHECK_EQ(receive(f, 100), NET_DROP_LINK);
}

TEST(interrupts)
{
	start();
	CHECK_EQ(raised[0] + raised[1] + raised[2], 0);
	vfd_wr(&d, 0x1520, 2); /* the driver's own: every two seconds */
	CHECK_EQ(raised[1], 1);
	CHECK_EQ(vfd_rd(&d, 0x1524), 5); /* masked itself */
	vfd_wr(&d, 0x1520, 2);
	CHECK_EQ(raised[1], 1);
	vfd_wr(&d, 0x1524, 2);
	CHECK_EQ(raised[1], 2);
	/* Without the automatic clearing it is told once, until the driver has read. */
	vfd_wr(&d, 0x152c, 0);
	vfd_wr(&d, 0x1530, 0);
	vfd_wr(&d, 0x1524, 2);
	vfd_wr(&d, 0x1520, 2);
	vfd_wr(&d, 0x1520, 2);
	CHECK_EQ(raised[1], 3);
	CHECK_EQ(vfd_rd(&d, 0x1580), 2);
	CHECK_EQ(vfd_rd(&d, 0x1580), 0);
	vfd_wr(&d, 0x1520, 2);
	CHECK_EQ(raised[1], 4);
	vf_twin_recheck(&t);
	vfd_wr(&d, 0x1580, 0);
	CHECK_EQ(raised[0], 1);
}

TEST(interrupts_are_moderated)
{
	static const u8 f[100];

	start();
	vfd_wr(&d, 0x1684, 0x1e8); /* 122 us */
	now = 1000000;
	for (u32 i = 0; i < 6; i++) { /* nobody knows yet that it is a stream */
		CHECK_EQ(receive(f, sizeof(f)), NET_OK);
		vfd_wr(&d, 0x1524, 2);
		CHECK_EQ(raised[1], i + 1);
	}
	now += 122000;
	CHECK_EQ(receive(f, sizeof(f)), NET_OK);
	vfd_wr(&d, 0x1524, 2);
	CHECK_EQ(raised[1], 7);
	for (u32 i = 0; i < 3; i++)
		CHECK_EQ(receive(f, sizeof(f)), NET_OK);
	CHECK_EQ(vf_twin_wait(&t, now), ~0ull); /* masked itself */
	vfd_wr(&d, 0x1524, 2);
	CHECK_EQ(raised[1], 7);
	CHECK_EQ(vf_twin_wait(&t, now), 122000);
	now += 121999;
	CHECK_EQ(vf_twin_wait(&t, now), 1);
	CHECK_EQ(vf_twin_irqs(&t, now), 0);
	vfd_put_frame(&d, VFD_TX_BUF, 60, 0, 0, 0); /* another vector's is its own affair */
	vfd_kick(&d);
	CHECK_EQ(raised[0], 1);
	CHECK_EQ(vf_twin_irqs(&t, now + 1), 2);
	CHECK_EQ(vf_twin_wait(&t, now + 1), ~0ull);
	/* Few came: the one after is not put off. Nor is one by the time of another machine. */
	vfd_wr(&d, 0x1524, 2);
	vf_twin_recheck(&t);
	CHECK_EQ(vf_twin_irqs(&t, now + 2) & 2, 0);
	now += 123000;
	CHECK_EQ(vf_twin_irqs(&t, now) & 2, 2);
	vfd_wr(&d, 0x1524, 2);
	vf_twin_recheck(&t);
	CHECK_EQ(vf_twin_irqs(&t, now) & 2, 2);
	t.stream[1] = true;
	vfd_wr(&d, 0x1524, 2);
	vf_twin_recheck(&t);
	CHECK_EQ(vf_twin_irqs(&t, now + 2) & 2, 0);
	CHECK_EQ(vf_twin_resume(&t), 0);
	CHECK_EQ(vf_twin_irqs(&t, 3) & 2, 2);
	now = 0;
}

/* Whatever a driver makes of its rings: nothing outside of its memory, bounded work. */
TEST(rings_and_buffers_elsewhere)
{
	static const u64 where[] = { 0x80000ull, 0x100000000ull, ~0xfffull, 0x7ffffull };

	for (u32 i = 0; i < 4; i++) {
		start();
		vfd_put_frame(&d, where[i], 1000, 0, 0, 0);
		vfd_kick(&d);
		CHECK_EQ(sent_frames, 0);
		CHECK_EQ(t.count.malformed, 1);
		CHECK_EQ(vfd_rd(&d, 0x3810), 1); /* given back all the same */
		memcpy(vfd_desc(&d, VFD_RX, 0), &where[i], 8);
		CHECK_EQ(receive(sent, 100), NET_DROP_RING);
		for (u32 b = 0x2800; b <= 0x3800; b += 0x1000) {
			vfd_wr(&d, b, (u32)where[i] & ~127u);
			vfd_wr(&d, b + 4, (u32)(where[i] >> 32));
			vfd_wr(&d, b + 0x18, i & 1 ? 0xffff : 9);
		}
		vfd_wr(&d, 0x3838, (u32)where[i] | 1);
		vfd_wr(&d, 0x383c, (u32)(where[i] >> 32));
		CHECK(receive(sent, 100) != NET_OK);
		CHECK_EQ(sent_frames, 0);
	}
}

TEST(a_frame_without_end_stops_the_queue)
{
	const u32 half[4] = { VFD_TX_BUF, 0, 0x20300000u | 1, 0 };

	start();
	vfd_wr(&d, 0x3808, 128 * 16);
	for (u32 i = 0; i < 128; i++)
		memcpy(vfd_desc(&d, VFD_TX, i), half, 16);
	vfd_wr(&d, 0x3818, 100);
	CHECK_EQ(sent_frames, 0);
	CHECK_EQ(vfd_rd(&d, 0x3828), 0);
	CHECK_EQ(t.count.malformed, 1);
}

/* State from a stream: what no VF's registers can hold is refused... */
TEST(foreign_state_is_refused)
{
	static const struct {
		u8 reg;
		u32 value;
	} ring[] = { { VF_BAL, 0x40 },	     { VF_LEN, 8 },	     { VF_LEN, 0x1000 + 16 },
		     { VF_LEN, 1u << 20 },   { VF_HEAD, 128 },	     { VF_TAIL, 128 },
		     { VF_HEAD, 0x10000 },   { VF_TAIL, 0x10000 },   { VF_DCTL, 1u << 26 },
		     { VF_LEN, 64 * 2 } };
	static const struct {
		u8 reg;
		u32 value;
	} irq[] = { { VF_EIMS, 8 }, { VF_EICR, 8 }, { VF_EIAC, 8 },  { VF_EIAM, 1u << 31 },
		    { VF_EITR, 1 }, { VF_IVAR, 4 }, { VF_IVAR_MISC, 0x100 } };

	for (u32 i = 0; i < 2 * ARRAY_SIZE(ring); i++) {
		u32 *r = i & 1 ? t.rx : t.tx, k = i / 2;

		start();
		CHECK_EQ(vf_twin_resume(&t), 0);
		r[VF_HEAD] = r[VF_TAIL] = 127; /* the last place of 128: any length is seen */
		r[VF_LEN] = 128 * 16;
		CHECK_EQ(vf_twin_resume(&t), 0);
		r[ring[k].reg] = ring[k].value;
		CHECK_EQ(vf_twin_resume(&t), -EINVAL);
	}
	for (u32 i = 0; i < ARRAY_SIZE(irq); i++) {
		start();
		t.irq[irq[i].reg] = irq[i].value;
		CHECK_EQ(vf_twin_resume(&t), -EINVAL);
	}
}

/* ... and what they can hold reaches nothing but the guest's memory. */
TEST(foreign_state_reaches_no_foreign_memory)
{
	static const u64 where[] = { 0x80000ull, 0x100000000ull, ~0xfffull, 0xfee00000ull };

	for (u32 i = 0; i < ARRAY_SIZE(where); i++) {
		start();
		for (u32 k = 0; k < 2; k++) {
			u32 *r = k ? t.rx : t.tx;

			r[VF_BAL] = (u32)where[i];
			r[VF_BAH] = (u32)(where[i] >> 32);
			r[VF_LEN] = 128 * 16;
			r[VF_HEAD] = 3;
			r[VF_TAIL] = 100;
		}
		t.tx[VF_WBAL] = (u32)where[i] | 1;
		t.tx[VF_WBAH] = (u32)(where[i] >> 32);
		t.irq[VF_IVAR] = 0x83838383; /* a vector that it does not have */
		CHECK_EQ(vf_twin_resume(&t), 0);
		vf_twin_recheck(&t);
		CHECK(!vf_twin_work(&t));
		CHECK(receive(sent, 100) != NET_OK);
		CHECK_EQ(sent_frames, 0);
		CHECK_EQ(vf_twin_irqs(&t, now), 0);
	}
	start();
	t.rx[VF_LEN] = t.tx[VF_LEN] = 0; /* no ring at all */
	CHECK_EQ(vf_twin_resume(&t), 0);
	CHECK(!vf_twin_work(&t) && receive(sent, 100) == NET_DROP_LINK);
}

TEST(waits_at_the_beginning_of_the_ring)
{
	static const u8 f[100];

	start();
	CHECK(vf_twin_at_start(&t));
	for (u32 i = 0; i < VFD_SLOTS - 2; i++) {
		vfd_put_frame(&d, VFD_TX_BUF, 60, 0, 0, 0);
		vfd_kick(&d);
	}
	CHECK(!vf_twin_at_start(&t));
	t.hold = true;
	for (u32 i = 0; i < 4; i++)
		vfd_put_frame(&d, VFD_TX_BUF, 60, 0, 0, 0);
	vfd_kick(&d);
	CHECK_EQ(sent_frames, VFD_SLOTS);
	CHECK(vf_twin_at_start(&t));
	CHECK_EQ(receive(f, sizeof(f)), NET_OK);
	CHECK(!vf_twin_at_start(&t));
	t.hold = false;
	vfd_kick(&d);
	CHECK_EQ(sent_frames, VFD_SLOTS + 2);
	vf_twin_stop_queues(&t);
	CHECK(vf_twin_at_start(&t));
}

UNIT_MAIN({ "waits_at_the_beginning_of_the_ring", waits_at_the_beginning_of_the_ring },
	  { "registers", registers },
	  { "sends_frames_whole_and_in_order", sends_frames_whole_and_in_order },
	  { "waits_for_the_end_of_a_frame", waits_for_the_end_of_a_frame },
	  { "heads_are_written_back", heads_are_written_back }, { "offloads", offloads },
	  { "vlan_tags_are_inserted", vlan_tags_are_inserted },
	  { "receives_into_one_buffer", receives_into_one_buffer },
	  { "receives_into_several", receives_into_several },
	  { "receives_with_a_header_buffer", receives_with_a_header_buffer },
	  { "full_ring_and_filters", full_ring_and_filters }, { "interrupts", interrupts },
	  { "interrupts_are_moderated", interrupts_are_moderated },
	  { "rings_and_buffers_elsewhere", rings_and_buffers_elsewhere },
	  { "a_frame_without_end_stops_the_queue", a_frame_without_end_stops_the_queue },
	  { "foreign_state_is_refused", foreign_state_is_refused },
	  { "foreign_state_reaches_no_foreign_memory", foreign_state_reaches_no_foreign_memory })
