/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD-Vi commands.
 */
#include "iommu/amdvi/amdvi_cmd.h"

#include "kernel/base/bits.h"

#define CMD(op)	      ((u64)(op) << 60)
#define CMD_WAIT      CMD(1)
#define CMD_DEVICE    CMD(2)
#define CMD_PAGES     CMD(3)
#define CMD_IRQS      CMD(5)
#define CMD_ALL	      CMD(8)

#define WAIT_STORE    BIT(0)
#define WAIT_FLUSH    BIT(2) /* what comes later waits for what came before */
#define PAGES_SIZE    BIT(0) /* the address holds a size */
#define PAGES_PDE     BIT(1) /* table entries too, not only leaves */
#define PAGES_ALL     MASK(62, 12)

struct amdvi_cmd amdvi_cmd_wait(hpa_t store, u64 value)
{
	return (struct amdvi_cmd){ CMD_WAIT | store | WAIT_STORE | WAIT_FLUSH, value };
}

struct amdvi_cmd amdvi_cmd_device(u16 source)
{
	return (struct amdvi_cmd){ CMD_DEVICE | source, 0 };
}

struct amdvi_cmd amdvi_cmd_domain(u16 domain)
{
	return (struct amdvi_cmd){ CMD_PAGES | (u64)domain << 32,
				   PAGES_ALL | PAGES_SIZE | PAGES_PDE };
}

struct amdvi_cmd amdvi_cmd_pages(u16 domain, u64 first, u64 last)
{
	u64 diff = (first ^ last) >> PAGE_SHIFT;
	u32 order = diff ? 64 - (u32)__builtin_clzll(diff) : 0;
	struct amdvi_cmd c = { CMD_PAGES | (u64)domain << 32, PAGES_PDE };

	if (order == 0) {
		c.hi |= align_down(first, PAGE_SIZE);
		return c;
	}
	if (order > 50)
		return amdvi_cmd_domain(domain);
	/* The lowest zero bit from bit 12 up tells the size: it stands for 2^(bit + 1) bytes. */
	c.hi |= align_down(first, PAGE_SIZE << order) |
		align_down((PAGE_SIZE << (order - 1)) - 1, PAGE_SIZE);
	c.hi |= PAGES_SIZE;
	return c;
}

struct amdvi_cmd amdvi_cmd_irqs(u16 source)
{
	return (struct amdvi_cmd){ CMD_IRQS | source, 0 };
}

struct amdvi_cmd amdvi_cmd_all(void)
{
	return (struct amdvi_cmd){ CMD_ALL, 0 };
}
