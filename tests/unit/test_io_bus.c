/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io_bus: order, overlap, splitting at borders, unanswered bytes.
 */
#include "unit.h"

#include "guest/vm/io_bus.h"
#include "kernel/base/err.h"

struct reg {
	u8 byte[16];
	unsigned last_size;
};

static void reg_io(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	struct reg *r = ctx;

	r->last_size = size;
	if (write)
		memcpy(&r->byte[off], value, size);
	else
		memcpy(value, &r->byte[off], size);
}

TEST(order_and_overlap)
{
	static struct io_bus b;
	struct reg a = { .byte = { 1, 2, 3, 4 } };

	io_bus_init(&b, "t", 65536);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 0x20, 2, "x", reg_io, &a }), 0);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 0x10, 4, "y", reg_io, &a }), 0);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 0x30, 4, "z", reg_io, &a }), 0);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 0x21, 1, "in", reg_io, &a }), -EEXIST);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 0x1f, 2, "left", reg_io, &a }), -EEXIST);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 0x0f, 64, "over", reg_io, &a }), -EEXIST);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 0xffff, 2, "end", reg_io, &a }), -EINVAL);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 5, 0, "empty", reg_io, &a }), -EINVAL);
	CHECK_STR(io_bus_find(&b, 0x13)->name, "y");
	CHECK(!io_bus_find(&b, 0x14));
	CHECK(!io_bus_find(&b, 0xf));
	CHECK_EQ(io_bus_remove(&b, 0x21), -ENOENT);
	CHECK_EQ(io_bus_remove(&b, 0x20), 0);
	CHECK(!io_bus_find(&b, 0x20));
	CHECK_STR(io_bus_find(&b, 0x33)->name, "z");
}

/* What was found last is found at once, but only while it is there. */
TEST(found_last)
{
	static struct io_bus b;

	io_bus_init(&b, "t", 0);
	CHECK(!io_bus_find(&b, 0));
	for (u64 i = 0; i < 3; i++)
		CHECK_EQ(io_bus_add(&b, &(struct io_region){ i * 8, 8, "r", reg_io, NULL }), 0);
	for (u64 i = 0; i < 3; i++) {
		CHECK_EQ(io_bus_find(&b, i * 8 + 7)->base, i * 8);
		CHECK_EQ(io_bus_find(&b, i * 8)->base, i * 8);
	}
	CHECK_EQ(io_bus_remove(&b, 16), 0);
	CHECK(!io_bus_find(&b, 16));
	CHECK_EQ(io_bus_find(&b, 8)->base, 8);
	CHECK_EQ(io_bus_remove(&b, 0), 0);
	CHECK(!io_bus_find(&b, 0));
	CHECK_EQ(io_bus_find(&b, 8)->base, 8);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 0, 8, "first", reg_io, NULL }), 0);
	CHECK_STR(io_bus_find(&b, 0)->name, "first");
	CHECK_EQ(io_bus_find(&b, 8)->base, 8);
}

TEST(table_full)
{
	static struct io_bus b;

	io_bus_init(&b, "t", 0);
	for (u64 i = 0; i < IO_BUS_REGIONS; i++)
		CHECK_EQ(io_bus_add(&b, &(struct io_region){ i * 8, 4, "r", reg_io, NULL }), 0);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 1 << 20, 4, "r", reg_io, NULL }), -ENOSPC);
}

TEST(accesses)
{
	static struct io_bus b;
	struct reg a = { .byte = { 0x11, 0x22 } }, c = { .byte = { 0x33, 0x44 } };
	u64 v;

	io_bus_init(&b, "t", 65536);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 0x40, 2, "a", reg_io, &a }), 0);
	CHECK_EQ(io_bus_add(&b, &(struct io_region){ 0x42, 1, "c", reg_io, &c }), 0);
	v = 0;
	CHECK(io_bus_access(&b, 0x40, 2, false, &v));
	CHECK_EQ(v, 0x2211);
	CHECK(!io_bus_access(&b, 0x40, 4, false, &v));
	CHECK_EQ(v, 0xff332211);
	v = 0xdeadbeef;
	CHECK(!io_bus_access(&b, 0x41, 4, true, &v));
	CHECK_EQ(a.byte[1], 0xef);
	CHECK_EQ(c.byte[0], 0xbe);
	CHECK_EQ(v, 0xdeadbeef);
	CHECK(!io_bus_access(&b, 0x1000, 1, false, &v));
	CHECK_EQ(v, 0xff);
}

UNIT_MAIN({ "order_and_overlap", order_and_overlap }, { "found_last", found_last },
	  { "table_full", table_full }, { "accesses", accesses })
