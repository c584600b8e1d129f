/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings of the physical function: what the device finds in descriptors, what it may write back.
 */
#include "unit.h"

#include "devices/sriov/igb/igb_ring.h"
#include "kernel/base/bytes.h"

static u64 desc[2 * IGB_RING];
static u8 buf[IGB_BUFS_BYTES];
static struct igb_tx tx;
static struct igb_rx rx;

static const struct igb_ring_mem mem = { desc, buf, 0x10000, 0x200000 };

static iova_t dma_of(const u8 *p)
{
	return (iova_t)p;
}

/* A frame of len bytes counting up, head and body as the switch has them. */
static struct frame *make(u32 len)
{
	static struct frame f;
	static u8 body[32768];
	static struct virtq_seg seg[2];

	memset(&f, 0, sizeof(f));
	for (u32 i = 0; i < sizeof(body); i++)
		body[i] = (u8)(i + FRAME_HEAD_IN);
	for (u32 i = 0; i < FRAME_HEAD_IN; i++)
		f.head[i] = (u8)i;
	f.head_len = len < FRAME_HEAD_IN ? len : FRAME_HEAD_IN;
	f.body_len = len - f.head_len;
	seg[0] = (struct virtq_seg){ .p = body, .len = 100 };
	seg[1] = (struct virtq_seg){ .p = body + 100, .len = sizeof(body) - 100 };
	f.seg = seg;
	f.nseg = 2;
	return &f;
}

/* The device sends all up to the tail. */
static void send_all(void)
{
	for (u32 i = tx.head; i != tx.tail; i = (i + 1) % IGB_RING)
		if (desc[2 * i + 1] >> 27 & 1)
			desc[2 * i + 1] |= 1ull << 32;
}

TEST(send_one)
{
	igb_tx_init(&tx, &mem, dma_of);
	CHECK_EQ(igb_tx_reclaim(&tx), IGB_RING - 1);
	CHECK(igb_tx_put(&tx, make(60)));
	CHECK_EQ(igb_tx_tail(&tx), 1);
	CHECK_EQ(desc[0], 0x200000);
	CHECK_EQ(desc[1], 60ull << 46 | 0x2b300000 | 60);
	for (u32 i = 0; i < 60; i++)
		CHECK_EQ(buf[i], i);
	CHECK_EQ(igb_tx_reclaim(&tx), IGB_RING - 2);
	send_all();
	CHECK_EQ(igb_tx_reclaim(&tx), IGB_RING - 1);
	CHECK(!igb_tx_put(&tx, make(0)));
}

TEST(send_long)
{
	igb_tx_init(&tx, &mem, dma_of);
	CHECK(igb_tx_put(&tx, make(5000)));
	CHECK_EQ(igb_tx_tail(&tx), 3);
	CHECK_EQ(desc[1] & 0xffffffff, 0x22300000 | 2048);
	CHECK_EQ(desc[5] & 0xffffffff, 0x2b300000 | 904);
	CHECK_EQ(desc[5] >> 46, 5000);
	for (u32 i = 0; i < 5000; i++)
		CHECK_EQ(buf[i], (u8)i);
	desc[1] |= 1ull << 32; /* not the last: means nothing */
	CHECK_EQ(igb_tx_reclaim(&tx), IGB_RING - 4);
	send_all();
	CHECK_EQ(igb_tx_reclaim(&tx), IGB_RING - 1);
}

static void on_done(void *ctx, u32 token)
{
	*(u32 *)ctx += token;
}

/* The body is read where it is, and its owner told when that is over. */
TEST(send_direct)
{
	u32 told = 0;
	struct frame_owner owner = { on_done, &told, 7, 0 };
	struct frame *f = make(5000);

	igb_tx_init(&tx, &mem, dma_of);
	f->owner = &owner;
	memset(buf, 0, sizeof(buf));
	CHECK(igb_tx_put(&tx, f));
	CHECK_EQ(owner.uses, 1);
	CHECK_EQ(igb_tx_tail(&tx), 3); /* the head, two pieces */
	CHECK_EQ(desc[1], 5000ull << 46 | 0x22300000 | FRAME_HEAD_IN);
	CHECK_EQ(desc[2], dma_of(f->seg[0].p));
	CHECK_EQ(desc[3], 5000ull << 46 | 0x22300000 | 100);
	CHECK_EQ(desc[4], dma_of(f->seg[1].p));
	CHECK_EQ(desc[5], 5000ull << 46 | 0x2b300000 | (5000 - FRAME_HEAD_IN - 100));
	CHECK_EQ(buf[FRAME_HEAD_IN], 0);
	CHECK_EQ(igb_tx_reclaim(&tx), IGB_RING - 4);
	CHECK_EQ(told, 0);
	send_all();
	CHECK_EQ(igb_tx_reclaim(&tx), IGB_RING - 1);
	CHECK_EQ(told, 7);
	/* A long piece is cut; a frame of its head alone is nobody's. */
	f->body_off = 100;
	f->body_len = 16384;
	((struct virtq_seg *)f->seg)[1].len = 20000;
	CHECK(igb_tx_put(&tx, f));
	CHECK_EQ(desc[2 * 4 + 1] & 0xffff, 16384);
	f->body_len = 0;
	CHECK(igb_tx_put(&tx, f));
	CHECK_EQ(owner.uses, 2);
	igb_tx_abort(&tx);
	CHECK_EQ(told, 14);
	CHECK_EQ(igb_tx_reclaim(&tx), IGB_RING - 1);
	CHECK_EQ(igb_tx_tail(&tx), 0);
	/* Many small pieces are cheaper to copy. */
	f = make(5000);
	f->owner = &owner;
	f->seg = (struct virtq_seg[64]){ { .len = 0 } };
	f->nseg = 64;
	f->body_len = 64 * 10;
	for (u32 i = 0; i < 64; i++)
		((struct virtq_seg *)f->seg)[i] = (struct virtq_seg){ .p = buf, .len = 10 };
	CHECK(igb_tx_put(&tx, f));
	CHECK_EQ(owner.uses, 2);
	CHECK_EQ(igb_tx_tail(&tx), 1);
}

/* IPv4 or IPv6 with TCP or UDP, as a sender leaves it whose checksums others compute. */
static struct frame *make_ip(bool v6, bool udp, u32 len)
{
	struct frame *f = make(len);
	u32 ip = v6 ? 40 : 20;

	f->head[12] = v6 ? 0x86 : 8;
	f->head[13] = v6 ? 0xdd : 0;
	f->head[14] = v6 ? 0x60 : 0x45;
	f->head[v6 ? 20 : 23] = udp ? 17 : 6;
	f->head[14 + ip + 12] = 0x80;
	f->flags = FRAME_CSUM;
	f->csum_start = (u16)(14 + ip);
	f->csum_offset = udp ? 6 : 16;
	return f;
}

TEST(send_unfinished)
{
	struct frame *f = make_ip(false, true, 100);

	igb_tx_init(&tx, &mem, dma_of);
	CHECK(igb_tx_takes(f));
	CHECK(igb_tx_put(&tx, f));
	CHECK_EQ(desc[0], 14u << 9 | 20);
	CHECK_EQ(desc[1], 0x20200400);
	CHECK_EQ(desc[3], 100ull << 46 | 2ull << 40 | 0x2b300000 | 100);
	CHECK(!memcmp(buf + IGB_BUF, f->head, 100));
	f = make_ip(true, false, 4000);
	f->gso = FRAME_TCP6;
	f->gso_size = 1400;
	CHECK(igb_tx_takes(f));
	CHECK(igb_tx_put(&tx, f));
	CHECK_EQ(desc[4], 14u << 9 | 40);
	CHECK_EQ(desc[5], 0x20200800 | 32ull << 40 | 1400ull << 48);
	CHECK_EQ(desc[7], (4000ull - 86) << 46 | 2ull << 40 | 0xa2300000 | 2048);
	CHECK_EQ(get_le16(buf + 3 * IGB_BUF + 18), 0); /* length */
	f = make_ip(false, false, 4000);
	f->gso = FRAME_TCP4;
	f->gso_size = 1400;
	/* 10.0.0.1 to 10.0.0.2: the sum is that of RFC 9293 without the length. */
	memcpy(f->head + 26, (u8[]){ 10, 0, 0, 1, 10, 0, 0, 2 }, 8);
	CHECK(igb_tx_put(&tx, f));
	CHECK_EQ(desc[13], (4000ull - 66) << 46 | 3ull << 40 | 0xa2300000 | 2048);
	CHECK_EQ(get_le16(buf + 6 * IGB_BUF + 16), 0);
	CHECK_EQ(get_le16(buf + 6 * IGB_BUF + 24), 0);
	CHECK_EQ(get_le16(buf + 6 * IGB_BUF + 50), 0x0914);
	/* What it does not know is the switch's to finish. */
	f->gso = FRAME_UDP;
	f->csum_offset = 6;
	f->head[23] = 17;
	CHECK(!igb_tx_takes(f));
	f = make_ip(false, false, 100);
	f->csum_offset = 4;
	CHECK(!igb_tx_takes(f));
	f->csum_offset = 16;
	f->head[12] = 0x88;
	CHECK(!igb_tx_takes(f));
}

TEST(full_ring)
{
	u32 n = 0;

	igb_tx_init(&tx, &mem, dma_of);
	while (igb_tx_put(&tx, make(3000)))
		n++;
	CHECK_EQ(n, 127);
	CHECK_EQ(tx.full, 1);
	CHECK(igb_tx_put(&tx, make(100)));
	CHECK(!igb_tx_put(&tx, make(100)));
	send_all();
	for (u32 i = 0; i < 300; i++) { /* round and round */
		CHECK(igb_tx_put(&tx, make(2100)));
		send_all();
	}
	CHECK_EQ(igb_tx_reclaim(&tx), IGB_RING - 1);
}

/* The device fills slot i. */
static void fill(u32 i, u32 len, u64 status)
{
	desc[2 * i] = 0x5a5a5a5a; /* the address is destroyed */
	desc[2 * i + 1] = (u64)len << 32 | status;
}

TEST(receive)
{
	struct frame f;
	struct virtq_seg seg;

	igb_rx_init(&rx, &mem);
	CHECK_EQ(igb_rx_tail(&rx), IGB_RING - 1);
	CHECK_EQ(desc[2 * 7], 0x200000 + 7 * 2048);
	CHECK(!igb_rx_next(&rx, &f, &seg));
	fill(0, 64, 3);
	CHECK(igb_rx_next(&rx, &f, &seg));
	CHECK_EQ(frame_len(&f), 64);
	igb_rx_done(&rx);
	CHECK_EQ(desc[0], 0x200000);
	CHECK_EQ(desc[1], 0);
	CHECK_EQ(igb_rx_tail(&rx), 0);
	/* A long frame in three parts, one with an error, one of no length, then a good one. */
	fill(1, 2048, 1);
	fill(2, 2048, 1);
	fill(3, 10, 3);
	fill(4, 64, 3 | 1ull << 31);
	fill(5, 0, 3);
	fill(6, 5000, 3);
	fill(7, 1514, 3);
	for (u32 i = 0; i < 1514; i++)
		buf[7 * 2048 + i] = (u8)(i * 3);
	CHECK(igb_rx_next(&rx, &f, &seg));
	CHECK_EQ(f.head_len, FRAME_HEAD_IN);
	CHECK_EQ(f.body_len, 1514 - FRAME_HEAD_IN);
	CHECK(memcmp(f.head, buf + 7 * 2048, FRAME_HEAD_IN) == 0);
	CHECK(seg.p == buf + 7 * 2048 + FRAME_HEAD_IN);
	CHECK_EQ(rx.errors, 4);
	CHECK_EQ(rx.frames, 2);
	igb_rx_done(&rx);
	CHECK(!igb_rx_next(&rx, &f, &seg));
	for (u32 i = 0; i < 1000; i++) {
		fill(rx.next, 100, 3);
		CHECK(igb_rx_next(&rx, &f, &seg));
		igb_rx_done(&rx);
	}
	/* A device that says 'done' everywhere costs one round. */
	for (u32 i = 0; i < IGB_RING; i++)
		fill(i, 100, 1);
	CHECK(!igb_rx_next(&rx, &f, &seg));
}

TEST(receive_tagged)
{
	struct frame f;
	struct virtq_seg seg;

	igb_rx_init(&rx, &mem);
	for (u32 i = 0; i < 200; i++)
		buf[i] = (u8)i;
	fill(0, 200, 0xb | 0xa00aull << 48);
	CHECK(igb_rx_next(&rx, &f, &seg));
	CHECK_EQ(frame_len(&f), 204);
	CHECK_EQ(f.head[11], 11);
	CHECK_EQ(get_le16(f.head + 12), 0x0081);
	CHECK_EQ(get_le16(f.head + 14), 0x0aa0);
	CHECK_EQ(f.head[16], 12);
	CHECK_EQ(f.head[FRAME_HEAD_IN + 3], FRAME_HEAD_IN - 1);
	CHECK_EQ(seg.p[0], FRAME_HEAD_IN);
	CHECK_EQ(f.body_len, 200 - FRAME_HEAD_IN);
}

UNIT_MAIN({ "send_one", send_one }, { "send_long", send_long }, { "send_direct", send_direct },
	  { "send_unfinished", send_unfinished },
	  { "full_ring", full_ring }, { "receive", receive },
	  { "receive_tagged", receive_tagged })
