/* SPDX-License-Identifier: Apache-2.0 */
#include "iommu/resv.h"
#include "kernel/base/err.h"
#include "kernel/mm/pgfmt.h"
#include "unit.h"

static struct resv r;

static int add(hpa_t base, u64 len, u16 first, u16 last)
{
	struct resv_region n = { base, len, PG_R | PG_W, first, last };

	return resv_add(&r, &n);
}

TEST(regions)
{
	u32 at = 0;

	memset(&r, 0, sizeof(r));
	CHECK_EQ(add(0x7f800000, 0x200000, 0x10, 0x10), 0);
	CHECK_EQ(add(0x7f800000, 0x200000, 0x11, 0x12), 0);
	CHECK_EQ(r.count, 1);
	CHECK_EQ(add(0x7e000000, 0x1000, 0x12, 0x20), 0);
	CHECK_EQ(r.count, 2);
	CHECK(resv_has(&r, 0x10) && resv_has(&r, 0x12) && resv_has(&r, 0x20));
	CHECK(!resv_has(&r, 0x0f) && !resv_has(&r, 0x21));
	CHECK_EQ(resv_next(&r, 0x12, &at)->base, 0x7f800000);
	CHECK_EQ(resv_next(&r, 0x12, &at)->base, 0x7e000000);
	CHECK(!resv_next(&r, 0x12, &at));
}

TEST(refused)
{
	memset(&r, 0, sizeof(r));
	CHECK(add(0x1000, 0, 1, 1) == -EINVAL);
	CHECK(add(0x1800, 0x1000, 1, 1) == -EINVAL);
	CHECK(add(0x1000, 0x800, 1, 1) == -EINVAL);
	CHECK(add(0x1000, 0x1000, 2, 1) == -EINVAL);
	CHECK(add(~0ull & ~0xfffull, 0x2000, 1, 1) == -EINVAL);
	CHECK(add(0xfedff000, 0x2000, 1, 1) == -EINVAL); /* into the interrupt range */
	CHECK(add(0xfeeff000, 0x1000, 1, 1) == -EINVAL);
	CHECK_EQ(add(0xfef00000, 0x1000, 1, 1), 0);
	for (u16 i = 1; i < RESV_REGIONS; i++)
		CHECK_EQ(add((u64)i << 20, 0x1000, i, i), 0);
	CHECK(add(0x1000, 0x1000, 1, 1) == -ENOSPC);
}

UNIT_MAIN({ "regions", regions }, { "refused", refused })
