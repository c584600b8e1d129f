/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An 82576 VF at 00:10.0, driven by hand: nothing of a former owner is in it; mailbox, rings,
 * interrupts work; then (hostile=1) descriptors and registers that point where they must not. At
 * the end every register is left dirty for the next owner.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/test.h"
#include "kernel/base/bits.h"
#include "kernel/base/str.h"
#include "tests/guest/vf.h"

#define SLOTS 32u
#define FRAME 100u
#define VEC   0x51

static u64 *rx_ring, *tx_ring;
static u8 *rx_buf, *tx_buf;
static u8 mac[6];
static bool present;

TEST(identity)
{
	present = cfg(0) == 0x10ca8086;
	SKIP_IF(!present, "no VF");
	CHECK_EQ(cfg(8) >> 8, 0x020000);
	CHECK_EQ(cfg(0x3c) >> 8 & 0xff, 0); /* no INTx */
	cfg_write(4, 0);
	cfg_write(0x10, ~0u);
	CHECK_EQ(cfg(0x10), 0xffffc00c);
	cfg_write(0x10, BAR0);
	cfg_write(0x14, 0);
	cfg_write(0x1c, BAR3);
	cfg_write(0x20, 0);
	cfg_write(4, 6);
	CHECK(find_cap(0x10) && find_cap(0x11));
	CHECK_EQ(cfg(find_cap(0x11)) >> 16, 2); /* three vectors, off */
}

/* A register of a ring that has to be 0 when a VF changes hands. */
static void check_ring(u32 base)
{
	static const u8 zero[] = { BAL, BAH, LEN, HEAD, TAIL };

	for (u32 i = 0; i < sizeof(zero); i++)
		CHECK_EQ(rd(base + zero[i]), 0);
	CHECK_EQ(rd(base + DCTL) & ENABLE, 0);
}

TEST(nothing_of_a_former_owner)
{
	SKIP_IF(!present, "no VF");
	for (u32 q = 0; q < 2 * QUEUE2; q += QUEUE2) {
		check_ring(VF_RX + q);
		check_ring(VF_TX + q);
		CHECK_EQ(rd(VF_RX + q + SRRCTL), 0);
		CHECK_EQ(rd(VF_TX + q + WBAL), 0);
		CHECK_EQ(rd(VF_TX + q + WBAH), 0);
	}
	for (u32 i = 0; i < 16; i++)
		CHECK_EQ(rd(VF_MEM + 4 * i), 0);
	CHECK_EQ(rd(VF_MBOX), 0);
	for (u32 i = 0; i < 3; i++) {
		CHECK_EQ(rd(VF_EITR + 4 * i), 0);
		CHECK_EQ(mmio_read(BAR3 + 16 * i), 0);
		CHECK_EQ(mmio_read(BAR3 + 16 * i + 8), 0);
		CHECK_EQ(mmio_read(BAR3 + 16 * i + 12), 1);
	}
	CHECK_EQ(rd(VF_IVAR), 0);
	for (u32 off = 0xf10; off <= 0xf50; off += 4)
		CHECK_EQ(rd(off), 0);
}

static u32 message(u32 word0, u32 word1)
{
	wr(VF_MBOX, 4);
	CHECK_EQ(rd(VF_MBOX) & 4, 4);
	wr(VF_MEM, word0);
	wr(VF_MEM + 4, word1);
	wr(VF_MBOX, 1);
	CHECK_EQ(rd(VF_MBOX) & 0x30, 0x30);
	return rd(VF_MEM);
}

TEST(mailbox)
{
	SKIP_IF(!present, "no VF");
	wr(VF_CTRL, 0x04000000);
	CHECK_EQ(message(5, 1500), 0x40000005); /* before the reset message */
	CHECK_EQ(message(1, 0), 0x80000001);
	for (u32 i = 0; i < 6; i++)
		mac[i] = (u8)(rd(VF_MEM + 4 + i / 4 * 4) >> (i % 4 * 8));
	CHECK_EQ(message(5, 1522), 0xa0000005);
	CHECK_EQ(message(2, 0x12345678), 0x60000002); /* not its address */
	for (u32 ms = 0; ms < 2000 && !(rd(VF_STATUS) & 2); ms++)
		wait_us(1000);
	CHECK(rd(VF_STATUS) & 2);
}

static void msix(u32 vector, u8 v)
{
	u64 entry = BAR3 + 16ull * vector;

	mmio_write(entry, 0xfee00000 | apic_id() << 12);
	mmio_write(entry + 4, 0);
	mmio_write(entry + 8, v);
	mmio_write(entry + 12, 0);
}

static void open_rings(void)
{
	rx_ring = page_alloc(1);
	tx_ring = page_alloc(1);
	rx_buf = page_alloc(SLOTS);
	tx_buf = page_alloc(1);
	cfg_write(find_cap(0x11), 0x80000000);
	trap_set(VEC, trap_count_apic);
	trap_set(VEC + 1, trap_count_apic);
	msix(0, VEC);
	msix(1, VEC + 1);
	wr(VF_IVAR, 0x8081); /* queue 0: receive vector 1, send vector 0 */
	wr(VF_EIAC, 7);
	wr(VF_EIMS, 7);
	for (u32 i = 0; i < SLOTS; i++) {
		rx_ring[2 * i] = (u64)(rx_buf + i * 4096);
		rx_ring[2 * i + 1] = 0;
	}
	wr(VF_RX + BAL, (u32)(u64)rx_ring);
	wr(VF_RX + BAH, 0);
	wr(VF_RX + LEN, SLOTS * 16);
	wr(VF_RX + SRRCTL, 0x82000002);
	wr(VF_RX + HEAD, 0);
	wr(VF_RX + DCTL, ENABLE);
	wr(VF_RX + TAIL, SLOTS - 1);
	wr(VF_TX + BAL, (u32)(u64)tx_ring);
	wr(VF_TX + BAH, 0);
	wr(VF_TX + LEN, SLOTS * 16);
	wr(VF_TX + HEAD, 0);
	wr(VF_TX + TAIL, 0);
	wr(VF_TX + DCTL, ENABLE);
}

/* Send from address at; the NIC's switch gives a VF its own broadcasts back. */
static void transmit(u64 at)
{
	u32 tail = rd(VF_TX + TAIL);

	tx_ring[2 * tail] = at;
	tx_ring[2 * tail + 1] = 0x2b300000ull | FRAME | (u64)FRAME << 46;
	wr(VF_TX + TAIL, (tail + 1) % SLOTS);
	wait_us(2000);
}

static void make_frame(void)
{
	memset(tx_buf, 0xff, 6);
	memcpy(tx_buf + 6, mac, 6);
	tx_buf[12] = 0x88; /* an experimental type */
	tx_buf[13] = 0xb5;
	for (u32 i = 14; i < FRAME; i++)
		tx_buf[i] = (u8)i;
}

TEST(rings_and_interrupts)
{
	u32 slot;

	SKIP_IF(!present, "no VF");
	apic_init_cpu();
	open_rings();
	make_frame();
	/* Where a former owner left a frame without its end, the emulator's NIC swallows one. */
	transmit((u64)tx_buf);
	trap_wait(VEC, 1, 500);
	slot = rd(VF_RX + HEAD);
	wr(VF_EIMS, 7);
	trap_clear();
	transmit((u64)tx_buf);
	CHECK(trap_wait(VEC, 1, 500));
	CHECK_EQ(tx_ring[3] >> 32 & 1, 1);
	CHECK_EQ(rd(VF_TX + HEAD), 2);
	if (boot_option("twin", 0)) /* at the host's switch: nothing comes back */
		return;
	CHECK(trap_wait(VEC + 1, 1, 500));
	CHECK_EQ(rx_ring[2 * slot + 1] & 3, 3);
	CHECK_EQ(rx_ring[2 * slot + 1] >> 32 & 0xffff, FRAME);
	CHECK_EQ(memcmp(rx_buf + slot * 4096, tx_buf, FRAME), 0);
	wr(VF_EIMS, 7);
	wr(VF_EICS, 1);
	CHECK(trap_wait(VEC, 2, 500));
}

TEST(masked_interrupts_wait)
{
	SKIP_IF(!present, "no VF");
	mmio_write(BAR3 + 12, 1);
	trap_clear();
	wr(VF_EIMS, 7);
	wr(VF_EICS, 1);
	for (u32 ms = 0; ms < 1000 && !(mmio_read(BAR3 + 0x2000) & 1); ms++)
		wait_us(1000);
	CHECK_EQ(mmio_read(BAR3 + 0x2000) & 1, 1);
	CHECK(!trap_wait(VEC, 1, 5));
	mmio_write(BAR3 + 12, 0);
	CHECK(trap_wait(VEC, 1, 500));
	CHECK_EQ(mmio_read(BAR3 + 0x2000), 0);
}

/* ---- figures (bench=1), for a machine whose clock counts instructions --------------------- */

static volatile u64 arrived;

static void note_arrival(struct trap_frame *f)
{
	(void)f;
	arrived = rdtsc();
	apic_eoi();
}

TEST(bench_interrupt)
{
	static u64 sample[101];

	SKIP_IF(!boot_option("bench", 0), "not bench=1");
	trap_set(VEC, note_arrival);
	for (u32 i = 0; i < 101; i++) {
		u64 start;

		wr(VF_EIMS, 7);
		arrived = 0;
		sti();
		start = rdtsc();
		wr(VF_EICS, 1);
		while (!arrived)
			pause();
		cli();
		sample[i] = arrived - start;
	}
	trap_set(VEC, trap_count_apic);
	serial_printf("bench vf_irq %lu\n", stat_of(sample, 101).median);
}

/* Frames to itself, by polling, between two keys: whoever types them reads the exit counters. */
TEST(bench_packets)
{
	u32 n = (u32)boot_option("packets", 1000);

	SKIP_IF(!boot_option("bench", 0), "not bench=1");
	wr(VF_EIMC, 7);
	serial_printf("bench begins\n");
	while (serial_read() < 0)
		pause();
	for (u32 i = 0; i < n; i++) {
		u32 tail = rd(VF_TX + TAIL), rx = rd(VF_RX + HEAD);
		volatile u64 *done = &tx_ring[2 * tail + 1];

		tx_ring[2 * tail] = (u64)tx_buf;
		*done = 0x2b300000ull | FRAME | (u64)FRAME << 46;
		rx_ring[2 * rx] = (u64)(rx_buf + rx * 4096);
		rx_ring[2 * rx + 1] = 0;
		wr(VF_RX + TAIL, (rx + SLOTS - 1) % SLOTS);
		wr(VF_TX + TAIL, (tail + 1) % SLOTS);
		while (!(*done >> 32 & 1))
			pause();
	}
	serial_printf("bench packets %u\n", n);
	while (serial_read() < 0)
		pause();
}

/* ---- hostile ----------------------------------------------------------------------------- */

static bool hostile(void)
{
	return present && boot_option("hostile", 0);
}

/* What comes back when the NIC could not read a buffer must not be anybody's memory. */
static void check_no_foreign_bytes(u32 slot)
{
	const u8 *p = rx_buf + slot * 4096;

	for (u32 i = 0; i < FRAME; i++)
		CHECK(p[i] == 0 || p[i] == 0x5a || p[i] == tx_buf[i]);
}

TEST(buffers_elsewhere)
{
	static const u64 where[] = { 0x100000000ull, 0x8000000ull, 0xfec00000ull, 0xd0000000ull,
				     0xfffffffffffff000ull, 0xa0000ull, 0x4000000000ull };

	SKIP_IF(!hostile(), "not hostile=1");
	memset(rx_buf, 0x5a, SLOTS * 4096);
	for (u32 i = 0; i < sizeof(where) / sizeof(where[0]); i++)
		transmit(where[i]);
	for (u32 i = 1; i < SLOTS; i++)
		check_no_foreign_bytes(i);
}

/* A frame received into other VMs' memory, Godwit's own and device registers. */
TEST(receive_elsewhere)
{
	static const u64 where[] = { 0x100000ull + (64ull << 20), 0x200000000ull, 0xfec00000ull,
				     0xfed90000ull, 0xd0000000ull };
	u32 n = sizeof(where) / sizeof(where[0]), first;

	SKIP_IF(!hostile(), "not hostile=1");
	first = rd(VF_RX + HEAD);
	for (u32 i = 0; i < n; i++)
		rx_ring[2 * ((first + i) % SLOTS)] = where[i];
	for (u32 i = 0; i < n; i++)
		transmit((u64)tx_buf);
	CHECK(rd(VF_STATUS) & 2);
}

/*
 * Interrupt messages of its own making: the head write-back stores four bytes where it is told,
 * here at remappable messages of other functions' table entries. (The older message format is for
 * the IOMMU to block as well; where the emulator does not, it would reset a processor.)
 */
TEST(forged_interrupts)
{
	SKIP_IF(!hostile(), "not hostile=1");
	trap_clear();
	for (u32 i = 0; i < 40; i++) {
		wr(VF_TX + WBAH, 0);
		wr(VF_TX + WBAL, 0xfee00010u | i << 5 | 1);
		transmit((u64)tx_buf);
	}
	wr(VF_TX + WBAL, 0);
	CHECK_EQ(trap_counted(VEC), 0);
}

/*
 * Fixed interrupts of vectors 1 to 31 at the host's first processor, in the older format: the data
 * is the ring's head. An IOMMU blocks them; the emulator's does not (stray=1).
 */
TEST(stray_vectors)
{
	SKIP_IF(!hostile() || !boot_option("stray", 0), "not stray=1");
	wr(VF_TX + DCTL, 0);
	wr(VF_TX + HEAD, 0);
	wr(VF_TX + TAIL, 0);
	wr(VF_TX + DCTL, ENABLE);
	wr(VF_TX + WBAH, 0);
	wr(VF_TX + WBAL, 0xfee00000u | 1);
	for (u32 i = 1; i < SLOTS; i++)
		transmit((u64)tx_buf);
	wr(VF_TX + WBAL, 0);
	CHECK_EQ(rd(VF_TX + HEAD), SLOTS - 1);
}

TEST(rings_elsewhere)
{
	static const u64 where[] = { 0xfec00000ull, 0x200000000ull, 0x8000000ull, ~0xfffull };

	SKIP_IF(!hostile(), "not hostile=1");
	for (u32 i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		for (u32 b = VF_RX; b <= VF_TX; b += VF_TX - VF_RX) {
			wr(b + DCTL, 0);
			wr(b + BAL, (u32)where[i]);
			wr(b + BAH, (u32)(where[i] >> 32));
			wr(b + LEN, 0x80);
			wr(b + HEAD, i & 1 ? 100 : 0); /* beyond the ring's 8 */
			wr(b + DCTL, ENABLE);
			wr(b + TAIL, i & 1 ? 99 : 7);
		}
		wr(VF_TX + WBAL, (u32)where[i] | 1);
		wr(VF_TX + WBAH, (u32)(where[i] >> 32));
		wait_us(2000);
	}
	CHECK(rd(VF_STATUS) & 2);
}

TEST(mailbox_flood)
{
	SKIP_IF(!hostile(), "not hostile=1");
	for (u32 i = 0; i < 2000; i++) {
		for (u32 k = 0; k < 16; k++)
			wr(VF_MEM + 4 * k, i * 0x9e3779b9u + k);
		wr(VF_MEM, (i % 9) | i << 16);
		wr(VF_MBOX, i % 8);
		(void)rd(VF_MBOX);
	}
	wr(VF_CTRL, 0x04000000);
	CHECK_EQ(message(1, 0), 0x80000001);
}

TEST(configuration_space)
{
	SKIP_IF(!hostile(), "not hostile=1");
	for (u32 i = 0; i < 3000; i++)
		cfg_write(i * 4 % 256, i * 0x9e3779b9u & ~((i * 4 % 256) == 4 ? 4u : 0u));
	CHECK_EQ(cfg(0), 0x10ca8086);
	cfg_write(4, 0);
	cfg_write(0x10, BAR0);
	cfg_write(0x14, 0);
	cfg_write(0x1c, BAR3);
	cfg_write(0x20, 0);
	cfg_write(4, 6);
	CHECK(rd(VF_STATUS) & 2);
}

/* Rings stopped (running=1: on), everything else as ugly as can be. */
TEST(leave_it_dirty)
{
	SKIP_IF(!present, "no VF");
	wr(VF_CTRL, 0x04000000);
	(void)message(1, 0);
	for (u32 q = 0; q < 2 * QUEUE2; q += QUEUE2) {
		for (u32 b = VF_RX; b <= VF_TX; b += VF_TX - VF_RX) {
			wr(b + q + DCTL, 0);
			for (u32 off = 0; off < 0x40; off += 4)
				if (off != DCTL && off != TAIL)
					wr(b + q + off, 0x5a5a5a5a);
		}
	}
	for (u32 i = 0; i < 16; i++)
		wr(VF_MEM + 4 * i, 0x5a5a5a5a);
	for (u32 i = 0; i < 3; i++)
		wr(VF_EITR + 4 * i, 0x5a8);
	wr(VF_IVAR, 0x83828180);
	wr(VF_EIMS, 7);
	CHECK_EQ(rd(VF_RX + BAL) & ~0x7fu, 0x5a5a5a00);
	if (!boot_option("running", 0))
		return;
	wr(VF_RX + DCTL, ENABLE);
	wr(VF_TX + DCTL, ENABLE);
}
