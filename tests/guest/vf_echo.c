/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An 82576 VF at 00:10.0 under a small driver that sleeps between interrupts: it sends numbered
 * frames back, counts those that were lost, came twice or late, and resets itself when told to.
 * For changes between a VF and its twin: what the frames ask for is op_*() below.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/power.h"
#include "guest/image/lib/test.h"
#include "kernel/base/str.h"
#include "tests/guest/vf.h"

#define RX_SLOTS 64u
#define TX_SLOTS 64u
#define VEC	 0x51
#define FRAMES	 (1u << 20) /* that can be counted */
#define TYPE	 0xb588u    /* experimental, as it lies in memory */

/* What the peer sends; sent back with the same number. */
struct PACKED message {
	u8 to[6], from[6];
	u16 type;
	u32 number;
	u16 op, argument;
	u32 word[12]; /* in the answer to a report */
};

enum op { OP_ECHO, OP_REPORT, OP_REOPEN, OP_FLR, OP_HALF_MAIL, OP_END_MAIL, OP_STALL, OP_REBOOT,
	  OP_NAP };

static u64 *rx_ring, *tx_ring;
static u8 *rx_buf, *tx_buf, *seen;
static u32 rx_next, tx_next;
static u32 highest, lost_now, twice, late, resets, bad_mail;

/* ---- the driver ------------------------------------------------------------------------- */

static void configure(void)
{
	cfg_write(4, 0);
	cfg_write(0x10, BAR0);
	cfg_write(0x14, 0);
	cfg_write(0x1c, BAR3);
	cfg_write(0x20, 0);
	cfg_write(4, 6);
	cfg_write(find_cap(0x11), 0x80000000);
	for (u32 i = 0; i < 2; i++) {
		mmio_write(BAR3 + 16 * i, 0xfee00000 | apic_id() << 12);
		mmio_write(BAR3 + 16 * i + 4, 0);
		mmio_write(BAR3 + 16 * i + 8, VEC + i);
		mmio_write(BAR3 + 16 * i + 12, 0);
	}
}

static bool mail(u32 word0)
{
	wr(VF_MBOX, 4);
	if (!(rd(VF_MBOX) & 4))
		return false;
	wr(VF_MEM, word0);
	wr(VF_MBOX, 1);
	return (rd(VF_MBOX) & 0x30) == 0x30 && (rd(VF_MEM) & 0x80000000);
}

static void post(u32 slot)
{
	rx_ring[2 * slot] = (u64)(rx_buf + slot * 2048);
	rx_ring[2 * slot + 1] = 0;
}

static void ring(u32 at, const u64 *memory, u32 slots)
{
	wr(at + DCTL, 0);
	wr(at, (u32)(u64)memory);
	wr(at + 4, 0);
	wr(at + LEN, slots * 16);
	wr(at + HEAD, 0);
	wr(at + TAIL, 0);
	wr(at + DCTL, ENABLE);
}

/* As igbvf does it when the interface goes down and up. */
static void reopen(void)
{
	wr(VF_RX + DCTL, 0);
	wr(VF_TX + DCTL, 0);
	wr(VF_EIMC, 7);
	wr(VF_CTRL, 0x04000000);
	bad_mail += !mail(1);
	rx_next = tx_next = 0;
	for (u32 i = 0; i < RX_SLOTS - 1; i++)
		post(i);
	memset(rx_ring + 2 * (RX_SLOTS - 1), 0, 16);
	memset(tx_ring, 0, TX_SLOTS * 16);
	wr(VF_IVAR, 0x8081);
	wr(VF_EIAC, 7);
	wr(VF_RX + SRRCTL, 0x82000002);
	ring(VF_RX, rx_ring, RX_SLOTS);
	ring(VF_TX, tx_ring, TX_SLOTS);
	wr(VF_RX + TAIL, RX_SLOTS - 1);
	wr(VF_EIMS, 7);
}

static void flr(void)
{
	u32 at = find_cap(0x10) + 8;

	cfg_write(at, cfg(at) | 0x8000);
	wait_us(1000);
	configure();
	reopen();
}

static void send(const struct message *m, u32 len)
{
	u32 next = (tx_next + 1) % TX_SLOTS;
	volatile u64 *used = &tx_ring[2 * next + 1];
	u8 *buf = tx_buf + tx_next * 2048;

	/* Full: its oldest frame was not sent yet. */
	for (u32 ms = 0; ms < 5000 && *used && !(*used >> 32 & 1); ms++)
		wait_us(1000);
	memcpy(buf, m, len);
	tx_ring[2 * tx_next] = (u64)buf;
	tx_ring[2 * tx_next + 1] = 0x2b300000ull | len | (u64)len << 46;
	tx_next = next;
	__asm__ volatile("" ::: "memory");
	wr(VF_TX + TAIL, tx_next);
}

/* ---- what frames ask for ------------------------------------------------------------------ */

/* Numbers begin at 1. */
static void count(u32 n)
{
	if (!n || n >= FRAMES)
		return;
	if (seen[n / 8] >> n % 8 & 1) {
		twice++;
		return;
	}
	seen[n / 8] |= (u8)(1u << n % 8);
	if (n < highest) {
		late++;
		lost_now--;
		return;
	}
	lost_now += n - highest - 1;
	highest = n;
}

static void report(struct message *m)
{
	const u32 words[12] = { highest, lost_now, twice, late, resets, bad_mail,
				rd(VF_STATS), rd(VF_STATS + 4), rd(VF_RX + HEAD),
				rd(VF_TX + HEAD), rd(VF_EIMS),
				trap_counted(VEC) + trap_counted(VEC + 1) };

	memcpy(m->word, words, sizeof(words));
}

/* The first half of a transaction: the buffer is taken and filled. */
static void half_mail(void)
{
	wr(VF_MBOX, 4);
	wr(VF_MEM, 5);
	wr(VF_MEM + 4, 1522);
}

static void end_mail(void)
{
	bad_mail += rd(VF_MEM) != 5 || rd(VF_MEM + 4) != 1522 || !(rd(VF_MBOX) & 4);
	wr(VF_MBOX, 1);
	bad_mail += (rd(VF_MBOX) & 0x30) != 0x30 || rd(VF_MEM) != 0xa0000005;
}

static void mask(bool by_table, bool on)
{
	for (u32 i = 0; i < 2 && by_table; i++)
		mmio_write(BAR3 + 16 * i + 12, on);
	if (!by_table)
		wr(on ? VF_EIMC : VF_EIMS, 7);
}

/* Interrupts are masked until somebody presses a key; how many of each vector there were owed. */
static void nap(struct message *m)
{
	u32 before[2];

	mask(m->argument, true);
	sti();
	serial_printf("echo: naps\n");
	while (serial_read() < 0)
		;
	for (u32 i = 0; i < 2; i++)
		before[i] = trap_counted(VEC + i);
	mask(m->argument, false);
	wait_us(20000);
	cli();
	for (u32 i = 0; i < 2; i++)
		m->word[i] = trap_counted(VEC + i) - before[i];
}

static void serve(struct message *m, u32 len)
{
	u8 mac[6];

	if (m->type != TYPE || len < sizeof(*m))
		return;
	if (m->op == OP_ECHO)
		count(m->number);
	else if (m->op == OP_REPORT)
		report(m);
	else if (m->op == OP_HALF_MAIL)
		half_mail();
	else if (m->op == OP_END_MAIL)
		end_mail();
	else if (m->op == OP_NAP)
		nap(m);
	memcpy(mac, m->to, 6);
	memcpy(m->to, m->from, 6);
	memcpy(m->from, mac, 6);
	if (!(m->to[0] & 1) && !(m->from[0] & 1)) /* not what was for all */
		send(m, len);
}

/* Frames that came; false: none. */
static bool receive(void)
{
	static u8 copy[2048];
	volatile u64 *status = &rx_ring[2 * rx_next + 1];
	struct message *m = (struct message *)(void *)copy;
	u32 len = (u32)(*status >> 32 & 0xffff), argument;

	if (!(*status & 1))
		return false;
	__asm__ volatile("" ::: "memory");
	memcpy(copy, rx_buf + rx_next * 2048, len < 2048 ? len : 2048);
	/* As igbvf: the one before it is posted again, of this one the length stays. */
	*status &= ~0xffffffffull;
	post((rx_next + RX_SLOTS - 1) % RX_SLOTS);
	wr(VF_RX + TAIL, rx_next);
	rx_next = (rx_next + 1) % RX_SLOTS;
	argument = m->argument;
	serve(m, len);
	if (m->type != TYPE)
		return true;
	if (m->op == OP_REBOOT)
		power_reset();
	if (m->op == OP_STALL)
		wait_us(argument * 1000u);
	if (m->op == OP_REOPEN || m->op == OP_FLR) {
		resets++;
		if (m->op == OP_REOPEN)
			reopen();
		else
			flr();
	}
	return true;
}

/* Interrupts wake it, nothing else does. */
void guest_main(void)
{
	rx_ring = page_alloc(1);
	tx_ring = page_alloc(1);
	rx_buf = page_alloc(RX_SLOTS / 2);
	tx_buf = page_alloc(TX_SLOTS / 2);
	seen = page_alloc(FRAMES / 8 / 4096);
	trap_set(VEC, trap_count_apic);
	trap_set(VEC + 1, trap_count_apic);
	apic_init_cpu();
	configure();
	reopen();
	serial_printf("echo: ready, %u\n", bad_mail);
	for (;;) {
		while (receive())
			;
		wr(VF_EIMS, 7);
		cli();
		if (!(rx_ring[2 * rx_next + 1] & 1))
			sti_hlt_cli();
	}
}
