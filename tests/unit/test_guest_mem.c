/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gmap, gmem and the guest page-table walk.
 */
#include "unit.h"

#include "guest/mem/gmem.h"
#include "guest/mem/walk.h"
#include "kernel/base/err.h"

static u8 *blocks[3];
static u64 dirty[3 * GMAP_DIRTY_WORDS];
static struct gmap m;

static void setup(void)
{
	for (int i = 0; i < 3; i++) {
		free(blocks[i]);
		blocks[i] = aligned_alloc(4096, SIZE_2M);
		memset(blocks[i], 0, SIZE_2M);
	}
	memset(dirty, 0, sizeof(dirty));
	m = (struct gmap){ .block = blocks, .blocks = 3, .low_blocks = 2, .vga_base = 0xa0000,
			   .vga_len = 0x20000, .dirty = dirty };
}

TEST(map_edges)
{
	setup();
	CHECK(gmap_ptr(&m, 0) == blocks[0]);
	CHECK(!gmap_ptr(&m, 0xa0000));
	CHECK(!gmap_ptr(&m, 0xbffff));
	CHECK(gmap_ptr(&m, 0xc0000) == blocks[0] + 0xc0000);
	CHECK(gmap_ptr(&m, 2 * SIZE_2M - 1) == blocks[1] + SIZE_2M - 1);
	CHECK(!gmap_ptr(&m, 2 * SIZE_2M));
	CHECK(gmap_ptr(&m, SIZE_4G) == blocks[2]);
	CHECK(!gmap_ptr(&m, SIZE_4G + SIZE_2M));
	CHECK(!gmap_ptr(&m, ~0ull));
}

TEST(copies)
{
	u8 in[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, out[8];

	setup();
	CHECK_EQ(gmem_write(&m, SIZE_2M - 4, in, 8), 0);
	CHECK_EQ(gmem_read(&m, SIZE_2M - 4, out, 8), 0);
	CHECK_EQ(memcmp(in, out, 8), 0);
	CHECK_EQ(dirty[7], BIT(63));
	CHECK_EQ(dirty[8], 1);
	CHECK_EQ(gmem_write(&m, 0x9fffc, in, 8), -EFAULT);
	CHECK_EQ(blocks[0][0x9fffc], 0);
	CHECK_EQ(gmem_read(&m, ~0ull - 2, out, 8), -EFAULT);
	CHECK_EQ(gmem_fill(&m, 2 * SIZE_2M - 1, 7, 2), -EFAULT);
	CHECK_EQ(gmem_fill(&m, 2 * SIZE_2M - 1, 7, 1), 0);
}

static void put64(u64 gpa, u64 v)
{
	memcpy(gmap_ptr(&m, gpa), &v, 8);
}

static u64 get64(u64 gpa)
{
	u64 v;

	memcpy(&v, gmap_ptr(&m, gpa), 8);
	return v;
}

TEST(walk_long_mode)
{
	struct guest_paging p = { .cr0 = 0x80010001, .cr3 = 0x1000, .cr4 = 0x20, .efer = 0xd00,
				  .maxphyaddr = 40 };
	struct walk w;

	setup();
	put64(0x1000 + 8 * 511, 0x2003);
	put64(0x2000 + 8 * 510, 0x3003);
	put64(0x3000 + 8 * 1, 0x4003);
	put64(0x4000 + 8 * 5, 0x8000000000123001); /* read-only, NX, supervisor */
	put64(0x3000 + 8 * 2, 0x200087);	   /* 2 MiB, user, writable */
	CHECK_EQ(guest_walk(&m, &p, 0xffffffff80205678, WALK_READ, &w), 0);
	CHECK_EQ(w.gpa, 0x123678);
	CHECK_EQ(w.levels, 4);
	CHECK_EQ(get64(0x4000 + 40) & 0x60, 0x20);
	CHECK_EQ(guest_walk(&m, &p, 0xffffffff80205678, WALK_WRITE, &w), -EFAULT);
	CHECK_EQ(w.pf_error, 3);
	CHECK_EQ(guest_walk(&m, &p, 0xffffffff80205678, WALK_EXEC, &w), -EFAULT);
	CHECK_EQ(w.pf_error, 0x11);
	p.cr0 &= ~(1ull << 16);
	CHECK_EQ(guest_walk(&m, &p, 0xffffffff80205678, WALK_WRITE, &w), 0);
	CHECK_EQ(get64(0x4000 + 40) & 0x60, 0x60);
	p.user = true;
	CHECK_EQ(guest_walk(&m, &p, 0xffffffff80205678, WALK_READ, &w), -EFAULT);
	CHECK_EQ(w.pf_error, 5);
	/* the upper levels are supervisor: the 2 MiB user page stays out of reach */
	CHECK_EQ(guest_walk(&m, &p, 0xffffffff80400000, WALK_READ, &w), -EFAULT);
	p.user = false;
	CHECK_EQ(guest_walk(&m, &p, 0xffffffff8050abcd, WALK_READ, &w), 0);
	CHECK_EQ(w.gpa, 0x30abcd);
	CHECK_EQ(guest_walk(&m, &p, 0x1000, WALK_READ, &w), -EFAULT);
	CHECK_EQ(w.pf_error, 0);
	put64(0x4000 + 8 * 5, 0x0000f00000123003);
	CHECK_EQ(guest_walk(&m, &p, 0xffffffff80205678, WALK_READ, &w), -EFAULT);
	CHECK_EQ(w.pf_error, 9);
	p.cr3 = 3ull << 30;
	CHECK_EQ(guest_walk(&m, &p, 0, WALK_READ, &w), -EIO);
}

TEST(walk_smap_smep)
{
	struct guest_paging p = { .cr0 = 0x80010001, .cr3 = 0x1000, .cr4 = 0x300020,
				  .efer = 0xd00, .maxphyaddr = 40 };
	struct walk w;

	setup();
	put64(0x1000, 0x2007);
	put64(0x2000, 0x3007);
	put64(0x3000, 0x200087);
	CHECK_EQ(guest_walk(&m, &p, 0x1000, WALK_READ, &w), -EFAULT);
	CHECK_EQ(guest_walk(&m, &p, 0x1000, WALK_EXEC, &w), -EFAULT);
	p.rflags = 1 << 18;
	CHECK_EQ(guest_walk(&m, &p, 0x1000, WALK_READ, &w), 0);
	CHECK_EQ(guest_walk(&m, &p, 0x1000, WALK_EXEC, &w), -EFAULT);
	p.user = true;
	CHECK_EQ(guest_walk(&m, &p, 0x1000, WALK_EXEC, &w), 0);
}

TEST(walk_legacy)
{
	struct guest_paging p = { .cr0 = 0x80000001, .cr3 = 0x1000, .cr4 = 0x10,
				  .maxphyaddr = 40 };
	struct walk w;
	u32 pde = 0x2007, pte = 0x5007, big = 0x00400087;

	setup();
	memcpy(gmap_ptr(&m, 0x1000 + 4 * 3), &pde, 4);
	memcpy(gmap_ptr(&m, 0x2000 + 4 * 7), &pte, 4);
	memcpy(gmap_ptr(&m, 0x1000 + 4 * 4), &big, 4);
	CHECK_EQ(guest_walk(&m, &p, 3 * 0x400000 + 7 * 0x1000 + 9, WALK_WRITE, &w), 0);
	CHECK_EQ(w.gpa, 0x5009);
	CHECK_EQ(guest_walk(&m, &p, 4 * 0x400000 + 0x12345, WALK_READ, &w), 0);
	CHECK_EQ(w.gpa, 0x412345);
	p.cr4 = 0x20;
	p.cr3 = 0x3020;
	put64(0x3020 + 8, 0x4001);
	put64(0x4000, 0x200083);
	CHECK_EQ(guest_walk(&m, &p, 0x40001234, WALK_READ, &w), 0);
	CHECK_EQ(w.gpa, 0x201234);
	p.cr0 = 1;
	CHECK_EQ(guest_walk(&m, &p, 0x40001234, WALK_READ, &w), 0);
	CHECK_EQ(w.gpa, 0x40001234);
}

UNIT_MAIN({ "map_edges", map_edges }, { "copies", copies }, { "walk_long_mode", walk_long_mode },
	  { "walk_smap_smep", walk_smap_smep }, { "walk_legacy", walk_legacy })
