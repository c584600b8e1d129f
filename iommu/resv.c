/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reserved regions by requester id.
 */
#include "iommu/resv.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"

int resv_add(struct resv *r, const struct resv_region *n)
{
	struct resv_region *last = r->count ? &r->region[r->count - 1] : NULL;
	u64 end;

	if (n->len == 0 || !is_aligned(n->base | n->len, PAGE_SIZE) || n->last < n->first ||
	    !checked_add(n->base, n->len, &end) ||
	    ranges_overlap(n->base, n->len, RESV_MSI_BASE, RESV_MSI_SIZE))
		return -EINVAL;
	if (last && last->base == n->base && last->len == n->len && last->rights == n->rights &&
	    last->last + 1 == n->first) {
		last->last = n->last;
		return 0;
	}
	if (r->count == RESV_REGIONS)
		return -ENOSPC;
	r->region[r->count++] = *n;
	return 0;
}

const struct resv_region *resv_next(const struct resv *r, u16 bdf, u32 *at)
{
	while (*at < r->count) {
		const struct resv_region *n = &r->region[(*at)++];

		if (bdf >= n->first && bdf <= n->last)
			return n;
	}
	return NULL;
}

bool resv_has(const struct resv *r, u16 bdf)
{
	u32 at = 0;

	return resv_next(r, bdf, &at) != NULL;
}
