/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8254: counts, outputs and interrupts of every mode, latches, port 61h, calibration.
 */
#include "unit.h"

#include "devices/platform/vpit.h"
#include "kernel/base/err.h"

static struct vpit p;
static u64 now, armed;
static bool level;
static unsigned edges;

static u64 env_now(void *c)
{
	(void)c;
	return now;
}

static void env_arm(void *c, u64 ns)
{
	(void)c;
	armed = ns;
}

static void env_irq(void *c, bool l)
{
	(void)c;
	edges += l && !level;
	level = l;
}

static void setup(void)
{
	const struct vpit_env env = { NULL, env_now, env_arm, env_irq };

	now = 1000000;
	armed = 0;
	vpit_init(&p, &env);
	level = false;
	edges = 0;
}

static void wr(u16 port, u8 v)
{
	vpit_io(&p, port, true, &v);
}

static u8 rd(u16 port)
{
	u8 v = 0;

	vpit_io(&p, port, false, &v);
	return v;
}

static u64 ticks(u64 n)
{
	return (n * 1000000000 + VPIT_HZ - 1) / VPIT_HZ;
}

/* Move to the armed time and call, as the edge code does. */
static void fire(void)
{
	CHECK(armed > now);
	now = armed;
	armed = 0;
	vpit_timer(&p);
}

TEST(periodic)
{
	u64 t0;

	setup();
	wr(0x43, 0x34); /* channel 0, mode 2 */
	CHECK(level);
	edges = 0;
	level = false;
	wr(0x40, 0x9c);
	CHECK_EQ(armed, 0);
	wr(0x40, 0x2e); /* 11932: 10 ms */
	t0 = now;
	edges = 0;
	for (unsigned i = 1; i <= 100; i++) {
		fire();
		CHECK_EQ(edges, i);
	}
	CHECK(now - t0 > 999900000 && now - t0 < 1000100000);
	now += 50000000; /* late by five periods: one interrupt */
	vpit_timer(&p);
	CHECK_EQ(edges, 101);
	CHECK(armed - now <= ticks(11932));
}

TEST(tiny_period_is_bounded)
{
	setup();
	wr(0x43, 0x14);
	wr(0x40, 1);
	CHECK(armed >= now + 100000);
	fire();
	CHECK(armed >= now + 100000);
}

TEST(one_shot)
{
	setup();
	wr(0x43, 0x30);
	CHECK(!level);
	wr(0x40, 0xe8);
	wr(0x40, 0x03);
	CHECK(armed >= now + ticks(999) && armed <= now + ticks(1002));
	fire();
	CHECK(level);
	CHECK_EQ(edges, 1);
	CHECK_EQ(armed, 0);
	wr(0x43, 0x38); /* mode 4 */
	edges = 0;
	wr(0x40, 0xe8);
	wr(0x40, 0x03);
	fire();
	CHECK_EQ(edges, 1);
	CHECK_EQ(armed, 0);
	wr(0x43, 0x30);
	vpit_timer(&p); /* stale call */
	CHECK_EQ(edges, 1);
}

/* The way kernels calibrate: channel 2, mode 0, gate by port 61h, output at bit 5. */
TEST(channel2_calibration)
{
	u64 t0;

	setup();
	wr(0x61, 0x00);
	wr(0x43, 0xb0);
	wr(0x42, 0x9c);
	wr(0x42, 0x2e);
	CHECK(!(rd(0x61) & 0x20));
	now += 20000000;
	CHECK(!(rd(0x61) & 0x20)); /* gate low: stands still */
	wr(0x61, 0x01);
	t0 = now;
	while (!(rd(0x61) & 0x20))
		now += 1000;
	CHECK(now - t0 >= 9999000 && now - t0 <= 10002000);
	/* and the count read without latching, low byte then high */
	wr(0x43, 0xb0);
	wr(0x42, 0xff);
	wr(0x42, 0xff);
	now += ticks(0x1234);
	CHECK_EQ(rd(0x42), (0xffff - 0x1234) & 0xff);
	CHECK_EQ(rd(0x42), (0xffff - 0x1234) >> 8);
	CHECK_EQ(armed, 0);
}

TEST(latches)
{
	u8 lo, hi;

	setup();
	wr(0x43, 0x34);
	wr(0x40, 0x00);
	wr(0x40, 0x10);
	now += ticks(0x100);
	wr(0x43, 0x00);
	now += ticks(0x80);
	lo = rd(0x40);
	hi = rd(0x40);
	CHECK_EQ(hi << 8 | lo, 0x0f00);
	lo = rd(0x40);
	hi = rd(0x40);
	CHECK_EQ(hi << 8 | lo, 0x0e80);
	wr(0x43, 0xc2); /* read back status and count of channel 0 */
	CHECK_EQ(rd(0x40), 0xb4);
	lo = rd(0x40);
	hi = rd(0x40);
	CHECK_EQ(hi << 8 | lo, 0x0e80);
	wr(0x43, 0x34);
	wr(0x43, 0xe2); /* status only: null count */
	CHECK_EQ(rd(0x40), 0xf4);
	CHECK_EQ(rd(0x43), 0xff);
}

TEST(square_wave_and_bcd)
{
	setup();
	wr(0x61, 1);
	wr(0x43, 0xb7); /* channel 2, mode 3, BCD */
	wr(0x42, 0x00);
	wr(0x42, 0x10); /* 1000 */
	CHECK(rd(0x61) & 0x20);
	now += ticks(501);
	CHECK(!(rd(0x61) & 0x20));
	now += ticks(500);
	CHECK(rd(0x61) & 0x20);
	wr(0x43, 0xb1);
	wr(0x42, 0x00);
	wr(0x42, 0x10);
	now += ticks(1);
	wr(0x43, 0x80);
	CHECK_EQ(rd(0x42), 0x99);
	CHECK_EQ(rd(0x42), 0x09);
	wr(0x42, 0x9c);
	wr(0x42, 0xc0); /* no decimal digits: 12102 carries out */
	CHECK_EQ(p.ch[2].count, 2102);
	CHECK_EQ(vpit_resume(&p), 0);
}

TEST(hardware_triggered)
{
	setup();
	wr(0x43, 0x92); /* channel 2, mode 1, low byte */
	wr(0x42, 100);
	CHECK(rd(0x61) & 0x20);
	now += ticks(500);
	wr(0x61, 1);
	CHECK(!(rd(0x61) & 0x20));
	now += ticks(101);
	CHECK(rd(0x61) & 0x20);
}

TEST(refresh_toggles)
{
	u8 a;

	setup();
	a = rd(0x61) & 0x10;
	now += 15085;
	CHECK((rd(0x61) & 0x10) != a);
}

TEST(resume_checks)
{
	setup();
	wr(0x43, 0x34);
	wr(0x40, 0);
	wr(0x40, 0x10);
	armed = 0;
	p.next_edge = 0;
	CHECK_EQ(vpit_resume(&p), 0);
	CHECK(armed);
	p.ch[1].count = 0;
	CHECK_EQ(vpit_resume(&p), -EINVAL);
	p.ch[1].count = 1;
	p.ch[0].start = ~0ull;
	CHECK_EQ(vpit_resume(&p), -EINVAL);
}

UNIT_MAIN({ "periodic", periodic }, { "tiny_period_is_bounded", tiny_period_is_bounded },
	  { "one_shot", one_shot }, { "channel2_calibration", channel2_calibration },
	  { "latches", latches }, { "square_wave_and_bcd", square_wave_and_bcd },
	  { "hardware_triggered", hardware_triggered }, { "refresh_toggles", refresh_toggles },
	  { "resume_checks", resume_checks })
