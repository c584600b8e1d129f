/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control page of a VF and its mailbox, driven the way a stock driver does it, and against the
 * grain.
 */
#include "unit.h"

#include "devices/sriov/igb/igb_vf0.h"
#include "igb_model.h"
#include "kernel/base/err.h"

#define RST   0x04000000u
#define REQ   1u
#define ACK   2u
#define VFU   4u
#define PFSTS 0x10u
#define PFACK 0x20u

static struct igb_model m;
static struct igb_hw hw;
static struct igb_vf0 v;
static bool link_up;
static u32 hw_stat;
static unsigned resets;

static const struct igb_env env = { &m, igb_model_rd, igb_model_wr, igb_model_delay };
static const u8 mac[6] = { 0x52, 0x54, 0, 0, 0, 0x0a };

static void on_reset(void *ctx)
{
	(void)ctx;
	resets++;
	igb_vf_forget(&hw, 2);
}

static u32 on_message(void *ctx, u32 msg[IGB_MBOX_WORDS])
{
	(void)ctx;
	return igb_mbox_handle(&hw, 2, msg);
}

static bool on_link(void *ctx)
{
	(void)ctx;
	return link_up;
}

static u32 on_stat(void *ctx, u32 off)
{
	(void)ctx;
	return hw_stat + off;
}

static void setup(bool trunk, bool promisc)
{
	const struct igb_vf0_env e = { NULL, on_reset, on_message, on_link, on_stat };
	struct igb_vf p = { .trunk = trunk, .promisc = promisc };

	memset(&m, 0, sizeof(m));
	memcpy(p.mac, mac, 6);
	igb_model_power_on(&m);
	CHECK_EQ(igb_reset(&hw, &env), 0);
	CHECK_EQ(igb_start(&hw, 4, 1), 0);
	CHECK_EQ(igb_vf_give(&hw, 2, &p), 0);
	link_up = true;
	hw_stat = 1000;
	resets = 0;
	igb_vf0_init(&v, &e);
}

static u32 rd(u32 off)
{
	u64 x = ~0ull;

	igb_vf0_io(&v, off, 4, false, &x);
	return (u32)x;
}

static void wr(u32 off, u32 value)
{
	u64 x = value;

	igb_vf0_io(&v, off, 4, true, &x);
}

/* Send n words and return the answer's first, as the driver does it. */
static u32 send(const u32 *msg, u32 n)
{
	wr(0xc40, VFU);
	CHECK(rd(0xc40) & VFU);
	for (u32 i = 0; i < n; i++)
		wr(0x800 + 4 * i, msg[i]);
	wr(0xc40, REQ);
	CHECK_EQ(rd(0xc40) & (VFU | PFACK | PFSTS), PFACK | PFSTS);
	CHECK_EQ(rd(0xc40), 0); /* cleared by reading */
	wr(0xc40, VFU);
	n = rd(0x800);
	wr(0xc40, ACK);
	return n;
}

static u32 send1(u32 word0, u32 word1)
{
	const u32 msg[3] = { word0, word1, 0 };

	return send(msg, 3);
}

static void vf_reset(void)
{
	wr(0, RST);
	CHECK_EQ(rd(0xc40), 0);
	CHECK_EQ(send1(1, 0), 0x80000001);
	CHECK_EQ(rd(0x804), 0x00005452);
	CHECK_EQ(rd(0x808), 0x0a00);
}

TEST(driver_probe_and_open)
{
	const u32 set_mac[3] = { 2, 0x00005452, 0x0a00 };

	setup(false, false);
	CHECK_EQ(rd(8), 0x83);
	vf_reset();
	vf_reset();
	CHECK_EQ(resets, 2);
	CHECK(hw.vf[2].cts);
	CHECK_EQ(m.reg[IGB_VFTE / 4] & 4, 4);
	CHECK_EQ(send(set_mac, 3), 0xa0000002);
	CHECK_EQ(send1(0x00020003, 0x0abc0123), 0xa0020003); /* two hashes */
	CHECK_EQ(hw.vf[2].hashes, 2);
	CHECK_EQ(hw.vf[2].hash[1], 0xabc);
	CHECK(*igb_model_reg(&m, IGB_VMOLR(2)) & IGB_VMOLR_ROMPE);
	CHECK_EQ(send1(0x00010002, 0), 0xa0010002); /* clear further addresses */
	CHECK_EQ(send1(0x00010004, 0), 0xa0010004); /* VLAN 0 */
	CHECK_EQ(send1(5, 0x5f2), 0xa0000005);
	CHECK_EQ(*igb_model_reg(&m, IGB_VMOLR(2)) & 0x3fff, 0x5f6);
	CHECK(rd(0x800) & 0x20000000); /* what the link check looks for */
	wr(0, RST);
	CHECK(!hw.vf[2].cts);
	CHECK_EQ(hw.vf[2].hashes, 0);
	CHECK_EQ(m.reg[IGB_VFTE / 4] & 4, 0);
}

TEST(refused)
{
	const u32 other[3] = { 2, 0x00005452, 0x0b00 };

	setup(false, false);
	CHECK_EQ(send1(5, 0x5f2), 0x40000005); /* before its reset: no CTS */
	vf_reset();
	CHECK_EQ(send(other, 3), 0x60000002); /* somebody else's address */
	CHECK_EQ(send1(0x00020002, 0), 0x60020002);
	CHECK_EQ(send1(0x00010004, 10), 0x60010004); /* not a trunk */
	CHECK_EQ(send1(5, 63), 0x60000005);
	CHECK_EQ(send1(5, 9729), 0x60000005);
	CHECK_EQ(send1(5, ~0u), 0x60000005);
	CHECK_EQ(send1(0x00020006, 0), 0x60020006);
	CHECK_EQ(send1(0x00010006, 0), 0x60010006);
	CHECK_EQ(send1(0x00000006, 0), 0xa0000006); /* nothing asked for */
	CHECK_EQ(send1(0, 0), 0x60000000);
	CHECK_EQ(send1(7, 0), 0x60000007);
	CHECK_EQ(send1(0xe000ffff, 0), 0x6000ffff); /* flags of the answer in the question */
	CHECK_EQ(*igb_model_reg(&m, IGB_VMOLR(2)) & 0x3fff, IGB_STD_FRAME);
}

TEST(vlans_of_a_trunk)
{
	setup(true, false);
	vf_reset();
	for (u32 i = 0; i < IGB_VF_VLANS; i++)
		CHECK_EQ(send1(0x00010004, 100 + i), 0xa0010004);
	CHECK_EQ(send1(0x00010004, 100), 0xa0010004); /* again */
	CHECK_EQ(send1(0x00010004, 200), 0x60010004); /* its share is used up */
	CHECK_EQ(send1(0x00010004, 0xfff), 0x60010004);
	CHECK_EQ(send1(0x00000004, 101), 0xa0000004);
	CHECK_EQ(send1(0x00010004, 200), 0xa0010004);
	CHECK_EQ(hw.vlvf[1].vid, 200);
	wr(0, RST);
	for (u32 i = 0; i < IGB_VLVFS; i++)
		CHECK_EQ(hw.vlvf[i].pools, 0);
}

TEST(long_multicast_list)
{
	u32 msg[16];

	setup(false, true);
	vf_reset();
	memset(msg, 0xff, sizeof(msg));
	msg[0] = 0x00ff0003;
	CHECK_EQ(send(msg, 16), 0xa0ff0003);
	CHECK_EQ(hw.vf[2].hashes, IGB_HASHES);
	CHECK_EQ(hw.vf[2].hash[29], 0xfff);
	CHECK_EQ(send1(0x00020006, 0), 0xa0020006);
	CHECK(*igb_model_reg(&m, IGB_VMOLR(2)) & IGB_VMOLR_MPME);
	CHECK_EQ(send1(0x00000006, 0), 0xa0000006);
	CHECK(!(*igb_model_reg(&m, IGB_VMOLR(2)) & IGB_VMOLR_MPME));
}

TEST(ping)
{
	setup(false, false);
	vf_reset();
	wr(0xc40, VFU);
	CHECK(!igb_vf0_ping(&v, igb_mbox_control(&hw, 2))); /* the driver has the buffer */
	wr(0xc40, ACK);
	CHECK(igb_vf0_ping(&v, igb_mbox_control(&hw, 2)));
	CHECK(!igb_vf0_ping(&v, 1));
	CHECK_EQ(rd(0xc40), PFSTS);
	CHECK_EQ(rd(0x800), 0x20000100);
	link_up = false;
	CHECK_EQ(rd(8), 0x81);
}

TEST(counters)
{
	setup(false, false);
	CHECK_EQ(rd(0xf10), 0); /* a new owner starts at 0 */
	hw_stat += 5;
	CHECK_EQ(rd(0xf10), 5);
	CHECK_EQ(rd(0xf50), 5);
	igb_vf0_freeze_stats(&v);
	hw_stat = 0; /* other hardware */
	igb_vf0_thaw_stats(&v);
	CHECK_EQ(rd(0xf14), 5);
	hw_stat = 0xffffffff;
	CHECK_EQ(rd(0xf14), 4); /* wraps like the register */
}

/* The VF changes, or its VM moves, while the driver has the buffer: the rest counts. */
TEST(half_a_message)
{
	const u32 reset = 1;

	setup(false, false);
	CHECK_EQ(send(&reset, 1), 0x80000001);
	wr(0xc40, VFU);
	wr(0x800, 5);
	wr(0x804, 1522);
	igb_vf0_freeze_stats(&v);
	igb_vf0_thaw_stats(&v);
	CHECK_EQ(igb_vf0_resume(&v), 0);
	CHECK_EQ(rd(0xc40), VFU);
	CHECK_EQ(rd(0x804), 1522);
	wr(0xc40, REQ);
	CHECK_EQ(rd(0xc40), PFACK | PFSTS);
	CHECK_EQ(rd(0x800), 0xa0000005);
}

TEST(accesses)
{
	u64 x = ~0ull;

	setup(false, false);
	wr(0x83c, 0xabcd);
	CHECK_EQ(rd(0x83c), 0xabcd);
	CHECK_EQ(rd(0x840), 0);
	CHECK_EQ(rd(0), 0);
	CHECK_EQ(rd(0xffc), 0);
	igb_vf0_io(&v, 0x800, 1, false, &x);
	CHECK_EQ(x, 0);
	x = 0x1122334455667788;
	igb_vf0_io(&v, 0x808, 8, true, &x);
	CHECK_EQ(rd(0x80c), 0x11223344);
	x = 0;
	igb_vf0_io(&v, 0x808, 8, false, &x);
	CHECK_EQ(x, 0x1122334455667788);
	v.mbox = 2;
	CHECK_EQ(igb_vf0_resume(&v), -EINVAL);
	v.mbox = 0x94;
	CHECK_EQ(igb_vf0_resume(&v), 0);
}

UNIT_MAIN({ "driver_probe_and_open", driver_probe_and_open }, { "refused", refused },
	  { "vlans_of_a_trunk", vlans_of_a_trunk }, { "long_multicast_list", long_multicast_list },
	  { "ping", ping }, { "counters", counters },
	  { "half_a_message", half_a_message }, { "accesses", accesses })
