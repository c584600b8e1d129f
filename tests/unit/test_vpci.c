/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual PCI bus: both access methods, absent functions, bridges, removal.
 */
#include "unit.h"

#include "devices/pci/vpci.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"

static struct vpci bus;
static struct vcfg port_cfg, port2_cfg, leaf_cfg, leaf2_cfg;
static struct vpci_function port, port2, leaf, leaf2;
static const struct vcfg_env no_env;

static void setup(void)
{
	const struct vcfg_ids bridge = { .vendor = 0x1234, .device = 1, .class_code = 0x060400,
					 .bridge = true };
	const struct vcfg_ids nic = { .vendor = 0x1234, .device = 2, .class_code = 0x020000 };

	vpci_init(&bus);
	vcfg_init(&port_cfg, &bridge, &no_env);
	vcfg_init(&port2_cfg, &bridge, &no_env);
	vcfg_init(&leaf_cfg, &nic, &no_env);
	vcfg_init(&leaf2_cfg, &nic, &no_env);
	port = (struct vpci_function){ &port_cfg, NULL, VPCI_DEVFN(1, 0) };
	port2 = (struct vpci_function){ &port2_cfg, &port, VPCI_DEVFN(0, 0) };
	leaf = (struct vpci_function){ &leaf_cfg, &port, VPCI_DEVFN(2, 0) };
	leaf2 = (struct vpci_function){ &leaf2_cfg, &port2, VPCI_DEVFN(16, 0) };
}

static u32 cf8(u32 bdf, u32 reg, unsigned size)
{
	u64 v = 1u << 31 | bdf << 8 | (reg & ~3u);

	vpci_ports(&bus, 0, 4, true, &v);
	v = 0;
	vpci_ports(&bus, 4 + (reg & 3), size, false, &v);
	return (u32)(v & size_mask(size));
}

static u32 ecam(u32 bdf, u32 reg, unsigned size)
{
	u64 v = 0;

	vpci_ecam(&bus, (u64)bdf << 12 | reg, size, false, &v);
	return (u32)(v & size_mask(size));
}

static void ecam_write(u32 bdf, u32 reg, unsigned size, u32 value)
{
	u64 v = value;

	vpci_ecam(&bus, (u64)bdf << 12 | reg, size, true, &v);
}

TEST(host_bridge)
{
	u64 v = 0;

	setup();
	CHECK_EQ(cf8(0, 0, 4), 0x29c08086);
	CHECK_EQ(cf8(0, 2, 2), 0x29c0);
	CHECK_EQ(cf8(0, 0xb, 1), 6);
	CHECK_EQ(ecam(0, 0, 4), 0x29c08086);
	CHECK_EQ(ecam(0, 0x100, 4), 0);
	vpci_ports(&bus, 0, 4, false, &v);
	CHECK_EQ(v, 0x80000008);
	CHECK_EQ(cf8(8, 0, 4), ~0u);
	CHECK_EQ(ecam(0x100, 0, 2), 0xffff);
	CHECK_EQ(ecam(0, 1, 2), 0xffff); /* not aligned */
	vpci_ecam(&bus, 0, 8, false, &v);
	CHECK_EQ(v, 0x29c08086);
	v = 0; /* disabled */
	vpci_ports(&bus, 0, 4, true, &v);
	vpci_ports(&bus, 4, 4, false, &v);
	CHECK_EQ((u32)v, ~0u);
	vpci_ports(&bus, 0, 2, false, &v);
	CHECK_EQ((u16)v, 0xffff);
}

TEST(multi_function)
{
	struct vpci_function f = { &leaf_cfg, NULL, VPCI_DEVFN(3, 1) };

	setup();
	CHECK_EQ(vpci_add(&bus, &f), -ENOENT);
	leaf.bridge = NULL;
	leaf.devfn = VPCI_DEVFN(3, 0);
	leaf.cfg = &leaf2_cfg;
	CHECK_EQ(vpci_add(&bus, &leaf), 0);
	CHECK_EQ(ecam(leaf.devfn, 0xe, 1), 0);
	CHECK_EQ(vpci_add(&bus, &f), 0);
	CHECK_EQ(ecam(leaf.devfn, 0xe, 1), 0x80);
	CHECK_EQ(vpci_add(&bus, &f), -EEXIST);
}

TEST(bridges)
{
	setup();
	CHECK_EQ(vpci_add(&bus, &port), 0);
	CHECK_EQ(vpci_add(&bus, &port2), 0);
	CHECK_EQ(vpci_add(&bus, &leaf), 0);
	CHECK_EQ(vpci_add(&bus, &leaf2), 0);
	CHECK_EQ(ecam(0x08, 0xe, 1), 1);
	CHECK(!vpci_find(&bus, 0, leaf.devfn));
	CHECK(!vpci_find(&bus, 1, leaf.devfn)); /* no numbers yet */
	ecam_write(0x08, 0x18, 4, 0x00050100);
	CHECK_EQ(ecam(0x08, 0x18, 4), 0x00050100);
	CHECK(vpci_find(&bus, 1, leaf.devfn) == &leaf);
	CHECK_EQ(ecam(0x100 | leaf.devfn, 0, 4), 0x00021234);
	ecam_write(0x100, 0x18, 4, 0x00050501);
	CHECK(vpci_find(&bus, 5, leaf2.devfn) == &leaf2);
	ecam_write(0x08, 0x1a, 1, 4); /* the upper bridge no longer forwards 5 */
	CHECK(!vpci_find(&bus, 5, leaf2.devfn));
	CHECK(vpci_find(&bus, 1, leaf.devfn) == &leaf);
	ecam_write(0x08, 0x20, 4, 0xffffffff);
	CHECK_EQ(ecam(0x08, 0x20, 4), 0xfff0fff0);
	ecam_write(0x08, 0x24, 4, 0xffffffff);
	CHECK_EQ(ecam(0x08, 0x24, 4), 0xfff1fff1);
	vpci_remove(&bus, &leaf);
	CHECK(!vpci_find(&bus, 1, leaf.devfn));
	vpci_reset(&bus);
	CHECK_EQ(ecam(0x08, 0x18, 4), 0);
}

TEST(full)
{
	static struct vpci_function f[VPCI_FUNCTIONS];
	unsigned i;

	setup();
	for (i = 0; i < VPCI_FUNCTIONS - 1; i++) {
		f[i] = (struct vpci_function){ &leaf_cfg, i < 31 ? NULL : &port,
					       VPCI_DEVFN(i % 31 + 1, 0) };
		CHECK_EQ(vpci_add(&bus, &f[i]), 0);
	}
	CHECK_EQ(vpci_add(&bus, &leaf2), -ENOSPC);
}

TEST(resume)
{
	setup();
	bus.address = 0x80000004;
	CHECK_EQ(vpci_resume(&bus), 0);
	bus.address = 1;
	CHECK_EQ(vpci_resume(&bus), -EINVAL);
}

UNIT_MAIN({ "host_bridge", host_bridge }, { "multi_function", multi_function },
	  { "bridges", bridges }, { "full", full }, { "resume", resume })
