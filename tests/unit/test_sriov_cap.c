/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SR-IOV capability of a function like the 82576: reading, placing, enabling, refusals.
 */
#include "unit.h"

#include "devices/sriov/sriov_cap.h"
#include "fakepci.h"
#include "kernel/base/err.h"

#define CAP 0x160u

static struct fakepci m;
static struct fake_func *pf;
static struct pci_func f;
static u32 vfs; /* that appear */
static char why[128];

static const struct pci_cfg cfg = { fakepci_read, fakepci_write, &m, 4096 };
static const struct pci_delay delay = { fakepci_delay, &m };

static void written(struct fakepci *pm, struct fake_func *fn, u16 off, u8 size)
{
	(void)size;
	if (fn != pf || off != CAP + SRIOV_CTRL)
		return;
	pm->n = 1;
	if (!(pf->space[off] & SRIOV_CTRL_VFE))
		return;
	for (u32 i = 0; i < vfs && i < get_le16(pf->space + CAP + SRIOV_NUM); i++) {
		struct fake_func *v =
			fake_add(pm, (u16)(pf->bdf + get_le16(pf->space + CAP + SRIOV_OFFSET) +
					   i * get_le16(pf->space + CAP + SRIOV_STRIDE)),
				 ~0u, 0x020000);

		fake_cap(v, 0xa0, PCI_CAP_PCIE);
	}
}

static void setup(void)
{
	u8 *c;

	memset(&m, 0, sizeof(m));
	vfs = 8;
	pf = fake_add(&m, PCI_BDF(1, 0, 0), 0x10c98086, 0x020000);
	c = pf->space + CAP;
	put_le32(c, 0x00010010);
	put_le16(c + SRIOV_INITIAL, 8);
	put_le16(c + SRIOV_TOTAL, 8);
	put_le16(c + SRIOV_OFFSET, 0x80);
	put_le16(c + SRIOV_STRIDE, 2);
	put_le16(c + SRIOV_DEVICE, 0x10ca);
	put_le32(c + SRIOV_PAGES, 0x553);
	put_le32(c + SRIOV_PAGE_SIZE, 1);
	put_le32(c + SRIOV_BAR0, 0xc);
	put_le32(c + SRIOV_BAR0 + 12, 0xc);
	c = pf->rw + CAP;
	put_le16(c + SRIOV_CTRL, 0x19);
	put_le16(c + SRIOV_NUM, 0xffff);
	for (u32 b = 0; b < 4; b += 3) {
		put_le32(c + SRIOV_BAR0 + 4 * b, 0xffffc000);
		put_le32(c + SRIOV_BAR0 + 4 * b + 4, 0xffffffff);
	}
	f = (struct pci_func){ .bdf = pf->bdf, .ext_sriov = CAP };
	m.written = written;
}

TEST(reads)
{
	struct sriov s;

	setup();
	CHECK_EQ(sriov_read(&cfg, &f, &s, why, sizeof(why)), 0);
	CHECK_EQ(s.total, 8);
	CHECK_EQ(s.vf_device, 0x10ca);
	CHECK_EQ(s.bar[0].size, 0x4000);
	CHECK(s.bar[0].mem64 && s.bar[0].prefetch);
	CHECK_EQ(s.bar[1].size, 0);
	CHECK_EQ(s.bar[3].size, 0x4000);
	CHECK_EQ(sriov_bar_bytes(&s, 0, 7), 0x1c000);
	CHECK_EQ(sriov_bar_bytes(&s, 2, 7), 0);
	CHECK_EQ(get_le32(pf->space + CAP + SRIOV_BAR0), 0xc);
}

TEST(refusals)
{
	struct sriov s;

	setup();
	pf->space[CAP + SRIOV_CTRL] = 1;
	CHECK_EQ(sriov_read(&cfg, &f, &s, why, sizeof(why)), -EBUSY);
	setup();
	put_le16(pf->space + CAP + SRIOV_TOTAL, 0);
	CHECK_EQ(sriov_read(&cfg, &f, &s, why, sizeof(why)), -EPROTO);
	setup();
	pf->space[CAP + SRIOV_BAR0] = 1; /* a port BAR */
	CHECK_EQ(sriov_read(&cfg, &f, &s, why, sizeof(why)), -EPROTO);
	setup();
	put_le32(pf->space + CAP + SRIOV_BAR0 + 20, 0xc); /* 64 bits in the last register */
	CHECK_EQ(sriov_read(&cfg, &f, &s, why, sizeof(why)), -EPROTO);
	setup();
	f.ext_sriov = 0;
	CHECK_EQ(sriov_read(&cfg, &f, &s, why, sizeof(why)), -ENODEV);
}

TEST(enables)
{
	struct sriov s;

	setup();
	CHECK_EQ(sriov_read(&cfg, &f, &s, why, sizeof(why)), 0);
	sriov_place_bar(&cfg, &s, 0, 0xe000020000);
	sriov_place_bar(&cfg, &s, 3, 0xe000040000);
	CHECK_EQ(get_le32(pf->space + CAP + SRIOV_BAR0), 0x0002000c);
	CHECK_EQ(get_le32(pf->space + CAP + SRIOV_BAR0 + 4), 0xe0);
	CHECK_EQ(sriov_enable(&cfg, &delay, &s, 0, true), -EINVAL);
	CHECK_EQ(sriov_enable(&cfg, &delay, &s, 9, true), -EINVAL);
	CHECK_EQ(sriov_enable(&cfg, &delay, &s, 7, true), 0);
	CHECK_EQ(pf->space[CAP + SRIOV_CTRL], 0x19);
	CHECK_EQ(sriov_vf_bdf(&s, 0), PCI_BDF(1, 0x10, 0));
	CHECK_EQ(sriov_vf_bdf(&s, 4), PCI_BDF(1, 0x11, 0));
	CHECK_EQ(sriov_vf_bar(&s, 3, 2), 0xe000048000);
	CHECK(m.us >= 100000);
	sriov_disable(&cfg, &delay, &s);
	CHECK_EQ(pf->space[CAP + SRIOV_CTRL], 0x10);
	/* One of them never appears: all are off again, after a bounded time. */
	vfs = 6;
	m.us = 0;
	CHECK_EQ(sriov_enable(&cfg, &delay, &s, 7, false), -ETIMEDOUT);
	CHECK(m.us < 3000000);
	CHECK(!(pf->space[CAP + SRIOV_CTRL] & SRIOV_CTRL_VFE));
	put_le16(pf->space + CAP + SRIOV_OFFSET, 0xff00);
	CHECK_EQ(sriov_enable(&cfg, &delay, &s, 7, false), -ERANGE);
	CHECK(!(pf->space[CAP + SRIOV_CTRL] & SRIOV_CTRL_VFE));
}

UNIT_MAIN({ "reads", reads }, { "refusals", refusals }, { "enables", enables })
