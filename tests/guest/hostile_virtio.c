/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net with rings that no driver would make: each breaks the device until its reset, then
 * it works again. The other guest (peer=1) has a NIC as well, echoes frames and watches its memory.
 */
#include "guest/image/lib/smp.h"
#include "kernel/base/bits.h"
#include "tests/guest/virtio.h"

#define FEATURES (VN_F_INDIRECT | VN_F_RESET)
#define HOLE	 0xa0000ull
#define WORDS	 (64 * 512) /* 64 pages */

static u32 seq, stop;
static u8 *scratch; /* a table, some buffer */
static u64 seed = 88172645463325252;

static const u8 peer_mac[6] = { 0x52, 0x54, 0, 0, 0, 2 };

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* ---- the peer ------------------------------------------------------------------------------ */

static void echo(void)
{
	u32 id, len;

	while (vn_used(VN_RX, &id, &len)) {
		u8 *f = vn_rx_buf + id * VN_BUF + VN_HDR;

		if (len > VN_HDR + 14 && *(u16 *)(f + 12) == VN_TYPE) {
			memcpy(vn_tx_buf + VN_HDR, f, len - VN_HDR);
			memcpy(vn_tx_buf + VN_HDR, f + 6, 6);
			memcpy(vn_tx_buf + VN_HDR + 6, vn_mac, 6);
			vn_send(len - VN_HDR);
		}
		vn_give_rx(id);
	}
}

static void peer(void)
{
	u64 *p = page_alloc(64);

	if (!vn_probe() || !vn_up(FEATURES))
		serial_printf("tick bad: no NIC\n");
	for (u32 tick = 1;; tick++) {
		bool ok = vn_status() == 0xf;

		for (u32 i = 0; i < WORDS; i++)
			p[i] = 0x5ec4e75ec4e70000 | tick;
		for (u32 ms = 0; ms < 100; ms++) {
			echo();
			wait_us(1000);
		}
		for (u32 i = 0; i < WORDS; i++)
			ok = ok && p[i] == (0x5ec4e75ec4e70000 | tick);
		serial_printf("tick %u %s\n", tick, ok ? "ok" : "bad");
	}
}

/* ---- what works ---------------------------------------------------------------------------- */

/* Nothing was written behind what the device says it wrote, and nothing of the peer's is in it. */
static bool clean(const u8 *b, u32 len)
{
	for (u32 i = len; i < VN_BUF; i++)
		if (b[i] != VN_FILL)
			return false;
	for (u32 i = 0; i + 6 <= len; i++)
		if (b[i] == 0xc4 && b[i + 1] == 0x5e && b[i + 2] == 0xe7 && b[i + 3] == 0xc4)
			return false;
	return true;
}

/* Is this our frame number seq, back from the peer? */
static bool echoed(const u8 *b, u32 len)
{
	const u8 *f = b + VN_HDR;
	bool ok = !memcmp(f + 6, peer_mac, 6) && *(const u32 *)(f + 14) == seq;

	for (u32 i = 18; ok && i < len - VN_HDR; i++)
		ok = f[i] == vn_byte(seq, i);
	return ok;
}

/* Is the frame number seq, of len bytes, back within ms milliseconds? */
static bool back(u32 len, u32 ms)
{
	u32 id, got;

	for (u32 n = 0; n < ms; n++) {
		while (vn_used(VN_RX, &id, &got)) {
			const u8 *b = vn_rx_buf + id * VN_BUF;
			bool mine = got == VN_HDR + len && echoed(b, got);

			CHECK(id < VN_SIZE && got <= VN_BUF && clean(b, got));
			vn_give_rx(id % VN_SIZE);
			if (mine)
				return true;
		}
		wait_us(1000);
	}
	return false;
}

/* A frame to the peer and back; it may get lost while the peer works through earlier ones. */
static bool alive(void)
{
	u32 len;

	seq++;
	for (u32 n = 0; n < 20; n++) {
		len = vn_make(peer_mac, seq);
		if (vn_send(len) && back(len, 500))
			return true;
	}
	return false;
}

static void again(void)
{
	CHECK(vn_up(FEATURES));
	CHECK(alive());
}

TEST(works)
{
	CHECK(vn_probe());
	CHECK(vn_up(FEATURES));
	scratch = page_alloc(2);
	for (u32 n = 0; n < 50; n++)
		CHECK(alive());
}

/* What lies in the queue has to break it, and to say so; then all works again. */
static void breaks(u32 queue, const char *what)
{
	u32 told = trap_counted(VN_VEC_CONFIG);

	vn_kick(queue);
	for (u32 ms = 0; ms < 1000 && !(vn_status() & VN_NEEDS_RESET); ms++)
		wait_us(1000);
	if (!(vn_status() & VN_NEEDS_RESET))
		serial_printf("not broken: %s\n", what);
	CHECK(vn_status() & VN_NEEDS_RESET);
	CHECK(trap_wait(VN_VEC_CONFIG, told + 1, 1000));
	again();
}

static void desc(u32 i, u64 addr, u32 len, u16 flags, u16 next)
{
	vn_q[VN_TX].desc[i] = (struct vn_desc){ addr, len, flags, next };
}

static void bad_buffer(u64 addr, u32 len, const char *what)
{
	desc(0, (u64)vn_tx_buf, VN_HDR, VN_NEXT, 1);
	desc(1, addr, len, 0, 0);
	vn_offer(VN_TX, 0);
	breaks(VN_TX, what);
}

/* A table of two: entry 0 is good, entry 1 as told. */
static void bad_table(u64 at, u32 bytes, u16 flags, const struct vn_desc *second, const char *what)
{
	struct vn_desc *t = (void *)scratch;

	t[0] = (struct vn_desc){ (u64)vn_tx_buf, 100, VN_NEXT, 1 };
	t[1] = *second;
	desc(0, at, bytes, (u16)(VN_INDIRECT | flags), 1);
	vn_offer(VN_TX, 0);
	breaks(VN_TX, what);
}

/* ---- one bad thing each -------------------------------------------------------------------- */

TEST(loops)
{
	for (u32 n = 1; n <= VN_SIZE; n *= 2) {
		for (u32 i = 0; i < n; i++)
			desc(i, (u64)vn_tx_buf, 64, VN_NEXT, (u16)((i + 1) % n));
		vn_offer(VN_TX, 0);
		breaks(VN_TX, "loop");
	}
	desc(0, (u64)vn_tx_buf, 64, VN_NEXT, VN_SIZE);
	vn_offer(VN_TX, 0);
	breaks(VN_TX, "next out of range");
	desc(0, (u64)vn_tx_buf, 64, VN_NEXT | VN_WRITE, 1);
	desc(1, (u64)vn_tx_buf, 64, 0, 0);
	vn_offer(VN_TX, 0);
	breaks(VN_TX, "readable behind writable");
}

TEST(heads_and_index)
{
	static const u16 heads[] = { VN_SIZE, 0x8000, 0xffff };
	static const u16 jumps[] = { VN_SIZE + 1, 0x7fff, 0xffff };

	for (u32 i = 0; i < ARRAY_SIZE(heads); i++) {
		vn_offer(VN_TX, heads[i]);
		breaks(VN_TX, "head");
	}
	for (u32 i = 0; i < ARRAY_SIZE(jumps); i++) {
		vn_q[VN_TX].avail[1] = (u16)(vn_q[VN_TX].avail[1] + jumps[i]);
		breaks(VN_TX, "index jumps");
	}
}

TEST(addresses)
{
	u64 end = align_up(boot_memory_end(), 0x200000); /* tables lie behind */

	bad_buffer(~0ull - 10, 100, "wraps");
	bad_buffer((u64)vn_tx_buf, 0xffffffff, "4 GiB");
	bad_buffer(~0ull, 1, "last byte");
	bad_buffer(HOLE - 8, 64, "into the hole");
	bad_buffer(HOLE, 64, "the hole");
	bad_buffer(end - 8, 64, "end of RAM");
	bad_buffer(APIC_BASE, 64, "APIC");
	bad_buffer(VN_BAR, 64, "its own BAR");
	bad_buffer(1ull << 40, 64, "far");
}

TEST(indirect_tables)
{
	const struct vn_desc good = { (u64)vn_tx_buf, 64, 0, 0 };
	const struct vn_desc nested = { (u64)scratch, 32, VN_INDIRECT, 0 };
	const struct vn_desc loop = { (u64)vn_tx_buf, 64, VN_NEXT, 0 };
	const struct vn_desc outside = { (u64)vn_tx_buf, 64, VN_NEXT, 2 };
	u64 t = (u64)scratch;

	bad_table(t, 32, 0, &nested, "table in a table");
	bad_table(t, 32, 0, &loop, "loop in a table");
	bad_table(t, 32, 0, &outside, "next outside of the table");
	bad_table(t, 0, 0, &good, "empty table");
	bad_table(t, 33, 0, &good, "odd length");
	bad_table(t, 0xfffffff0, 0, &good, "huge table");
	bad_table(t, 32, VN_NEXT, &good, "table and more");
	bad_table(~0ull - 15, 32, 0, &good, "table wraps");
	*(struct vn_desc *)(HOLE - 16) = loop;
	bad_table(HOLE - 16, 32, 0, &good, "table into the hole");
	bad_table(VN_BAR, 32, 0, &good, "table in the BAR");
}

TEST(receive_buffers)
{
	static const struct vn_desc bad[] = { { 0, VN_HDR, VN_WRITE, 0 },	/* no room */
					      { 0, VN_BUF, 0, 0 },		/* read-only */
					      { HOLE - 8, VN_BUF, VN_WRITE, 0 } };

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		u32 len = vn_make(peer_mac, ++seq);

		for (u32 k = 0; k < VN_SIZE; k++) {
			vn_q[VN_RX].desc[k] = bad[i];
			if (!bad[i].addr)
				vn_q[VN_RX].desc[k].addr = (u64)vn_rx_buf;
		}
		(void)vn_send(len); /* its echo finds the buffers */
		breaks(VN_RX, "receive buffer");
	}
}

/* Rings that lie where no RAM is break the device when they are enabled. */
TEST(rings)
{
	const u64 page = (u64)scratch;

	for (u32 i = 0; i < 5; i++) {
		const u64 at[5] = { HOLE - 16, VN_BAR, ~0ull & ~0xfffull, 1ull << 40, page + 1 };
		u32 told = trap_counted(VN_VEC_CONFIG);

		CHECK(vn_negotiate(FEATURES));
		vn_queue_set(VN_TX, i & 1 ? page : at[i], i & 1 ? at[i] : page, page);
		CHECK(vn_status() & VN_NEEDS_RESET);
		vn_w8(vn_common + 0x14, 0xf);
		vn_kick(VN_TX);
		CHECK_EQ(trap_counted(VN_VEC_CONFIG), told); /* no driver is there to be told */
		again();
	}
}

TEST(packed)
{
	struct vn_desc *d = vn_q[VN_TX].desc;

	for (u32 i = 0; i < 4; i++) {
		CHECK(vn_negotiate(FEATURES | VN_F_PACKED));
		vn_w16(vn_common + 0x10, 0);
		memset(vn_q[VN_TX].avail, 0, 4096);
		/* In memory: buffer ID, then flags. */
		for (u32 k = 0; k < VN_SIZE; k++)
			d[k] = (struct vn_desc){ (u64)vn_tx_buf, 64, 0, 0x80 | VN_NEXT };
		if (i == 1)
			d[3].addr = HOLE - 8;
		if (i == 2)
			d[3].next = 0x80 | VN_INDIRECT; /* of 4 entries, but a table in a chain */
		if (i == 3)
			d[3].addr = ~0ull - 3;
		vn_queue_set(VN_TX, (u64)d, (u64)vn_q[VN_TX].avail, (u64)vn_q[VN_TX].used);
		vn_w8(vn_common + 0x14, 0xf);
		if (i == 2)
			*(struct vn_desc *)vn_tx_buf = (struct vn_desc){ 0, 64, 0, VN_INDIRECT };
		breaks(VN_TX, "packed");
	}
}

/* ---- two CPUs ------------------------------------------------------------------------------ */

static void race(void (*fn)(void *), u32 rounds, void (*step)(u32 n))
{
	SKIP_IF(boot_cpus() < 2, "one processor");
	atomic_store_release(&stop, 0);
	CHECK(smp_start(1, fn, NULL));
	for (u32 n = 0; n < rounds; n++)
		step(n);
	atomic_store_release(&stop, 1);
	CHECK(smp_wait(1, 5000));
	again();
}

static void toggle_msix(void *arg)
{
	(void)arg;
	while (!atomic_load_acquire(&stop)) {
		vn_msix_on(false);
		vn_w32(vn_table + 12 + 16 * (u32)(rnd() % 3), 1);
		vn_w32(vn_table + 16 * (u32)(rnd() % 3), (u32)rnd());
		vn_msix_on(true);
		vn_w32(vn_table + 12 + 16 * (u32)(rnd() % 3), 0);
	}
}

static void frame_back(u32 n)
{
	(void)n;
	vn_q[VN_RX].avail[0] = vn_q[VN_TX].avail[0] = 0; /* interrupts wanted, wherever they go */
	CHECK(alive());
}

TEST(msix_off_mid_flight)
{
	race(toggle_msix, 30, frame_back);
}

static void kick_tx(void *arg)
{
	(void)arg;
	while (!atomic_load_acquire(&stop))
		vn_kick((u32)(rnd() % 5));
}

static void fill_tx(void)
{
	for (u32 i = 0; i < VN_SIZE; i++) {
		desc(i, (u64)vn_tx_buf, VN_HDR + 60, 0, 0);
		vn_offer(VN_TX, (u16)i);
	}
}

static void reset_queue(u32 n)
{
	u32 queue = n & 1 ? VN_TX : VN_RX;

	fill_tx();
	vn_kick(VN_TX);
	vn_w16(vn_common + 0x16, (u16)queue);
	vn_w16(vn_common + 0x3a, 1);
	CHECK_EQ(*(volatile u16 *)(u64)(VN_BAR + vn_common + 0x1c), 0);
	vn_queue_init(queue);
	if (queue == VN_TX)
		CHECK(!(vn_status() & VN_NEEDS_RESET));
	else
		vn_up(FEATURES);
}

TEST(queue_reset_mid_flight)
{
	vn_make(peer_mac, ++seq);
	race(kick_tx, 200, reset_queue);
}

static void reset_device(u32 n)
{
	vn_up(FEATURES);
	if (n % 4 == 0)
		return;
	fill_tx();
	vn_kick(VN_TX);
	vn_w8(vn_common + 0x14, 0);
}

TEST(reset_storm)
{
	race(kick_tx, 300, reset_device);
}

/* Good and bad values by turns, wherever the device may be reading. */
static void scribble(void *arg)
{
	const u64 addr[] = { (u64)vn_tx_buf, (u64)scratch, HOLE - 8, ~0ull - 9, VN_BAR };
	struct vn_desc *t = (void *)scratch;

	(void)arg;
	while (!atomic_load_acquire(&stop)) {
		u64 r = rnd();
		struct vn_desc *d = r & 1 ? &t[r >> 1 & 7] : &vn_q[VN_TX].desc[r >> 1 & 7];

		d->addr = addr[(r >> 8 & 15) < 4 ? r >> 8 & 3 : (r >> 8 & 1)];
		d->len = r >> 16 & 7 ? 16 * (u32)(r >> 20 & 15) : (u32)r;
		d->flags = (u16)(r >> 24 & 5);
		d->next = (u16)(r >> 28 & 7);
		vn_q[VN_TX].avail[2 + (r >> 32 & 31)] = (u16)(r >> 40 & 31);
		for (u32 n = (u32)(r >> 56); n; n--)
			__asm__ volatile("");
	}
}

static void kick_and_mend(u32 n)
{
	(void)n;
	for (u32 i = 0; i < 8; i++)
		vn_offer(VN_TX, (u16)i);
	vn_kick(VN_TX);
	if (vn_status() & VN_NEEDS_RESET)
		vn_up(FEATURES);
}

TEST(changed_while_read)
{
	race(scribble, 1000, kick_and_mend);
}

/* Anything anywhere but in the interrupts' table, which could name an NMI. */
static void poke(u32 n)
{
	u32 off = (u32)(n & 1 ? rnd() % 0x3c : rnd() % 0x4000) & ~3u;

	if (rnd() & 3)
		vn_w32(off, (u32)rnd());
	else
		vn_w8(off, (u8)rnd());
}

TEST(registers_at_random)
{
	vn_up(FEATURES);
	race(kick_tx, 3000, poke);
}

void guest_main(void)
{
	if (boot_option("peer", 0))
		peer();
	test_run_all();
}
