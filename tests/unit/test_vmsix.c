/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual MSI-X: access widths, masks, pending bits, control register, loaded state.
 */
#include "unit.h"

#include "devices/pci/vmsix.h"
#include "kernel/base/err.h"

#define N 70u

static struct vmsix m;
static struct vcfg c;
static u64 table[VMSIX_TABLE_WORDS(N)], pba[VMSIX_PBA_WORDS(N)];
static unsigned raised, changes;
static u16 last_vector, last_changed;
static u64 last_address;
static u32 last_data;

static void env_raise(void *ctx, u16 vector, u64 address, u32 data)
{
	(void)ctx;
	raised++;
	last_vector = vector;
	last_address = address;
	last_data = data;
}

static void env_changed(void *ctx, u16 vector)
{
	(void)ctx;
	changes++;
	last_changed = vector;
}

static void written(void *ctx, u32 off, unsigned size)
{
	(void)ctx;
	vmsix_written(&m, &c, off, size);
}

static void setup(void)
{
	const struct vmsix_env env = { NULL, env_raise, env_changed };
	const struct vcfg_env cfg = { .written = written };
	const struct vcfg_ids ids = { .vendor = 1, .device = 2 };

	raised = changes = 0;
	vcfg_init(&c, &ids, &cfg);
	vmsix_init(&m, N, table, pba, &env);
	vmsix_add_cap(&m, &c, 3, 0, 3, 0x2000);
	CHECK_EQ(changes, 0);
}

static void wr(u64 off, unsigned size, u64 v)
{
	vmsix_table_io(&m, off, size, true, &v);
}

static u64 rd(u64 off, unsigned size)
{
	u64 v = ~0ull;

	vmsix_table_io(&m, off, size, false, &v);
	return v;
}

static u64 pending(u64 off, unsigned size)
{
	u64 v = ~0ull;

	vmsix_pba_io(&m, off, size, false, &v);
	return v;
}

static void control(u16 v)
{
	vcfg_write(&c, m.cap + 2u, 2, v);
}

TEST(capability)
{
	setup();
	CHECK_EQ(vcfg_read(&c, m.cap, 1), 0x11);
	CHECK_EQ(vcfg_read(&c, m.cap + 2u, 2), N - 1);
	CHECK_EQ(vcfg_read(&c, m.cap + 4u, 4), 3);
	CHECK_EQ(vcfg_read(&c, m.cap + 8u, 4), 0x2003);
	control(0xffff);
	CHECK_EQ(vcfg_read(&c, m.cap + 2u, 2), 0xc000 | (N - 1));
}

TEST(table_access)
{
	setup();
	CHECK_EQ(rd(0, 8), 0);
	CHECK_EQ(rd(12, 4), 1); /* masked at reset */
	wr(16, 8, 0x00000001fee01003);
	wr(24, 4, 0x4041);
	wr(28, 4, 0xfffffffe);
	CHECK_EQ(rd(16, 4), 0xfee01000);
	CHECK_EQ(rd(20, 4), 1);
	CHECK_EQ(rd(24, 8), 0x4041);
	CHECK_EQ(last_changed, 1);
	wr(24, 8, 0xffffffff00004042);
	CHECK_EQ(rd(24, 8), 0x100004042);
	/* Widths and alignments that are not defined, and what lies behind the table. */
	wr(24, 2, 7);
	wr(25, 1, 7);
	wr(20, 8, ~0ull);
	CHECK_EQ(rd(24, 8), 0x100004042);
	CHECK_EQ(rd(24, 1), 0);
	CHECK_EQ(rd(20, 8), 0);
	wr(N * 16, 8, ~0ull);
	CHECK_EQ(rd(N * 16, 4), 0);
	CHECK_EQ(rd(~7ull, 8), 0);
}

TEST(masks)
{
	setup();
	wr(0, 8, 0xfee00000);
	wr(8, 8, 0x31);
	CHECK(!vmsix_notify(&m, 0)); /* off */
	control(0xc000);
	CHECK(vmsix_notify(&m, 0)); /* function mask */
	CHECK_EQ(raised, 0);
	CHECK_EQ(pending(0, 8), 1);
	control(0x8000);
	CHECK_EQ(raised, 1);
	CHECK_EQ(last_address, 0xfee00000);
	CHECK_EQ(last_data, 0x31);
	CHECK_EQ(pending(0, 4), 0);
	CHECK(vmsix_notify(&m, 0));
	CHECK_EQ(raised, 2);
	CHECK(vmsix_notify(&m, 69)); /* its own mask */
	CHECK(vmsix_notify(&m, 69));
	CHECK_EQ(raised, 2);
	CHECK_EQ(pending(8, 8), 1u << 5);
	CHECK_EQ(pending(12, 4), 0);
	CHECK_EQ(pending(16, 8), 0);
	wr(69 * 16 + 8, 4, 0x45); /* data first, still masked */
	CHECK_EQ(raised, 2);
	wr(69 * 16 + 12, 4, 0);
	CHECK_EQ(raised, 3);
	CHECK_EQ(last_vector, 69);
	CHECK_EQ(last_data, 0x45);
	CHECK_EQ(pending(8, 8), 0);
	CHECK(!vmsix_notify(&m, N));
	CHECK(vmsix_masked(&m, N) && !vmsix_masked(&m, 69) && vmsix_masked(&m, 1));
}

TEST(pending_survives_switching_off)
{
	setup();
	wr(12, 4, 0);
	control(0xc000);
	CHECK(vmsix_notify(&m, 0));
	control(0);
	CHECK_EQ(raised, 0);
	CHECK(vmsix_masked(&m, 0));
	control(0x8000);
	CHECK_EQ(raised, 1);
	CHECK(vmsix_notify(&m, 3));
	vmsix_reset(&m);
	CHECK_EQ(pending(0, 8), 0);
	CHECK(!vmsix_on(&m));
	CHECK_EQ(rd(12, 4), 1);
}

TEST(resume_checks)
{
	setup();
	wr(8, 8, 0x31);
	vcfg_set16(&c, m.cap + 2u, 0x8000 | (N - 1), 0xc000);
	pba[0] = 1;
	CHECK_EQ(vmsix_resume(&m, &c), 0);
	CHECK_EQ(raised, 1);
	CHECK_EQ(pba[0], 0);
	CHECK(changes >= N);
	table[0] = 1;
	CHECK_EQ(vmsix_resume(&m, &c), -EINVAL);
	table[0] = 0;
	table[3] = 2ull << 32;
	CHECK_EQ(vmsix_resume(&m, &c), -EINVAL);
	table[3] = 0;
	pba[1] = 1u << 6;
	CHECK_EQ(vmsix_resume(&m, &c), -EINVAL);
	pba[1] = 1u << 5;
	CHECK_EQ(vmsix_resume(&m, &c), 0);
}

UNIT_MAIN({ "capability", capability }, { "table_access", table_access }, { "masks", masks },
	  { "pending_survives_switching_off", pending_survives_switching_off },
	  { "resume_checks", resume_checks })
