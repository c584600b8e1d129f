/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SR-IOV capability. PCI Express base specification §9.3.3.
 */
#include "devices/sriov/sriov_cap.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

#define ENABLE_US  100000u
#define READY_US   1000000u
#define STEP_US	   1000u
#define DISABLE_US 1000000u /* §9.3.3.3.1: a second before they may be used again */

static u32 rd(const struct pci_cfg *c, const struct sriov *s, u32 off, u8 size)
{
	return c->read(c->ctx, s->pf, (u16)(s->cap + off), size);
}

static void wr(const struct pci_cfg *c, const struct sriov *s, u32 off, u8 size, u32 v)
{
	c->write(c->ctx, s->pf, (u16)(s->cap + off), size, v);
}

static u32 probe(const struct pci_cfg *c, const struct sriov *s, u32 off)
{
	u32 old = rd(c, s, off, 4), mask;

	wr(c, s, off, 4, ~0u);
	mask = rd(c, s, off, 4);
	wr(c, s, off, 4, old);
	return mask;
}

/* VF BARs are memory BARs only. Returns registers taken; 0: impossible. */
static u32 read_bar(const struct pci_cfg *c, const struct sriov *s, u32 i, struct pci_bar *b)
{
	u32 off = SRIOV_BAR0 + 4 * i, v = rd(c, s, off, 4);
	u64 mask = probe(c, s, off) & ~15u;

	if (v & 1)
		return 0;
	b->prefetch = v >> 3 & 1;
	b->mem64 = (v >> 1 & 3) == 2;
	b->addr = v & ~15u;
	if (b->mem64 && i + 1 == SRIOV_BARS)
		return 0;
	if (b->mem64) {
		b->addr |= (u64)rd(c, s, off + 4, 4) << 32;
		mask |= (u64)probe(c, s, off + 4) << 32;
	}
	b->size = mask & (~mask + 1);
	return b->mem64 ? 2 : 1;
}

static int read_bars(const struct pci_cfg *c, struct sriov *s)
{
	for (u32 i = 0, n; i < SRIOV_BARS; i += n) {
		struct pci_bar *b = &s->bar[i];

		n = read_bar(c, s, i, b);
		if (!n || (b->size && b->size < s->page_size))
			return -EPROTO;
	}
	return 0;
}

int sriov_read(const struct pci_cfg *cfg, const struct pci_func *f, struct sriov *out, char *why,
	       size_t why_size)
{
	struct sriov s = { .pf = f->bdf, .cap = f->ext_sriov };
	u32 pages;

	if (!s.cap) {
		fmt_snprintf(why, why_size, "the function has no SR-IOV capability");
		return -ENODEV;
	}
	if (rd(cfg, &s, SRIOV_CTRL, 2) & SRIOV_CTRL_VFE) {
		fmt_snprintf(why, why_size, "its virtual functions are on already");
		return -EBUSY;
	}
	s.total = (u16)rd(cfg, &s, SRIOV_TOTAL, 2);
	s.vf_device = (u16)rd(cfg, &s, SRIOV_DEVICE, 2);
	s.offset = (u16)rd(cfg, &s, SRIOV_OFFSET, 2);
	s.stride = (u16)rd(cfg, &s, SRIOV_STRIDE, 2);
	pages = rd(cfg, &s, SRIOV_PAGES, 4);
	if (!s.total || s.vf_device == 0xffff || !(pages & 1)) {
		fmt_snprintf(why, why_size, "SR-IOV capability is damaged: %u VFs, pages %#x",
			     s.total, pages);
		return -EPROTO;
	}
	s.page_size = PAGE_SIZE;
	wr(cfg, &s, SRIOV_PAGE_SIZE, 4, 1);
	if (read_bars(cfg, &s)) {
		fmt_snprintf(why, why_size, "SR-IOV capability has an impossible BAR");
		return -EPROTO;
	}
	*out = s;
	return 0;
}

u64 sriov_bar_bytes(const struct sriov *s, u32 bar, u16 n)
{
	return bar < SRIOV_BARS ? s->bar[bar].size * n : 0;
}

void sriov_place_bar(const struct pci_cfg *cfg, struct sriov *s, u32 bar, u64 addr)
{
	struct pci_bar *b = &s->bar[bar];

	b->addr = addr;
	wr(cfg, s, SRIOV_BAR0 + 4 * bar, 4, (u32)addr);
	if (b->mem64)
		wr(cfg, s, SRIOV_BAR0 + 4 * bar + 4, 4, (u32)(addr >> 32));
}

u16 sriov_vf_bdf(const struct sriov *s, u16 n)
{
	return (u16)(s->pf + s->offset + (u32)n * s->stride);
}

u64 sriov_vf_bar(const struct sriov *s, u32 bar, u16 n)
{
	return s->bar[bar].addr + s->bar[bar].size * n;
}

/* A VF's vendor id reads all ones by rule: its PCI Express capability tells that it is there. */
static bool vf_answers(const struct pci_cfg *c, const struct sriov *s, u16 n)
{
	u8 at = pci_find_cap(c, sriov_vf_bdf(s, n), PCI_CAP_PCIE);

	return at != 0;
}

void sriov_disable(const struct pci_cfg *cfg, const struct pci_delay *delay, const struct sriov *s)
{
	u32 ctrl = rd(cfg, s, SRIOV_CTRL, 2);

	if (!(ctrl & SRIOV_CTRL_VFE))
		return;
	wr(cfg, s, SRIOV_CTRL, 2, ctrl & ~(SRIOV_CTRL_VFE | SRIOV_CTRL_MSE));
	delay->us(delay->ctx, DISABLE_US);
}

int sriov_enable(const struct pci_cfg *cfg, const struct pci_delay *delay, struct sriov *s, u16 n,
		 bool ari)
{
	u32 ctrl = ari ? SRIOV_CTRL_ARI : 0;

	if (!n || n > s->total)
		return -EINVAL;
	wr(cfg, s, SRIOV_CTRL, 2, ctrl);
	wr(cfg, s, SRIOV_NUM, 2, n);
	s->offset = (u16)rd(cfg, s, SRIOV_OFFSET, 2);
	s->stride = (u16)rd(cfg, s, SRIOV_STRIDE, 2);
	if (!s->offset || (n > 1 && !s->stride) ||
	    s->pf + s->offset + (u32)(n - 1) * s->stride > 0xffff)
		return -ERANGE;
	wr(cfg, s, SRIOV_CTRL, 2, ctrl | SRIOV_CTRL_VFE | SRIOV_CTRL_MSE);
	delay->us(delay->ctx, ENABLE_US);
	for (u32 us = 0; us < READY_US; us += STEP_US) {
		if (vf_answers(cfg, s, (u16)(n - 1)))
			return 0;
		delay->us(delay->ctx, STEP_US);
	}
	sriov_disable(cfg, delay, s);
	return -ETIMEDOUT;
}
