/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IOMMU layer over a model of a unit that caches translations: after every operation devices
 * reach exactly what a plain record of the mappings says, also when the unit stops answering.
 */
#include "iommu_model.h"

TEST(states)
{
	struct iommu_domain *d;
	hpa_t hpa;
	u64 left;

	begin();
	d = domain("a");
	attach(d, 0x100);
	CHECK(iommu_domain_of(0x100) == d && !iommu_domain_of(0x101));
	CHECK(iommu_attach(d, 0x100) == -EBUSY);
	CHECK(iommu_attach(d, 0x2000) == -ENODEV);
	CHECK(!reach(0x100, 0x1000, false, &hpa));
	CHECK_EQ(iommu_map(d, 0x1000, 0x7000, 0x2000, PG_R | PG_W), 0);
	CHECK(reach(0x100, 0x2000, true, &hpa) && hpa == 0x8000);
	CHECK(iommu_map(d, 0x2000, 0x9000, 0x1000, PG_R) == -EEXIST);
	CHECK_EQ(iommu_lookup(d, 0x1800, &hpa, &left), 0);
	CHECK_EQ(hpa, 0x7800);
	CHECK_EQ(left, 0x800);
	CHECK(iommu_lookup(d, 0x3000, &hpa, &left) == -EFAULT);
	CHECK(iommu_domain_destroy(d) == -EBUSY);
	CHECK_EQ(iommu_detach(0x100), 0);
	CHECK(iommu_detach(0x100) == -ENOENT);
	CHECK(!reach(0x100, 0x2000, true, &hpa));
	CHECK_EQ(iommu_domain_destroy(d), 0);
	CHECK_EQ(iommu_domain_destroy(NULL), 0);
}

TEST(bad_ranges)
{
	struct iommu_domain *d;

	begin();
	d = domain("a");
	CHECK(iommu_map(d, 0, 0, 0, PG_R) == -EINVAL);
	CHECK(iommu_map(d, 0x800, 0, 0x1000, PG_R) == -EINVAL);
	CHECK(iommu_map(d, 0, 0, 0x1000, PG_W) == -EINVAL);
	CHECK(iommu_map(d, 0, 0, 0x1000, PG_R | PG_X) == -EINVAL);
	CHECK(iommu_map(d, 0xfee00000, 0, 0x1000, PG_R) == -EINVAL);
	CHECK(iommu_map(d, 0xfedff000, 0, 0x2000, PG_R) == -EINVAL);
	CHECK(iommu_map(d, iommu_limit() - 0x1000, 0, 0x2000, PG_R) == -EINVAL);
	CHECK(iommu_map(d, ~0ull << 12, 0, 0x2000, PG_R) == -EINVAL);
	CHECK_EQ(iommu_map(d, iommu_limit() - 0x1000, 0, 0x1000, PG_R), 0);
	CHECK(iommu_unmap(d, 0xfee00000, 0x1000) == -EINVAL);
	CHECK_EQ(d->mapped, 0x1000);
}

/* Pages 0..63 of two domains, two devices each on another unit, against plain arrays. */
TEST(random_history)
{
	struct iommu_domain *d[2];
	struct {
		hpa_t hpa;
		u64 rights;
	} want[2][64] = { 0 };
	static const u16 bdf[4] = { 0x100, 0x1100, 0x108, 0x1108 };
	int where[4] = { -1, -1, -1, -1 };
	u32 seed = 1;
	long before;

	begin();
	before = frames_out;
	d[0] = domain("a");
	d[1] = domain("b");
	for (u32 i = 0; i < 4; i++)
		iommu_master(bdf[i], true);
	for (u32 step = 0; step < 20000; step++) {
		u32 k, first, n, op;
		u64 iova, bytes;

		seed = seed * 1103515245 + 12345;
		op = seed >> 28;
		k = seed >> 27 & 1;
		first = seed >> 16 & 63;
		n = 1 + (seed >> 12 & 7);
		n = first + n > 64 ? 64 - first : n;
		iova = 0x40000000 + first * 0x1000ull;
		bytes = n * 0x1000ull;
		if (op < 5) {
			bool clash = false;
			hpa_t hpa = 0x10000000 + (seed & 0xffff) * 0x1000ull;
			u64 rights = seed & 0x100 ? PG_R | PG_W : PG_R;

			for (u32 i = first; i < first + n; i++)
				clash |= want[k][i].rights != 0;
			CHECK_EQ(iommu_map(d[k], iova, hpa, bytes, rights), clash ? -EEXIST : 0);
			for (u32 i = first; i < first + n && !clash; i++) {
				want[k][i].hpa = hpa + (i - first) * 0x1000ull;
				want[k][i].rights = rights;
			}
		} else if (op < 9) {
			CHECK_EQ(iommu_unmap(d[k], iova, bytes), 0);
			for (u32 i = first; i < first + n; i++)
				want[k][i].rights = 0;
		} else if (op < 11) {
			CHECK_EQ(iommu_protect(d[k], iova, bytes, PG_R), 0);
			for (u32 i = first; i < first + n; i++)
				if (want[k][i].rights)
					want[k][i].rights = PG_R;
		} else {
			u32 v = seed >> 20 & 3;

			if (where[v] >= 0) {
				CHECK_EQ(iommu_detach(bdf[v]), 0);
				where[v] = -1;
			} else {
				CHECK_EQ(iommu_attach(d[k], bdf[v]), 0);
				where[v] = (int)k;
			}
		}
		for (u32 v = 0; v < 4; v++) {
			for (u32 i = 0; i < 64; i++) {
				bool write = (step + i) & 1, ok;
				u64 r = where[v] < 0 ? 0 : want[where[v]][i].rights;
				hpa_t hpa = 0;

				ok = reach(bdf[v], 0x40000000 + i * 0x1000ull, write, &hpa);
				CHECK_EQ(ok, write ? (r & PG_W) != 0 : r != 0);
				CHECK(!ok || hpa == want[where[v]][i].hpa);
			}
		}
	}
	for (u32 v = 0; v < 4; v++)
		if (where[v] >= 0)
			CHECK_EQ(iommu_detach(bdf[v]), 0);
	for (u32 k = 0; k < 2; k++) {
		CHECK_EQ(iommu_unmap(d[k], 0x40000000, 64 * 0x1000), 0);
		CHECK_EQ(d[k]->mapped, 0);
		CHECK_EQ(iommu_domain_destroy(d[k]), 0);
	}
	CHECK_EQ(frames_out, before);
}

TEST(unit_dies)
{
	struct iommu_domain *a, *b;
	hpa_t hpa;
	long frames;

	begin();
	a = domain("a");
	b = domain("b");
	attach(a, 0x100);
	attach(a, 0x1100); /* the other unit */
	attach(b, 0x108);
	CHECK_EQ(iommu_map(a, 0x200000, 0x400000, SIZE_2M, PG_R | PG_W), 0);
	CHECK_EQ(iommu_map(a, 0x400000, 0x1000, 0x1000, PG_R | PG_W), 0);
	CHECK(reach(0x100, 0x400000, true, &hpa));
	dead[0] = true;
	frames = frames_out;
	CHECK(iommu_unmap(a, 0x400000, 0x1000) == -ETIMEDOUT);
	CHECK_EQ(frames_out, frames); /* the retired table is never used again */
	/* Both devices of the unit are cut off, both clients told, once. */
	CHECK_EQ(nbroken, 2);
	CHECK((broken_bdf[0] == 0x100 && broken_bdf[1] == 0x108) ||
	      (broken_bdf[0] == 0x108 && broken_bdf[1] == 0x100));
	CHECK(!reach(0x100, 0x200000, false, &hpa) && !reach(0x108, 0x200000, false, &hpa));
	CHECK_EQ(devtab[0x100].table.id, 0);
	CHECK(!(command[0x100] & PCI_COMMAND_MASTER));
	CHECK(units[0].broken && !units[1].broken);
	/* The other unit goes on. */
	CHECK(reach(0x1100, 0x200000, true, &hpa));
	CHECK(iommu_attach(b, 0x110) == -ENODEV);
	CHECK(iommu_detach(0x100) == -ETIMEDOUT);
	CHECK(iommu_detach(0x108) == -ETIMEDOUT);
	CHECK_EQ(nbroken, 2);
	CHECK_EQ(iommu_detach(0x1100), 0);
	/* Their tables may still be walked. */
	frames = frames_out;
	CHECK(iommu_domain_destroy(a) == -ETIMEDOUT);
	CHECK(iommu_domain_destroy(b) == -ETIMEDOUT);
	CHECK_EQ(frames_out, frames);
}

TEST(dies_at_attach_and_detach)
{
	struct iommu_domain *d;
	hpa_t hpa;

	begin();
	d = domain("a");
	attach(d, 0x100);
	CHECK_EQ(iommu_map(d, 0x1000, 0x1000, 0x1000, PG_R), 0);
	dead[0] = true;
	iommu_master(0x108, true);
	CHECK(iommu_attach(d, 0x108) == -ETIMEDOUT);
	CHECK(!iommu_domain_of(0x108));
	CHECK(!reach(0x108, 0x1000, false, &hpa));
	CHECK_EQ(nbroken, 1); /* the one that was there */
	CHECK(iommu_detach(0x100) == -ETIMEDOUT);
	begin();
	d = domain("a");
	attach(d, 0x100);
	dead[0] = true;
	CHECK(iommu_detach(0x100) == -ETIMEDOUT);
	CHECK_EQ(nbroken, 0); /* who detaches knows */
	CHECK(!(command[0x100] & PCI_COMMAND_MASTER));
	CHECK(iommu_domain_destroy(d) == -ETIMEDOUT);
}

TEST(reserved_memory)
{
	struct resv_region n = { 0x7000000, 0x2000, PG_R | PG_W, 0x100, 0x100 };
	struct iommu_domain *d;
	char why[100];
	hpa_t hpa;

	begin();
	CHECK_EQ(resv_add(&iommu.resv, &n), 0);
	d = domain("a");
	CHECK(iommu_check(0x100, why, sizeof(why)) == -EPERM);
	CHECK(iommu_attach(d, 0x100) == -EPERM);
	attach(iommu_host(), 0x100);
	CHECK(reach(0x100, 0x7001000, true, &hpa) && hpa == 0x7001000);
	CHECK(!reach(0x100, 0x7002000, true, &hpa));
	CHECK_EQ(iommu_map(iommu_host(), 0x9000000, 0x9000000, 0x1000, PG_R), 0);
	CHECK(reach(0x100, 0x9000000, false, &hpa));
	/* In quarantine it keeps that memory and nothing else. */
	CHECK_EQ(iommu_detach(0x100), 0);
	CHECK(reach(0x100, 0x7001000, true, &hpa) && hpa == 0x7001000);
	CHECK(!reach(0x100, 0x9000000, false, &hpa));
}

TEST(refusals)
{
	char why[100];
	struct iommu_domain *d;

	begin();
	d = domain("a");
	CHECK_EQ(iommu_check(0x100, why, sizeof(why)), 0);
	CHECK(iommu_check(0x2100, why, sizeof(why)) == -ENODEV);
	CHECK_STR(why, "no IOMMU serves it");
	bridges[0] = (struct pci_func){ .header = 1, .secondary = 2, .subordinate = 3 };
	bridges[1] = (struct pci_func){ .header = 1,
					.secondary = 4,
					.subordinate = 4,
					.cap_pcie = 0x40,
					.pcie_type = PCIE_TYPE_ROOT_PORT };
	nbridges = 2;
	CHECK(iommu_check(0x300, why, sizeof(why)) == -ENOTSUP);
	CHECK(iommu_attach(d, 0x300) == -ENOTSUP);
	CHECK_EQ(iommu_check(0x400, why, sizeof(why)), 0);
	bridges[1].pcie_type = PCIE_TYPE_TO_PCI;
	CHECK(iommu_check(0x400, why, sizeof(why)) == -ENOTSUP);
	iommu.common.irqs = false;
	CHECK(iommu_check(0x100, why, sizeof(why)) == -ENOTSUP);
	CHECK_STR(why, "the IOMMU does not remap interrupts");
	iommu.driver = NULL;
	CHECK(iommu_check(0x100, why, sizeof(why)) == -ENODEV);
	CHECK(!iommu_present() && !iommu_host() && !iommu_limit());
}

TEST(virtual_functions)
{
	char why[100];

	begin();
	bridges[0] = (struct pci_func){ .bdf = 0x2008, .ext_sriov = SRIOV_AT };
	nbridges = 1;
	CHECK_EQ(iommu_check(0x2008, why, sizeof(why)), 0);
	CHECK_EQ(iommu_check(0x2088, why, sizeof(why)), 0);
	CHECK_EQ(iommu_check(0x2096, why, sizeof(why)), 0);
	CHECK(iommu_check(0x2089, why, sizeof(why)) == -ENODEV);
	CHECK(iommu_check(0x2098, why, sizeof(why)) == -ENODEV); /* the ninth */
	CHECK(iommu_check(0x2086, why, sizeof(why)) == -ENODEV);
}

TEST(limits)
{
	struct iommu_client c = { .name = "x", .account = &account };
	struct iommu_domain *d, *last = NULL;
	u32 n = 0;
	int err;

	begin();
	while ((err = iommu_domain_create(&c, &d)) == 0) {
		last = d;
		n++;
	}
	CHECK(err == -ENOSPC);
	CHECK_EQ(n, 16 - DOMAIN_FIRST); /* the units have 16 ids */
	CHECK_EQ(iommu_domain_destroy(last), 0);
	CHECK_EQ(iommu_domain_create(&c, &d), 0);
}

TEST(interrupts)
{
	struct iommu_irq q = { 0 }, many;
	struct iommu_msi m;
	struct iommu_domain *d;

	begin();
	d = domain("a");
	CHECK(iommu_irq_alloc(0x100, 1, &q) == -ENODEV);
	attach(d, 0x100);
	CHECK(iommu_irq_alloc(0x100, 0, &q) == -EINVAL);
	CHECK(iommu_irq_alloc(0x100, 257, &q) == -EINVAL);
	CHECK_EQ(iommu_irq_alloc(0x100, 1, &q), 0);
	CHECK_EQ(iommu_irq_alloc(0x100, 8, &many), 0);
	CHECK_EQ(iommu_irq_route(&many, 3, 0x41, 1, &m), 0);
	CHECK_EQ(m.data, many.first + 3u);
	CHECK_EQ(irq_vector[0][many.first + 3], 0x41);
	CHECK(iommu_irq_route(&many, 8, 0x41, 1, &m) == -EINVAL);
	CHECK(iommu_irq_route(&many, 0, 0x1f, 1, &m) == -EINVAL);
	CHECK(iommu_irq_route(&many, 0, 0x41, 0xff, &m) == -ERANGE);
	CHECK_EQ(iommu_irq_block(&many, 3), 0);
	CHECK_EQ(irq_vector[0][many.first + 3], 0);
	iommu_irq_free(&many);
	CHECK(!many.used);
	iommu_irq_free(&many);
	CHECK(iommu_irq_route(&many, 0, 0x41, 1, &m) == -EINVAL);
	dead[0] = true;
	CHECK(iommu_irq_route(&q, 0, 0x42, 1, &m) == -ETIMEDOUT);
	CHECK_EQ(nbroken, 1);
	CHECK(iommu_detach(0x100) == -ETIMEDOUT);
	/* Without remapping: plain messages. */
	iommu.driver = NULL;
	CHECK_EQ(iommu_irq_alloc(0x100, 1, &q), 0);
	CHECK_EQ(iommu_irq_route(&q, 0, 0x42, 3, &m), 0);
	CHECK_EQ(m.address, 0xfee03000);
	CHECK_EQ(m.data, 0x42);
	CHECK(iommu_irq_route(&q, 0, 0x42, 0x100, &m) == -ERANGE);
}

UNIT_MAIN({ "states", states }, { "bad_ranges", bad_ranges }, { "random_history", random_history },
	  { "unit_dies", unit_dies }, { "dies_at_attach_and_detach", dies_at_attach_and_detach },
	  { "reserved_memory", reserved_memory }, { "refusals", refusals },
	  { "virtual_functions", virtual_functions }, { "limits", limits },
	  { "interrupts", interrupts })
