/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/base/bytes.h"
#include "kernel/core/pci_scan.h"
#include "unit.h"

#define FUNCS 8

/* A small machine: functions with 4 KiB of configuration space and BAR masks. */
struct fake {
	struct {
		u16 bdf;
		u8 space[4096];
		u32 bar_mask[6];
	} f[FUNCS];
	u32 n;
	u32 writes_with_decode;
};

static u8 *fake_space(struct fake *m, u16 bdf, u32 *index)
{
	for (u32 i = 0; i < m->n; i++) {
		if (m->f[i].bdf == bdf) {
			*index = i;
			return m->f[i].space;
		}
	}
	return NULL;
}

static u32 fake_read(void *ctx, u16 bdf, u16 off, u8 size)
{
	u32 i;
	u8 *s = fake_space(ctx, bdf, &i);

	CHECK(off + size <= 4096);
	if (!s)
		return size == 4 ? ~0u : size == 2 ? 0xffff : 0xff;
	return size == 4 ? get_le32(s + off) : size == 2 ? get_le16(s + off) : s[off];
}

static void fake_write(void *ctx, u16 bdf, u16 off, u8 size, u32 v)
{
	struct fake *m = ctx;
	u32 i;
	u8 *s = fake_space(m, bdf, &i);

	CHECK(s);
	if (off >= PCI_BAR0 && off < PCI_BAR0 + 24) {
		u32 b = (off - PCI_BAR0) / 4u;

		CHECK_EQ(size, 4);
		if (get_le16(s + PCI_COMMAND) & 3)
			m->writes_with_decode++;
		put_le32(s + off, (v & m->f[i].bar_mask[b]) | (get_le32(s + off) & 15 &
							    ~m->f[i].bar_mask[b]));
		return;
	}
	CHECK_EQ(off, PCI_COMMAND);
	CHECK_EQ(size, 2);
	put_le16(s + off, (u16)v);
}

static u8 *add(struct fake *m, u16 bdf, u16 vendor, u16 device, u32 class)
{
	u8 *s = m->f[m->n].space;

	m->f[m->n++].bdf = bdf;
	put_le16(s, vendor);
	put_le16(s + 2, device);
	put_le32(s + PCI_CLASS_REVISION, class << 8 | 5);
	put_le16(s + PCI_COMMAND, 3);
	return s;
}

static void cap(u8 *s, u8 at, u8 id, u8 next)
{
	s[PCI_STATUS] |= PCI_STATUS_CAPS;
	if (!s[PCI_CAP_POINTER])
		s[PCI_CAP_POINTER] = at;
	s[at] = id;
	s[at + 1] = next;
}

static u8 *add_bridge(struct fake *m, u16 bdf, u8 sec, u8 sub, u8 pcie_type)
{
	u8 *s = add(m, bdf, 0x1b36, 0x000c, 0x060400);

	s[PCI_HEADER_TYPE] = 1;
	s[PCI_SECONDARY_BUS] = sec;
	s[PCI_SUBORDINATE_BUS] = sub;
	cap(s, 0x54, PCI_CAP_PCIE, 0);
	s[0x56] = (u8)(pcie_type << 4 | 2);
	return s;
}

static struct fake m;
static struct pci_func funcs[FUNCS];

static struct pci_list scan(u32 capacity, bool store)
{
	struct pci_cfg cfg = { fake_read, fake_write, &m, 4096 };
	struct pci_list l = { .func = store ? funcs : NULL, .capacity = capacity };

	memset(funcs, 0, sizeof(funcs));
	pci_scan(&cfg, 0, 255, &l);
	return l;
}

static void machine(void)
{
	u8 *s;

	memset(&m, 0, sizeof(m));
	add(&m, PCI_BDF(0, 0, 0), 0x8086, 0x29c0, 0x060000);
	add_bridge(&m, PCI_BDF(0, 1, 0), 1, 1, PCIE_TYPE_ROOT_PORT);
	s = add(&m, PCI_BDF(0, 31, 0), 0x8086, 0x2918, 0x060100);
	s[PCI_HEADER_TYPE] = 0x80;
	add(&m, PCI_BDF(0, 31, 2), 0x8086, 0x2922, 0x010601);
	s = add(&m, PCI_BDF(1, 0, 0), 0x8086, 0x10c9, 0x020000);
	put_le32(s + PCI_SUBSYSTEM_ID, 0x12345678);
	cap(s, 0x40, PCI_CAP_PM, 0x50);
	cap(s, 0x50, PCI_CAP_MSI, 0x70);
	cap(s, 0x70, PCI_CAP_MSIX, 0xa0);
	cap(s, 0xa0, PCI_CAP_PCIE, 0);
	put_le32(s + 0x100, 0x15000000 | 0x10000 | PCI_EXT_AER);
	put_le32(s + 0x150, 0x16000000 | 0x10000 | PCI_EXT_ARI);
	put_le32(s + 0x160, 0x00010000 | PCI_EXT_SRIOV);
	/* BAR0: 128 KiB 32-bit memory; BAR2: I/O 32; BAR4+5: 16 KiB 64-bit prefetchable. */
	put_le32(s + PCI_BAR0, 0xfe800000);
	m.f[m.n - 1].bar_mask[0] = 0xfffe0000;
	put_le32(s + PCI_BAR0 + 8, 0xc001);
	m.f[m.n - 1].bar_mask[2] = 0xffffffe0;
	put_le32(s + PCI_BAR0 + 16, 0x0000000c);
	put_le32(s + PCI_BAR0 + 20, 0x000000e0);
	m.f[m.n - 1].bar_mask[4] = 0xffffc000;
	m.f[m.n - 1].bar_mask[5] = 0xffffffff;
	/* What answers at device 1 below a port is an echo of device 0. */
	add(&m, PCI_BDF(1, 1, 0), 0x8086, 0x10c9, 0x020000);
}

TEST(finds_all)
{
	struct pci_list l;
	struct pci_func *f;

	machine();
	l = scan(FUNCS, true);
	CHECK_EQ(l.count, 5);
	CHECK_EQ(l.errors, 0);
	CHECK_EQ(l.missed, 0);
	CHECK_EQ(m.writes_with_decode, 0);
	CHECK_EQ(funcs[1].header, 1);
	CHECK_EQ(funcs[1].pcie_type, PCIE_TYPE_ROOT_PORT);
	CHECK_EQ(funcs[3].bdf, PCI_BDF(0, 31, 2));
	CHECK(funcs[3].parent == -1);
	f = &funcs[4];
	CHECK_EQ(f->bdf, PCI_BDF(1, 0, 0));
	CHECK_EQ(f->parent, 1);
	CHECK_EQ(f->vendor, 0x8086);
	CHECK_EQ(f->device, 0x10c9);
	CHECK_EQ(f->class, 0x020000);
	CHECK_EQ(f->revision, 5);
	CHECK_EQ(f->subvendor, 0x5678);
	CHECK_EQ(f->cap_pm, 0x40);
	CHECK_EQ(f->cap_msi, 0x50);
	CHECK_EQ(f->cap_msix, 0x70);
	CHECK_EQ(f->cap_pcie, 0xa0);
	CHECK_EQ(f->ext_aer, 0x100);
	CHECK_EQ(f->ext_ari, 0x150);
	CHECK_EQ(f->ext_sriov, 0x160);
	CHECK_EQ(f->ext_acs, 0);
	CHECK_EQ(f->bar[0].addr, 0xfe800000);
	CHECK_EQ(f->bar[0].size, 0x20000);
	CHECK_EQ(f->bar[1].size, 0);
	CHECK(f->bar[2].io);
	CHECK_EQ(f->bar[2].addr, 0xc000);
	CHECK_EQ(f->bar[2].size, 32);
	CHECK(f->bar[4].mem64 && f->bar[4].prefetch && !f->bar[4].io);
	CHECK_EQ(f->bar[4].addr, 0xe000000000ull);
	CHECK_EQ(f->bar[4].size, 0x4000);
	CHECK_EQ(f->bar[5].size, 0);
	/* All as before. */
	CHECK_EQ(get_le16(m.f[4].space + PCI_COMMAND), 3);
	CHECK_EQ(get_le32(m.f[4].space + PCI_BAR0), 0xfe800000);
	CHECK_EQ(get_le32(m.f[4].space + PCI_BAR0 + 20), 0xe0);
}

TEST(counts_and_cuts)
{
	struct pci_list l;

	machine();
	CHECK_EQ(scan(0, false).count, 5);
	l = scan(3, true);
	CHECK_EQ(l.count, 3);
	CHECK_EQ(l.missed, 2);
}

TEST(bad_bridges)
{
	struct pci_list l;

	machine();
	m.f[1].space[PCI_SECONDARY_BUS] = 0; /* closed */
	l = scan(FUNCS, true);
	CHECK_EQ(l.errors, 0);
	m.f[1].space[PCI_SECONDARY_BUS] = 2;
	m.f[1].space[PCI_SUBORDINATE_BUS] = 1;
	l = scan(FUNCS, true);
	CHECK_EQ(l.errors, 1);
	machine();
	add_bridge(&m, PCI_BDF(1, 0, 1), 1, 1, PCIE_TYPE_DOWNSTREAM); /* leads to itself */
	m.f[4].space[PCI_HEADER_TYPE] = 0x80;
	l = scan(FUNCS, true);
	CHECK_EQ(l.errors, 1);
	CHECK_EQ(l.count, 6);
}

TEST(endless_lists)
{
	struct pci_cfg cfg = { fake_read, fake_write, &m, 4096 };
	u8 *s;

	memset(&m, 0, sizeof(m));
	s = add(&m, 0, 1, 1, 0xff0000);
	cap(s, 0x40, 0x33, 0x48);
	cap(s, 0x48, 0x33, 0x40);
	put_le32(s + 0x100, 0x10000000 | 0x10033);
	CHECK_EQ(pci_find_cap(&cfg, 0, PCI_CAP_MSI), 0);
	CHECK_EQ(pci_find_ext_cap(&cfg, 0, PCI_EXT_ARI), 0);
}

UNIT_MAIN({ "finds_all", finds_all }, { "counts_and_cuts", counts_and_cuts },
	  { "bad_bridges", bad_bridges }, { "endless_lists", endless_lists })
