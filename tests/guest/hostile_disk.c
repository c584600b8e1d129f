/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk with requests that no driver would make: each ends with an error or breaks the device
 * until its reset, then it works again and the disk has what it had.
 */
#include "kernel/base/bits.h"
#include "tests/guest/virtio.h"

#define RW_DISK 0x60u /* 00:0c.0, and the next */
#define RO_DISK 0x68u

#define T_IN	  0u
#define T_OUT	  1u
#define T_FLUSH	  4u
#define T_DISCARD 11u
#define T_ZEROES  13u

#define OK     0u
#define IOERR  1u
#define UNSUPP 2u
#define NONE   0xeeu /* not answered */
#define BROKEN 0xbbu

#define FEATURES (BIT(9) | BIT(13) | BIT(14) | VN_F_INDIRECT)
#define HOLE	 0xa0000ull
#define DATA	 65536u

static u8 *data;
static struct {
	u32 type, reserved;
	u64 sector;
	u64 range[2]; /* of a discard */
	u8 status;
} req;
static u64 sectors, seed = 88172645463325252;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static bool up(void)
{
	if (!vn_negotiate(FEATURES))
		return false;
	vn_queue_init(0);
	vn_w8(vn_common + 0x14, 0xf);
	return vn_status() == 0xf;
}

/* n descriptors as they lie in the table, as one request: its status. */
static u32 run(u32 n)
{
	u32 id, len;

	for (u32 i = 0; i < n; i++) {
		vn_q[0].desc[i].flags &= (u16)~VN_NEXT;
		vn_q[0].desc[i].flags |= i + 1 < n ? VN_NEXT : 0;
		vn_q[0].desc[i].next = (u16)(i + 1);
	}
	req.status = NONE;
	vn_offer(0, 0);
	vn_kick(0);
	for (u32 i = 0; i < 20000; i++) {
		if (vn_used(0, &id, &len))
			return *(volatile u8 *)&req.status;
		if (vn_status() & VN_NEEDS_RESET)
			return BROKEN;
		wait_us(100);
	}
	return NONE;
}

static void set(u32 i, const void *at, u32 len, bool in)
{
	vn_q[0].desc[i] = (struct vn_desc){ (u64)at, len, in ? VN_WRITE : 0, 0 };
}

static u32 ask(u32 type, u64 sector, u32 len)
{
	bool in = type == T_IN;

	req.type = type;
	req.sector = sector;
	set(0, &req, 16, false);
	set(1, data, len, in);
	set(len ? 2 : 1, &req.status, 1, true);
	return run(len ? 3 : 2);
}

static u32 range(u32 type, u64 sector, u32 n, u32 flags)
{
	req.type = type;
	req.sector = 0;
	req.range[0] = sector;
	req.range[1] = (u64)flags << 32 | n;
	set(0, &req, 32, false);
	set(1, &req.status, 1, true);
	return run(2);
}

/* Written, read, and the rest of the disk is a kernel's file, as it was. */
static bool works(void)
{
	static u32 round;
	bool good = true;

	round++;
	for (u32 i = 0; i < 4096; i++)
		data[i] = (u8)(i * 3 + round);
	good = good && ask(T_OUT, sectors - 8, 4096) == OK && ask(T_FLUSH, 0, 0) == OK;
	memset(data, 0, 4096);
	good = good && ask(T_IN, sectors - 8, 4096) == OK;
	for (u32 i = 0; i < 4096; i++)
		good = good && data[i] == (u8)(i * 3 + round);
	return good && ask(T_IN, 0, 512) == OK && *(u32 *)data == 0x464c457f;
}

/* A request that breaks the device, and how it mends. */
static void breaks(u32 n)
{
	CHECK_EQ(run(n), BROKEN);
	CHECK(up() && works());
}

TEST(works)
{
	data = page_alloc(DATA / 4096);
	vn_devfn = RW_DISK;
	CHECK(vn_probe());
	sectors = *(volatile u32 *)(u64)(VN_BAR + vn_device);
	CHECK(up() && sectors > 16 && works());
}

TEST(out_of_range)
{
	static const u64 at[] = { 1, 1ull << 32, 1ull << 54, 1ull << 55, 1ull << 63 };

	CHECK_EQ(ask(T_IN, sectors, 512), IOERR);
	CHECK_EQ(ask(T_OUT, sectors - 1, 1024), IOERR);
	CHECK_EQ(range(T_DISCARD, sectors - 1, 2, 0), IOERR);
	for (u32 i = 0; i < ARRAY_SIZE(at); i++) {
		CHECK_EQ(ask(T_OUT, sectors + at[i], 512), IOERR);
		CHECK_EQ(ask(T_IN, ~0ull - at[i], 4096), IOERR);
		CHECK_EQ(range(T_ZEROES, sectors + at[i], 8, 0), IOERR);
		CHECK_EQ(range(T_DISCARD, ~0ull - at[i], 8, 0), IOERR);
	}
	CHECK_EQ(range(T_ZEROES, 1, 0xffffffff, 0), IOERR);
	CHECK_EQ(range(T_DISCARD, 0, 1, 0x80000000), UNSUPP);
	CHECK_EQ(ask(T_OUT, 0, 511), IOERR);
	CHECK_EQ(ask(T_IN, 0, 513), IOERR);
	CHECK(works());
}

TEST(types)
{
	for (u32 t = 2; t < 64; t++)
		if (t != T_FLUSH && t != 8 && t != T_DISCARD && t != T_ZEROES)
			CHECK_EQ(ask(t, 0, 512), UNSUPP);
	CHECK_EQ(ask(0x80000001, 0, 512), UNSUPP);
	CHECK(works());
}

TEST(chains)
{
	req.type = T_OUT;
	set(0, &req, 15, false);
	set(1, &req.status, 1, true);
	CHECK_EQ(run(2), IOERR);
	set(0, &req, 16, false); /* 1.8 MiB of the same pages */
	for (u32 i = 1; i < 30; i++)
		set(i, data, DATA, false);
	set(30, &req.status, 1, true);
	req.sector = 0;
	CHECK_EQ(run(31), IOERR);
	CHECK(works());
	set(0, &req, 16, false);
	set(1, data, 512, false);
	breaks(2); /* nowhere to say how it went */
	req.type = T_OUT;
	set(0, &req, 16, false);
	set(1, data, 0xfffffe00, false);
	set(2, &req.status, 1, true);
	breaks(3);
	set(0, &req, 16, false);
	set(1, (void *)HOLE, 512, false);
	set(2, &req.status, 1, true);
	breaks(3);
	set(0, &req, 16, false);
	set(1, &req.status, 1, true);
	set(2, data, 512, false); /* to be read, behind what is to be written */
	breaks(3);
}

/* The device is reset among requests, and while it is not allowed to look. */
TEST(reset_under_way)
{
	for (u32 i = 0; i < 200; i++) {
		req.type = T_IN;
		req.sector = 0;
		set(0, &req, 16, false);
		set(1, data, DATA, true);
		set(2, &req.status, 1, true);
		vn_q[0].desc[0].flags |= VN_NEXT, vn_q[0].desc[0].next = 1;
		vn_q[0].desc[1].flags |= VN_NEXT, vn_q[0].desc[1].next = 2;
		for (u32 k = 0; k < rnd() % VN_SIZE; k++)
			vn_offer(0, 0);
		vn_cfg_write(4, rnd() & 1 ? 6 : 2);
		vn_kick(0);
		vn_w8(vn_common + 0x14, 0);
		vn_cfg_write(4, 6);
		CHECK(up());
	}
	CHECK(works());
}

TEST(requests_at_random)
{
	u32 broken = 0;

	for (u32 i = 0; i < 1500; i++) {
		u32 n = 1 + rnd() % 6;

		req.type = rnd() & 15;
		if (req.type == T_OUT || req.type == T_DISCARD || req.type == T_ZEROES)
			req.type = T_IN; /* what the disk has is looked at below */
		req.sector = rnd() >> rnd() % 64;
		set(0, &req, rnd() & 7 ? 16 : (u32)rnd() % 64, false);
		for (u32 k = 1; k < n; k++)
			set(k, data, (u32)rnd() >> rnd() % 32, rnd() & 3);
		set(n, &req.status, 1, true);
		if (run(rnd() & 15 ? n + 1 : n) == BROKEN) {
			broken++;
			CHECK(up());
		}
	}
	CHECK(broken > 10 && broken < 1500);
	CHECK(works());
}

TEST(read_only)
{
	vn_cfg_write(4, 0);
	vn_devfn = RO_DISK;
	CHECK(vn_probe());
	CHECK(!vn_negotiate(FEATURES)); /* it has no discard */
	CHECK(vn_negotiate(BIT(9)));
	vn_queue_init(0);
	vn_w8(vn_common + 0x14, 0xf);
	memset(data, 0, 512);
	CHECK_EQ(ask(T_OUT, 0, 512), IOERR);
	CHECK_EQ(range(T_DISCARD, 0, 1, 0), IOERR);
	CHECK_EQ(range(T_ZEROES, 0, 1, 0), IOERR);
	CHECK_EQ(ask(T_IN, 0, 512), OK);
	CHECK_EQ(*(u32 *)data, 0x464c457f);
}

void guest_main(void)
{
	test_run_all();
}
