/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVMe admin queue against a model of a controller: start, many rounds of the queues, resources
 * shared out, answers that fail, do not come or are impossible.
 */
#include "unit.h"

#include "devices/sriov/nvme/nvme_io.h"
#include "kernel/base/err.h"

static struct {
	u32 reg[16];
	u32 sq[16 * NVME_DEPTH];
	u64 cq[2 * NVME_DEPTH];
	u8 data[NVME_PAGE];
	u32 tail, at, commands;
	bool phase, silent, wrong_id, stuck, no_virt;
	u16 fail; /* status */
	u32 last[4][2]; /* latest virtualization commands: words 10 and 11 */
	u32 count;	/* secondary controllers */
	u32 io_sq[16 * NVME_IO_DEPTH];
	u64 io_cq[2 * NVME_IO_DEPTH];
	u32 io_tail, io_at, created[2][3]; /* CQ, SQ: address, words 10 and 11 */
	u64 blocks;
	u32 format, mdts, oncs;
} m;

static struct nvme_admin a;
static struct nvme_virt v;
static struct nvme_io io;

static void put(u32 off, u32 bytes, u32 value)
{
	for (u32 i = 0; i < bytes; i++)
		m.data[off + i] = (u8)(value >> 8 * i);
}

static void identify(u32 cns)
{
	memset(m.data, 0, sizeof(m.data));
	if (cns == 1) {
		put(256, 2, m.no_virt ? 0 : 0x80);
		put(77, 1, m.mdts);
		put(516, 4, 3);
		put(520, 2, m.oncs);
	} else if (cns == 0) {
		put(0, 4, (u32)m.blocks);
		put(4, 4, (u32)(m.blocks >> 32));
		put(26, 1, 2);
		put(128 + 8, 4, m.format);
	} else if (cns == 0x14) {
		put(32, 4, 8);
		put(44, 2, 6);
		put(64, 4, 4);
		put(76, 2, 4);
	} else if (cns == 0x15) {
		put(0, 1, m.count);
		for (u32 i = 0; i < m.count && i < NVME_VF_MAX; i++) {
			put(32 + 32 * i, 2, 0x40 + i);
			put(32 + 32 * i + 4, 1, i == 1);
			put(32 + 32 * i + 8, 2, i + 1);
		}
	}
}

static void run(u32 tail)
{
	while (m.tail != tail) {
		const u32 *c = m.sq + 16 * m.tail;

		m.commands++;
		m.tail = (m.tail + 1) % NVME_DEPTH;
		if ((c[0] & 0xff) == 6) {
			CHECK_EQ(c[6], 0x3000);
			identify(c[10]);
		} else if ((c[0] & 0xff) == 5 || (c[0] & 0xff) == 1) {
			u32 *w = m.created[(c[0] & 0xff) == 1];

			w[0] = c[6], w[1] = c[10], w[2] = c[11];
		} else if ((c[0] & 0xff) == 9) {
			CHECK_EQ(c[10], 7);
		} else {
			CHECK_EQ(c[0] & 0xff, 0x1c);
			memmove(m.last, m.last + 1, sizeof(m.last) - sizeof(m.last[0]));
			m.last[3][0] = c[10];
			m.last[3][1] = c[11];
		}
		if (m.silent)
			continue;
		m.cq[2 * m.at + 1] = (u64)(u16)((c[0] >> 16) + m.wrong_id) << 32 |
				     (u64)m.phase << 48 | (u64)m.fail << 49;
		m.at = (m.at + 1) % NVME_DEPTH;
		if (!m.at)
			m.phase = !m.phase;
	}
}

static u32 rd(void *ctx, u32 off)
{
	(void)ctx;
	return m.reg[off / 4];
}

static void wr(void *ctx, u32 off, u32 value)
{
	(void)ctx;
	if (off == NVME_DOORBELLS)
		run(value);
	else if (off == NVME_DOORBELLS + 16)
		m.io_tail = value;
	else if (off == NVME_DOORBELLS + 24)
		CHECK_EQ(value, io.head);
	else if (off >= NVME_DOORBELLS)
		CHECK_EQ(off, NVME_DOORBELLS + 8);
	else
		m.reg[off / 4] = value;
	if (off == NVME_CC && !m.stuck)
		m.reg[NVME_CSTS / 4] = value & 1;
}

static void delay(void *ctx, u32 us)
{
	(void)ctx;
	(void)us;
}

static int open_controller(void)
{
	const struct nvme_env env = { NULL, rd, wr, delay };
	const struct nvme_mem mem = { m.sq, m.cq, m.data, 0x1000, 0x2000, 0x3000 };

	m.phase = true;
	return nvme_open(&a, &env, &mem);
}

static void setup(void)
{
	memset(&m, 0, sizeof(m));
	m.reg[0] = 0x0100003f;	     /* half a second, 64 entries */
	m.reg[1] = 0x00000021;	     /* NVM commands, doorbells 8 bytes apart */
	m.count = 3;
}

TEST(start)
{
	setup();
	CHECK_EQ(open_controller(), 0);
	CHECK_EQ(m.reg[NVME_CC / 4], 0x00460001);
	CHECK_EQ(m.reg[NVME_AQA / 4], 0x000f000f);
	CHECK_EQ(m.reg[NVME_ASQ / 4], 0x1000);
	CHECK_EQ(m.reg[NVME_ACQ / 4], 0x2000);
	CHECK_EQ(m.reg[NVME_INTMS / 4], 0xffffffff);
	CHECK_EQ(nvme_close(&a), 0);
	CHECK_EQ(m.reg[NVME_CC / 4] & 1, 0);
	CHECK_EQ(nvme_offline(&a, 1), -EIO);
}

TEST(impossible_registers)
{
	setup();
	m.reg[0] = ~0u;
	CHECK_EQ(open_controller(), -EPROTO);
	m.reg[0] = 0x01000003; /* four entries */
	CHECK_EQ(open_controller(), -EPROTO);
	setup();
	m.reg[1] = 1; /* no NVM commands */
	CHECK_EQ(open_controller(), -ENOTSUP);
	m.reg[1] = 0x10021; /* pages of 8 KiB at least */
	CHECK_EQ(open_controller(), -ENOTSUP);
	setup();
	m.stuck = true;
	CHECK_EQ(open_controller(), -ETIMEDOUT);
	m.reg[NVME_CSTS / 4] = 2;
	CHECK_EQ(open_controller(), -EIO);
}

TEST(resources)
{
	u16 vq = 0, vi = 0;

	setup();
	CHECK_EQ(open_controller(), 0);
	CHECK_EQ(nvme_read_virt(&a, &v), 0);
	CHECK_EQ(v.vq, 8);
	CHECK_EQ(v.vi, 4);
	CHECK_EQ(v.count, 3);
	CHECK_EQ(v.secondary[2].id, 0x42);
	CHECK_EQ(v.secondary[2].vf, 3);
	CHECK(v.secondary[1].online && !v.secondary[0].online);
	CHECK_EQ(nvme_share(&v, 1, &vq, &vi), 0);
	CHECK_EQ(vq, 6); /* the most one may have */
	CHECK_EQ(vi, 4);
	CHECK_EQ(nvme_share(&v, 4, &vq, &vi), 0);
	CHECK_EQ(vq, 2);
	CHECK_EQ(vi, 1);
	CHECK_EQ(nvme_share(&v, 5, &vq, &vi), -ENOSPC);
	CHECK_EQ(nvme_share(&v, 0, &vq, &vi), -ENOSPC);
	CHECK_EQ(vq, 2);
	CHECK_EQ(nvme_most(&v, 100), 3);
	CHECK_EQ(nvme_most(&v, 2), 2);
	v.vq = 5;
	CHECK_EQ(nvme_most(&v, 100), 2);
	v.vi = 0;
	CHECK_EQ(nvme_most(&v, 100), 0);
}

TEST(damaged_answers)
{
	setup();
	CHECK_EQ(open_controller(), 0);
	m.count = NVME_VF_MAX + 1;
	CHECK_EQ(nvme_read_virt(&a, &v), -EPROTO);
	m.no_virt = true;
	CHECK_EQ(nvme_read_virt(&a, &v), -ENOTSUP);
}

TEST(online_and_offline_over_many_rounds)
{
	setup();
	CHECK_EQ(open_controller(), 0);
	for (u32 i = 0; i < 100; i++) {
		CHECK_EQ(nvme_offline(&a, 0x41), 0);
		CHECK_EQ(nvme_online(&a, 0x41, 2, 1), 0);
	}
	CHECK_EQ(m.commands, 400);
	CHECK_EQ(m.last[0][0], 0x00410007);
	CHECK_EQ(m.last[1][0], 0x00410008); /* queue pairs */
	CHECK_EQ(m.last[1][1], 2);
	CHECK_EQ(m.last[2][0], 0x00410108); /* interrupts */
	CHECK_EQ(m.last[2][1], 1);
	CHECK_EQ(m.last[3][0], 0x00410009);
}

/* Completions come in another order than the commands. */
TEST(io_queue)
{
	const struct nvme_mem mem = { m.io_sq, m.io_cq, NULL, 0x5000, 0x6000, 0 };
	u16 id, status;
	u32 phase = 1;

	setup();
	CHECK_EQ(open_controller(), 0);
	CHECK_EQ(nvme_io_open(&io, &a, &mem), 0);
	CHECK_EQ(io.depth, 64); /* as the registers say */
	CHECK_EQ(m.created[0][0], 0x6000);
	CHECK_EQ(m.created[0][1], 63u << 16 | 1);
	CHECK_EQ(m.created[0][2], 3);
	CHECK_EQ(m.created[1][0], 0x5000);
	CHECK_EQ(m.created[1][1], 63u << 16 | 1);
	CHECK_EQ(m.created[1][2], 1u << 16 | 1);
	CHECK(!nvme_io_reap(&io, &id, &status));
	for (u32 i = 0; i < 200; i++) {
		const struct nvme_cmd c = { NVME_IO_READ, (u16)(i ^ 1), 7, { 0x123000, 0x456000 },
					    0x1122334455, 15 };
		const u32 *w = m.io_sq + 16 * io.tail;

		nvme_io_submit(&io, &c);
		CHECK_EQ(m.io_tail, (i + 1) % 64);
		CHECK_EQ(w[0], 2 | (i ^ 1) << 16);
		CHECK(w[1] == 7 && w[6] == 0x123000 && w[8] == 0x456000 && w[12] == 15);
		CHECK(w[10] == 0x22334455 && w[11] == 0x11);
		m.io_cq[2 * m.io_at + 1] = (u64)i << 32 | (u64)phase << 48 | (u64)(i & 4) << 49;
		m.io_at = (m.io_at + 1) % 64;
		phase ^= !m.io_at;
		CHECK(nvme_io_reap(&io, &id, &status));
		CHECK_EQ(id, i);
		CHECK_EQ(status, i & 4);
		CHECK(!nvme_io_reap(&io, &id, &status));
	}
	m.fail = 1;
	CHECK_EQ(nvme_io_open(&io, &a, &mem), -EIO);
	a.stride = 2048;
	CHECK_EQ(nvme_io_open(&io, &a, &mem), -ENOTSUP);
}

TEST(namespaces)
{
	struct nvme_ns n = { .blocks = 5 };

	setup();
	CHECK_EQ(open_controller(), 0);
	m.format = 12 << 16;
	CHECK_EQ(nvme_io_ns(&a, 4, &n), -ENOENT);
	CHECK_EQ(nvme_io_ns(&a, 3, &n), -ENOENT); /* there may be one, but there is none */
	m.blocks = 0x100000001;
	m.oncs = 4;
	m.mdts = 1;
	CHECK_EQ(nvme_io_ns(&a, 3, &n), 0);
	CHECK(n.blocks == m.blocks && n.shift == 12 && n.dsm && !n.zeroes && n.transfer == 8192);
	m.oncs = 8;
	m.mdts = 7;
	CHECK_EQ(nvme_io_ns(&a, 3, &n), 0);
	CHECK(!n.dsm && n.zeroes && n.transfer == 65536);
	n.shift = 0;
	m.format |= 8; /* metadata */
	CHECK_EQ(nvme_io_ns(&a, 3, &n), -ENOTSUP);
	m.format = 13 << 16;
	CHECK_EQ(nvme_io_ns(&a, 3, &n), -ENOTSUP);
	m.format = 8 << 16;
	CHECK_EQ(nvme_io_ns(&a, 3, &n), -ENOTSUP);
	m.format = 9 << 16;
	m.blocks = 1ull << 55;
	CHECK_EQ(nvme_io_ns(&a, 3, &n), -ENOTSUP);
	m.fail = 2;
	CHECK_EQ(nvme_io_ns(&a, 3, &n), -EIO);
	CHECK_EQ(n.shift, 0);
}

TEST(refused_command)
{
	setup();
	CHECK_EQ(open_controller(), 0);
	m.fail = 0x120;
	CHECK_EQ(nvme_online(&a, 1, 2, 1), -EIO);
	CHECK_EQ(a.status, 0x120);
	m.fail = 0;
	CHECK_EQ(nvme_online(&a, 1, 2, 1), 0);
}

TEST(no_answer)
{
	setup();
	CHECK_EQ(open_controller(), 0);
	m.silent = true;
	CHECK_EQ(nvme_offline(&a, 1), -ETIMEDOUT);
	m.silent = false;
	CHECK_EQ(nvme_offline(&a, 1), -EIO); /* a late answer would be taken for this one's */
	CHECK_EQ(m.commands, 1);
}

TEST(answer_to_another_command)
{
	setup();
	CHECK_EQ(open_controller(), 0);
	m.wrong_id = true;
	CHECK_EQ(nvme_offline(&a, 1), -EIO);
	m.wrong_id = false;
	CHECK_EQ(nvme_offline(&a, 1), -EIO);
	CHECK_EQ(m.commands, 1);
}

UNIT_MAIN({ "start", start },
	  { "impossible_registers", impossible_registers },
	  { "resources", resources },
	  { "damaged_answers", damaged_answers },
	  { "online_and_offline_over_many_rounds", online_and_offline_over_many_rounds },
	  { "io_queue", io_queue },
	  { "namespaces", namespaces },
	  { "refused_command", refused_command },
	  { "no_answer", no_answer },
	  { "answer_to_another_command", answer_to_another_command })
