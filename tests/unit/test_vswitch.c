/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch between ports that remember what they got: who gets what, tags, filters, rates,
 * ageing, mirror, finishing of frames; and buckets by themselves.
 */
#include "unit.h"

#include "devices/net/vswitch.h"
#include "kernel/base/err.h"

#define PORTS 6u
#define SECOND BUCKET_SECOND

struct got {
	u32 frames, flushes, caps;
	u64 bytes;
	u8 last[2000];
	u32 len;
	struct frame meta;
	enum net_drop answer;
};

static struct vswitch sw;
static struct got got[PORTS];
static u32 id[PORTS];
static u64 now;

static u32 caps(void *ctx, const struct frame *f)
{
	(void)f;
	return ((struct got *)ctx)->caps;
}

static enum net_drop take(void *ctx, const struct frame *f)
{
	struct got *g = ctx;

	if (g->answer)
		return g->answer;
	g->frames++;
	g->bytes += frame_len(f);
	g->meta = *f;
	g->len = frame_read(f, 0, g->last, sizeof(g->last));
	return NET_OK;
}

static void flushed(void *ctx)
{
	((struct got *)ctx)->flushes++;
}

static const struct netbe_ops ops = { caps, take, flushed, NULL, NULL };

static void add(unsigned i, struct vswitch_config c)
{
	struct netbe be = { &ops, &got[i] };

	c.name = "port";
	c.mac[0] = 0x52;
	c.mac[5] = (u8)i;
	c.mtu = 1500;
	CHECK_EQ(vswitch_add(&sw, &c, &be, now, &id[i]), 0);
}

/* Ports 0, 1: guests; 2: uplink; 3: guest in VLAN 10; 4: trunk with 10 and 20. */
static void setup(void)
{
	now = SECOND;
	memset(got, 0, sizeof(got));
	vswitch_init(&sw);
	add(0, (struct vswitch_config){ .vlan = 0 });
	add(1, (struct vswitch_config){ .vlan = 0 });
	add(2, (struct vswitch_config){ .open = true, .trunk = true });
	add(3, (struct vswitch_config){ .vlan = 10 });
	add(4, (struct vswitch_config){ .trunk = true });
	CHECK_EQ(vswitch_allow(&sw, id[2], 10), 0);
	CHECK_EQ(vswitch_allow(&sw, id[4], 10), 0);
	CHECK_EQ(vswitch_allow(&sw, id[4], 20), 0);
	CHECK_EQ(vswitch_allow(&sw, id[0], 20), -EINVAL);
}

static struct frame make(u32 dst, u32 src, u32 tag, u32 len)
{
	static u8 zeros[70000];
	static struct virtq_seg seg = { zeros, 0, sizeof(zeros) };
	struct frame f = { .head_len = len < 60 ? len : 60, .seg = &seg, .nseg = 1 };
	u32 t = 12;

	f.body_len = len - f.head_len;
	memset(f.head, 0xff, 6);
	if (dst != 0xff)
		memcpy(f.head, (u8[]){ 0x52, 0, 0, 0, 0, (u8)dst }, 6);
	memcpy(f.head + 6, (u8[]){ 0x52, 0, 0, 0, 0, (u8)src }, 6);
	if (tag) {
		memcpy(f.head + 12, (u8[]){ 0x81, 0, (u8)(tag >> 8), (u8)tag }, 4);
		t = 16;
	}
	f.head[t] = 0x08;
	f.head[t + 1] = 0;
	f.head[t + 2] = 0x77;
	return f;
}

static enum net_drop send(unsigned from, u32 dst, u32 src, u32 tag, u32 len)
{
	struct frame f = make(dst, src, tag, len);

	for (unsigned i = 0; i < PORTS; i++)
		got[i].frames = 0;
	return vswitch_send(&sw, id[from], &f, false, now);
}

/* Which ports got the last frame: bit per port. */
static u32 who(void)
{
	u32 m = 0;

	for (unsigned i = 0; i < PORTS; i++)
		m |= got[i].frames ? 1u << i : 0;
	return m;
}

TEST(paths)
{
	setup();
	CHECK_EQ(send(0, 1, 0, 0, 60), NET_OK);
	CHECK_EQ(who(), 2);
	CHECK_EQ(got[1].len, 60);
	CHECK_EQ(got[1].last[14], 0x77);
	CHECK_EQ(send(0, 0xff, 0, 0, 60), NET_OK);
	CHECK_EQ(who(), 2 | 4 | 16);
	CHECK_EQ(send(0, 0x99, 0, 0, 60), NET_OK); /* unknown: to the uplink only */
	CHECK_EQ(who(), 4);
	CHECK_EQ(send(0, 0, 0, 0, 60), NET_OK); /* to itself: nowhere */
	CHECK_EQ(who(), 0);
	/* The uplink's stations are learned. */
	CHECK_EQ(send(2, 0, 0x99, 0, 60), NET_OK);
	CHECK_EQ(who(), 1);
	CHECK_EQ(vswitch_lookup(&sw, (u8[]){ 0x52, 0, 0, 0, 0, 0x99 }, 0, now), id[2]);
	got[1].flushes = 0;
	send(0, 1, 0, 0, 60);
	send(0, 1, 0, 0, 60);
	vswitch_flush(&sw);
	CHECK_EQ(got[1].flushes, 1);
	CHECK_EQ(sw.port[id[1]].count.rx_frames, 4);
	CHECK_EQ(sw.port[id[0]].count.tx_frames, 6);
	CHECK_EQ(sw.port[id[0]].count.tx_bytes, 360);
}

TEST(vlans)
{
	setup();
	CHECK_EQ(send(0, 3, 0, 0, 60), NET_OK); /* another VLAN: unknown there */
	CHECK_EQ(who(), 4);
	CHECK_EQ(send(0, 1, 0, 10, 64), NET_DROP_VLAN);
	CHECK_EQ(who(), 0);
	CHECK_EQ(send(0, 1, 0, 0xa000, 64), NET_OK); /* priority tag: no VLAN */
	CHECK_EQ(who(), 2);
	CHECK_EQ(got[1].len, 60);
	CHECK_EQ(send(4, 3, 4, 20, 64), NET_OK); /* 20 is nobody else's */
	CHECK_EQ(who(), 0);
	CHECK_EQ(send(4, 3, 4, 10, 64), NET_OK);
	CHECK_EQ(who(), 8);
	CHECK_EQ(got[3].len, 60); /* without tag */
	CHECK_EQ(got[3].last[14], 0x77);
	CHECK_EQ(send(4, 3, 4, 30, 64), NET_DROP_VLAN);
	CHECK_EQ(send(3, 4, 3, 0, 60), NET_OK); /* learned above, in VLAN 10 */
	CHECK_EQ(who(), 16);
	CHECK_EQ(got[4].len, 64); /* with tag */
	CHECK(!memcmp(got[4].last + 12, (u8[]){ 0x81, 0, 0, 10, 8, 0, 0x77 }, 7));
	CHECK_EQ(send(3, 0xff, 3, 0, 60), NET_OK);
	CHECK_EQ(who(), 4 | 16);
	CHECK_EQ(send(4, 1, 4, 4095, 64), NET_DROP_VLAN);
	CHECK_EQ(vswitch_set_vlan(&sw, id[1], 10), 0);
	CHECK_EQ(send(3, 1, 3, 0, 60), NET_OK);
	CHECK_EQ(who(), 2);
	CHECK_EQ(vswitch_set_vlan(&sw, id[1], 4095), -EINVAL);
}

TEST(filters)
{
	struct frame f;

	setup();
	CHECK_EQ(send(0, 1, 1, 0, 60), NET_DROP_SPOOF);
	CHECK_EQ(send(0, 1, 0x77, 0, 60), NET_DROP_SPOOF);
	CHECK_EQ(send(2, 1, 0, 0, 60), NET_DROP_SPOOF); /* a guest's address from outside */
	f = make(1, 0, 0, 60);
	f.head[6] |= 1;
	CHECK_EQ(vswitch_send(&sw, id[0], &f, false, now), NET_DROP_SPOOF);
	f = make(1, 0, 0, 60);
	memcpy(f.head, (u8[]){ 0x01, 0x80, 0xc2, 0, 0, 0x0e }, 6);
	CHECK_EQ(vswitch_send(&sw, id[0], &f, false, now), NET_DROP_RESERVED);
	CHECK_EQ(send(0, 1, 0, 0, 13), NET_DROP_RUNT);
	CHECK_EQ(send(0, 1, 0, 5, 17), NET_DROP_RUNT);
	CHECK_EQ(send(0, 1, 0, 0, 1515), NET_DROP_OVERSIZE);
	CHECK_EQ(send(0, 1, 0, 0, 1514), NET_OK);
	CHECK_EQ(sw.port[id[0]].count.tx_drop[NET_DROP_RUNT], 2);
	got[1].answer = NET_DROP_BUFFER;
	CHECK_EQ(send(0, 1, 0, 0, 60), NET_DROP_BUFFER);
	CHECK_EQ(sw.port[id[1]].count.rx_drop[NET_DROP_BUFFER], 1);
	/* A sender that can wait is told so, and nothing counts before it gave up. */
	f = make(1, 0, 0, 60);
	CHECK_EQ(vswitch_send(&sw, id[0], &f, true, now), NET_DROP_BUFFER);
	CHECK_EQ(sw.port[id[1]].count.rx_drop[NET_DROP_BUFFER], 1);
	CHECK_EQ(sw.port[id[0]].count.tx_frames, 2);
	f = make(0xff, 0, 0, 60);
	CHECK_EQ(vswitch_send(&sw, id[0], &f, true, now), NET_DROP_BUFFER);
	CHECK_EQ(sw.port[id[1]].count.rx_drop[NET_DROP_BUFFER], 2);
	vswitch_set_up(&sw, id[1], false);
	CHECK_EQ(send(0, 1, 0, 0, 60), NET_DROP_LINK);
	CHECK_EQ(send(1, 0, 1, 0, 60), NET_DROP_LINK);
	for (unsigned i = 0; i < NET_DROPS; i++)
		CHECK(net_drop_name((enum net_drop)i) != NULL);
}

TEST(ageing)
{
	u8 mac[6] = { 0x52, 0, 0, 0, 0, 0x99 };

	setup();
	send(2, 0, 0x99, 0, 60);
	now += VSWITCH_AGE_NS;
	CHECK_EQ(vswitch_lookup(&sw, mac, 0, now), id[2]);
	now += 1;
	CHECK_EQ(vswitch_lookup(&sw, mac, 0, now), VSWITCH_NO_PORT);
	/* A guest's own address does not age, nor do floods of addresses push it out. */
	for (u32 i = 0; i < 20000; i++) {
		struct frame f = make(0xff, 0, 0, 60);

		f.head[8] = (u8)(i >> 8);
		f.head[9] = (u8)i;
		f.head[7] = 1;
		vswitch_send(&sw, id[2], &f, false, now);
	}
	CHECK_EQ(vswitch_lookup(&sw, (u8[]){ 0x52, 0, 0, 0, 0, 1 }, 0, now), id[1]);
	/* What was learned at a port goes with its link. */
	send(2, 0, 0x99, 0, 60);
	vswitch_set_up(&sw, id[2], false);
	CHECK_EQ(vswitch_lookup(&sw, mac, 0, now), VSWITCH_NO_PORT);
}

TEST(ports_come_and_go)
{
	struct netbe be = { &ops, &got[5] };
	struct vswitch_config c = { .name = "p", .mac = { 0x52, 0, 0, 0, 0, 1 }, .mtu = 1500 };
	u32 n, count = 5;

	setup();
	CHECK_EQ(vswitch_add(&sw, &c, &be, now, &n), -EEXIST);
	c.vlan = 7; /* the same address in another VLAN is another station */
	CHECK_EQ(vswitch_add(&sw, &c, &be, now, &n), 0);
	vswitch_remove(&sw, n);
	c.vlan = 4095;
	CHECK_EQ(vswitch_add(&sw, &c, &be, now, &n), -EINVAL);
	c.vlan = 0;
	c.mac[0] = 1;
	CHECK_EQ(vswitch_add(&sw, &c, &be, now, &n), -EINVAL);
	c.mac[0] = 0x54;
	while (vswitch_add(&sw, &c, &be, now, &n) == 0) {
		c.mac[5]++;
		count++;
	}
	CHECK_EQ(count, VSWITCH_PORTS);
	vswitch_remove(&sw, id[1]);
	CHECK_EQ(send(0, 1, 0, 0, 60), NET_OK);
	CHECK_EQ(got[1].frames, 0);
}

/* A standby's address while the primary behind the uplink receives. */
TEST(away)
{
	const u8 mac0[6] = { 0x52 }, nobody[6] = { 0x52, 1 };

	setup();
	CHECK_EQ(send(2, 1, 0, 0, 60), NET_DROP_SPOOF);
	CHECK(!vswitch_set_away(&sw, nobody, 0, true));
	CHECK(!vswitch_set_away(&sw, mac0, 10, true)); /* it is in another VLAN */
	CHECK(vswitch_set_away(&sw, mac0, 0, true));
	CHECK(!vswitch_set_away(&sw, mac0, 0, true));
	CHECK_EQ(send(1, 0, 1, 0, 60), NET_OK);
	CHECK_EQ(who(), 4); /* out */
	CHECK_EQ(send(2, 0, 9, 0, 60), NET_OK);
	CHECK_EQ(who(), 0); /* and what comes from there has gone there already */
	CHECK_EQ(send(2, 1, 0, 0, 60), NET_OK);
	CHECK_EQ(who(), 2);
	CHECK_EQ(send(1, 1, 0, 0, 60), NET_DROP_SPOOF); /* a guest is no way to it */
	CHECK(vswitch_set_away(&sw, mac0, 0, false));
	CHECK_EQ(send(2, 1, 0, 0, 60), NET_DROP_SPOOF);
	CHECK_EQ(send(1, 0, 1, 0, 60), NET_OK);
	CHECK_EQ(who(), 1);
}

TEST(mirror)
{
	setup();
	sw.mirror = (u8)id[1];
	send(0, 3, 0, 0, 60);
	CHECK_EQ(who(), 2 | 4);
	send(0, 0xff, 0, 0, 60);
	CHECK_EQ(got[1].frames, 1);
	send(3, 0xff, 3, 0, 60); /* another VLAN shows with its tag */
	CHECK_EQ(got[1].len, 64);
	send(0, 1, 0, 0, 60);
	CHECK_EQ(got[1].frames, 1);
}

TEST(storm)
{
	u32 passed = 0;

	setup();
	for (u32 i = 0; i < 30000; i++, now += SECOND / 10000)
		passed += send(0, 0xff, 0, 0, 60) == NET_OK;
	/* Three seconds, and the burst at the beginning. */
	CHECK(passed >= 4 * VSWITCH_STORM_PPS - 3 && passed <= 4 * VSWITCH_STORM_PPS + 3);
	CHECK_EQ(send(0, 1, 0, 0, 60), NET_OK);
}

/* 10 s at each rate, in both directions: within 5 %. */
TEST(rates)
{
	static const u64 bps[] = { 1000000, 10000000, 123456789, 1000000000, 10000000000ull };

	for (unsigned k = 0; k < 5; k++) {
		u64 sent = 0, end, want = bps[k] / 8 * 10;

		setup();
		now = 12345678;
		vswitch_set_rate(&sw, id[0], bps[k], 0, now);
		end = now + 10 * SECOND;
		while (now < end) {
			u64 wait = vswitch_tx_wait(&sw, id[0], now);

			if (wait) {
				now += wait;
				continue;
			}
			CHECK_EQ(send(0, 1, 0, 0, 1514), NET_OK);
			sent += 1514;
			now += 100;
		}
		CHECK(sent >= want - want / 20 && sent <= want + want / 20 + BUCKET_SECOND / 7000);
	}
	setup();
	vswitch_set_rate(&sw, id[1], 0, 100000000, now);
	got[1].bytes = 0;
	for (u32 i = 0; i < 1000000; i++, now += 10000) /* ten times too much */
		send(0, 1, 0, 0, 1250);
	CHECK(got[1].bytes > 118750000 && got[1].bytes < 131250000);
	CHECK(sw.port[id[1]].count.rx_drop[NET_DROP_RATE] > 800000);
}

TEST(buckets)
{
	struct bucket b;

	bucket_init(&b, 0, 5, 1);
	CHECK_EQ(bucket_wait(&b, 7), 0);
	bucket_init(&b, 10, 5, 1000);
	bucket_take(&b, 5);
	CHECK_EQ(bucket_wait(&b, 1000), SECOND / 10 + 1);
	CHECK_EQ(bucket_wait(&b, 999), SECOND / 10 + 1); /* a clock that goes back grants nothing */
	CHECK_EQ(bucket_wait(&b, 1001 + SECOND / 10), 0);
	bucket_take(&b, 21); /* in debt by 20 */
	CHECK_EQ(bucket_wait(&b, 1001 + SECOND / 10), 21 * SECOND / 10 + 1);
	CHECK_EQ(bucket_wait(&b, ~0ull), 0);
	bucket_init(&b, ~0ull, ~0ull, 0);
	bucket_take(&b, 2 * b.burst);
	bucket_wait(&b, SECOND);
	CHECK_EQ(b.level, 0);
	CHECK_EQ(bucket_wait(&b, ~0ull), 0);
	CHECK_EQ(b.level, b.burst);
}

TEST(finishing)
{
	struct frame f = make(1, 0, 0, 3000);

	setup();
	f.flags = FRAME_CSUM;
	f.gso = FRAME_TCP4;
	f.gso_size = 1000;
	f.csum_start = 34;
	f.csum_offset = 16;
	f.head[14] = 0x45;
	f.head[23] = 6;
	f.head[46] = 0x50;
	got[1].caps = NETBE_CSUM | NETBE_TCP4;
	got[1].frames = 0;
	CHECK_EQ(vswitch_send(&sw, id[0], &f, false, now), NET_OK);
	CHECK_EQ(got[1].frames, 1); /* as it is, metadata with it */
	CHECK_EQ(got[1].meta.gso, FRAME_TCP4);
	CHECK(got[1].meta.flags & FRAME_CSUM);
	got[1].caps = NETBE_CSUM | NETBE_TCP6;
	CHECK_EQ(vswitch_send(&sw, id[0], &f, false, now), NET_OK);
	CHECK_EQ(got[1].frames, 1 + 3);
	CHECK_EQ(got[1].meta.gso, FRAME_NO_GSO);
	CHECK(!(got[1].meta.flags & FRAME_CSUM));
	f.gso = FRAME_NO_GSO;
	f.gso_size = 0;
	f.body_len = 40;
	CHECK_EQ(vswitch_send(&sw, id[0], &f, false, now), NET_OK);
	CHECK(got[1].meta.flags & FRAME_CSUM);
	got[1].caps = 0;
	CHECK_EQ(vswitch_send(&sw, id[0], &f, false, now), NET_OK);
	CHECK(!(got[1].meta.flags & FRAME_CSUM));
	CHECK(got[1].last[50] | got[1].last[51]);
	f.csum_start = 3000;
	CHECK_EQ(vswitch_send(&sw, id[0], &f, false, now), NET_DROP_OFFLOAD);
	f.csum_start = 34;
	f.gso = FRAME_TCP6; /* which it is not */
	f.gso_size = 1000;
	CHECK_EQ(vswitch_send(&sw, id[0], &f, false, now), NET_DROP_OFFLOAD);
	/* A tag moves where the checksum starts. */
	f = make(3, 4, 10, 104);
	f.flags = FRAME_CSUM;
	f.csum_start = 38;
	f.csum_offset = 16;
	got[3].caps = NETBE_CSUM;
	CHECK_EQ(vswitch_send(&sw, id[4], &f, false, now), NET_OK);
	CHECK_EQ(got[3].meta.csum_start, 34);
	f = make(4, 3, 0, 100);
	f.flags = FRAME_CSUM;
	f.csum_start = 34;
	f.csum_offset = 16;
	got[4].caps = NETBE_CSUM;
	CHECK_EQ(vswitch_send(&sw, id[3], &f, false, now), NET_OK);
	CHECK_EQ(got[4].meta.csum_start, 38);
}

UNIT_MAIN({ "paths", paths }, { "vlans", vlans }, { "filters", filters }, { "ageing", ageing },
	  { "ports_come_and_go", ports_come_and_go }, { "away", away },
	  { "mirror", mirror }, { "storm", storm },
	  { "rates", rates }, { "buckets", buckets }, { "finishing", finishing })
