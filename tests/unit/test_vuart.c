/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550A: what drivers probe, interrupt priorities, FIFO levels, loopback, flow of input.
 */
#include "unit.h"

#include "devices/platform/vuart.h"
#include "kernel/base/err.h"

static struct vuart u;
static char sent[64];
static size_t nsent;
static bool line;
static unsigned rooms;

static void env_tx(void *c, u8 b)
{
	(void)c;
	if (nsent < sizeof(sent))
		sent[nsent++] = (char)b;
}

static void env_irq(void *c, bool level)
{
	(void)c;
	line = level;
}

static void env_room(void *c)
{
	(void)c;
	rooms++;
}

static void setup(void)
{
	const struct vuart_env env = { NULL, env_tx, env_irq, env_room };

	nsent = rooms = 0;
	line = false;
	vuart_init(&u, &env);
}

static u8 rd(unsigned off)
{
	u8 v = 0xcc;

	vuart_io(&u, off, false, &v);
	return v;
}

static void wr(unsigned off, u8 v)
{
	vuart_io(&u, off, true, &v);
}

/* The order in which Linux finds out what it has. */
TEST(autoconfig)
{
	setup();
	wr(1, 0);
	CHECK_EQ(rd(1), 0);
	wr(1, 0x0f);
	CHECK_EQ(rd(1), 0x0f);
	wr(1, 0x40); /* UUE of XScale */
	CHECK_EQ(rd(1), 0);
	wr(4, 0x1a);
	CHECK_EQ(rd(6) & 0xf0, 0x90);
	wr(4, 0x00);
	wr(3, 0xbf);
	wr(2, 0x00);
	wr(3, 0x00);
	wr(2, 0x01);
	CHECK_EQ(rd(2) >> 6, 3);
	wr(3, 0x80);
	CHECK(rd(2) != 0); /* no EFR here */
	wr(3, 0x00);
	wr(2, 0x21);
	CHECK_EQ(rd(2) & 0x20, 0); /* no 64-byte FIFO */
	wr(7, 0x5a);
	CHECK_EQ(rd(7), 0x5a);
	wr(2, 0);
	CHECK_EQ(rd(2) >> 6, 0);
}

TEST(divisor_latch)
{
	setup();
	CHECK_EQ(rd(3), 0);
	wr(3, 0x83);
	wr(0, 0x0c);
	wr(1, 0x01);
	CHECK_EQ(rd(0), 0x0c);
	CHECK_EQ(rd(1), 0x01);
	wr(3, 0x03);
	CHECK_EQ(rd(1), 0);
	CHECK_EQ(nsent, 0);
}

TEST(transmit)
{
	setup();
	wr(4, 0x0b);
	CHECK_EQ(rd(5), 0x60);
	wr(0, 'h');
	wr(0, 'i');
	CHECK_EQ(nsent, 2);
	CHECK(!memcmp(sent, "hi", 2));
	CHECK(!line);
	wr(1, 0x02); /* enabling raises it at once */
	CHECK(line);
	CHECK_EQ(rd(2), 0x02);
	CHECK(!line);
	CHECK_EQ(rd(2), 0x01);
	wr(1, 0);
	wr(1, 2);
	CHECK(line);
	rd(2);
	wr(0, 'x');
	CHECK(line);
	wr(4, 0x03); /* OUT2 off */
	CHECK(!line);
}

TEST(receive_fifo)
{
	u8 data[20];

	setup();
	for (u8 i = 0; i < 20; i++)
		data[i] = i;
	CHECK_EQ(vuart_rx(&u, data, 20), 1); /* no FIFO yet */
	CHECK_EQ(rd(5) & 1, 1);
	wr(2, 0x87); /* FIFO, trigger 8 */
	CHECK_EQ(rd(5) & 1, 0);
	wr(4, 0x08);
	wr(1, 0x01);
	CHECK_EQ(vuart_rx(&u, data, 3), 3);
	CHECK(line);
	CHECK_EQ(rd(2), 0xcc);
	CHECK_EQ(vuart_rx(&u, data + 3, 17), 13);
	CHECK_EQ(rd(2), 0xc4);
	rooms = 0;
	CHECK_EQ(rd(0), 0);
	CHECK_EQ(rooms, 1);
	for (u8 i = 1; i < 16; i++)
		CHECK_EQ(rd(0), i);
	CHECK_EQ(rooms, 1);
	CHECK(!line);
	CHECK_EQ(rd(0), 0);
	CHECK_EQ(rd(5), 0x60);
}

TEST(priorities)
{
	u8 b = 'a';

	setup();
	wr(2, 0x01);
	wr(4, 0x18);
	for (unsigned i = 0; i < 17; i++)
		wr(0, 'z'); /* loopback overruns */
	wr(4, 0x08);
	wr(1, 0x0f);
	CHECK(line);
	CHECK_EQ(rd(2), 0xc6);
	CHECK_EQ(rd(5), 0x63);
	CHECK_EQ(rd(2), 0xc4);
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(rd(0), 'z');
	CHECK_EQ(rd(2), 0xc2);
	CHECK_EQ(rd(2), 0xc0); /* modem lines moved by the loopback */
	CHECK(rd(6) & 0x0f);
	CHECK_EQ(rd(2), 0xc1);
	CHECK(!line);
	CHECK_EQ(nsent, 0);
	wr(4, 0x18);
	CHECK_EQ(vuart_rx(&u, &b, 1), 0); /* disconnected */
	rooms = 0;
	wr(4, 0x08);
	CHECK_EQ(rooms, 1);
	CHECK_EQ(vuart_rx(&u, &b, 1), 1);
}

TEST(resume_checks)
{
	setup();
	wr(4, 8);
	wr(1, 2);
	line = false;
	CHECK_EQ(vuart_resume(&u), 0);
	CHECK(line);
	u.rx_count = 2; /* more than fits without FIFO */
	CHECK_EQ(vuart_resume(&u), -EINVAL);
	u.rx_count = 0;
	u.rx_head = 16;
	CHECK_EQ(vuart_resume(&u), -EINVAL);
}

UNIT_MAIN({ "autoconfig", autoconfig }, { "divisor_latch", divisor_latch },
	  { "transmit", transmit }, { "receive_fifo", receive_fifo },
	  { "priorities", priorities }, { "resume_checks", resume_checks })
