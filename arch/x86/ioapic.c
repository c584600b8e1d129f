/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O APIC registers (82093AA layout): an index and a data window.
 */
#include "arch/x86/ioapic.h"

#include "arch/x86/cpu.h"
#include "arch/x86/io.h"
#include "kernel/base/err.h"

#define IOREGSEL 0x00
#define IOWIN	 0x10
#define REG_VER	 0x01
#define REG_RTE	 0x10 /* two 32-bit registers an input */

#define RTE_ACTIVE_LOW (1u << 13)
#define RTE_LEVEL      (1u << 15)
#define RTE_MASKED     (1u << 16)

static struct {
	volatile u8 *mmio;
	u32 base, inputs;
} chips[IOAPIC_MAX];
static u32 nchips;
static int (*remap)(const struct ioapic_route *r, u64 *rte);

static u32 reg_read(u32 chip, u32 reg)
{
	mmio_write32(chips[chip].mmio + IOREGSEL, reg);
	return mmio_read32(chips[chip].mmio + IOWIN);
}

static void reg_write(u32 chip, u32 reg, u32 v)
{
	mmio_write32(chips[chip].mmio + IOREGSEL, reg);
	mmio_write32(chips[chip].mmio + IOWIN, v);
}

int ioapic_add(volatile void *mmio, u32 gsi_base)
{
	u32 c = nchips;

	if (c == IOAPIC_MAX)
		return -ENOSPC;
	chips[c].mmio = mmio;
	chips[c].base = gsi_base;
	chips[c].inputs = (reg_read(c, REG_VER) >> 16 & 0xff) + 1;
	nchips++;
	for (u32 i = 0; i < chips[c].inputs; i++)
		reg_write(c, REG_RTE + 2 * i, RTE_MASKED);
	return (int)chips[c].inputs;
}

static bool find(u32 gsi, u32 *chip, u32 *reg)
{
	for (u32 c = 0; c < nchips; c++) {
		if (gsi >= chips[c].base && gsi - chips[c].base < chips[c].inputs) {
			*chip = c;
			*reg = REG_RTE + 2 * (gsi - chips[c].base);
			return true;
		}
	}
	return false;
}

static int write_route(u32 chip, u32 reg, const struct ioapic_route *r)
{
	u64 rte = (u64)r->dest << 56 | (r->level ? RTE_LEVEL : 0) |
		  (r->active_low ? RTE_ACTIVE_LOW : 0) | r->vector;
	int err = 0;

	if (remap)
		err = remap(r, &rte);
	else if (r->dest > 0xff)
		err = -ERANGE;
	reg_write(chip, reg, RTE_MASKED);
	if (err)
		return err;
	reg_write(chip, reg + 1, (u32)(rte >> 32));
	reg_write(chip, reg, (u32)rte);
	return 0;
}

int ioapic_route(u32 gsi, u8 vector, u32 dest, bool level, bool active_low)
{
	struct ioapic_route r = {
		.vector = vector, .dest = dest, .level = level, .active_low = active_low
	};
	u32 chip, reg;

	if (!find(gsi, &chip, &reg))
		return -ENODEV;
	r.gsi_base = chips[chip].base;
	r.pin = gsi - r.gsi_base;
	return write_route(chip, reg, &r);
}

static int rewrite(u32 chip, u32 pin)
{
	u32 reg = REG_RTE + 2 * pin, lo = reg_read(chip, reg);
	struct ioapic_route r = {
		.gsi_base = chips[chip].base,
		.pin = pin,
		.vector = (u8)lo,
		.dest = reg_read(chip, reg + 1) >> 24,
		.level = (lo & RTE_LEVEL) != 0,
		.active_low = (lo & RTE_ACTIVE_LOW) != 0,
	};

	return lo & RTE_MASKED ? 0 : write_route(chip, reg, &r);
}

int ioapic_set_remap(int (*fn)(const struct ioapic_route *r, u64 *rte))
{
	int first = 0;

	remap = fn;
	for (u32 c = 0; c < nchips; c++) {
		for (u32 i = 0; i < chips[c].inputs; i++) {
			int err = rewrite(c, i);

			first = first ? first : err;
		}
	}
	return first;
}
