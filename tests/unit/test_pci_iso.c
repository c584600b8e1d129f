/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Isolation of functions, and free address space behind a bridge.
 */
#include "unit.h"

#include "fakepci.h"
#include "kernel/base/err.h"
#include "kernel/core/pci_iso.h"

static struct fakepci m;
static struct pci_func funcs[FAKE_FUNCS];
static struct pci_list list;
static char why[128];

static const struct pci_cfg cfg = { fakepci_read, fakepci_write, &m, 4096 };

static struct fake_func *acs(struct fake_func *f, u16 can)
{
	put_le32(f->space + 0x100, 0x00010000 | PCI_EXT_ACS);
	put_le16(f->space + 0x104, can);
	put_le16(f->rw + 0x106, 0x7f);
	return f;
}

static struct fake_func *bridge(u16 bdf, u8 secondary, u8 type)
{
	struct fake_func *f = fake_add(&m, bdf, 0x000c1b36, 0x060400);

	f->space[PCI_HEADER_TYPE] = 1;
	f->space[PCI_SECONDARY_BUS] = f->space[PCI_SUBORDINATE_BUS] = secondary;
	if (type != 0xff)
		fake_cap(f, 0x54, PCI_CAP_PCIE)[2] = (u8)(type << 4 | 2);
	return f;
}

static struct fake_func *endpoint(u16 bdf, u32 ids)
{
	struct fake_func *f = fake_add(&m, bdf, ids, 0x020000);

	fake_cap(f, 0x40, PCI_CAP_PCIE)[2] = 2;
	return f;
}

static void scan(void)
{
	list = (struct pci_list){ .func = funcs, .capacity = FAKE_FUNCS };
	memset(funcs, 0, sizeof(funcs));
	pci_scan(&cfg, 0, 255, &list);
	pci_acs_enable(&cfg, &list);
}

static int isolated(u16 bdf, bool vf)
{
	for (u32 i = 0; i < list.count; i++)
		if (funcs[i].bdf == bdf)
			return pci_isolated(&cfg, &list, i, vf, why, sizeof(why));
	return -ENOENT;
}

static void machine(void)
{
	memset(&m, 0, sizeof(m));
	fake_add(&m, PCI_BDF(0, 0, 0), 0x29c08086, 0x060000);
	acs(bridge(PCI_BDF(0, 1, 0), 1, PCIE_TYPE_ROOT_PORT), 0x7f);
	bridge(PCI_BDF(0, 2, 0), 2, PCIE_TYPE_ROOT_PORT);
	bridge(PCI_BDF(0, 3, 0), 3, 0xff);
	fake_add(&m, PCI_BDF(0, 4, 0), 0x11e81234, 0x00ff00); /* conventional, on the root bus */
	endpoint(PCI_BDF(1, 0, 0), 0x10c98086);
	endpoint(PCI_BDF(2, 0, 0), 0x10c98086);
	fake_add(&m, PCI_BDF(3, 0, 0), 0x10d38086, 0x020000);
}

TEST(paths)
{
	machine();
	scan();
	CHECK_EQ(isolated(PCI_BDF(1, 0, 0), false), 0);
	CHECK_EQ(isolated(PCI_BDF(1, 0, 0), true), 0); /* 82576: known */
	CHECK_EQ(isolated(PCI_BDF(0, 4, 0), false), 0);
	CHECK_EQ(isolated(PCI_BDF(2, 0, 0), false), -EPERM);
	CHECK(strstr(why, "00:02.0") && strstr(why, "ACS"));
	CHECK_EQ(isolated(PCI_BDF(3, 0, 0), false), -EPERM);
	CHECK(strstr(why, "00:03.0") && strstr(why, "conventional"));
	CHECK_EQ(isolated(PCI_BDF(0, 0, 0), false), -EPERM);
	CHECK_EQ(isolated(PCI_BDF(0, 1, 0), false), -EPERM);
}

/* A port that lacks one of the needed controls. */
TEST(partial_acs)
{
	machine();
	put_le16(m.f[1].space + 0x104, 0x7f & ~ACS_RR);
	scan();
	CHECK_EQ(isolated(PCI_BDF(1, 0, 0), false), -EPERM);
}

TEST(siblings)
{
	machine();
	m.f[5].space[PCI_HEADER_TYPE] = 0x80;
	endpoint(PCI_BDF(1, 0, 1), 0x12348086);
	scan();
	CHECK_EQ(isolated(PCI_BDF(1, 0, 0), false), -EPERM);
	CHECK(strstr(why, "01:00.1"));
	CHECK_EQ(isolated(PCI_BDF(1, 0, 1), false), -EPERM);
	acs(&m.f[8], 0); /* it has the capability, and no peer transfers to control */
	scan();
	CHECK_EQ(isolated(PCI_BDF(1, 0, 0), false), 0);
	CHECK_EQ(isolated(PCI_BDF(1, 0, 1), true), 0);
	put_le16(m.f[8].space + 0x104, ACS_RR);
	m.f[8].rw[0x106] = 0; /* cannot be switched on */
	scan();
	CHECK_EQ(isolated(PCI_BDF(1, 0, 1), false), -EPERM);
}

TEST(space)
{
	struct pci_range taken = { 0xe000010000, 0x4000 };
	struct pci_space w = { .len = 0x1c000, .align = 0x4000, .below = ~0ull };
	u64 at = 0;

	machine();
	put_le32(m.f[1].space + 0x20, 0xfe90fe80);
	put_le32(m.f[1].space + 0x24, 0x00010001); /* e0_00000000..e0_000fffff */
	put_le32(m.f[1].space + 0x28, 0xe0);
	put_le32(m.f[1].space + 0x2c, 0xe0);
	scan();
	CHECK_EQ(list.count, 8);
	CHECK_EQ(pci_find_space(&cfg, &list, 1, &w, &at), -ENOENT);
	CHECK_EQ(funcs[5].bdf, PCI_BDF(1, 0, 0));
	CHECK_EQ(pci_find_space(&cfg, &list, 5, &w, &at), 0);
	CHECK_EQ(at, 0xe000000000);
	w.taken = &taken;
	w.ntaken = 1;
	CHECK_EQ(pci_find_space(&cfg, &list, 5, &w, &at), 0);
	CHECK_EQ(at, 0xe000014000);
	funcs[5].bar[0] = (struct pci_bar){ .addr = 0xe000020000, .size = 0x20000, .mem64 = true };
	CHECK_EQ(pci_find_space(&cfg, &list, 5, &w, &at), 0);
	CHECK_EQ(at, 0xe000040000);
	w.len = 0xc0000;
	CHECK_EQ(pci_find_space(&cfg, &list, 5, &w, &at), 0);
	CHECK_EQ(at, 0xe000040000);
	w.len = 0xc4000; /* the other window */
	CHECK_EQ(pci_find_space(&cfg, &list, 5, &w, &at), 0);
	CHECK_EQ(at, 0xfe800000);
	w.len = 0x204000;
	CHECK_EQ(pci_find_space(&cfg, &list, 5, &w, &at), -ENOSPC);
	w.len = 0x1000;
	w.below = SIZE_4G;
	CHECK_EQ(pci_find_space(&cfg, &list, 5, &w, &at), 0);
	CHECK_EQ(at, 0xfe800000);
}

UNIT_MAIN({ "paths", paths }, { "partial_acs", partial_acs }, { "siblings", siblings },
	  { "space", space })
