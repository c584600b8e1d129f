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

int ioapic_route(u32 gsi, u8 vector, u32 dest, bool level, bool active_low)
{
	u32 chip, reg;

	if (!find(gsi, &chip, &reg))
		return -ENODEV;
	if (dest > 0xff)
		return -ERANGE;
	reg_write(chip, reg, RTE_MASKED);
	reg_write(chip, reg + 1, dest << 24);
	reg_write(chip, reg,
		  (level ? RTE_LEVEL : 0) | (active_low ? RTE_ACTIVE_LOW : 0) | vector);
	return 0;
}

void ioapic_mask(u32 gsi, bool masked)
{
	u32 chip, reg, v;

	if (!find(gsi, &chip, &reg))
		return;
	v = reg_read(chip, reg);
	reg_write(chip, reg, masked ? v | RTE_MASKED : v & ~RTE_MASKED);
}
