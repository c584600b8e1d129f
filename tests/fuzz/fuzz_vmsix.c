/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSI-X under any sequence of table, control and event: an event is sent once or pends, and
 * nothing pends that could be sent.
 */
#include "tests/fuzz/stream.h"

#include "devices/pci/vmsix.h"
#include "kernel/base/bits.h"

static struct vmsix m;
static struct vcfg c;
static u64 table[VMSIX_TABLE_WORDS(80)], pba[VMSIX_PBA_WORDS(80)];
static bool owed[80];

static void env_raise(void *ctx, u16 vector, u64 address, u32 data)
{
	(void)ctx;
	FUZZ_CHECK(vector < m.count && owed[vector]);
	FUZZ_CHECK(address == table[vector * 2] && data == (u32)table[vector * 2 + 1]);
	FUZZ_CHECK(!vmsix_masked(&m, vector));
	owed[vector] = false;
}

static void written(void *ctx, u32 off, unsigned size)
{
	(void)ctx;
	vmsix_written(&m, &c, off, size);
}

static void check(void)
{
	for (u16 i = 0; i < m.count; i++) {
		bool pends = pba[i >> 6] >> (i & 63) & 1;

		FUZZ_CHECK(pends == owed[i]);
		FUZZ_CHECK(!pends || vmsix_masked(&m, i));
		FUZZ_CHECK(!(table[i * 2] & 3) && !(table[i * 2 + 1] >> 33));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct vmsix_env env = { NULL, env_raise, NULL };
	const struct vcfg_env cfg = { .written = written };
	const struct vcfg_ids ids = { .vendor = 1 };
	struct stream s = { data, size };
	u16 count = (u16)(take8(&s) % 80 + 1);

	memset(owed, 0, sizeof(owed));
	vcfg_init(&c, &ids, &cfg);
	vmsix_init(&m, count, table, pba, &env);
	vmsix_add_cap(&m, &c, 0, 0, 0, 0x800);
	while (s.left) {
		u8 op = take8(&s), n = take8(&s);
		u64 v;

		switch (op >> 6) {
		case 0:
			v = take64(&s);
			vmsix_table_io(&m, (u64)n * 8 + (op & 7), 1u << (op >> 3 & 3), op & 32, &v);
			break;
		case 1:
			v = take8(&s) & 1;
			vmsix_table_io(&m, (u64)n * 16 + 12, 4, true, &v);
			break;
		case 2:
			if (vmsix_on(&m) && n < count)
				owed[n] = true;
			FUZZ_CHECK(vmsix_notify(&m, n) == (vmsix_on(&m) && n < count));
			break;
		default:
			vcfg_write(&c, m.cap + 2u, 2, (u32)n << 8);
			break;
		}
		check();
	}
	FUZZ_CHECK(vmsix_resume(&m, &c) == 0);
	check();
	return 0;
}
