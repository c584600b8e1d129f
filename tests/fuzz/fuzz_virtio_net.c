/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest does anything to its NIC: registers, rings, the control queue, memory changed while it
 * is read. Beside it a proper guest sends and receives; whatever state is reached loads again; and
 * hardware at a third port reads and writes the guest's buffers in its own time.
 */
#include "tests/fuzz/stream.h"
#include "tests/unit/virtio_driver.h"

#include "devices/sriov/igb/igb_ring.h"
#include "devices/virtio/virtio_net.h"
#include "kernel/base/bits.h"

#define PAGES 16u
#define BUF   0x8000u /* of the proper guest: sends from here, receives a page behind */

struct nic {
	struct vd_ram ram;
	struct vp p;
	struct virtio_net n;
	u32 port;
};

static struct nic bad, good;
static struct vswitch sw;
static struct virtio_net_scratch scratch;
static const u8 *noise;
static size_t noise_len, noise_at;
static u64 now;

static u64 env_now(void *ctx)
{
	(void)ctx;
	return now;
}

static void env_nop(void *ctx)
{
	(void)ctx;
}

static void env_timer(void *ctx, u64 ns)
{
	(void)ctx, (void)ns;
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
	u8 b = noise[noise_at++ % noise_len];

	if (b & 1)
		r->page[b >> 1 & 7][noise[noise_at % noise_len] * 2u] ^= b;
}

static void plug(struct nic *x, u8 mac, u8 (*memory)[4096])
{
	const struct virtio_net_config cfg = { { 0x52, 0, 0, 0, 0, mac }, 2, 1500, true, 1000 };
	const struct virtio_net_env env = { x, env_now, env_nop, env_timer, env_nop };
	struct vswitch_config pc = { .name = "g", .mtu = 1500 };
	struct virtio_env pci = vp_env(&x->p);
	struct netbe be;

	memset(x, 0, sizeof(*x));
	x->ram = (struct vd_ram){ .page = memory, .pages = PAGES };
	for (u16 i = 0; i < PAGES; i++)
		x->ram.place[i] = i;
	x->ram.mem = (struct virtq_mem){ &x->ram, vd_map, vd_dirty };
	if (x == &bad)
		pci.bar_map = bar, pci.msi = msi;
	virtio_net_init(&x->n, &cfg, &env, &scratch, &x->ram.mem, &pci);
	be = virtio_net_be(&x->n);
	memcpy(pc.mac, cfg.mac, 6);
	FUZZ_CHECK(vswitch_add(&sw, &pc, &be, now, &x->port) == 0);
	virtio_net_attach(&x->n, &sw, x->port);
	vp_probe(&x->p, &x->n.dev, &x->ram);
}

/* A driver that knows where its queues are: contents of rings and buffers come from the input. */
static void set_up(struct nic *x, u64 features, u32 queues)
{
	FUZZ_CHECK(vp_negotiate(&x->p, features | BIT(VIRTIO_F_VERSION_1)));
	for (u32 i = 0; i < queues; i++)
		vp_queue(&x->p, i, 8);
	vp_ready(&x->p);
}

/* The proper guest takes what it got and sends a frame, which the other one may take or not. */
static void be_proper(void)
{
	struct vd_buf b = { BUF, 12 + 60, false }, in = { BUF + 0x1000, 2048, true };
	u32 len;

	while (vd_get(&good.p.vd[1], &len) >= 0)
		;
	while (vd_get(&good.p.vd[0], &len) >= 0)
		FUZZ_CHECK(len <= 2048);
	while (vd_add(&good.p.vd[0], &in, 1, 0) >= 0)
		;
	vp_kick(&good.p, 0);
	if (vd_add(&good.p.vd[1], &b, 1, 0) >= 0)
		vp_kick(&good.p, 1);
	virtio_net_work(&good.n);
	FUZZ_CHECK(good.n.dev.status == 0xf && !good.p.breaks);
}

/* What a guest can reach, resume() accepts, and nothing changes by that. */
static void move(void)
{
	static struct virtio_net was;

	virtio_net_quiesce(&bad.n);
	was = bad.n;
	bad.n.stopped = false;
	FUZZ_CHECK(virtio_net_resume(&bad.n, true) == 0);
	FUZZ_CHECK(was.active_pairs == bad.n.active_pairs && was.modes == bad.n.modes);
}

/* ---- hardware ------------------------------------------------------------------------------ */

static struct frame_owner reads[32];
static u8 *writes[VIRTIO_NET_HW_MAX];
static u32 nreads, nwrites;

static u32 hw_caps(void *ctx, const struct frame *f)
{
	(void)ctx;
	return igb_tx_takes(f) ? NETBE_CSUM | NETBE_TCP4 | NETBE_TCP6 : 0;
}

static enum net_drop hw_send(void *ctx, const struct frame *f)
{
	(void)ctx;
	if (f->owner && f->body_len && nreads < ARRAY_SIZE(reads)) {
		f->owner->uses++;
		reads[nreads++] = *f->owner;
	}
	return NET_OK;
}

static void hw_read(u32 i)
{
	struct frame_owner o = reads[i];

	reads[i] = reads[--nreads];
	o.done(o.ctx, o.token);
}

static void hw_drain(void *ctx)
{
	(void)ctx;
	while (nreads)
		hw_read(nreads - 1);
}

static void hw_withdraw(void *ctx)
{
	(void)ctx;
	nwrites = 0;
}

static void hw_step(u8 b)
{
	static const u8 head[14] = { 0x52, 0, 0, 0, 0, 1, 0x52, 0, 0, 0, 0, 9, 0x88, 0xb5 };
	u32 len = b * 6u;
	u8 *p;

	if (nreads && (b & 1))
		hw_read(b % nreads);
	while (nwrites < VIRTIO_NET_HW_MAX && (p = virtio_net_hw_buffer(&bad.n)) != NULL) {
		FUZZ_CHECK(p >= bad.ram.page[0] && p + 1522 <= bad.ram.page[0] + PAGES * 4096);
		writes[nwrites++] = p;
	}
	if (!nwrites)
		return;
	memset(writes[0], b, 1522);
	memcpy(writes[0], head, b & 2 ? sizeof(head) : 0);
	memmove(writes, writes + 1, --nwrites * sizeof(writes[0]));
	virtio_net_hw_filled(&bad.n, len);
	vswitch_flush(&sw);
}

static void plug_hardware(void)
{
	static const struct netbe_ops ops = { hw_caps, hw_send, env_nop, NULL, hw_drain };
	const struct vswitch_config pc = { .name = "hw", .mtu = 1500, .open = true };
	const struct netbe be = { &ops, NULL };
	u32 id;

	nreads = nwrites = 0;
	FUZZ_CHECK(vswitch_add(&sw, &pc, &be, now, &id) == 0);
	bad.n.hw = (struct virtio_net_hw){ NULL, hw_withdraw, id, 1522 };
}

static void step(struct stream *s)
{
	u8 op = take8(s);
	u32 queue = op >> 4 & 7;

	switch (op & 15) {
	case 0: /* any register, any size */
		vp_write(&bad.p, take16(s) & 0x7fff & ~(u32)(op >> 4 & 3 ? 3 : 0),
			 op >> 4 & 3 ? 4 : 1, take32(s));
		break;
	case 1: /* a common register: most of what matters */
		vp_write(&bad.p, bad.p.common + take8(s) % 0x3c, 1u << (op >> 4 & 1), take16(s));
		break;
	case 2: { /* memory */
		u16 at = take16(s);

		bad.ram.page[at >> 12][at & 4095] = take8(s);
		break;
	}
	case 3:
		virtio_net_work(&bad.n);
		break;
	case 4:
		be_proper();
		break;
	case 5:
		now += take16(s) * 1000ull;
		break;
	case 6:
		vcfg_write(&bad.n.dev.cfg, (u32)(take8(s) & ~3u), 4, take32(s));
		break;
	case 7:
		move();
		break;
	case 8:
		virtio_net_set_link(&bad.n, op & 16);
		virtio_net_announce(&bad.n);
		break;
	case 10:
		hw_step(take8(s));
		break;
	case 9: /* one more chain, its descriptors as the memory has them */
		if (!bad.p.vd[queue % 5].s.packed) {
			struct vd *d = &bad.p.vd[queue % 5];

			vd_w16(&bad.ram, d->s.part[1] + 4 + 2u * (d->avail & 7), take8(s) & 15);
			vd_w16(&bad.ram, d->s.part[1] + 2, ++d->avail);
		}
		vp_write(&bad.p, bad.p.notify + queue * bad.p.step, 2, queue);
		break;
	default: { /* a proper chain: a command, a frame, a buffer */
		struct vd *d = &bad.p.vd[queue % 5];
		struct vd_buf b[2] = { { take16(s), take8(s) * 8u, !(queue & 1) && queue != 4 },
				       { take16(s), take8(s), queue != 1 } };
		u32 len, n = 1 + (op & 1);

		while (d->s.size && d->free > d->s.size / 2 && vd_add(d, b, n, 0) >= 0)
			vp_write(&bad.p, bad.p.notify + queue % 5 * bad.p.step, 2, queue % 5);
		(void)len;
	}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static u8 memory[2][PAGES][4096];
	static const u8 frame[26] = { [12] = 0x52, 0, 0, 0, 0, 1, 0x52, 0, 0, 0, 0, 2, 0x88, 0xb5 };
	struct stream s = { data + 8, size - 8 };
	u64 optional = BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_EVENT_IDX) |
		       BIT(VIRTIO_NET_F_MRG_RXBUF);
	u64 leave;

	if (size < 10)
		return 0;
	leave = (u64)data[1] << 34 | (u64)data[2] << 29 | (u64)data[3] << 15;
	noise = data;
	noise_len = size;
	noise_at = 8;
	now = BUCKET_SECOND;
	memset(memory[1], 0, sizeof(memory[1]));
	for (size_t i = 0, n; i < sizeof(memory[0]); i += n) {
		n = size - 8 < sizeof(memory[0]) - i ? size - 8 : sizeof(memory[0]) - i;
		memcpy((u8 *)memory[0] + i, data + 8, n);
	}
	vswitch_init(&sw);
	plug(&bad, 1, memory[0]);
	plug(&good, 2, memory[1]);
	bad.ram.hole[4 + data[4] % (PAGES - 4)] = data[0] & 2; /* not under set_up()'s rings */
	plug_hardware();
	memcpy(memory[1][BUF >> 12], frame, sizeof(frame));
	set_up(&good, 0, 2);
	if (data[0] & 0x80)
		set_up(&bad, vp_offered(&bad.p) & ~(optional & leave), 5);
	if (data[0] & 1)
		bad.ram.meddle = meddle;
	while (s.left)
		step(&s);
	be_proper();
	return 0;
}
