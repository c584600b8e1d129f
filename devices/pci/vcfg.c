/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual configuration space. PCI Local Bus 3.0 §6, PCI-to-PCI bridge 1.2 §3.2, PCI Express
 * base specification §7.5.
 */
#include "devices/pci/vcfg.h"

#include "kernel/base/assert.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define BAR_IO	     0x1u
#define BAR_MEM64    0x4u
#define BAR_PREFETCH 0x8u

#define PCIE_CAP_LEN 0x3c

u16 vcfg_get16(const struct vcfg *c, u32 off)
{
	return get_le16(c->value + off);
}

u32 vcfg_get32(const struct vcfg *c, u32 off)
{
	return get_le32(c->value + off);
}

void vcfg_set16(struct vcfg *c, u32 off, u16 value, u16 rw)
{
	put_le16(c->value + off, value);
	put_le16(c->rw + off, rw);
}

void vcfg_set32(struct vcfg *c, u32 off, u32 value, u32 rw)
{
	put_le32(c->value + off, value);
	put_le32(c->rw + off, rw);
}

void vcfg_set_w1c16(struct vcfg *c, u32 off, u16 mask)
{
	put_le16(c->w1c + off, mask);
}

static void init_bridge(struct vcfg *c)
{
	vcfg_set32(c, PCI_PRIMARY_BUS, 0, 0xffffffff & ~0xff000000u);
	vcfg_set16(c, 0x1c, 0x0101, 0xf0f0);	      /* I/O window, 32-bit */
	vcfg_set_w1c16(c, 0x1e, 0xf900);	      /* secondary status */
	vcfg_set32(c, 0x20, 0, 0xfff0fff0);	      /* memory window */
	vcfg_set32(c, 0x24, 0x00010001, 0xfff0fff0);  /* prefetchable window, 64-bit */
	vcfg_set32(c, 0x28, 0, 0xffffffff);
	vcfg_set32(c, 0x2c, 0, 0xffffffff);
	vcfg_set32(c, 0x30, 0, 0xffffffff);	      /* upper halves of the I/O window */
	vcfg_set16(c, 0x3e, 0, 0x005f);		      /* bridge control */
}

void vcfg_init(struct vcfg *c, const struct vcfg_ids *ids, const struct vcfg_env *env)
{
	memset(c, 0, sizeof(*c));
	c->env = *env;
	c->next_free = 0x40;
	vcfg_set16(c, PCI_VENDOR_ID, ids->vendor, 0);
	vcfg_set16(c, PCI_VENDOR_ID + 2, ids->device, 0);
	vcfg_set16(c, PCI_COMMAND, 0,
		   PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			   PCI_COMMAND_INTX_OFF | 0x0140); /* parity response, SERR# */
	vcfg_set_w1c16(c, PCI_STATUS, 0xf900);
	vcfg_set32(c, PCI_CLASS_REVISION, ids->class_code << 8 | ids->revision, 0);
	c->rw[0x0c] = 0xff; /* cache line size: read and write, no effect */
	c->value[PCI_HEADER_TYPE] = ids->bridge;
	c->value[PCI_IRQ_PIN] = ids->irq_pin;
	c->rw[PCI_IRQ_LINE] = 0xff;
	if (ids->bridge)
		init_bridge(c);
	else
		vcfg_set32(c, PCI_SUBSYSTEM_ID, (u32)ids->sub_device << 16 | ids->sub_vendor, 0);
	vcfg_seal(c);
}

void vcfg_add_bar(struct vcfg *c, unsigned n, enum vcfg_bar_kind kind, u64 size, bool prefetch)
{
	u32 off = PCI_BAR0 + 4 * n, flags = kind == VCFG_BAR_IO ? BAR_IO : 0;
	u64 mask = ~(size - 1);

	ASSERT(n + (kind == VCFG_BAR_MEM64) < VCFG_BARS && (size & (size - 1)) == 0);
	ASSERT(size >= (kind == VCFG_BAR_IO ? 4 : 16));
	if (kind == VCFG_BAR_MEM64)
		flags |= BAR_MEM64;
	if (prefetch)
		flags |= BAR_PREFETCH;
	c->bar[n] = (struct vcfg_bar){ .kind = (u8)kind, .size = size };
	vcfg_set32(c, off, flags, (u32)mask & (kind == VCFG_BAR_IO ? 0xffffu : ~0u));
	if (kind == VCFG_BAR_MEM64)
		vcfg_set32(c, off + 4, 0, (u32)(mask >> 32));
	vcfg_seal(c);
}

u8 vcfg_add_cap(struct vcfg *c, u8 id, u8 len)
{
	u8 off = c->next_free;

	ASSERT(len >= 2 && off + ((len + 3u) & ~3u) <= VCFG_LEN);
	c->value[off] = id;
	c->value[c->last_cap ? c->last_cap + 1 : PCI_CAP_POINTER] = off;
	c->value[PCI_STATUS] |= PCI_STATUS_CAPS;
	c->last_cap = off;
	c->next_free = (u8)(off + ((len + 3) & ~3));
	vcfg_seal(c);
	return off;
}

void vcfg_set_link(struct vcfg *c, u8 off)
{
	vcfg_set32(c, off + 12u, 0x00000011, 0); /* capabilities */
	vcfg_set16(c, off + 16u, 0, 0x01cb);	 /* control */
	vcfg_set16(c, off + 18u, 0x0011, 0);	 /* status */
}

u8 vcfg_add_pcie(struct vcfg *c, enum vcfg_pcie_type type)
{
	u8 off = vcfg_add_cap(c, PCI_CAP_PCIE, PCIE_CAP_LEN);

	vcfg_set16(c, off + 2u, (u16)(2 | type << 4), 0);
	vcfg_set32(c, off + 4u, 0x00008000, 0);		/* role-based error reporting */
	vcfg_set16(c, off + 8u, 0x2810, 0x70ff);	/* device control */
	vcfg_set_w1c16(c, off + 10u, 0x000f);		/* device status */
	if (type != PCIE_ROOT_ENDPOINT)
		vcfg_set_link(c, off);
	if (type == PCIE_ROOT_PORT)
		vcfg_set16(c, off + 28u, 0, 0x001f); /* root control */
	vcfg_seal(c);
	return off;
}

void vcfg_seal(struct vcfg *c)
{
	memcpy(c->power_on, c->value, sizeof(c->value));
}

/* ---- BARs ------------------------------------------------------------------------------ */

static u64 bar_address(const struct vcfg *c, unsigned n)
{
	u32 low = vcfg_get32(c, PCI_BAR0 + 4 * n);

	switch (c->bar[n].kind) {
	case VCFG_BAR_IO:
		return low & ~0x3u;
	case VCFG_BAR_MEM64:
		return (low & ~0xfu) | (u64)vcfg_get32(c, PCI_BAR0 + 4 * n + 4) << 32;
	default:
		return low & ~0xfu;
	}
}

/* Decoded: enabled by the command register, and at an address (0 and the sizing value are none). */
static bool bar_wanted(const struct vcfg *c, unsigned n, u64 *base)
{
	u16 command = vcfg_get16(c, PCI_COMMAND);
	bool io = c->bar[n].kind == VCFG_BAR_IO;
	u64 last;

	if (!(command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)))
		return false;
	*base = bar_address(c, n);
	if (!*base || !checked_add(*base, c->bar[n].size - 1, &last))
		return false;
	return c->bar[n].kind != VCFG_BAR_MEM32 || last < ~0u;
}

static void sync_bars(struct vcfg *c)
{
	for (unsigned n = 0; n < VCFG_BARS; n++) {
		struct vcfg_bar *b = &c->bar[n];
		u64 base = 0;
		bool want = b->kind != VCFG_BAR_NONE && bar_wanted(c, n, &base);

		if (b->mapped && (!want || base != b->base)) {
			b->mapped = false;
			if (c->env.bar_unmap)
				c->env.bar_unmap(c->env.ctx, n, b->base, b->size);
		}
		if (want && !b->mapped) {
			b->mapped = true;
			b->base = base;
			if (c->env.bar_map)
				c->env.bar_map(c->env.ctx, n, base, b->size);
		}
	}
}

void vcfg_unmap_all(struct vcfg *c)
{
	c->value[PCI_COMMAND] &= (u8)~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	sync_bars(c);
}

void vcfg_reset(struct vcfg *c)
{
	vcfg_unmap_all(c);
	memcpy(c->value, c->power_on, sizeof(c->value));
}

/* ---- access ---------------------------------------------------------------------------- */

u32 vcfg_read(struct vcfg *c, u32 off, unsigned size)
{
	u32 v = 0;

	if (off + size > VCFG_LEN)
		return 0;
	if (c->env.read)
		c->env.read(c->env.ctx, off, size);
	for (unsigned i = 0; i < size; i++)
		v |= (u32)c->value[off + i] << (i * 8);
	return v;
}

void vcfg_write(struct vcfg *c, u32 off, unsigned size, u32 value)
{
	if (off + size > VCFG_LEN)
		return;
	for (unsigned i = 0; i < size; i++) {
		u8 v = (u8)(value >> (i * 8)), *reg = &c->value[off + i];

		*reg = (u8)((*reg & ~c->rw[off + i]) | (v & c->rw[off + i]));
		*reg &= (u8)~(v & c->w1c[off + i]);
	}
	if (off < PCI_BAR0 + 4 * VCFG_BARS)
		sync_bars(c);
	if (c->env.written)
		c->env.written(c->env.ctx, off, size);
}

bool vcfg_set_intx(struct vcfg *c, bool asserted)
{
	c->value[PCI_STATUS] &= (u8)~PCI_STATUS_INTX;
	if (asserted)
		c->value[PCI_STATUS] |= PCI_STATUS_INTX;
	return asserted && !(vcfg_get16(c, PCI_COMMAND) & PCI_COMMAND_INTX_OFF);
}

int vcfg_resume(struct vcfg *c)
{
	for (u32 i = 0; i < VCFG_LEN; i++) {
		u8 fixed = (u8)~(c->rw[i] | c->w1c[i]);

		if (i == PCI_STATUS)
			fixed &= (u8)~PCI_STATUS_INTX;
		if ((c->value[i] ^ c->power_on[i]) & fixed)
			return -EINVAL;
	}
	for (unsigned n = 0; n < VCFG_BARS; n++)
		c->bar[n].mapped = false;
	sync_bars(c);
	return 0;
}
