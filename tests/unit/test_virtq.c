/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtqueues against a model driver: every chain arrives once, in order, byte for byte, and nobody
 * sleeps while work waits; then each malformed ring that other hypervisors fell over.
 */
#include "unit.h"

#include "kernel/base/err.h"
#include "vring_driver.h"

#define PART_DESC  0x1000
#define PART_AVAIL 0x3000
#define PART_USED  0x5004 /* elements straddle words of 8, pages */
#define TABLES	   0x8000
#define DATA	   0x60000

static struct vd_ram ram;
static struct vd drv;
static struct virtq q;
static struct virtq_chain chain;
static u32 seed;

static u32 rnd(u32 n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static struct virtq_setup setup_of(bool packed, bool event_idx, u16 size)
{
	return (struct virtq_setup){ .size = size, .packed = packed, .event_idx = event_idx,
				     .indirect = true,
				     .part = { PART_DESC, PART_AVAIL, PART_USED } };
}

static void begin(bool packed, bool event_idx, u16 size, bool scattered)
{
	struct virtq_setup s = setup_of(packed, event_idx, size);

	vd_ram_init(&ram, VD_PAGES, scattered);
	vd_init(&drv, &ram, &s);
	CHECK_EQ(virtq_start(&q, &ram.mem, &s), 0);
}

static void end(void)
{
	virtq_stop(&q);
	vd_ram_free(&ram);
}

/* ---- property: whatever the two do, in whatever order --------------------------------------- */

struct expect {
	u32 out_len, in_len, written;
	u8 key;
	struct vd_buf buf[8];
	u32 n;
};

static struct expect pend[VD_MAX];
static u16 order[VD_MAX * 2];
static u32 order_head, order_tail, done_head;
static bool device_asleep, driver_asleep;

static u8 pattern(u8 key, u32 i)
{
	return (u8)(key + i * 7);
}

static void driver_add(void)
{
	struct expect e = { .key = (u8)rnd(256) };
	u32 base = DATA + rnd(64) * 4096 + rnd(4096), nout = rnd(4), nin = rnd(4);
	int id;

	if (!nout && !nin)
		nout = 1;
	for (u32 i = 0; i < nout + nin; i++) {
		u32 len = 1 + rnd(rnd(4) ? 200 : 5000);

		e.buf[e.n++] = (struct vd_buf){ base, len, i >= nout };
		base += len + rnd(3);
		*(i < nout ? &e.out_len : &e.in_len) += len;
	}
	/*
	 * Buffers of different chains may overlap here: contents are checked at once by the device.
	 */
	id = vd_add(&drv, e.buf, e.n, rnd(2) ? TABLES + order_tail % 512 * 136 : 0);
	if (id < 0)
		return;
	pend[id] = e;
	order[order_tail++ % (VD_MAX * 2)] = (u16)id;
	if (vd_should_kick(&drv))
		device_asleep = false;
}

static void device_work(void)
{
	u32 batch = 1 + rnd(5);

	virtq_kicks_off(&q);
	for (u32 i = 0; i < batch; i++) {
		struct virtq_pos pos = q.pos;
		int rc = virtq_pop(&q, &chain);
		struct expect *e;
		u8 b[64];

		CHECK(rc >= 0);
		if (!rc)
			break;
		if (rnd(8) == 0) { /* changed its mind */
			virtq_rewind(&q, &pos);
			CHECK_EQ(virtq_pop(&q, &chain), 1);
		}
		CHECK(order_head != order_tail);
		CHECK_EQ(chain.id, order[order_head % (VD_MAX * 2)]);
		order_head++;
		e = &pend[chain.id];
		CHECK_EQ(chain.out_len, e->out_len);
		CHECK_EQ(chain.in_len, e->in_len);
		e->written = e->in_len ? rnd(e->in_len + 1) : 0;
		for (u32 off = 0; off < e->written; off += 64) {
			u32 n = e->written - off < 64 ? e->written - off : 64;

			for (u32 k = 0; k < n; k++)
				b[k] = pattern(e->key, off + k);
			CHECK_EQ(virtq_write(&q, &chain, off, b, n), n);
		}
		virtq_push(&q, chain.id, chain.slots, e->written);
	}
	if (virtq_flush(&q))
		driver_asleep = false;
	if (!virtq_kicks_on(&q))
		device_asleep = true;
}

static void driver_reap(void)
{
	u32 len;
	int id;

	if (rnd(2))
		vd_irq(&drv, false);
	while ((id = vd_get(&drv, &len)) >= 0) {
		CHECK_EQ(id, order[done_head % (VD_MAX * 2)]);
		done_head++;
		CHECK_EQ(len, pend[id].written);
	}
	driver_asleep = !vd_irq(&drv, true);
}

static void run_property(bool packed, bool event_idx, u16 size, bool scattered)
{
	begin(packed, event_idx, size, scattered);
	order_head = order_tail = done_head = 0;
	device_asleep = driver_asleep = true;
	if (virtq_kicks_on(&q))
		device_asleep = false;
	vd_irq(&drv, true);
	for (u32 step = 0; step < 20000; step++) {
		switch (rnd(3)) {
		case 0:
			driver_add();
			break;
		case 1:
			if (!device_asleep)
				device_work();
			break;
		default:
			if (!driver_asleep)
				driver_reap();
		}
	}
	/* Nobody may sleep over work. */
	for (u32 i = 0; i < 1000; i++) {
		if (!device_asleep)
			device_work();
		if (!driver_asleep)
			driver_reap();
	}
	CHECK_EQ(order_head, order_tail);
	CHECK_EQ(done_head, order_tail);
	CHECK(order_tail > 1000);
	CHECK_EQ(drv.free, size);
	end();
}

TEST(property_split)
{
	seed = 1;
	run_property(false, false, 1, true);
	run_property(false, false, 16, true);
	run_property(false, true, 64, false);
	run_property(false, true, 256, true);
}

TEST(property_packed)
{
	seed = 2;
	run_property(true, false, 16, true);
	run_property(true, true, 7, true);
	run_property(true, true, 100, false);
	run_property(true, true, 256, true);
}

TEST(bytes_arrive)
{
	for (int packed = 0; packed < 2; packed++) {
		u8 in[10000], out[10000];
		struct vd_buf b[2] = { { DATA + 5, 9000, false }, { DATA + 20000, 9000, true } };

		begin(packed, true, 8, true);
		for (u32 i = 0; i < 9000; i++)
			in[i] = pattern(3, i);
		vd_poke(&ram, b[0].gpa, in, 9000);
		CHECK(vd_add(&drv, b, 2, TABLES + 8) >= 0); /* a table across words and pages */
		CHECK_EQ(virtq_pop(&q, &chain), 1);
		CHECK_EQ(virtq_read(&chain, 0, out, sizeof(out)), 9000);
		CHECK(!memcmp(in, out, 9000));
		CHECK_EQ(virtq_read(&chain, 8990, out, 100), 10);
		CHECK(!memcmp(in + 8990, out, 10));
		CHECK_EQ(virtq_write(&q, &chain, 4000, in, 9000), 5000);
		CHECK(ram.dirty[(b[1].gpa + 4000) >> 12] && ram.dirty[(b[1].gpa + 8999) >> 12]);
		CHECK(!ram.dirty[b[0].gpa >> 12]);
		vd_peek(&ram, b[1].gpa + 4000, out, 5000);
		CHECK(!memcmp(in, out, 5000));
		virtq_push(&q, chain.id, chain.slots, 9000);
		virtq_flush(&q);
		CHECK(ram.dirty[(packed ? PART_DESC : PART_USED) >> 12]);
		end();
	}
}

/* The queue goes on in another device from the exposed position. */
TEST(position_moves)
{
	for (int packed = 0; packed < 2; packed++) {
		struct virtq_setup s = setup_of(packed, true, 4);
		struct vd_buf b = { DATA, 10, false };
		struct virtq_pos pos;
		u32 len;

		begin(packed, true, 4, true);
		for (u32 i = 0; i < 70000; i++) {
			CHECK(vd_add(&drv, &b, 1, 0) >= 0);
			CHECK_EQ(virtq_pop(&q, &chain), 1);
			virtq_push(&q, chain.id, chain.slots, 0);
			virtq_flush(&q);
			CHECK(vd_get(&drv, &len) >= 0);
			if (i % 3)
				continue;
			pos = q.pos;
			virtq_stop(&q);
			CHECK(virtq_empty(&q));
			CHECK_EQ(virtq_start(&q, &ram.mem, &s), 0);
			CHECK_EQ(virtq_set_pos(&q, &pos), 0);
		}
		pos.avail = (u16)(packed ? 4 : pos.used + 5);
		CHECK_EQ(virtq_set_pos(&q, &pos), -EINVAL);
		end();
	}
}

TEST(start_refuses)
{
	struct virtq_setup s;

	begin(false, false, 8, true);
	s = setup_of(false, false, 0);
	CHECK_EQ(virtq_start(&q, &ram.mem, &s), -EINVAL);
	s.size = 12;
	CHECK_EQ(virtq_start(&q, &ram.mem, &s), -EINVAL);
	s.packed = true;
	CHECK_EQ(virtq_start(&q, &ram.mem, &s), 0);
	s.size = 512;
	CHECK_EQ(virtq_start(&q, &ram.mem, &s), -EINVAL);
	s = setup_of(false, false, 256);
	s.part[0] += 8;
	CHECK_EQ(virtq_start(&q, &ram.mem, &s), -EINVAL);
	s.part[0] = VD_PAGES * 4096 - 2048;
	CHECK_EQ(virtq_start(&q, &ram.mem, &s), -EFAULT);
	s.part[0] = ~0xfull;
	CHECK_EQ(virtq_start(&q, &ram.mem, &s), -EFAULT);
	s = setup_of(false, false, 256);
	ram.hole[2] = true;
	s.part[0] = 0x1800;
	CHECK_EQ(virtq_start(&q, &ram.mem, &s), -EFAULT);
	end();
}

/* ---- hostile rings -------------------------------------------------------------------------- */

static void breaks(const char *why)
{
	CHECK_EQ(virtq_pop(&q, &chain), -EPROTO);
	CHECK_STR(q.broken, why);
	/* Shut until it is reset; nothing is written any more. */
	CHECK_EQ(virtq_pop(&q, &chain), 0);
	CHECK(virtq_empty(&q));
	CHECK(!virtq_kicks_on(&q));
	virtq_push(&q, 0, 1, 0);
	CHECK(!virtq_flush(&q));
	end();
}

static void avail1(u16 head, u16 idx)
{
	vd_w16(&ram, PART_AVAIL + 4, head);
	vd_w16(&ram, PART_AVAIL + 2, idx);
}

static void desc(gpa_t table, u32 i, u64 addr, u32 len, u16 flags, u16 next)
{
	vd_desc(&drv, table, i, addr, len, flags, next);
}

TEST(hostile_split)
{
	begin(false, false, 8, true);
	avail1(0, 9);
	breaks("available index jumps");
	begin(false, false, 8, true);
	avail1(8, 1);
	breaks("head out of range");
	begin(false, false, 8, true);
	desc(PART_DESC, 0, DATA, 4, 1, 1);
	desc(PART_DESC, 1, DATA, 4, 1, 0);
	avail1(0, 1);
	breaks("descriptor loop");
	begin(false, false, 8, true);
	desc(PART_DESC, 0, DATA, 4, 1, 8);
	avail1(0, 1);
	breaks("next descriptor out of range");
	begin(false, false, 8, true);
	desc(PART_DESC, 0, ~0ull - 2, 4, 0, 0);
	avail1(0, 1);
	breaks("buffer wraps");
	begin(false, false, 8, true);
	desc(PART_DESC, 0, DATA, 0xffffffff, 1, 1);
	desc(PART_DESC, 1, DATA, 2, 0, 0);
	avail1(0, 1);
	breaks("chain has too many bytes");
	begin(false, false, 8, true);
	ram.hole[(DATA >> 12) + 1] = true;
	desc(PART_DESC, 0, DATA, 4097, 0, 0);
	avail1(0, 1);
	breaks("buffer is not in RAM");
	begin(false, false, 8, true);
	desc(PART_DESC, 0, DATA, 4, 3, 1);
	desc(PART_DESC, 1, DATA, 4, 0, 0);
	avail1(0, 1);
	breaks("readable descriptor behind a writable one");
	begin(false, false, 8, true);
	desc(PART_DESC, 0, 1, VD_PAGES * 4096 - 1, 0, 0);
	avail1(0, 1);
	breaks("chain has too many segments");
}

TEST(hostile_indirect)
{
	for (int packed = 0; packed < 2; packed++) {
		struct {
			u32 len;
			u16 flags, inner;
			u64 addr;
			const char *why;
		} t[] = {
			{ 0, 4, 0, TABLES, "bad length of an indirect table" },
			{ 17, 4, 0, TABLES, "bad length of an indirect table" },
			{ 257 * 16, 4, 0, TABLES, "bad length of an indirect table" },
			{ 32, 4, 0, ~0ull - 15, "bad length of an indirect table" },
			{ 16, 4, 0, 1ull << 40, "indirect table is not in RAM" },
			{ 16, 4, 4, TABLES, "indirect table in an indirect table" },
			{ 16, 5, 0, TABLES, "indirect descriptor with a next one" },
		};

		for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
			begin(packed, false, 8, true);
			desc(TABLES, 0, DATA, 16, t[i].inner, 0);
			desc(PART_DESC, 0, t[i].addr, t[i].len,
			     (u16)(t[i].flags | (packed ? 0x80 : 0)), 0);
			if (!packed)
				avail1(0, 1);
			breaks(t[i].why);
		}
		begin(packed, false, 8, true);
		q.s.indirect = false;
		desc(PART_DESC, 0, TABLES, 16, packed ? 0x84 : 4, 0);
		avail1(0, packed ? 0 : 1);
		breaks("indirect descriptor without the feature");
	}
	begin(false, false, 8, true);
	desc(TABLES, 0, DATA, 16, 1, 1);
	desc(TABLES, 1, DATA, 16, 1, 0);
	desc(PART_DESC, 0, TABLES, 32, 4, 0);
	avail1(0, 1);
	breaks("descriptor loop");
	begin(false, false, 8, true);
	desc(TABLES, 0, DATA, 16, 1, 2);
	desc(PART_DESC, 0, TABLES, 32, 4, 0);
	avail1(0, 1);
	breaks("next descriptor out of range");
}

TEST(hostile_packed)
{
	begin(true, false, 4, true);
	for (u32 i = 0; i < 4; i++)
		desc(PART_DESC, i, DATA, 4, 0x81, (u16)i);
	breaks("descriptor loop");
	/* An ID out of the ring is the driver's business: it comes back as it was. */
	begin(true, false, 4, true);
	desc(PART_DESC, 0, DATA, 4, 0x80, 0xfff0);
	CHECK_EQ(virtq_pop(&q, &chain), 1);
	virtq_push(&q, chain.id, chain.slots, 0);
	virtq_flush(&q);
	CHECK_EQ(vd_r16(&ram, PART_DESC + 12), 0xfff0);
	end();
}

/* Zero-length descriptors are no segments and no loop. */
TEST(empty_buffers)
{
	begin(false, false, 8, true);
	desc(PART_DESC, 0, 1ull << 50, 0, 1, 1);
	desc(PART_DESC, 1, DATA, 4, 0, 0);
	avail1(0, 1);
	CHECK_EQ(virtq_pop(&q, &chain), 1);
	CHECK_EQ(chain.nout, 1);
	CHECK_EQ(chain.out_len, 4);
	end();
}

UNIT_MAIN({ "property_split", property_split }, { "property_packed", property_packed },
	  { "bytes_arrive", bytes_arrive }, { "position_moves", position_moves },
	  { "start_refuses", start_refuses }, { "hostile_split", hostile_split },
	  { "hostile_indirect", hostile_indirect }, { "hostile_packed", hostile_packed },
	  { "empty_buffers", empty_buffers })
