/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual configuration space: masks, BAR sizing and placement, capabilities, resume.
 */
#include "unit.h"

#include "devices/pci/vcfg.h"
#include "kernel/base/err.h"

static struct vcfg c;
static u64 map_base[6], map_size[6];
static unsigned maps, unmaps;
static u32 last_off;

static void env_map(void *x, unsigned bar, u64 base, u64 size)
{
	(void)x;
	CHECK(!map_size[bar]);
	map_base[bar] = base;
	map_size[bar] = size;
	maps++;
}

static void env_unmap(void *x, unsigned bar, u64 base, u64 size)
{
	(void)x;
	CHECK_EQ(map_base[bar], base);
	CHECK_EQ(map_size[bar], size);
	map_size[bar] = 0;
	unmaps++;
}

static void env_written(void *x, u32 off, unsigned size)
{
	(void)x;
	(void)size;
	last_off = off;
}

static void setup(void)
{
	const struct vcfg_env env = { NULL, env_map, env_unmap, env_written, NULL };
	const struct vcfg_ids ids = { .vendor = 0x1af4, .device = 0x1041, .sub_vendor = 0x1af4,
				      .sub_device = 0x1100, .class_code = 0x020000,
				      .revision = 1, .irq_pin = 1 };

	memset(map_size, 0, sizeof(map_size));
	maps = unmaps = 0;
	vcfg_init(&c, &ids, &env);
	vcfg_add_bar(&c, 0, VCFG_BAR_MEM32, 0x1000, false);
	vcfg_add_bar(&c, 1, VCFG_BAR_IO, 0x20, false);
	vcfg_add_bar(&c, 4, VCFG_BAR_MEM64, 0x4000, true);
}

TEST(header)
{
	setup();
	CHECK_EQ(vcfg_read(&c, 0, 4), 0x10411af4);
	CHECK_EQ(vcfg_read(&c, 8, 4), 0x02000001);
	CHECK_EQ(vcfg_read(&c, 0x2c, 4), 0x11001af4);
	CHECK_EQ(vcfg_read(&c, 0x3d, 1), 1);
	vcfg_write(&c, 0, 4, 0);
	CHECK_EQ(vcfg_read(&c, 0, 2), 0x1af4);
	vcfg_write(&c, 4, 2, 0xffff);
	CHECK_EQ(vcfg_read(&c, 4, 2), 0x0547);
	vcfg_write(&c, 0x3c, 4, 0xffffffff);
	CHECK_EQ(vcfg_read(&c, 0x3c, 4), 0x1ff);
	CHECK_EQ(last_off, 0x3c);
	c.value[7] = 0xf9;
	vcfg_write(&c, 6, 2, 0x8000);
	CHECK_EQ(vcfg_read(&c, 7, 1), 0x79);
	CHECK_EQ(vcfg_read(&c, 0x100, 4), 0);
	vcfg_write(&c, 0xffc, 4, 1);
}

TEST(bars)
{
	setup();
	vcfg_write(&c, 0x10, 4, ~0u);
	CHECK_EQ(vcfg_read(&c, 0x10, 4), 0xfffff000);
	vcfg_write(&c, 0x14, 4, ~0u);
	CHECK_EQ(vcfg_read(&c, 0x14, 4), 0xffe1);
	vcfg_write(&c, 0x20, 4, ~0u);
	vcfg_write(&c, 0x24, 4, ~0u);
	CHECK_EQ(vcfg_read(&c, 0x20, 4), 0xffffc00c);
	CHECK_EQ(vcfg_read(&c, 0x24, 4), 0xffffffff);
	vcfg_write(&c, 0x18, 4, ~0u);
	CHECK_EQ(vcfg_read(&c, 0x18, 4), 0);
	vcfg_write(&c, 0x10, 4, 0xc0001234);
	vcfg_write(&c, 0x14, 4, 0xc001);
	vcfg_write(&c, 0x20, 4, 0x10000000);
	vcfg_write(&c, 0x24, 4, 0x80);
	CHECK_EQ(maps, 0);
	vcfg_write(&c, 4, 2, 2);
	CHECK_EQ(maps, 2);
	CHECK_EQ(map_base[0], 0xc0001000);
	CHECK_EQ(map_base[4], 0x8010000000);
	vcfg_write(&c, 4, 2, 3);
	CHECK_EQ(map_base[1], 0xc000);
	vcfg_write(&c, 0x10, 4, 0xc0002000); /* moved while decoding */
	CHECK_EQ(unmaps, 1);
	CHECK_EQ(map_base[0], 0xc0002000);
	vcfg_write(&c, 0x10, 4, ~0u); /* sized while decoding: nowhere */
	CHECK_EQ(map_size[0], 0);
	vcfg_write(&c, 4, 2, 0);
	CHECK_EQ(map_size[4] | map_size[1], 0);
}

TEST(capabilities)
{
	u8 a, b;

	setup();
	CHECK_EQ(vcfg_read(&c, 6, 2) & 0x10, 0);
	a = vcfg_add_cap(&c, PCI_CAP_VENDOR, 0x11);
	b = vcfg_add_pcie(&c, PCIE_ENDPOINT);
	CHECK_EQ(vcfg_read(&c, 6, 2) & 0x10, 0x10);
	CHECK_EQ(vcfg_read(&c, 0x34, 1), a);
	CHECK_EQ(a, 0x40);
	CHECK_EQ(vcfg_read(&c, a, 2), (u32)(b << 8 | PCI_CAP_VENDOR));
	CHECK_EQ(b, 0x54);
	CHECK_EQ(vcfg_read(&c, b, 2), PCI_CAP_PCIE);
	CHECK_EQ(vcfg_read(&c, b + 2u, 2), 2);
	CHECK_EQ(vcfg_read(&c, b + 18u, 2), 0x11);
}

TEST(intx)
{
	setup();
	CHECK(vcfg_set_intx(&c, true));
	CHECK_EQ(vcfg_read(&c, 6, 1) & 8, 8);
	vcfg_write(&c, 4, 2, 0x400);
	CHECK(!vcfg_set_intx(&c, true));
	CHECK(!vcfg_set_intx(&c, false));
	CHECK_EQ(vcfg_read(&c, 6, 1) & 8, 0);
}

TEST(reset_and_resume)
{
	setup();
	vcfg_write(&c, 0x10, 4, 0xc0000000);
	vcfg_write(&c, 4, 2, 2);
	CHECK_EQ(map_size[0], 0x1000);
	map_size[0] = 0;
	CHECK_EQ(vcfg_resume(&c), 0);
	CHECK_EQ(map_size[0], 0x1000);
	vcfg_reset(&c);
	CHECK_EQ(map_size[0], 0);
	CHECK_EQ(vcfg_read(&c, 0x10, 4), 0);
	c.value[0] = 0;
	CHECK_EQ(vcfg_resume(&c), -EINVAL);
}

UNIT_MAIN({ "header", header }, { "bars", bars }, { "capabilities", capabilities },
	  { "intx", intx }, { "reset_and_resume", reset_and_resume })
