/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function reset: kinds, order, bounded waits, what is kept.
 */
#include "unit.h"

#include "fakepci.h"
#include "kernel/base/err.h"

static struct fakepci m;
static struct fake_func *fn;
static bool was_reset, comes_back, master_at_reset;
static u64 reset_at;

static const struct pci_cfg cfg = { fakepci_read, fakepci_write, &m, 4096 };
static const struct pci_delay delay = { fakepci_delay, &m };

/* The function loses its configuration and is gone for 150 ms. */
static void lose(struct fake_func *f)
{
	was_reset = true;
	reset_at = m.us;
	master_at_reset = f->space[PCI_COMMAND] & PCI_COMMAND_MASTER;
	for (u32 i = PCI_COMMAND; i < 256; i++)
		f->space[i] &= (u8)~f->rw[i];
	f->gone = true;
}

static void written(struct fakepci *pm, struct fake_func *f, u16 off, u8 size)
{
	(void)pm;
	(void)size;
	if (off == 0xa8 && (f->space[0xa9] & 0x80))
		lose(f);
	if (off == 0x64 && f->space[0x64])
		lose(f);
	if (off == 0x44 && (f->space[0x44] & 3) == 3)
		lose(f);
}

static void tick(struct fakepci *pm)
{
	if (fn->gone && comes_back && pm->us - reset_at >= 150000)
		fn->gone = false;
}

static void setup(void)
{
	u8 *c;

	memset(&m, 0, sizeof(m));
	was_reset = master_at_reset = false;
	comes_back = true;
	fn = fake_add(&m, PCI_BDF(1, 0, 0), 0x10c98086, 0x020000);
	fn->space[PCI_COMMAND] = 7;
	put_le32(fn->space + PCI_BAR0, 0xfe800000);
	put_le32(fn->rw + PCI_BAR0, 0xfffe0000);
	fn->rw[PCI_IRQ_LINE] = 0xff;
	fn->space[PCI_IRQ_LINE] = 11;
	c = fake_cap(fn, 0x40, PCI_CAP_PM);
	c[4] = 8; /* no soft reset */
	fn->rw[0x44] = 3;
	c = fake_cap(fn, 0x70, PCI_CAP_MSIX);
	put_le16(c + 2, 0x8009);
	put_le16(fn->rw + 0x72, 0xc000);
	c = fake_cap(fn, 0xa0, PCI_CAP_PCIE);
	c[2] = 2;
	put_le32(c + 4, PCIE_DEVCAP_FLR);
	put_le16(c + 8, 0x2810);
	put_le16(fn->rw + 0xa8, 0xffff);
	m.written = written;
	m.tick = tick;
}

static int reset(void)
{
	struct pci_reset_caps caps;

	pci_reset_find(&cfg, fn->bdf, &caps);
	return pci_reset_function(&cfg, &delay, fn->bdf, &caps);
}

TEST(flr)
{
	setup();
	CHECK_EQ(reset(), 0);
	CHECK(was_reset && !master_at_reset);
	CHECK(m.us >= 100000 && m.us < 400000);
	CHECK_EQ(get_le32(fn->space + PCI_BAR0), 0xfe800000);
	CHECK_EQ(fn->space[PCI_COMMAND], 3); /* memory on, bus mastering off */
	CHECK_EQ(fn->space[PCI_IRQ_LINE], 11);
	CHECK_EQ(get_le16(fn->space + 0xa8), 0x2810);
	CHECK_EQ(get_le16(fn->space + 0x72), 0x0009);
}

TEST(waits_are_bounded)
{
	setup();
	fn->space[0xaa] = PCIE_DEVSTA_PENDING; /* for ever */
	comes_back = false;
	CHECK_EQ(reset(), -ETIMEDOUT);
	CHECK(was_reset);
	CHECK(m.us >= 1200000 && m.us < 1400000);
}

TEST(in_two_halves)
{
	struct pci_reset_caps caps;
	struct pci_saved saved;

	setup();
	pci_reset_find(&cfg, fn->bdf, &caps);
	CHECK_EQ(pci_reset_begin(&cfg, &delay, fn->bdf, &caps, &saved), 0);
	CHECK(was_reset && m.us < 100000);
	CHECK_EQ(get_le32(fn->space + PCI_BAR0), 0); /* the reset's own doing */
	CHECK_EQ(pci_reset_end(&cfg, &delay, fn->bdf, &caps, &saved), 0);
	CHECK_EQ(get_le32(fn->space + PCI_BAR0), 0xfe800000);
	CHECK_EQ(fn->space[PCI_COMMAND], 3);
	comes_back = false;
	CHECK_EQ(pci_reset_begin(&cfg, &delay, fn->bdf, &caps, &saved), 0);
	CHECK_EQ(pci_reset_end(&cfg, &delay, fn->bdf, &caps, &saved), -ETIMEDOUT);
}

TEST(other_kinds)
{
	u8 *c;

	setup();
	put_le32(fn->space + 0xa4, 0);
	CHECK_EQ(reset(), -ENOTSUP);
	CHECK(!was_reset);
	fn->space[0x44] = 0; /* loses state from D3hot */
	CHECK_EQ(reset(), 0);
	CHECK(was_reset);
	setup();
	put_le32(fn->space + 0xa4, 0);
	c = fake_cap(fn, 0x60, PCI_CAP_AF);
	c[3] = 1; /* no FLR */
	CHECK_EQ(reset(), -ENOTSUP);
	c[3] = 3;
	fn->rw[0x64] = 1;
	CHECK_EQ(reset(), 0);
	CHECK(was_reset);
}

UNIT_MAIN({ "flr", flr }, { "waits_are_bounded", waits_are_bounded },
	  { "in_two_halves", in_two_halves }, { "other_kinds", other_kinds })
