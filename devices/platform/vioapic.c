/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O APIC: redirection table, edge and level pins, remote IRR.
 */
#include "devices/platform/vioapic.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define RTE_STATUS   BIT(12)
#define RTE_REMOTE   BIT(14)
#define RTE_LEVEL    BIT(15)
#define RTE_MASKED   BIT(16)
#define RTE_VALID    (MASK(63, 56) | MASK(16, 0))
#define RTE_READONLY (RTE_STATUS | RTE_REMOTE)

/* Version 20h, 24 entries. */
#define VERSION (0x20u | (MACHINE_IOAPIC_PINS - 1) << 16)

#define OFF_SELECT 0x00
#define OFF_WINDOW 0x10
#define OFF_EOI	   0x40

#define REG_ID	    0x00
#define REG_VERSION 0x01
#define REG_ARB	    0x02
#define REG_RTE	    0x10

static void deliver(struct vioapic *io, unsigned pin)
{
	u64 rte = io->rte[pin];
	struct apic_msg m = {
		.dest = (u32)(rte >> 56),
		.logical = (rte & BIT(11)) != 0,
		.level = (rte & RTE_LEVEL) != 0,
		.assert = true,
		.delivery = (u8)(rte >> 8 & 7),
		.vector = (u8)rte,
	};

	io->env.deliver(io->env.ctx, &m);
}

/* A level pin sends once and then waits for its EOI. */
static void try_level(struct vioapic *io, unsigned pin)
{
	u64 rte = io->rte[pin];

	if (!(io->lines & BIT(pin)) || !(rte & RTE_LEVEL) || (rte & (RTE_MASKED | RTE_REMOTE)))
		return;
	io->rte[pin] |= RTE_REMOTE;
	deliver(io, pin);
}

void vioapic_set_line(struct vioapic *io, unsigned pin, bool asserted)
{
	u32 bit;

	if (pin >= MACHINE_IOAPIC_PINS)
		return;
	bit = 1u << pin;
	if (!asserted) {
		io->lines &= ~bit;
		return;
	}
	if (io->lines & bit)
		return;
	io->lines |= bit;
	if (io->rte[pin] & RTE_LEVEL)
		try_level(io, pin);
	else if (!(io->rte[pin] & RTE_MASKED)) /* an edge at a masked pin is lost */
		deliver(io, pin);
}

void vioapic_eoi(struct vioapic *io, u8 vector)
{
	for (unsigned pin = 0; pin < MACHINE_IOAPIC_PINS; pin++) {
		u64 rte = io->rte[pin];

		if (!(rte & RTE_REMOTE) || (u8)rte != vector)
			continue;
		io->rte[pin] = rte & ~RTE_REMOTE;
		try_level(io, pin);
	}
}

static void write_rte(struct vioapic *io, unsigned pin, u64 value)
{
	u64 old = io->rte[pin];

	value = (value & RTE_VALID & ~RTE_READONLY) | (old & RTE_READONLY);
	/* Edge mode has no remote IRR; guests switch to it and back to end an interrupt. */
	if (!(value & RTE_LEVEL))
		value &= ~RTE_REMOTE;
	io->rte[pin] = value;
	try_level(io, pin);
}

static u32 window_read(const struct vioapic *io)
{
	u32 n = io->select - REG_RTE;

	switch (io->select) {
	case REG_ID:
	case REG_ARB:
		return io->id << 24;
	case REG_VERSION:
		return VERSION;
	default:
		if (n >= MACHINE_IOAPIC_PINS * 2)
			return 0;
		return (u32)(io->rte[n / 2] >> (n % 2 * 32));
	}
}

static void window_write(struct vioapic *io, u32 value)
{
	u32 n = io->select - REG_RTE;

	if (io->select == REG_ID) {
		io->id = value >> 24 & 0xf;
		return;
	}
	if (n >= MACHINE_IOAPIC_PINS * 2)
		return;
	if (n % 2)
		write_rte(io, n / 2, (io->rte[n / 2] & MASK(31, 0)) | (u64)value << 32);
	else
		write_rte(io, n / 2, (io->rte[n / 2] & MASK(63, 32)) | value);
}

void vioapic_mmio(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	struct vioapic *io = ctx;

	(void)size; /* registers take the low bytes of any access at their offset */
	if (!write)
		*value = 0;
	switch (off) {
	case OFF_SELECT:
		if (write)
			io->select = *value & 0xff;
		else
			*value = io->select;
		break;
	case OFF_WINDOW:
		if (write)
			window_write(io, (u32)*value);
		else
			*value = window_read(io);
		break;
	case OFF_EOI:
		if (write)
			vioapic_eoi(io, (u8)*value);
		break;
	default:
		break;
	}
}

void vioapic_reset(void *state)
{
	struct vioapic *io = state;

	io->id = MACHINE_IOAPIC_ID;
	io->select = 0;
	for (unsigned i = 0; i < MACHINE_IOAPIC_PINS; i++)
		io->rte[i] = RTE_MASKED;
}

void vioapic_init(struct vioapic *io, const struct vioapic_env *env)
{
	memset(io, 0, sizeof(*io));
	io->env = *env;
	vioapic_reset(io);
}

int vioapic_resume(void *state)
{
	struct vioapic *io = state;

	if (io->id > 0xf || io->select > 0xff || io->lines >> MACHINE_IOAPIC_PINS)
		return -EINVAL;
	for (unsigned i = 0; i < MACHINE_IOAPIC_PINS; i++) {
		u64 rte = io->rte[i];

		if ((rte & ~RTE_VALID) || (rte & RTE_STATUS) ||
		    ((rte & RTE_REMOTE) && !(rte & RTE_LEVEL)))
			return -EINVAL;
	}
	for (unsigned i = 0; i < MACHINE_IOAPIC_PINS; i++)
		try_level(io, i);
	return 0;
}

const struct vmstate_field vioapic_fields[] = {
	VMSTATE(struct vioapic, lines, VMS_U32),
	VMSTATE(struct vioapic, id, VMS_U32),
	VMSTATE(struct vioapic, select, VMS_U32),
	VMSTATE_ARRAY(struct vioapic, rte, VMS_U64),
};
const u32 vioapic_nfields = ARRAY_SIZE(vioapic_fields);
