/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8259 pair: initialisation, priorities, EOI kinds, poll, spurious, level inputs.
 */
#include "unit.h"

#include "devices/platform/vpic.h"
#include "kernel/base/err.h"

static struct vpic p;
static bool out;

static void env_out(void *c, bool level)
{
	(void)c;
	out = level;
}

static void wr(u16 port, u8 v)
{
	vpic_io(&p, port, true, &v);
}

static u8 rd(u16 port)
{
	u8 v = 0xcc;

	vpic_io(&p, port, false, &v);
	return v;
}

static void setup(void)
{
	const struct vpic_env env = { NULL, env_out };

	out = false;
	vpic_init(&p, &env);
	wr(0x20, 0x11);
	wr(0x21, 0x30);
	wr(0x21, 0x04);
	wr(0x21, 0x01);
	wr(0xa0, 0x11);
	wr(0xa1, 0x38);
	wr(0xa1, 0x02);
	wr(0xa1, 0x01);
}

static void pulse(unsigned irq)
{
	vpic_set_line(&p, irq, true);
	vpic_set_line(&p, irq, false);
}

TEST(mask_register_probe)
{
	setup();
	wr(0x21, 0xfb);
	CHECK_EQ(rd(0x21), 0xfb);
	wr(0xa1, 0xff);
	CHECK_EQ(rd(0xa1), 0xff);
}

TEST(nesting)
{
	setup();
	pulse(4);
	CHECK(out);
	CHECK_EQ(vpic_inta(&p), 0x34);
	CHECK(!out);
	pulse(6);
	CHECK(!out); /* lower priority waits */
	pulse(1);
	CHECK(out);
	CHECK_EQ(vpic_inta(&p), 0x31);
	wr(0x20, 0x0b);
	CHECK_EQ(rd(0x20), 0x12);
	wr(0x20, 0x0a);
	CHECK_EQ(rd(0x20), 0x40);
	wr(0x20, 0x20);
	CHECK(!out);
	wr(0x20, 0x64); /* specific EOI of 4 */
	CHECK(out);
	CHECK_EQ(vpic_inta(&p), 0x36);
}

TEST(cascade)
{
	setup();
	pulse(8);
	pulse(12);
	CHECK(out);
	CHECK_EQ(vpic_inta(&p), 0x38);
	CHECK(!out);
	wr(0xa0, 0x20);
	wr(0x20, 0x20);
	CHECK(out);
	CHECK_EQ(vpic_inta(&p), 0x3c);
	wr(0xa0, 0x0b);
	CHECK_EQ(rd(0xa0), 0x10);
	wr(0x20, 0x0b);
	CHECK_EQ(rd(0x20), 0x04);
	wr(0xa0, 0x20);
	wr(0x20, 0x20);
	CHECK(!out);
}

TEST(spurious)
{
	setup();
	pulse(3);
	wr(0x21, 0xff);
	CHECK(!out);
	CHECK_EQ(vpic_inta(&p), 0x37);
	wr(0x20, 0x0b);
	CHECK_EQ(rd(0x20), 0);
	wr(0x21, 0xf7);
	CHECK(out);
}

TEST(level_inputs)
{
	setup();
	wr(0x4d0, 0xff);
	wr(0x4d1, 0xff);
	CHECK_EQ(rd(0x4d0), 0xf8);
	CHECK_EQ(rd(0x4d1), 0xde);
	vpic_set_line(&p, 10, true);
	CHECK_EQ(vpic_inta(&p), 0x3a);
	wr(0xa0, 0x20);
	wr(0x20, 0x20);
	CHECK(out); /* still asserted */
	vpic_set_line(&p, 10, false);
	CHECK(!out);
}

TEST(auto_eoi_and_rotation)
{
	setup();
	wr(0x20, 0x11);
	wr(0x21, 0x30);
	wr(0x21, 0x04);
	wr(0x21, 0x03);
	wr(0x20, 0x80);
	pulse(3);
	pulse(5);
	CHECK_EQ(vpic_inta(&p), 0x33);
	CHECK(out); /* nothing in service */
	pulse(3);
	CHECK_EQ(vpic_inta(&p), 0x35); /* 3 is last now */
	CHECK_EQ(vpic_inta(&p), 0x33);
	setup();
	wr(0x20, 0xc4); /* 5 first */
	pulse(0);
	pulse(6);
	CHECK_EQ(vpic_inta(&p), 0x36);
	wr(0x20, 0xa0); /* rotate on EOI: 7 first, then 0 */
	CHECK_EQ(vpic_inta(&p), 0x30);
}

TEST(special_mask)
{
	setup();
	pulse(1);
	vpic_inta(&p);
	pulse(5);
	CHECK(!out);
	wr(0x21, 0x02);
	CHECK(!out);
	wr(0x20, 0x68);
	CHECK(out);
	CHECK_EQ(vpic_inta(&p), 0x35);
}

TEST(poll)
{
	setup();
	wr(0x20, 0x0c);
	CHECK_EQ(rd(0x20), 0);
	pulse(5);
	wr(0x20, 0x0c);
	CHECK_EQ(rd(0x20), 0x85);
	CHECK(!out);
	wr(0x20, 0x0b);
	CHECK_EQ(rd(0x20), 0x20);
	/* the next read is the poll, whichever port it is of; then the mask is the mask again */
	pulse(3);
	wr(0x20, 0x0c);
	CHECK_EQ(rd(0x21), 0x83);
	CHECK_EQ(rd(0x21), 0);
}

TEST(resume_checks)
{
	setup();
	pulse(4);
	out = false;
	CHECK_EQ(vpic_resume(&p), 0);
	CHECK(out);
	p.chip[1].first = 8;
	CHECK_EQ(vpic_resume(&p), -EINVAL);
}

UNIT_MAIN({ "mask_register_probe", mask_register_probe }, { "nesting", nesting },
	  { "cascade", cascade }, { "spurious", spurious }, { "level_inputs", level_inputs },
	  { "auto_eoi_and_rotation", auto_eoi_and_rotation }, { "special_mask", special_mask },
	  { "poll", poll }, { "resume_checks", resume_checks })
