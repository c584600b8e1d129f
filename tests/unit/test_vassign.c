/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assigned functions: reading the physical one, the virtual configuration space, BAR pieces,
 * interrupt modes, reset.
 */
#include "unit.h"

#include "devices/pci/vassign.h"
#include "fakepci.h"
#include "kernel/base/err.h"

static struct fakepci m;
static struct vassign v;
static u64 table[VMSIX_TABLE_WORDS(3)], pba[VMSIX_PBA_WORDS(3)];
static char why[128];

static struct {
	unsigned maps, unmaps, flrs, mmios, raised;
	bool master;
	enum vassign_irq mode;
	u64 gpa[16];
	struct vassign_range r[16];
	u64 address, mmio_off;
	u32 data;
	u16 vector;
} e;

static const struct pci_cfg cfg = { fakepci_read, fakepci_write, &m, 4096 };

static void on_range(void *ctx, unsigned bar, u64 gpa, const struct vassign_range *r, bool on)
{
	(void)ctx;
	(void)bar;
	if (on && e.maps < 16) {
		e.gpa[e.maps] = gpa;
		e.r[e.maps] = *r;
	}
	if (on)
		e.maps++;
	else
		e.unmaps++;
}

static void on_master(void *ctx, bool on)
{
	(void)ctx;
	e.master = on;
}

static void on_mode(void *ctx, enum vassign_irq mode)
{
	(void)ctx;
	e.mode = mode;
}

static void on_raise(void *ctx, u16 vector, u64 address, u32 data)
{
	(void)ctx;
	e.raised++;
	e.vector = vector;
	e.address = address;
	e.data = data;
}

static void on_flr(void *ctx)
{
	(void)ctx;
	e.flrs++;
}

static void on_mmio(void *ctx, unsigned bar, u64 off, unsigned size, bool write, u64 *value)
{
	(void)ctx;
	(void)bar;
	(void)size;
	e.mmios++;
	e.mmio_off = off;
	if (!write)
		*value = 0x77;
}

static const struct vassign_env env = { NULL, on_range, on_master, on_mode, on_raise, on_flr,
					on_mmio };

/* A VF like the 82576's. */
static struct fake_func *add_vf(u16 bdf)
{
	struct fake_func *f = fake_add(&m, bdf, ~0u, 0x020000);
	u8 *c;

	put_le32(f->space + PCI_SUBSYSTEM_ID, 0x11001af4);
	c = fake_cap(f, 0xa0, PCI_CAP_PCIE);
	c[2] = 2;
	put_le32(c + 4, 0x10008020);
	c = fake_cap(f, 0x70, PCI_CAP_MSIX);
	put_le16(c + 2, 2);
	put_le32(c + 4, 3);
	put_le32(c + 8, 0x2003);
	return f;
}

static struct assign_info probe(void)
{
	const struct pci_func pf = { .bdf = PCI_BDF(1, 0, 0), .vendor = 0x8086, .device = 0x10c9 };
	struct sriov s = { .pf = pf.bdf, .offset = 0x80, .stride = 2, .vf_device = 0x10ca };
	const struct assign_vf vf = { &pf, &s, 1 };
	struct assign_info a = { 0 };

	s.bar[0] = (struct pci_bar){ 0xfea00000, 0x4000, false, true, true };
	s.bar[3] = (struct pci_bar){ 0xfea20000, 0x4000, false, true, true };
	CHECK_EQ(assign_info_vf(&cfg, &vf, &a, why, sizeof(why)), 0);
	return a;
}

static void setup(void)
{
	const struct vassign_tables t = { table, pba };
	struct assign_info a;

	memset(&m, 0, sizeof(m));
	memset(&e, 0, sizeof(e));
	add_vf(PCI_BDF(1, 0x10, 2));
	a = probe();
	vassign_init(&v, &a, &t, &env);
	vassign_trap(&v, 0, 0, 0x1000);
}

TEST(vf_facts)
{
	struct assign_info a;

	setup();
	a = probe();
	CHECK_EQ(a.bdf, PCI_BDF(1, 0x10, 2));
	CHECK_EQ(a.vendor, 0x8086);
	CHECK_EQ(a.device, 0x10ca);
	CHECK_EQ(a.sub_vendor, 0x1af4);
	CHECK_EQ(a.bar[0].addr, 0xfea04000);
	CHECK_EQ(a.bar[3].addr, 0xfea24000);
	CHECK_EQ(a.bar[1].size, 0);
	CHECK_EQ(a.msix_vectors, 3);
	CHECK_EQ(a.msix_pba, 0x2000);
	CHECK_EQ(a.reset, PCI_RESET_FLR);
}

TEST(refusals)
{
	struct pci_func f = { .bdf = PCI_BDF(2, 0, 0), .vendor = 1, .device = 2 };
	struct fake_func *ff;
	struct assign_info a;

	memset(&m, 0, sizeof(m));
	ff = fake_add(&m, f.bdf, 0x00020001, 0x010802);
	CHECK_EQ(assign_info_function(&cfg, &f, &a, why, sizeof(why)), -ENOTSUP);
	CHECK(strstr(why, "MSI") != NULL);
	fake_cap(ff, 0x50, PCI_CAP_MSI);
	CHECK_EQ(assign_info_function(&cfg, &f, &a, why, sizeof(why)), -ENOTSUP);
	CHECK(strstr(why, "reset") != NULL);
	put_le32(fake_cap(ff, 0xa0, PCI_CAP_PCIE) + 4, PCIE_DEVCAP_FLR);
	CHECK_EQ(assign_info_function(&cfg, &f, &a, why, sizeof(why)), 0);
	f.bar[2].size = 0x1000;
	CHECK_EQ(assign_info_function(&cfg, &f, &a, why, sizeof(why)), -EPROTO);
	f.bar[2].addr = 0xfe000000;
	CHECK_EQ(assign_info_function(&cfg, &f, &a, why, sizeof(why)), 0);
	put_le16(fake_cap(ff, 0x70, PCI_CAP_MSIX) + 2, 0x7f); /* 128 vectors in BAR 0: not there */
	CHECK_EQ(assign_info_function(&cfg, &f, &a, why, sizeof(why)), -EPROTO);
	put_le32(ff->space + 0x74, 2);
	put_le32(ff->space + 0x78, 0xffa);
	CHECK_EQ(assign_info_function(&cfg, &f, &a, why, sizeof(why)), -EPROTO);
	put_le32(ff->space + 0x78, 0xc02);
	CHECK_EQ(assign_info_function(&cfg, &f, &a, why, sizeof(why)), 0);
	CHECK_EQ(a.msix_vectors, 128);
}

TEST(header)
{
	setup();
	CHECK_EQ(vcfg_read(&v.cfg, 0, 4), 0x10ca8086);
	CHECK_EQ(vcfg_read(&v.cfg, PCI_SUBSYSTEM_ID, 4), 0x11001af4);
	CHECK_EQ(vcfg_read(&v.cfg, PCI_IRQ_PIN, 1), 0);
	vcfg_write(&v.cfg, PCI_BAR0, 4, ~0u);
	CHECK_EQ(vcfg_read(&v.cfg, PCI_BAR0, 4), 0xffffc00c);
	vcfg_write(&v.cfg, PCI_BAR0 + 8, 4, ~0u);
	CHECK_EQ(vcfg_read(&v.cfg, PCI_BAR0 + 8, 4), 0);
	CHECK_EQ(vcfg_read(&v.cfg, v.cap_pcie + 4u, 4), 0x10008020);
	CHECK_EQ(v.cap_msi, 0);
	vcfg_write(&v.cfg, PCI_COMMAND, 2, 4);
	CHECK(e.master);
	vcfg_write(&v.cfg, PCI_COMMAND, 2, 0);
	CHECK(!e.master);
}

TEST(pieces)
{
	struct vassign_range r[VASSIGN_RANGES];

	setup();
	CHECK_EQ(vassign_ranges(&v, 0, r), 2);
	CHECK(r[0].trap && r[0].off == 0 && r[0].len == 0x1000);
	CHECK(!r[1].trap && r[1].off == 0x1000 && r[1].len == 0x3000);
	CHECK_EQ(vassign_ranges(&v, 3, r), 4);
	CHECK(r[0].trap && r[0].len == 0x1000);
	CHECK(!r[1].trap && r[1].off == 0x1000 && r[1].len == 0x1000);
	CHECK(r[2].trap && r[2].off == 0x2000 && r[2].len == 0x1000);
	CHECK(!r[3].trap && r[3].off == 0x3000 && r[3].len == 0x1000);
	v.info.bar[3].size = 0x100; /* less than a page */
	CHECK_EQ(vassign_ranges(&v, 3, r), 1);
	CHECK(r[0].trap && r[0].len == 0x100);
	v.info.bar[3].size = 0x4000;
	v.info.msix_pba = 0x30; /* both in one page */
	CHECK_EQ(vassign_ranges(&v, 3, r), 2);
	CHECK(r[0].trap && r[0].len == 0x1000 && r[1].len == 0x3000);
}

TEST(mapping_follows_guest)
{
	setup();
	vcfg_write(&v.cfg, PCI_BAR0, 4, 0);
	vcfg_write(&v.cfg, PCI_BAR0 + 4, 4, 0x40);
	vcfg_write(&v.cfg, PCI_BAR0 + 12, 4, 0xd0000000);
	CHECK_EQ(e.maps, 0);
	vcfg_write(&v.cfg, PCI_COMMAND, 2, 2);
	CHECK_EQ(e.maps, 6);
	CHECK_EQ(e.gpa[0], 0x4000000000);
	CHECK_EQ(e.gpa[1], 0x4000001000);
	CHECK_EQ(e.gpa[4], 0xd0002000);
	CHECK(e.r[4].trap && !e.r[5].trap);
	vcfg_write(&v.cfg, PCI_BAR0 + 12, 4, 0xd0010000);
	CHECK_EQ(e.unmaps, 4);
	CHECK_EQ(e.maps, 10);
	vcfg_write(&v.cfg, PCI_COMMAND, 2, 0);
	CHECK_EQ(e.unmaps, 10);
}

TEST(msix)
{
	u64 x;

	setup();
	CHECK(!vassign_event(&v, 1));
	vcfg_write(&v.cfg, v.msix.cap + 2u, 2, 0x8000);
	CHECK_EQ(e.mode, VASSIGN_IRQ_MSIX);
	CHECK(vassign_event(&v, 1)); /* masked: pends */
	CHECK_EQ(e.raised, 0);
	vassign_mmio(&v, 3, 0x2000, 8, false, &x);
	CHECK_EQ(x, 2);
	x = 0xfee01000;
	vassign_mmio(&v, 3, 16, 8, true, &x);
	x = 0x51;
	vassign_mmio(&v, 3, 24, 8, true, &x);
	CHECK_EQ(e.raised, 1);
	CHECK_EQ(e.vector, 1);
	CHECK_EQ(e.address, 0xfee01000);
	CHECK_EQ(e.data, 0x51);
	CHECK(!vassign_event(&v, 3));
	/* Beside the structures: the owner answers. */
	vassign_mmio(&v, 3, 0x800, 4, false, &x);
	CHECK_EQ(x, 0x77);
	CHECK_EQ(e.mmio_off, 0x800);
	vassign_mmio(&v, 0, 0, 4, false, &x);
	CHECK_EQ(e.mmios, 2);
}

TEST(flr)
{
	setup();
	vcfg_write(&v.cfg, PCI_BAR0, 4, 0xd0000000);
	vcfg_write(&v.cfg, PCI_COMMAND, 2, 6);
	vcfg_write(&v.cfg, v.msix.cap + 2u, 2, 0x8000);
	vcfg_write(&v.cfg, v.cap_pcie + 8u, 2, 0xa810);
	CHECK_EQ(e.flrs, 1);
	CHECK_EQ(e.unmaps, e.maps);
	CHECK(!e.master);
	CHECK_EQ(e.mode, VASSIGN_IRQ_OFF);
	CHECK_EQ(vcfg_read(&v.cfg, PCI_COMMAND, 2), 0);
	CHECK_EQ(vcfg_read(&v.cfg, PCI_BAR0, 4), 0xc);
	CHECK_EQ(vcfg_read(&v.cfg, v.cap_pcie + 8u, 2), 0x2810);
	vcfg_write(&v.cfg, v.cap_pcie + 8u, 2, 0x2810);
	CHECK_EQ(e.flrs, 1);
}

TEST(plain_msi)
{
	struct assign_info a = { .vendor = 1, .device = 2, .class = 0x00ff00 };
	const struct vassign_tables t = { NULL, NULL };

	memset(&e, 0, sizeof(e));
	a.caps.msi = 0x40;
	a.caps.pm = 0x50;
	a.bar[0] = (struct pci_bar){ .addr = 0xfe000000, .size = 0x100000 };
	vassign_init(&v, &a, &t, &env);
	CHECK(v.cap_msi);
	vcfg_write(&v.cfg, v.cap_msi + 4u, 4, 0xfee00fff);
	vcfg_write(&v.cfg, v.cap_msi + 8u, 4, 0);
	vcfg_write(&v.cfg, v.cap_msi + 12u, 2, 0x4033);
	CHECK(!vassign_event(&v, 0));
	vcfg_write(&v.cfg, v.cap_msi + 2u, 2, 0xffff);
	CHECK_EQ(vcfg_read(&v.cfg, v.cap_msi + 2u, 2), 0x81);
	CHECK_EQ(e.mode, VASSIGN_IRQ_MSI);
	CHECK(vassign_event(&v, 0) && !vassign_event(&v, 1));
	CHECK_EQ(e.address, 0xfee00ffc);
	CHECK_EQ(e.data, 0x4033);
	vassign_reset(&v);
	CHECK_EQ(e.mode, VASSIGN_IRQ_OFF);
}

UNIT_MAIN({ "vf_facts", vf_facts }, { "refusals", refusals }, { "header", header },
	  { "pieces", pieces }, { "mapping_follows_guest", mapping_follows_guest },
	  { "msix", msix }, { "flr", flr }, { "plain_msi", plain_msi })
