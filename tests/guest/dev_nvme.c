/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An assigned NVMe controller, driven by hand: first what a driver may do, then (hostile=1) queues
 * and buffers that lie where they must not.
 */
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/test.h"
#include "kernel/base/str.h"

#define BDF   0x80u /* 00:10.0 */
#define BAR0  0xd0000000u
#define SLOTS 32u

#define R_CC   0x14u
#define R_CSTS 0x1cu
#define R_AQA  0x24u
#define R_ASQ  0x28u
#define R_ACQ  0x30u
#define DOORBELL(q) (0x1000u + 8u * (q)) /* completion's: + 4; stride 4, checked */

#define OP_CREATE_SQ 0x01u
#define OP_GET_LOG   0x02u
#define OP_CREATE_CQ 0x05u
#define OP_IDENTIFY  0x06u

static u32 *sq, *cq, *data;
static u32 tail, head, phase;
static bool present;

/* Beyond this VM's 16 MiB: other VMs' and the host's memory, device registers, nothing at all. */
static const u64 elsewhere[] = { 0x4100000ull,	 0x8000000ull,	       0x200000000ull,
				 0xfec00000ull,	 0xfed90000ull,	       0xd0000000ull,
				 0x4000000000ull, 0xfffffffffffff000ull };
#define PLACES (sizeof(elsewhere) / sizeof(elsewhere[0]))

static void cfg_write(u32 reg, u32 v)
{
	outl(0xcf8, 0x80000000 | BDF << 8 | reg);
	outl(0xcfc, v);
}

static u32 rd(u32 off)
{
	return mmio_read(BAR0 + off);
}

static void wr(u32 off, u32 v)
{
	mmio_write(BAR0 + off, v);
}

static void wr64(u32 off, u64 v)
{
	wr(off, (u32)v);
	wr(off + 4, (u32)(v >> 32));
}

static bool ready(bool on)
{
	for (u32 ms = 0; ms < 2000; ms++) {
		if ((rd(R_CSTS) & 1) == on)
			return true;
		wait_us(1000);
	}
	return false;
}

static bool enable(u64 asq, u64 acq)
{
	wr(R_CC, 0);
	if (!ready(false))
		return false;
	memset(cq, 0, 4096);
	tail = head = 0;
	phase = 1;
	wr(R_AQA, (SLOTS - 1) << 16 | (SLOTS - 1));
	wr64(R_ASQ, asq);
	wr64(R_ACQ, acq);
	wr(R_CC, 0x00460001);
	return ready(true);
}

struct command {
	u32 op, nsid;
	u64 prp;
	u32 dw10, dw11;
};

/* One administration command: its status, or -1: no answer within ms. */
static int run(const struct command *c, u32 ms)
{
	u32 *e = sq + 16 * tail;
	volatile u32 *done = cq + 4 * head + 3;
	int status = -1;

	memset(e, 0, 64);
	e[0] = c->op | tail << 16;
	e[1] = c->nsid;
	e[6] = (u32)c->prp;
	e[7] = (u32)(c->prp >> 32);
	e[10] = c->dw10;
	e[11] = c->dw11;
	tail = (tail + 1) % SLOTS;
	wr(DOORBELL(0), tail);
	for (u32 t = 0; t < ms && status < 0; t++) {
		if ((*done >> 16 & 1) == phase)
			status = (int)(*done >> 17);
		else
			wait_us(1000);
	}
	if (status < 0)
		return status;
	head = (head + 1) % SLOTS;
	phase ^= head == 0;
	wr(DOORBELL(0) + 4, head);
	return status;
}

static int identify(u64 to)
{
	const struct command c = { .op = OP_IDENTIFY, .prp = to, .dw10 = 1 };

	return run(&c, 2000);
}

TEST(works)
{
	outl(0xcf8, 0x80000000 | BDF << 8 | 8);
	present = inl(0xcfc) >> 8 == 0x010802;
	SKIP_IF(!present, "no NVMe controller");
	cfg_write(4, 0);
	cfg_write(0x10, BAR0);
	cfg_write(0x14, 0);
	cfg_write(4, 6);
	sq = page_alloc(1);
	cq = page_alloc(1);
	data = page_alloc(1);
	CHECK_EQ(rd(4) & 0xf, 0); /* doorbells lie 4 bytes apart */
	CHECK(enable((u64)sq, (u64)cq));
	memset(data, 0, 4096);
	CHECK_EQ(identify((u64)data), 0);
	CHECK(data[0] != 0);
}

static bool hostile(void)
{
	return present && boot_option("hostile", 0);
}

/* It goes on for this guest, and what the device wrote is nowhere in it but where it was told. */
static void check_alive(void)
{
	CHECK(enable((u64)sq, (u64)cq));
	memset(data, 0x5a, 4096);
	CHECK_EQ(identify((u64)data), 0);
	CHECK(data[0] != 0x5a5a5a5a);
}

TEST(buffers_elsewhere)
{
	SKIP_IF(!hostile(), "not hostile=1");
	for (u32 i = 0; i < PLACES; i++)
		(void)identify(elsewhere[i]);
	check_alive();
}

/* Four words of a log page, as interrupt messages of other functions' table entries. */
TEST(forged_interrupts)
{
	SKIP_IF(!hostile(), "not hostile=1");
	for (u32 i = 0; i < 16; i++) {
		const struct command c = { .op = OP_GET_LOG,
					   .nsid = ~0u,
					   .prp = 0xfee00010ull | i << 5,
					   .dw10 = 3u << 16 | 2 };

		(void)run(&c, 2000);
	}
	check_alive();
}

TEST(queues_elsewhere)
{
	SKIP_IF(!hostile(), "not hostile=1");
	for (u32 i = 0; i < PLACES; i++) {
		const struct command c = { .op = OP_CREATE_CQ, .prp = elsewhere[i],
					   .dw10 = 7u << 16 | 1, .dw11 = 1 };
		const struct command s = { .op = OP_CREATE_SQ, .prp = elsewhere[i],
					   .dw10 = 7u << 16 | 1, .dw11 = 1u << 16 | 1 };

		if (run(&c, 2000) == 0 && run(&s, 2000) == 0) {
			wr(DOORBELL(1), 5);
			wr(DOORBELL(1), 77); /* beyond the queue */
			wait_us(20000);
		}
		check_alive();
	}
}

TEST(administration_queues_elsewhere)
{
	SKIP_IF(!hostile(), "not hostile=1");
	for (u32 i = 0; i < PLACES; i++) {
		const struct command c = { .op = OP_IDENTIFY, .prp = (u64)data, .dw10 = 1 };

		if (enable(elsewhere[i], (u64)cq))
			(void)run(&c, 20);
		if (enable((u64)sq, elsewhere[i]))
			(void)run(&c, 20);
	}
	check_alive();
}

/* Values of all kinds in all registers of the first page. */
TEST(registers)
{
	SKIP_IF(!hostile(), "not hostile=1");
	for (u32 i = 0; i < 2000; i++)
		wr(i * 4 % 0x80, i * 0x9e3779b9u);
	check_alive();
}
