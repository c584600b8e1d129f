/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818: calendar in all formats, setting, update window, the three interrupts, CMOS.
 */
#include "unit.h"

#include "devices/platform/vrtc.h"
#include "kernel/base/err.h"

#define S 1000000000ull

static struct vrtc r;
static u64 now, armed;
static bool line;

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

static void env_irq(void *c, bool level)
{
	(void)c;
	line = level;
}

/* 2024-02-29 23:59:58, a Thursday */
#define LEAP_DAY 1709251198ull

static void setup(u64 t)
{
	const struct vrtc_env env = { NULL, env_now, env_arm, env_irq };

	now = t * S;
	armed = 0;
	line = false;
	vrtc_init(&r, &env, 512ull << 20, 3ull << 30);
}

static u8 rd(u8 reg)
{
	u8 v = 0;

	vrtc_io(&r, 0, true, &reg);
	vrtc_io(&r, 1, false, &v);
	return v;
}

static void wr(u8 reg, u8 v)
{
	vrtc_io(&r, 0, true, &reg);
	vrtc_io(&r, 1, true, &v);
}

TEST(calendar)
{
	setup(LEAP_DAY);
	CHECK_EQ(rd(0), 0x58);
	CHECK_EQ(rd(2), 0x59);
	CHECK_EQ(rd(4), 0x23);
	CHECK_EQ(rd(6), 5);
	CHECK_EQ(rd(7), 0x29);
	CHECK_EQ(rd(8), 0x02);
	CHECK_EQ(rd(9), 0x24);
	CHECK_EQ(rd(0x32), 0x20);
	now += 2 * S;
	CHECK_EQ(rd(7), 0x01);
	CHECK_EQ(rd(8), 0x03);
	CHECK_EQ(rd(6), 6);
	CHECK_EQ(rd(4), 0);
	wr(0xb, 0x04); /* binary, 12 h */
	CHECK_EQ(rd(4), 12);
	now += 13 * 3600 * S;
	CHECK_EQ(rd(4), 0x81);
	CHECK_EQ(rd(9), 24);
	wr(0xb, 0x00);
	now += 9 * 3600 * S;
	CHECK_EQ(rd(4), 0x90); /* 10 pm, BCD */
	setup(0);
	CHECK_EQ(rd(9), 0x70);
	CHECK_EQ(rd(0x32), 0x19);
	CHECK_EQ(rd(6), 5);
	setup(16725225599ull);
	CHECK_EQ(rd(0x32), 0x24);
	CHECK_EQ(rd(9), 0x99);
	CHECK_EQ(rd(7), 0x31);
}

/* Every day of two 400-year edges must survive being read and set again. */
TEST(set_reads_back)
{
	for (u64 t = 946684800 - 86400; t < 946684800 + 86400ull * 800; t += 86399) {
		u8 f[8];
		static const u8 regs[8] = { 0, 2, 4, 7, 8, 9, 0x32, 6 };

		setup(t);
		for (unsigned i = 0; i < 8; i++)
			f[i] = rd(regs[i]);
		setup(1234567890);
		wr(0xb, 0x82);
		for (unsigned i = 0; i < 7; i++)
			wr(regs[i], f[i]);
		now += 5 * S; /* frozen while SET */
		wr(0xb, 0x02);
		CHECK_EQ((now + r.offset_ns) / S, t);
		for (unsigned i = 0; i < 8; i++)
			CHECK_EQ(rd(regs[i]), f[i]);
	}
}

TEST(set_without_freeze)
{
	setup(LEAP_DAY);
	wr(2, 0x30);
	CHECK_EQ(rd(2), 0x30);
	CHECK_EQ(rd(4), 0x23);
	now += 60 * S;
	CHECK_EQ(rd(2), 0x31);
	wr(0x32, 0x99); /* beyond what fits: the last year there is */
	CHECK_EQ(rd(0x32), 0x24);
	wr(8, 0xff);
	wr(7, 0xff);
	wr(4, 0xff);
	CHECK((now + r.offset_ns) / S <= 16725225599ull);
}

TEST(update_window)
{
	setup(LEAP_DAY);
	CHECK_EQ(rd(0xa), 0x26);
	now += S - 2000000;
	CHECK_EQ(rd(0xa), 0xa6);
	now += 2000000;
	CHECK_EQ(rd(0xa), 0x26);
	CHECK_EQ(rd(0), 0x59);
	CHECK_EQ(rd(0xd), 0x80);
}

TEST(update_interrupt)
{
	setup(LEAP_DAY);
	wr(0xa, 0x20); /* periodic rate off */
	wr(0xb, 0x12);
	CHECK_EQ(armed, (LEAP_DAY + 1) * S);
	now = armed;
	vrtc_timer(&r);
	CHECK(line);
	CHECK_EQ(rd(0xc), 0x90);
	CHECK(!line);
	CHECK_EQ(rd(0xc), 0);
	CHECK_EQ(armed, (LEAP_DAY + 2) * S);
	wr(0xb, 0x02);
	now += 5 * S;
	vrtc_timer(&r);
	CHECK(!line);
	CHECK_EQ(rd(0xc), 0x30); /* polled; midnight is the alarm, too */
}

TEST(periodic_interrupt)
{
	setup(LEAP_DAY);
	wr(0xa, 0x26); /* 1024 Hz */
	wr(0xb, 0x42);
	for (unsigned i = 0; i < 1024; i++) {
		CHECK(armed > now);
		now = armed;
		vrtc_timer(&r);
		CHECK(line);
		CHECK(rd(0xc) & 0x40);
		CHECK(!line);
	}
	CHECK_EQ(now, (LEAP_DAY + 1) * S);
	now += S;
	vrtc_timer(&r);
	armed = 0;
	vrtc_timer(&r);
	CHECK_EQ(armed, 0); /* not before register C is read */
}

TEST(alarm_interrupt)
{
	setup(LEAP_DAY);
	wr(5, 0x01);
	wr(3, 0x02);
	wr(1, 0x03);
	wr(0xb, 0x22);
	CHECK_EQ(armed, (LEAP_DAY + 2 + 3723) * S);
	now = armed - S;
	vrtc_timer(&r);
	CHECK(!line);
	now = armed;
	vrtc_timer(&r);
	CHECK(line);
	CHECK_EQ(rd(0xc) & 0xa0, 0xa0);
	wr(5, 0xff); /* every hour */
	CHECK_EQ(armed, now + 3600 * S);
	wr(3, 0xff);
	wr(1, 0xff); /* every second */
	CHECK_EQ(armed, now + S);
	armed = 0;
	wr(5, 0x30); /* never */
	CHECK_EQ(armed, 0);
	wr(0xb, 0x20);
	wr(5, 0x81); /* 1 pm */
	wr(3, 0);
	wr(1, 0);
	CHECK_EQ(armed / S % 86400, 13 * 3600);
}

TEST(cmos_memory)
{
	u8 v = 0;

	setup(0);
	CHECK_EQ(rd(0x15) | rd(0x16) << 8, 640);
	CHECK_EQ(rd(0x17) | rd(0x18) << 8, 0xffff);
	CHECK_EQ(rd(0x34) | rd(0x35) << 8, 496 * 16);
	CHECK_EQ(rd(0x5b) | rd(0x5c) << 8 | rd(0x5d) << 16, 3 << 14);
	wr(0x40, 0x77);
	CHECK_EQ(rd(0x40), 0x77);
	wr(0xd, 0);
	CHECK_EQ(rd(0xd), 0x80);
	vrtc_io(&r, 0, false, &v);
	CHECK_EQ(v, 0xff);
	wr(0xb, 0x72);
	vrtc_reset(&r);
	CHECK_EQ(rd(0xb), 0x02);
	CHECK_EQ(rd(0x40), 0x77);
}

TEST(resume_checks)
{
	setup(LEAP_DAY);
	wr(0xb, 0x12);
	armed = 0;
	now += 100 * S;
	CHECK_EQ(vrtc_resume(&r), 0);
	CHECK_EQ(armed, (LEAP_DAY + 101) * S);
	r.index = 0x80;
	CHECK_EQ(vrtc_resume(&r), -EINVAL);
	r.index = 0;
	r.offset_ns = 0 - now - 1; /* past the last year a guest can set: it got there by waiting */
	CHECK_EQ(vrtc_resume(&r), 0);
	r.cmos[0xc] = 1;
	CHECK_EQ(vrtc_resume(&r), -EINVAL);
}

UNIT_MAIN({ "calendar", calendar }, { "set_reads_back", set_reads_back },
	  { "set_without_freeze", set_without_freeze }, { "update_window", update_window },
	  { "update_interrupt", update_interrupt }, { "periodic_interrupt", periodic_interrupt },
	  { "alarm_interrupt", alarm_interrupt }, { "cmos_memory", cmos_memory },
	  { "resume_checks", resume_checks })
