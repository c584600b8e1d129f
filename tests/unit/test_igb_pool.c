/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 82576 pools that no VF has: programming against the register model, rings of given buffers.
 */
#include "unit.h"

#include "devices/sriov/igb/igb_pool.h"
#include "igb_model.h"
#include "kernel/base/err.h"

static struct igb_model m;
static struct igb_hw hw;

static const struct igb_env env = { &m, igb_model_rd, igb_model_wr, igb_model_delay };

#define R(off) (*igb_model_reg(&m, (off)))

static u64 desc[2 * IGB_POSTS];
static u8 buf[IGB_POSTS * IGB_BUF];
static struct igb_posts q;

static void setup(u8 vfs)
{
	memset(&m, 0, sizeof(m));
	igb_model_power_on(&m);
	CHECK_EQ(igb_reset(&hw, &env), 0);
	CHECK_EQ(igb_start(&hw, vfs, 1), 0);
	igb_open(&hw);
}

TEST(pools)
{
	u8 mac[6] = { 0x52, 0x54, 0, 0, 0, 1 }, pool = 0;

	setup(5);
	CHECK_EQ(igb_pool_take(&hw, mac, &pool), 0);
	CHECK_EQ(pool, 6); /* 0 to 4 are VFs', 5 is the host's */
	CHECK_EQ(R(IGB_RAH(1)), 1u << 31 | 1u << (18 + 6) | 0x0100);
	CHECK_EQ(R(IGB_RAL(1)), 0x00005452);
	/* Nothing but its address: no broadcast, no multicast; untagged; bounded. */
	CHECK_EQ(R(IGB_VMOLR(6)), (u32)(1u << 31 | 1u << 30 | 1u << 24 | 1u << 16 | 1522));
	CHECK_EQ(R(IGB_VFRE) & 0xff, 1u << 5 | 1u << 6);
	mac[5] = 2;
	CHECK_EQ(igb_pool_take(&hw, mac, &pool), 0);
	CHECK_EQ(pool, 7);
	mac[5] = 3;
	CHECK_EQ(igb_pool_take(&hw, mac, &pool), -ENOSPC);
	CHECK_EQ(pool, 7);
	mac[5] = 2;
	igb_pool_return(&hw, mac, 7);
	CHECK_EQ(R(IGB_VFRE) & 0xff, 1u << 5 | 1u << 6);
	CHECK_EQ(R(IGB_VMOLR(7)), 1u << 31);
	CHECK_EQ(R(IGB_RAH(2)), 0);
	CHECK_EQ(igb_pool_take(&hw, mac, &pool), 0);
	setup(7);
	CHECK_EQ(igb_pool_take(&hw, mac, &pool), -ENOSPC);
}

TEST(queue)
{
	setup(0);
	igb_pool_start(&hw, 3, 0x123456000, 0);
	CHECK_EQ(R(IGB_RDBAL(3)), 0x23456000);
	CHECK_EQ(R(IGB_RDBAH(3)), 1);
	CHECK_EQ(R(IGB_RDLEN(3)), 1024);
	CHECK_EQ(R(IGB_SRRCTL(3)), 0x82000002);
	CHECK_EQ(R(IGB_IVAR(3)), 0x80);
	CHECK_EQ(R(IGB_RXDCTL(3)), 1u << 25);
	CHECK_EQ(igb_pool_stop(&hw, 3), 0);
	CHECK_EQ(R(IGB_RXDCTL(3)), 0);
	igb_pool_start(&hw, 3, 0, 0);
	m.stuck_queue = true;
	CHECK_EQ(igb_pool_stop(&hw, 3), -ETIMEDOUT);
}

static void fill(u32 i, u32 len, u64 status)
{
	desc[2 * i] = 0;
	desc[2 * i + 1] = (u64)len << 32 | status;
}

TEST(buffers)
{
	static const struct igb_ring_mem mem = { desc, buf, 0x10000, 0x200000 };
	struct virtq_seg seg;
	struct frame f;
	bool given;
	u32 len;

	igb_posts_init(&q, &mem);
	CHECK(!igb_posts_next(&q, &given, &len, &f, &seg));
	for (u32 i = 0; i < IGB_POSTS - 1; i++)
		igb_posts_add(&q, i % 2 ? 0x5000 + i : 0);
	CHECK_EQ(igb_posts_count(&q), IGB_POSTS - 1);
	CHECK_EQ(desc[0], 0x200000);
	CHECK_EQ(desc[2], 0x5001);
	CHECK_EQ(desc[4], 0x200000 + 2 * IGB_BUF);
	CHECK(!igb_posts_next(&q, &given, &len, &f, &seg));
	fill(0, 64, 3);
	buf[0] = 0x52;
	CHECK(igb_posts_next(&q, &given, &len, &f, &seg));
	CHECK(!given && len == 64 && frame_len(&f) == 64 && f.head[0] == 0x52);
	fill(1, 1500, 3);
	CHECK(igb_posts_next(&q, &given, &len, &f, &seg));
	CHECK(given && len == 1500);
	fill(2, 1500, 1);		 /* goes on in the next */
	fill(3, 1500, 3ull | 1ull << 31); /* damaged */
	CHECK(igb_posts_next(&q, &given, &len, &f, &seg));
	CHECK(!given && !len);
	CHECK(igb_posts_next(&q, &given, &len, &f, &seg));
	CHECK(given && !len);
	CHECK_EQ(igb_posts_count(&q), IGB_POSTS - 5);
	for (u32 i = 4; i < 300; i++) { /* round and round */
		igb_posts_add(&q, 0x9000);
		fill(i % IGB_POSTS, 60, 3);
		CHECK(igb_posts_next(&q, &given, &len, &f, &seg));
		CHECK_EQ(given, i > IGB_POSTS - 2 || i % 2);
	}
}

UNIT_MAIN({ "pools", pools }, { "queue", queue }, { "buffers", buffers })
