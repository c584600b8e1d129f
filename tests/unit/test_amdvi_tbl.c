/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table entries, commands and events against values worked out by hand from the manual.
 */
#include "iommu/amdvi/amdvi_cmd.h"
#include "iommu/amdvi/amdvi_tbl.h"
#include "unit.h"

TEST(device_entries)
{
	struct amdvi_device d = { .root = 0x12345000, .domain = 7 };
	struct amdvi_dte e = amdvi_dte(&d);

	/* V, TV, mode 4, IR, IW; interrupts: valid and blocked */
	CHECK_EQ(e.q[0], 0x6000000012345803);
	CHECK_EQ(e.q[1], 7);
	CHECK_EQ(e.q[2], 1);
	CHECK_EQ(e.q[3], 0);
	d.irqs = 0xabcd80;
	d.irq_order = 8;
	CHECK_EQ(amdvi_dte(&d).q[2], 0x2000000000abcd91);
	d.settings = 0xf7;
	e = amdvi_dte(&d);
	CHECK_EQ(e.q[2], 0xe700000000abcd91);
	CHECK_EQ(e.q[1], 0x30000000007);
}

TEST(interrupts)
{
	struct amdvi_irte e = amdvi_irte128(0x41, 0x12345678);

	CHECK_EQ(amdvi_irte32(0x41, 3), 0x410301);
	CHECK_EQ(e.lo, 0x34567801);
	CHECK_EQ(e.hi, 0x1200000000000041);
	CHECK_EQ(amdvi_rte(0x31, false, false), 0x31);
	CHECK_EQ(amdvi_rte(0x7ff, true, true), 0xa7ff);
}

TEST(capabilities)
{
	struct amdvi_caps c = amdvi_caps(0x29d3);

	CHECK(!c.x2apic && c.wide_irq && c.invalidate_all);
	CHECK_EQ(c.levels, 6);
	CHECK(amdvi_caps(0x29d7).x2apic);
	CHECK_EQ(amdvi_caps(0).levels, 4);
}

TEST(commands)
{
	struct amdvi_cmd c = amdvi_cmd_wait(0xabcd8, 0x55);

	CHECK_EQ(c.lo, 0x10000000000abcdd);
	CHECK_EQ(c.hi, 0x55);
	CHECK_EQ(amdvi_cmd_device(0x180).lo, 0x2000000000000180);
	CHECK_EQ(amdvi_cmd_irqs(0x180).lo, 0x5000000000000180);
	CHECK_EQ(amdvi_cmd_all().lo, 0x8000000000000000);
	c = amdvi_cmd_domain(9);
	CHECK_EQ(c.lo, 0x3000000900000000);
	CHECK_EQ(c.hi, 0x7ffffffffffff003);
	c = amdvi_cmd_pages(9, 0x5000, 0x5fff);
	CHECK_EQ(c.hi, 0x5002);
	CHECK_EQ(amdvi_cmd_pages(9, 0x4000, 0x5fff).hi, 0x4003);  /* 8 KiB: bit 12 clear */
	CHECK_EQ(amdvi_cmd_pages(9, 0x5000, 0x6fff).hi, 0x5003);  /* 16 KiB at 4000h */
	CHECK_EQ(amdvi_cmd_pages(9, 0x200000, 0x3fffff).hi, 0x2ff003);
	CHECK_EQ(amdvi_cmd_pages(9, 0, ~0ull).hi, 0x7ffffffffffff003);
}

TEST(pages_cover)
{
	u64 seed = 1;

	for (u32 i = 0; i < 20000; i++) {
		u64 first, last, base, size;
		struct amdvi_cmd c;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		first = seed >> 20 & 0xfffffff000;
		last = first + (seed >> 8 & 0x3ffffff);
		c = amdvi_cmd_pages(1, first, last);
		base = c.hi & ~0xfffull;
		size = PAGE_SIZE;
		if (c.hi & 1) {
			u64 zero = 12;

			while (base >> zero & 1)
				zero++;
			size = 2ull << zero;
			base &= ~(size - 1);
		}
		CHECK(base <= first);
		CHECK(last - base < size);
	}
}

TEST(events)
{
	struct amdvi_event e;

	CHECK(!amdvi_event(0, 0x1000, &e));
	CHECK(amdvi_event(0x2020000500000180, 0x12345678, &e));
	CHECK_EQ(e.source, 0x180);
	CHECK_EQ(e.domain, 5);
	CHECK_EQ(e.addr, 0x12345678);
	CHECK(e.write && e.fault && !e.irq && !e.present);
	CHECK(amdvi_event(0x2008000000000180, 0xfee00000, &e));
	CHECK(e.irq);
	CHECK_STR(e.text, "interrupt is blocked");
	CHECK(amdvi_event(0x5000000000000000, 0, &e));
	CHECK(!e.fault);
	for (u64 code = 1; code < 16; code++)
		CHECK(amdvi_event(code << 60, 0, &e) && e.text);
}

TEST(ring)
{
	CHECK_EQ(amdvi_ring_space(0, 0), 255);
	CHECK_EQ(amdvi_ring_space(0, 255), 0);
	CHECK_EQ(amdvi_ring_next(255), 0);
}

UNIT_MAIN({ "device_entries", device_entries }, { "interrupts", interrupts },
	  { "capabilities", capabilities }, { "commands", commands },
	  { "pages_cover", pages_cover }, { "events", events }, { "ring", ring })
