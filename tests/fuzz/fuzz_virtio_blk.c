/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest does anything to its disk: registers, rings, requests, memory changed while it is read;
 * the backend answers when the input says. No request reaches beyond the disk, none is lost, and
 * whatever state is reached loads again.
 */
#include "tests/fuzz/stream.h"
#include "tests/unit/virtio_driver.h"

#include "devices/virtio/virtio_blk.h"
#include "kernel/base/bits.h"

#define PAGES	16u
#define SECTORS 64u
#define PIECE	8u

static struct vd_ram ram;
static struct vp p;
static struct virtio_blk b;
static u8 disk[SECTORS * VIRTIO_BLK_SECTOR];
static struct virtio_blk_io held[VIRTIO_BLK_DEPTH];
static u32 nheld;
static const u8 *noise;
static size_t noise_len, noise_at;

static void defer(void *ctx)
{
	(void)ctx;
}

static void bar(void *ctx, unsigned i, u64 base, u64 size)
{
	(void)i, (void)base, (void)size;
	((struct vp *)ctx)->mapped = true;
}

static void msi(void *ctx, u64 address, u32 data)
{
	(void)ctx, (void)address, (void)data;
}

static void meddle(struct vd_ram *r)
{
	u8 x = noise[noise_at++ % noise_len];

	if (x & 1)
		r->page[x >> 1 & 7][noise[noise_at % noise_len] * 2u] ^= x;
}

static void carry_out(const struct virtio_blk_io *io)
{
	u8 *at = disk + io->sector * VIRTIO_BLK_SECTOR;
	u32 n = io->sectors * VIRTIO_BLK_SECTOR;

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
	if (io->op != VIRTIO_BLK_FLUSH)
		FUZZ_CHECK(io->sectors && io->sectors <= PIECE &&
			   range_within(io->sector, io->sectors, 0, SECTORS));
	FUZZ_CHECK(nheld < VIRTIO_BLK_DEPTH);
	switch (noise[noise_at++ % noise_len] & 3) {
	case 0:
		return -1;
	case 1:
		held[nheld++] = *io;
		return 1;
	default:
		carry_out(io);
		return 0;
	}
}

static void release(u8 how)
{
	struct virtio_blk_io io;

	if (!nheld)
		return;
	io = held[--nheld];
	if (how & 1)
		carry_out(&io);
	virtio_blk_done(&b, io.slot, how & 1);
	virtio_blk_work(&b);
}

/* What a guest can reach, resume() accepts. */
static void move(void)
{
	b.stopped = true;
	while (virtio_blk_busy(&b)) {
		virtio_blk_work(&b);
		release(1);
	}
	virtio_pci_quiesce(&b.dev);
	FUZZ_CHECK(virtio_blk_resume(&b) == 0);
}

static void ask(struct stream *s, u8 op)
{
	struct vd *d = &p.vd[op >> 4 & 1];
	u16 at = take16(s);
	struct vd_buf v[3] = { { at & 0xfff0, 16, false },
			       { take16(s), take8(s) * 32u, op & 1 },
			       { take16(s), 1, true } };

	if (at & 1) { /* with a type that there is, near the end of the disk */
		ram.page[at >> 12][at & 0xff0] = at >> 1 & 15;
		ram.page[at >> 12][(at & 0xff0) + 8] = take8(s);
	}
	/* The used ring may say anything: each chain is the first. */
	memset(d->taken, 0, sizeof(d->taken));
	d->free = d->s.size;
	if (vd_add(d, v, 3, 0) >= 0)
		vp_write(&p, p.notify + (op >> 4 & 1) * p.step, 2, op >> 4 & 1);
}

static void step(struct stream *s)
{
	u8 op = take8(s);

	switch (op & 15) {
	case 0: /* any register, any size */
		vp_write(&p, take16(s) & 0x7fff & ~(u32)(op >> 4 & 3 ? 3 : 0), op >> 4 & 3 ? 4 : 1,
			 take32(s));
		break;
	case 1: /* a common register: most of what matters */
		vp_write(&p, p.common + take8(s) % 0x3c, 1u << (op >> 4 & 1), take16(s));
		break;
	case 2: { /* memory */
		u16 at = take16(s);

		ram.page[at >> 12][at & 4095] = take8(s);
		break;
	}
	case 3:
		virtio_blk_work(&b);
		break;
	case 4:
	case 5:
		release(op);
		break;
	case 6:
		vcfg_write(&b.dev.cfg, (u32)(take8(s) & ~3u), 4, take32(s));
		break;
	case 7:
		move();
		break;
	default:
		ask(s, op);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static u8 memory[PAGES][4096];
	struct stream s = { data + 4, size - 4 };
	struct virtio_env pci = vp_env(&p);
	struct virtio_blk_be be = { .sectors = SECTORS, .block = 512, .piece = PIECE,
				    .zero_piece = PIECE, .submit = submit };

	if (size < 8)
		return 0;
	be.ro = data[0] & 1;
	be.zero = be.discard = data[0] & 2;
	be.block = data[0] & 4 ? 4096 : 512;
	noise = data;
	noise_len = size;
	noise_at = 4;
	nheld = 0;
	memset(&p, 0, sizeof(p));
	ram = (struct vd_ram){ .page = memory, .pages = PAGES };
	for (u16 i = 0; i < PAGES; i++)
		ram.place[i] = i;
	ram.mem = (struct virtq_mem){ &ram, vd_map, vd_dirty };
	for (size_t i = 0, n; i < sizeof(memory); i += n) {
		n = size - 4 < sizeof(memory) - i ? size - 4 : sizeof(memory) - i;
		memcpy((u8 *)memory + i, data + 4, n);
	}
	pci.bar_map = bar, pci.msi = msi;
	virtio_blk_init(&b, &be, 2, &ram.mem, &pci);
	b.defer = defer;
	vp_probe(&p, &b.dev, &ram);
	FUZZ_CHECK(vp_negotiate(&p, BIT(VIRTIO_F_VERSION_1) |
					    (data[0] & 8 ? BIT(VIRTIO_F_EVENT_IDX) : 0)));
	for (u32 i = 0; i < 2; i++)
		vp_queue(&p, i, 8);
	vp_ready(&p);
	ram.hole[8 + data[1] % 8] = true;
	if (data[0] & 0x10)
		ram.meddle = meddle;
	while (s.left)
		step(&s);
	return 0;
}
