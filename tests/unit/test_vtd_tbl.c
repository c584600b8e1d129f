/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table entries and invalidation descriptors against values worked out by hand from the manual.
 */
#include "iommu/vtd/vtd_qi.h"
#include "iommu/vtd/vtd_tbl.h"
#include "unit.h"

TEST(tables)
{
	struct vtd_entry e = vtd_root(0x12345000);

	CHECK_EQ(e.lo, 0x12345001);
	CHECK_EQ(vtd_root_table(e), 0x12345000);
	CHECK_EQ(vtd_root_table((struct vtd_entry){ 0x12345000, 0 }), 0);
	e = vtd_context(0xabcd000, 4, 0x1234);
	CHECK_EQ(e.lo, 0xabcd001);
	CHECK_EQ(e.hi, 0x123402);
	CHECK_EQ(vtd_context_domain(e), 0x1234);
	CHECK(vtd_context_present(e));
	CHECK_EQ(vtd_context(0xabcd000, 3, 1).hi, 0x101);
	CHECK(!vtd_context_present((struct vtd_entry){ 0, 0 }));
}

TEST(interrupts)
{
	struct vtd_irq q = { .vector = 0x41, .dest = 3, .source = 0x0180 };
	struct vtd_entry e = vtd_irte(&q);

	CHECK_EQ(e.lo, 0x0000030000410001);
	CHECK_EQ(e.hi, 0x40180);
	q.x2apic = true;
	q.dest = 0x12345;
	q.level = true;
	CHECK_EQ(vtd_irte(&q).lo, 0x0001234500410011);
	CHECK_EQ(vtd_msi_address(0), 0xfee00018);
	CHECK_EQ(vtd_msi_address(0x8001), 0xfee0003c);
	CHECK_EQ(vtd_msi_address(0x7fff), 0xfeeffff8);
	CHECK_EQ(vtd_msi_data(7), 7);
	CHECK_EQ(vtd_rte(0, 0x30, false, false), 0x0001000000000030);
	CHECK_EQ(vtd_rte(5, 0x31, true, true), 0x000b00000000a031);
	CHECK_EQ(vtd_rte(0x8000, 0x31, false, false), 0x0001000000000831);
}

TEST(capabilities)
{
	struct vtd_caps c = vtd_caps(0x00d2008c222f0606, 0xf00f4a);

	CHECK_EQ(c.domains, 65536);
	CHECK_EQ(c.addr_bits, 48);
	CHECK(c.levels3 && c.levels4);
	CHECK_EQ(c.max_leaf, SIZE_1G);
	CHECK(!c.caching && !c.write_flush && !c.protected_memory);
	CHECK(c.page_flush);
	CHECK_EQ(c.flush_order, 18);
	CHECK_EQ(c.fault_offset, 0x220);
	CHECK_EQ(c.faults, 1);
	CHECK(!c.coherent && c.queued && c.irq_remap && !c.x2apic);
	CHECK(c.drain_read && c.drain_write);
	CHECK_EQ(c.iotlb_offset, 0xf0);
	CHECK(vtd_caps(0, 0xf00f5a).x2apic);
	CHECK(!vtd_caps(0, 0xf42).irq_remap);
	c = vtd_caps(0x00d2008c22260206 | 0x80 | 0x10, 1);
	CHECK(c.levels3 && !c.levels4);
	CHECK_EQ(c.addr_bits, 39);
	CHECK(c.caching && c.write_flush && c.coherent && !c.queued);
	CHECK_EQ(vtd_caps(0, 0).max_leaf, PAGE_SIZE);
	CHECK_EQ(vtd_caps(1ull << 34, 0).max_leaf, SIZE_2M);
	CHECK_EQ(vtd_caps(7, 0).domains, 65536);
}

TEST(faults)
{
	struct vtd_fault f;

	CHECK(!vtd_fault((struct vtd_entry){ 0x1000, 0x600000180 }, &f));
	/* Bits 55:40 are rubbish where there is no PASID. */
	CHECK(vtd_fault((struct vtd_entry){ 0x12345000, 0xc0ffff0600000180 }, &f));
	CHECK_EQ(f.source, 0x180);
	CHECK_EQ(f.reason, 6);
	CHECK(f.read && !f.irq);
	CHECK_EQ(f.addr, 0x12345000);
	CHECK(vtd_fault((struct vtd_entry){ 0x0007000000000000, 0x8000002600000180 }, &f));
	CHECK(f.irq && !f.read);
	CHECK_EQ(f.addr, 7);
	CHECK_STR(vtd_fault_text(0x26), "interrupt from a wrong source");
	CHECK_STR(vtd_fault_text(5), "write not allowed");
	for (u32 r = 0; r < 256; r++)
		CHECK(vtd_fault_text((u8)r) != NULL);
	CHECK_STR(vtd_fault_text(0), "unknown reason");
	CHECK_STR(vtd_fault_text(0x1f), "unknown reason");
}

TEST(descriptors)
{
	struct vtd_caps c = { .page_flush = true, .flush_order = 9, .drain_read = true,
			      .drain_write = true };
	struct vtd_entry e;

	CHECK_EQ(vtd_qi_context_all().lo, 0x11);
	CHECK_EQ(vtd_qi_context_device(5, 0x180).lo, 0x0000018000050031);
	CHECK_EQ(vtd_qi_iotlb_all(&c).lo, 0xd2);
	CHECK_EQ(vtd_qi_iotlb_domain(&c, 7).lo, 0x700e2);
	e = vtd_qi_iotlb_range(&c, 7, 0x5000, 0x5fff);
	CHECK_EQ(e.lo, 0x700f2);
	CHECK_EQ(e.hi, 0x5000);
	/* Two pages that do not share an aligned pair: four pages. */
	CHECK_EQ(vtd_qi_iotlb_range(&c, 7, 0x5000, 0x6fff).hi, 0x4002);
	CHECK_EQ(vtd_qi_iotlb_range(&c, 7, 0x200000, 0x3fffff).hi, 0x200009);
	CHECK_EQ(vtd_qi_iotlb_range(&c, 7, 0x1ff000, 0x200fff).lo, 0x700e2); /* too wide */
	CHECK_EQ(vtd_qi_iotlb_range(&c, 7, 0, ~0ull).lo, 0x700e2);
	c.page_flush = c.drain_read = c.drain_write = false;
	CHECK_EQ(vtd_qi_iotlb_range(&c, 7, 0x5000, 0x5fff).lo, 0x70022);
	CHECK_EQ(vtd_qi_irq_all().lo, 4);
	CHECK_EQ(vtd_qi_irq(0x123, 3).lo, 0x0000012318000014);
	e = vtd_qi_wait(0xabc0, 0x55);
	CHECK_EQ(e.lo, 0x0000005500000065);
	CHECK_EQ(e.hi, 0xabc0);
}

TEST(range_covers)
{
	struct vtd_caps c = { .page_flush = true, .flush_order = 18 };
	u64 seed = 1;

	for (u32 i = 0; i < 20000; i++) {
		u64 first, last, order;
		struct vtd_entry e;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		first = seed >> 20 & 0xfffffff000;
		last = first + (seed >> 8 & 0x3ffffff);
		e = vtd_qi_iotlb_range(&c, 1, first, last);
		if ((e.lo >> 4 & 3) != 3)
			continue;
		order = e.hi & 63;
		CHECK(order <= 18);
		CHECK((e.hi & ((PAGE_SIZE << order) - 1)) == order);
		CHECK(e.hi - order <= first);
		CHECK(last < e.hi - order + (PAGE_SIZE << order));
	}
}

TEST(ring)
{
	CHECK_EQ(vtd_qi_space(0, 0), 255);
	CHECK_EQ(vtd_qi_space(0, 255), 0);
	CHECK_EQ(vtd_qi_space(10, 9), 0);
	CHECK_EQ(vtd_qi_space(10, 11), 254);
	CHECK_EQ(vtd_qi_next(255), 0);
}

UNIT_MAIN({ "tables", tables }, { "interrupts", interrupts }, { "capabilities", capabilities },
	  { "faults", faults }, { "descriptors", descriptors }, { "range_covers", range_covers },
	  { "ring", ring })
