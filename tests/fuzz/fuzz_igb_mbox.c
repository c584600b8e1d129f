/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control page of a VF under any sequence of accesses, of two VFs at once: no message changes
 * another pool's filters, frame sizes stay in bounds, each access costs a bounded number of
 * register writes.
 */
#include "tests/fuzz/stream.h"

#include "devices/sriov/igb/igb_vf0.h"

static u32 reg[IGB_BAR_LEN / 4];
static struct igb_hw hw;
static struct igb_vf0 v[2];
static unsigned accesses;

static u32 env_rd(void *ctx, u32 off)
{
	(void)ctx;
	FUZZ_CHECK(off < IGB_BAR_LEN);
	accesses++;
	return off == IGB_MDIC ? ~0u : off == IGB_STATUS || off == IGB_CTRL ? 0 : reg[off / 4];
}

static void env_wr(void *ctx, u32 off, u32 value)
{
	(void)ctx;
	FUZZ_CHECK(off < IGB_BAR_LEN);
	accesses++;
	reg[off / 4] = value;
}

static void env_delay(void *ctx, u32 us)
{
	(void)ctx;
	(void)us;
}

static u8 number(const void *ctx)
{
	return (u8)((const struct igb_vf0 *)ctx - v);
}

static void on_reset(void *ctx)
{
	igb_vf_forget(&hw, number(ctx));
}

static u32 on_message(void *ctx, u32 msg[IGB_MBOX_WORDS])
{
	return igb_mbox_handle(&hw, number(ctx), msg);
}

static bool on_link(void *ctx)
{
	(void)ctx;
	return true;
}

static u32 on_stat(void *ctx, u32 off)
{
	(void)ctx;
	return off;
}

static void check(void)
{
	for (u32 i = 0; i < 2; i++) {
		const struct igb_vf *f = &hw.vf[i];
		u32 vmolr = reg[IGB_VMOLR(i) / 4];

		FUZZ_CHECK(f->used && f->hashes <= IGB_HASHES);
		FUZZ_CHECK(f->max_frame >= IGB_MIN_FRAME && f->max_frame <= IGB_MAX_FRAME);
		FUZZ_CHECK((vmolr & 0x3fff) == f->max_frame);
		FUZZ_CHECK(!(vmolr & IGB_VMOLR_MPME) || f->promisc);
		FUZZ_CHECK(!(vmolr & IGB_VMOLR_ROPE));
	}
	/* One address filter each and the PF's; VLANs only of the one that is a trunk. */
	for (u32 i = 0; i < IGB_RARS; i++)
		FUZZ_CHECK((hw.rar[i].pools != 0) == (i < 3));
	for (u32 i = 0; i < IGB_VLVFS; i++)
		FUZZ_CHECK(!(hw.vlvf[i].pools & ~2u));
	FUZZ_CHECK((reg[IGB_VFTE / 4] & 4) && (reg[IGB_DTXSWC / 4] & 0x303) == 0x303);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct igb_env env = { NULL, env_rd, env_wr, env_delay };
	struct stream s = { data, size };

	memset(reg, 0, sizeof(reg));
	reg[IGB_RAL(0) / 4] = 0x5452;
	FUZZ_CHECK(igb_reset(&hw, &env) == 0 && igb_start(&hw, 2, 1) == 0);
	igb_open(&hw);
	for (u8 i = 0; i < 2; i++) {
		struct igb_vf p = { .mac = { 2, 0, 0, 0, 0, i }, .trunk = i, .promisc = i };
		struct igb_vf0_env e = { &v[i], on_reset, on_message, on_link, on_stat };

		FUZZ_CHECK(igb_vf_give(&hw, i, &p) == 0);
		igb_vf0_init(&v[i], &e);
	}
	while (s.left) {
		static const u16 where[8] = { 0x800, 0x804, 0x808, 0xc40, 0xc40, 0, 8, 0x800 };
		u8 op = take8(&s);
		u32 off = op & 0x40 ? take16(&s) & 0xfff : where[op & 7];
		u64 value = op & 0x20 ? take64(&s) : op & 8 ? take8(&s) : take32(&s);

		accesses = 0;
		igb_vf0_io(&v[op >> 7], off, op & 0x20 ? 8 : 4, !(op & 0x10), &value);
		FUZZ_CHECK(accesses < 100);
		(void)igb_vf0_ping(&v[op >> 7], igb_mbox_control(&hw, op >> 7));
		check();
	}
	FUZZ_CHECK(igb_vf0_resume(&v[0]) == 0);
	return 0;
}
