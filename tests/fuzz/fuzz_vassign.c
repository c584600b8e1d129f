/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An assigned function with foreign capability contents, then any sequence of the guest's accesses,
 * in long inputs after state from a foreign stream:
 * nothing but trapped pages reaches the model, MSI-X pages are never mapped, maps and unmaps pair.
 */
#include "tests/fuzz/stream.h"

#include "devices/pci/vassign.h"
#include "kernel/base/bits.h"

#define VECTORS 512u

static struct vassign v;
static u64 table[VMSIX_TABLE_WORDS(VECTORS)], pba[VMSIX_PBA_WORDS(VECTORS)];
static u64 mapped[VCFG_BARS];
static bool mastering;
static u8 phys[256];

static void on_range(void *ctx, unsigned bar, u64 gpa, const struct vassign_range *r, bool on)
{
	const struct assign_info *a = &v.info;

	(void)ctx;
	FUZZ_CHECK(gpa && r->len && r->off + r->len <= a->bar[bar].size);
	if (a->msix_vectors && !r->trap && bar == a->msix_table_bar)
		FUZZ_CHECK(!ranges_overlap(r->off, r->len, a->msix_table, a->msix_vectors * 16u));
	if (a->msix_vectors && !r->trap && bar == a->msix_pba_bar)
		FUZZ_CHECK(!ranges_overlap(r->off, r->len, a->msix_pba, 8));
	FUZZ_CHECK(r->trap || (is_aligned(r->off, PAGE_SIZE) && is_aligned(r->len, PAGE_SIZE)));
	mapped[bar] += on ? r->len : 0 - r->len;
	FUZZ_CHECK(mapped[bar] <= a->bar[bar].size);
}

static void on_master(void *ctx, bool on)
{
	(void)ctx;
	FUZZ_CHECK(on != mastering);
	mastering = on;
}

static void on_mode(void *ctx, enum vassign_irq mode)
{
	(void)ctx;
	(void)mode;
}

static void on_raise(void *ctx, u16 vector, u64 address, u32 data)
{
	(void)ctx;
	(void)data;
	FUZZ_CHECK(!(address & 3) && vector < VECTORS);
}

static void on_flr(void *ctx)
{
	(void)ctx;
	FUZZ_CHECK(!mastering);
	for (u32 i = 0; i < VCFG_BARS; i++)
		FUZZ_CHECK(!mapped[i]);
}

static void on_mmio(void *ctx, unsigned bar, u64 off, unsigned size, bool write, u64 *value)
{
	(void)ctx;
	(void)size;
	(void)write;
	FUZZ_CHECK(off < v.info.bar[bar].size);
	*value = 0;
}

static u32 read_cfg(void *ctx, u16 bdf, u16 off, u8 size)
{
	u32 x = 0;

	(void)ctx;
	(void)bdf;
	for (u8 i = 0; i < size; i++)
		x |= (u32)(off + i < 256 ? phys[off + i] : 0) << (8 * i);
	return x;
}

static void write_cfg(void *ctx, u16 bdf, u16 off, u8 size, u32 x)
{
	(void)ctx;
	(void)bdf;
	(void)off;
	(void)size;
	(void)x;
	abort(); /* reading facts changes nothing */
}

static bool probe(struct stream *s, struct assign_info *a)
{
	const struct pci_cfg cfg = { read_cfg, write_cfg, NULL, 256 };
	struct pci_func f = { .vendor = 0x8086, .device = 0x1234, .class = 0x020000 };
	char why[100];

	for (u32 i = 0; i < 6; i++) {
		u8 b = take8(s);

		if (!(b & 0x80))
			continue;
		f.bar[i] = (struct pci_bar){ .addr = 0xfe000000, .size = 16ull << (b & 15),
					     .mem64 = (b & 64) && i < 5, .io = b & 32 };
		i += f.bar[i].mem64;
	}
	memset(phys, 0, sizeof(phys));
	phys[PCI_STATUS] = PCI_STATUS_CAPS;
	phys[PCI_CAP_POINTER] = 0x40;
	for (u32 i = 0x40; i < 0x80; i++)
		phys[i] = take8(s);
	return assign_info_function(&cfg, &f, a, why, sizeof(why)) == 0 &&
	       a->msix_vectors <= VECTORS;
}

static void access(struct stream *s)
{
	u8 op = take8(s);
	unsigned bar = op % 6, size = 1u << (op >> 5 & 1 ? 2 : op >> 6 & 1);
	u64 x;

	if (op & 0x80) {
		u32 off = take8(s);

		vcfg_write(&v.cfg, (u32)align_down(off, size), size, take32(s));
	} else if (op & 0x10) {
		(void)vassign_event(&v, take8(s));
	} else if (v.info.bar[bar].size) {
		u64 off = take16(s) % v.info.bar[bar].size;

		x = take64(s);
		vassign_mmio(&v, bar, off, op & 8 ? 8 : 4, op & 4, &x);
	}
}

/* Its state from a foreign stream, with or without bits that no guest can have set. */
static bool load(struct stream *s)
{
	bool any = take8(s) & 1;

	for (u32 i = 0; i < VCFG_LEN; i++) {
		u8 can = any ? 0xff : v.cfg.rw[i] | v.cfg.w1c[i];

		v.cfg.value[i] = (u8)((v.cfg.power_on[i] & ~can) | (take8(s) & can));
	}
	for (u32 i = 0; i < 8; i++)
		table[i] = take64(s);
	pba[0] = take64(s);
	return vassign_resume(&v) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vassign_env env = { NULL, on_range, on_master, on_mode, on_raise,
						on_flr, on_mmio };
	const struct vassign_tables t = { table, pba };
	struct stream s = { data, size };
	struct assign_info a;

	memset(mapped, 0, sizeof(mapped));
	mastering = false;
	if (!probe(&s, &a))
		return 0;
	vassign_init(&v, &a, &t, &env);
	if (s.left > 256 && !load(&s))
		return 0;
	while (s.left)
		access(&s);
	vassign_reset(&v);
	for (u32 i = 0; i < VCFG_BARS; i++)
		FUZZ_CHECK(!mapped[i]);
	return 0;
}
