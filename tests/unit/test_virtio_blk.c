/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk between a model driver and a model backend that answers at once, later, in another order
 * or with errors: contents, limits, rings taken away, a budget for each call.
 */
#include "unit.h"

#include "devices/virtio/virtio_blk.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "virtio_driver.h"

#define SECTORS 4096u
#define V1	BIT(VIRTIO_F_VERSION_1)
#define RICH                                                                                \
	(V1 | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_BLK_F_FLUSH) | \
	 BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES))

static struct vd_ram ram;
static struct vp p;
static struct virtio_blk b;
static u8 disk[SECTORS * 512], shadow[SECTORS * 512];
static struct virtio_blk_io held[VIRTIO_BLK_DEPTH];
static u32 nheld, defers, submits, flushes, seed = 7;
static int answer;	/* what submit() returns */
static bool through;
static gpa_t head_at, data_at, status_at, table_at;

static u32 rnd(u32 n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static void do_io(const struct virtio_blk_io *io)
{
	u8 *at = disk + io->sector * 512;
	u32 n = io->sectors * 512;

	CHECK(io->sector + io->sectors <= SECTORS);
	flushes += io->op == VIRTIO_BLK_FLUSH;
	through = io->through;
	if (io->op == VIRTIO_BLK_READ)
		virtio_blk_put(&b, io->slot, 0, at, n);
	else if (io->op == VIRTIO_BLK_WRITE)
		virtio_blk_get(&b, io->slot, 0, at, n);
	else if (io->op != VIRTIO_BLK_FLUSH)
		memset(at, 0, n);
}

static int submit(void *ctx, const struct virtio_blk_io *io)
{
	(void)ctx;
	submits++;
	CHECK(io->sectors <= (io->op <= VIRTIO_BLK_WRITE ? 16u : 64u));
	if (answer > 0) {
		CHECK(nheld < VIRTIO_BLK_DEPTH);
		held[nheld++] = *io;
	} else if (!answer) {
		do_io(io);
	}
	return answer;
}

/* One of those held, whichever. */
static void release(bool good)
{
	u32 i = rnd(nheld);
	struct virtio_blk_io io = held[i];

	held[i] = held[--nheld];
	if (good)
		do_io(&io);
	virtio_blk_done(&b, io.slot, good);
	virtio_blk_work(&b);
}

static void defer(void *ctx)
{
	(void)ctx;
	defers++;
}

static void setup_be(u64 features, bool ro, u32 block, u16 queues)
{
	const struct virtio_blk_be be = { .sectors = SECTORS,
					  .block = block,
					  .piece = 16,
					  .zero_piece = 64,
					  .zero = true,
					  .discard = true,
					  .ro = ro,
					  .id = "a name of 20 letters",
					  .submit = submit };
	struct virtio_env pci = vp_env(&p);

	memset(&p, 0, sizeof(p));
	nheld = defers = submits = flushes = 0;
	answer = 0;
	p.msix = true;
	vd_ram_init(&ram, 400, true);
	virtio_blk_init(&b, &be, queues, &ram.mem, &pci);
	b.defer = defer;
	vp_probe(&p, &b.dev, &ram);
	CHECK(vp_negotiate(&p, features));
	for (unsigned i = 0; i < queues; i++)
		vp_queue(&p, i, 64);
	head_at = vp_alloc(&p, 64);
	status_at = vp_alloc(&p, 64);
	table_at = vp_alloc(&p, 4096);
	data_at = vp_alloc(&p, 1 << 20);
	vp_ready(&p);
}

static void setup(u64 features)
{
	setup_be(features, false, 512, 1);
}

static void head(u32 type, u64 sector)
{
	u8 h[16] = { 0 };

	put_le32(h, type);
	put_le64(h + 8, sector);
	vd_poke(&ram, head_at, h, 16);
}

/* Parts of data as the driver may cut them. */
static u32 cut(struct vd_buf *v, gpa_t at, u32 bytes, bool in)
{
	u32 n = 0;

	while (bytes) {
		u32 part = bytes > 3000 && n < 8 ? 1 + rnd(3000) : bytes;

		v[n++] = (struct vd_buf){ at, part, in };
		at += part;
		bytes -= part;
	}
	return n;
}

static int offer(unsigned queue, u32 bytes, bool in)
{
	struct vd_buf v[12] = { { head_at, 16, false } };
	u32 n = 1 + cut(v + 1, data_at, bytes, in);
	u8 none = 0xee;
	int id;

	vd_poke(&ram, status_at, &none, 1);
	v[n++] = (struct vd_buf){ status_at, 1, true };
	id = vd_add(&p.vd[queue], v, n,
		    p.features >> VIRTIO_F_INDIRECT_DESC & 1 ? table_at : 0);
	CHECK(id >= 0);
	vp_kick(&p, queue);
	return id;
}

static u8 status(void)
{
	u8 s;

	vd_peek(&ram, status_at, &s, 1);
	return s;
}

/* A request from begin to end; its status, 0xee: none. */
static u8 ask(u32 type, u64 sector, u32 bytes, bool in)
{
	u32 len = 0;
	int id;

	head(type, sector);
	id = offer(0, bytes, in);
	for (u32 i = 0; i < 100000 && vd_get(&p.vd[0], &len) != id; i++) {
		if (nheld)
			release(true);
		else if (defers)
			virtio_blk_work(&b);
		else
			return 0xee;
	}
	CHECK(len <= bytes + 1);
	CHECK(status() || !in || len == bytes + 1);
	return status();
}

static u8 ask_range(u32 type, u64 sector, u32 n, u32 flags)
{
	u8 r[16];

	put_le64(r, sector);
	put_le32(r + 8, n);
	put_le32(r + 12, flags);
	vd_poke(&ram, data_at, r, 16);
	return ask(type, 0, 16, false);
}

static void fill(u32 bytes)
{
	for (u32 i = 0; i < bytes; i++)
		*(u8 *)vd_at(&ram, data_at + i) = (u8)rnd(256);
}

/* Random reads, writes, zeroes against a copy. */
static void exercise(u64 features, int how)
{
	setup(features);
	answer = how;
	memset(disk, 0x5a, sizeof(disk));
	memcpy(shadow, disk, sizeof(disk));
	for (u32 round = 0; round < 400; round++) {
		u32 n = 1 + rnd(rnd(10) ? 20 : 200), what = rnd(8);
		u64 s = rnd(SECTORS - n + 1);

		if (what < 3) {
			fill(n * 512);
			vd_peek(&ram, data_at, shadow + s * 512, n * 512);
			CHECK_EQ(ask(VIRTIO_BLK_T_OUT, s, n * 512, false), 0);
		} else if (what < 6) {
			CHECK_EQ(ask(VIRTIO_BLK_T_IN, s, n * 512, true), 0);
			for (u32 i = 0; i < n * 512; i++)
				CHECK(*(u8 *)vd_at(&ram, data_at + i) == shadow[s * 512 + i]);
		} else if (what == 6) {
			memset(shadow + s * 512, 0, n * 512);
			CHECK_EQ(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, s, n, 1), 0);
		} else {
			memset(shadow + s * 512, 0, n * 512);
			CHECK_EQ(ask_range(VIRTIO_BLK_T_DISCARD, s, n, 0), 0);
		}
		CHECK(!memcmp(disk, shadow, sizeof(disk)));
	}
	CHECK(!p.breaks && b.errors == 0 && !virtio_blk_busy(&b));
	CHECK(p.irqs[1] > 0);
	vd_ram_free(&ram);
}

TEST(contents_at_once)
{
	exercise(RICH, 0);
	exercise(RICH | BIT(VIRTIO_F_RING_PACKED), 0);
}

TEST(contents_later)
{
	exercise(RICH, 1);
	exercise(RICH | BIT(VIRTIO_F_RING_PACKED), 1);
}

TEST(registers)
{
	setup_be(V1, true, 4096, 4);
	CHECK_EQ(vp_read(&p, p.device, 4), SECTORS);
	CHECK_EQ(vp_read(&p, p.device + 4, 4), 0);
	CHECK_EQ(vp_read(&p, p.device + 8, 4), VIRTIO_BLK_SIZE_MAX);
	CHECK_EQ(vp_read(&p, p.device + 12, 4), VIRTIO_BLK_SEG_MAX);
	CHECK_EQ(vp_read(&p, p.device + 20, 4), 4096);
	CHECK_EQ(vp_read(&p, p.device + 34, 2), 4);
	CHECK_EQ(vp_read(&p, p.device + 36, 4), VIRTIO_BLK_MAX_ZERO);
	CHECK_EQ(vp_read(&p, p.device + 40, 4), 1);
	CHECK_EQ(vp_read(&p, p.device + 48, 4), VIRTIO_BLK_MAX_ZERO);
	CHECK_EQ(vp_read(&p, p.device + 52, 4), 1);
	vp_write(&p, p.device, 4, 1);
	CHECK_EQ(vp_read(&p, p.device, 4), SECTORS);
	CHECK(vp_offered(&p) & BIT(VIRTIO_BLK_F_RO));
	CHECK(!(vp_offered(&p) & (BIT(VIRTIO_BLK_F_DISCARD) | BIT(VIRTIO_BLK_F_WRITE_ZEROES) |
				  BIT(VIRTIO_F_IN_ORDER))));
	vd_ram_free(&ram);
	setup(RICH);
	CHECK(!(vp_offered(&p) & BIT(VIRTIO_BLK_F_RO)));
	CHECK_EQ(ask(VIRTIO_BLK_T_GET_ID, 0, 20, true), 0);
	CHECK(!memcmp(vd_at(&ram, data_at), "a name of 20 letters", 20));
	CHECK_EQ(ask(VIRTIO_BLK_T_FLUSH, 0, 0, false), 0);
	CHECK_EQ(flushes, 1);
	CHECK(!through);
	vd_ram_free(&ram);
	setup(V1); /* a driver that does not flush */
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, 0, 512, false), 0);
	CHECK(through);
	vd_ram_free(&ram);
}

TEST(refused)
{
	setup(RICH);
	memset(disk, 0x5a, sizeof(disk));
	memcpy(shadow, disk, sizeof(disk));
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, SECTORS - 1, 1024, false), 1);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, SECTORS, 512, false), 1);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, ~0ull, 512, false), 1);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, ~0ull - 1, 1024, false), 1);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, 0x80000000000000ull, 512, false), 1); /* * 512 wraps to 0 */
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, 0, 513, false), 1);
	CHECK_EQ(ask(VIRTIO_BLK_T_IN, SECTORS, 512, true), 1);
	CHECK_EQ(ask(VIRTIO_BLK_T_IN, 0, 511, true), 1);
	CHECK_EQ(ask(2, 0, 512, false), 2);
	CHECK_EQ(ask(0xffffffff, 0, 512, true), 2);
	CHECK_EQ(ask_range(VIRTIO_BLK_T_DISCARD, 0, SECTORS + 1, 0), 1);
	CHECK_EQ(ask_range(VIRTIO_BLK_T_DISCARD, 1, SECTORS, 0), 1);
	CHECK_EQ(ask_range(VIRTIO_BLK_T_DISCARD, ~0ull, 2, 0), 1);
	CHECK_EQ(ask_range(VIRTIO_BLK_T_DISCARD, 0, 0xffffffff, 0), 1);
	CHECK_EQ(ask_range(VIRTIO_BLK_T_DISCARD, 0, 1, 1), 2);
	CHECK_EQ(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 2), 2);
	CHECK_EQ(ask(VIRTIO_BLK_T_DISCARD, 0, 32, false), 1); /* more ranges than one */
	CHECK_EQ(ask(VIRTIO_BLK_T_DISCARD, 0, 15, false), 1);
	CHECK_EQ(submits, 0);
	CHECK_EQ(ask(VIRTIO_BLK_T_IN, SECTORS, 0, true), 0); /* nothing, at the end */
	CHECK_EQ(ask_range(VIRTIO_BLK_T_DISCARD, 0, 0, 0), 0);
	CHECK_EQ(submits, 0);
	CHECK(!memcmp(disk, shadow, sizeof(disk)));
	CHECK_EQ(p.breaks, 0);
	answer = -EIO;
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, 0, 512, false), 1);
	CHECK_EQ(b.errors, 19);
	vd_ram_free(&ram);
}

TEST(read_only)
{
	setup_be(V1, true, 512, 1);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, 0, 512, false), 1);
	CHECK_EQ(ask_range(VIRTIO_BLK_T_DISCARD, 0, 1, 0), 1);
	CHECK_EQ(ask_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), 1);
	CHECK_EQ(submits, 0);
	CHECK_EQ(ask(VIRTIO_BLK_T_IN, 0, 512, true), 0);
	vd_ram_free(&ram);
}

TEST(blocks_of_4k)
{
	setup_be(V1, false, 4096, 1);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, 1, 4096, false), 1);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, 8, 512, false), 1);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, 8, 4096, false), 0);
	CHECK_EQ(ask_range(VIRTIO_BLK_T_DISCARD, 8, 4, 0), 1);
	vd_ram_free(&ram);
}

/* Chains without status, header, or with more than a request may have. */
TEST(odd_chains)
{
	struct vd_buf v[3];
	u32 len;
	int id;

	setup(V1);
	head(VIRTIO_BLK_T_OUT, 0);
	v[0] = (struct vd_buf){ head_at, 15, false };
	v[1] = (struct vd_buf){ status_at, 1, true };
	id = vd_add(&p.vd[0], v, 2, 0);
	vp_kick(&p, 0);
	CHECK_EQ(vd_get(&p.vd[0], &len), id);
	CHECK_EQ(status(), 1);
	/* More than 1 MiB. */
	head(VIRTIO_BLK_T_IN, 0);
	v[0].len = 16;
	v[1] = (struct vd_buf){ data_at, (1 << 20) + 512, true };
	v[2] = (struct vd_buf){ status_at, 1, true };
	id = vd_add(&p.vd[0], v, 3, 0);
	vp_kick(&p, 0);
	CHECK_EQ(vd_get(&p.vd[0], &len), id);
	CHECK_EQ(status(), 1);
	CHECK_EQ(submits, 0);
	CHECK_EQ(p.breaks, 0);
	v[0] = (struct vd_buf){ head_at, 16, false };
	vd_add(&p.vd[0], v, 1, 0);
	vp_kick(&p, 0);
	CHECK_EQ(p.breaks, 1);
	CHECK_EQ(vp_read(&p, p.common + 0x14, 1) & 0x40, 0x40);
	/* Nobody else's: after a reset it works again. */
	CHECK(vp_negotiate(&p, V1));
	vp_queue(&p, 0, 64);
	vp_ready(&p);
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, 0, 512, false), 0);
	vd_ram_free(&ram);
}

/* More than a call does at a time, and more requests than slots. */
TEST(bounded)
{
	u32 len, got = 0, most = 0;

	setup(RICH);
	head(VIRTIO_BLK_T_OUT, 0);
	b.stopped = true;
	for (u32 i = 0; i < 40; i++) {
		table_at = vp_alloc(&p, 256);
		offer(0, 65536, false);
	}
	CHECK_EQ(submits, 0);
	b.stopped = false;
	for (u32 calls = 0; calls < 40 && got < 40; calls++) {
		u32 before = submits;

		defers = 0;
		virtio_blk_work(&b);
		most = submits - before > most ? submits - before : most;
		while (vd_get(&p.vd[0], &len) >= 0)
			got++;
		CHECK(defers || got == 40);
	}
	CHECK_EQ(got, 40);
	CHECK(most <= VIRTIO_BLK_BUDGET / 16);
	answer = 1;
	for (u32 i = 0; i < 40; i++) {
		table_at = vp_alloc(&p, 256);
		offer(0, 512, false);
	}
	CHECK_EQ(nheld, VIRTIO_BLK_DEPTH);
	for (got = 0; nheld; release(true))
		while (vd_get(&p.vd[0], &len) >= 0)
			got++;
	while (vd_get(&p.vd[0], &len) >= 0)
		got++;
	CHECK_EQ(got, 40);
	vd_ram_free(&ram);
}

/* The ring goes while the backend has requests: they end, unseen, before anything new begins. */
TEST(reset_under_way)
{
	u8 before[16];
	u32 len;

	setup(RICH);
	answer = 1;
	head(VIRTIO_BLK_T_IN, 0);
	memset(disk, 0x77, sizeof(disk));
	offer(0, 512, true);
	offer(0, 16384, true);
	CHECK_EQ(nheld, 2);
	vd_peek(&ram, data_at, before, 16);
	CHECK(vp_negotiate(&p, RICH));
	vp_queue(&p, 0, 64);
	vp_ready(&p);
	offer(0, 512, true);
	CHECK_EQ(nheld, 2);
	release(true);
	CHECK_EQ(nheld, 1);
	CHECK_EQ(vd_get(&p.vd[0], &len), -1);
	CHECK(!memcmp(before, vd_at(&ram, data_at), 16));
	release(true);
	CHECK_EQ(nheld, 1); /* that of the new ring */
	CHECK_EQ(vd_get(&p.vd[0], &len), -1);
	release(true);
	CHECK(vd_get(&p.vd[0], &len) >= 0);
	CHECK_EQ(status(), 0);
	CHECK(!virtio_blk_busy(&b));
	vd_ram_free(&ram);
}

TEST(failures_later)
{
	setup(RICH);
	answer = 1;
	head(VIRTIO_BLK_T_OUT, 0);
	offer(0, 3 * 16 * 512, false);
	release(true);
	CHECK_EQ(nheld, 1);
	release(false);
	CHECK_EQ(nheld, 0);
	CHECK_EQ(status(), 1);
	CHECK_EQ(b.errors, 1);
	vd_ram_free(&ram);
}

TEST(queues)
{
	u32 len;

	setup_be(V1 | BIT(VIRTIO_BLK_F_MQ), false, 512, 4);
	head(VIRTIO_BLK_T_OUT, 3);
	for (u32 q = 0; q < 4; q++) {
		int id = offer(q, 512, false);

		CHECK_EQ(vd_get(&p.vd[q], &len), id);
		CHECK_EQ(p.irqs[q + 1], 1);
	}
	CHECK_EQ(b.done[VIRTIO_BLK_WRITE], 4);
	CHECK_EQ(b.bytes[VIRTIO_BLK_WRITE], 2048);
	vd_ram_free(&ram);
}

/* Paused, saved, loaded into another: it takes what came meanwhile. */
TEST(moves)
{
	static struct virtio_blk other;
	struct virtio_env pci = vp_env(&p);
	u32 len;
	int id;

	setup(RICH | BIT(VIRTIO_F_RING_PACKED));
	CHECK_EQ(ask(VIRTIO_BLK_T_OUT, 0, 512, false), 0);
	b.stopped = true;
	head(VIRTIO_BLK_T_OUT, 1);
	id = offer(0, 512, false);
	CHECK_EQ(submits, 1);
	virtio_pci_quiesce(&b.dev);
	virtio_blk_init(&other, &b.be, 1, &ram.mem, &pci);
	other.defer = defer;
	for (u32 i = 0; i < virtio_blk_nfields; i++) {
		const struct vmstate_field *f = &virtio_blk_fields[i];

		memcpy((u8 *)&other + f->offset, (u8 *)&b + f->offset, (size_t)f->size * f->count);
	}
	virtio_blk_init(&b, &other.be, 1, &ram.mem, &pci);
	b.defer = defer;
	for (u32 i = 0; i < virtio_blk_nfields; i++) {
		const struct vmstate_field *f = &virtio_blk_fields[i];

		memcpy((u8 *)&b + f->offset, (u8 *)&other + f->offset, (size_t)f->size * f->count);
	}
	p.mapped = false;
	CHECK_EQ(virtio_blk_resume(&b), 0);
	CHECK_EQ(submits, 2);
	CHECK_EQ(vd_get(&p.vd[0], &len), id);
	b.capacity++;
	CHECK_EQ(virtio_blk_resume(&b), -EINVAL);
	vd_ram_free(&ram);
}

UNIT_MAIN({ "contents_at_once", contents_at_once },
	  { "contents_later", contents_later },
	  { "registers", registers },
	  { "refused", refused },
	  { "read_only", read_only },
	  { "blocks_of_4k", blocks_of_4k },
	  { "odd_chains", odd_chains },
	  { "bounded", bounded },
	  { "reset_under_way", reset_under_way },
	  { "failures_later", failures_later },
	  { "queues", queues },
	  { "moves", moves })
