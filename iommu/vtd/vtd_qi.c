/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invalidation descriptors.
 */
#include "iommu/vtd/vtd_qi.h"

#include "kernel/base/bits.h"

#define QI_CONTEXT 1ull
#define QI_IOTLB   2ull
#define QI_IEC	   4ull
#define QI_WAIT	   5ull

/* Granularity, bits 5:4. */
#define QI_GLOBAL 1ull
#define QI_DOMAIN 2ull
#define QI_FINE	  3ull /* function, or pages */

#define QI_IOTLB_DW   BIT(6)
#define QI_IOTLB_DR   BIT(7)
#define QI_IEC_INDEX  BIT(4)
#define QI_WAIT_WRITE BIT(5)
#define QI_WAIT_FENCE BIT(6)

struct vtd_entry vtd_qi_context_all(void)
{
	return (struct vtd_entry){ QI_CONTEXT | QI_GLOBAL << 4, 0 };
}

struct vtd_entry vtd_qi_context_device(u16 domain, u16 source)
{
	/* Function mask 0: all 16 bits of the source id count. */
	return (struct vtd_entry){
		QI_CONTEXT | QI_FINE << 4 | (u64)domain << 16 | (u64)source << 32, 0
	};
}

static u64 iotlb(const struct vtd_caps *c, u64 granularity, u16 domain)
{
	u64 lo = QI_IOTLB | granularity << 4 | (u64)domain << 16;

	if (c->drain_write)
		lo |= QI_IOTLB_DW;
	return c->drain_read ? lo | QI_IOTLB_DR : lo;
}

struct vtd_entry vtd_qi_iotlb_all(const struct vtd_caps *c)
{
	return (struct vtd_entry){ iotlb(c, QI_GLOBAL, 0), 0 };
}

struct vtd_entry vtd_qi_iotlb_domain(const struct vtd_caps *c, u16 domain)
{
	return (struct vtd_entry){ iotlb(c, QI_DOMAIN, domain), 0 };
}

struct vtd_entry vtd_qi_iotlb_range(const struct vtd_caps *c, u16 domain, u64 first, u64 last)
{
	u64 a = first >> PAGE_SHIFT, b = last >> PAGE_SHIFT;
	u32 order = a == b ? 0 : 64 - (u32)__builtin_clzll(a ^ b);

	if (!c->page_flush || order > c->flush_order)
		return vtd_qi_iotlb_domain(c, domain);
	/* Invalidation hint 0: tables above the leaves may have changed as well. */
	return (struct vtd_entry){ iotlb(c, QI_FINE, domain),
				   align_down(first, PAGE_SIZE << order) | order };
}

struct vtd_entry vtd_qi_irq_all(void)
{
	return (struct vtd_entry){ QI_IEC, 0 };
}

struct vtd_entry vtd_qi_irq(u16 index, u8 order)
{
	return (struct vtd_entry){ QI_IEC | QI_IEC_INDEX | (u64)order << 27 | (u64)index << 32, 0 };
}

struct vtd_entry vtd_qi_wait(hpa_t status, u32 value)
{
	/* The fence keeps what follows behind what came before. */
	return (struct vtd_entry){ QI_WAIT | QI_WAIT_WRITE | QI_WAIT_FENCE | (u64)value << 32,
				   status };
}
