/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O APIC: registers, edge and level pins, remote IRR, both kinds of EOI.
 */
#include "unit.h"

#include "devices/platform/vioapic.h"
#include "kernel/base/err.h"

static struct vioapic io;
static struct apic_msg last;
static unsigned sent;

static void env_deliver(void *c, const struct apic_msg *m)
{
	(void)c;
	last = *m;
	sent++;
}

static void setup(void)
{
	const struct vioapic_env env = { NULL, env_deliver };

	sent = 0;
	vioapic_init(&io, &env);
}

static u32 rd(u32 reg)
{
	u64 v = reg;

	vioapic_mmio(&io, 0, 4, true, &v);
	vioapic_mmio(&io, 0x10, 4, false, &v);
	return (u32)v;
}

static void wr(u32 reg, u32 value)
{
	u64 v = reg;

	vioapic_mmio(&io, 0, 4, true, &v);
	v = value;
	vioapic_mmio(&io, 0x10, 4, true, &v);
}

TEST(registers)
{
	u64 v = ~0ull;

	setup();
	CHECK_EQ(rd(0), 0);
	CHECK_EQ(rd(1), 0x170020);
	wr(0, 0xff000000);
	CHECK_EQ(rd(0), 0x0f000000);
	CHECK_EQ(rd(2), 0x0f000000);
	CHECK_EQ(rd(0x10), 0x10000);
	wr(0x10, 0xffffffff);
	wr(0x11, 0xffffffff);
	CHECK_EQ(rd(0x10), 0x1afff); /* status and remote IRR are read-only */
	CHECK_EQ(rd(0x11), 0xff000000);
	CHECK_EQ(rd(0x3f), 0);
	CHECK_EQ(rd(0x40), 0);
	wr(0x40, 5);
	CHECK_EQ(rd(0xff), 0);
	vioapic_mmio(&io, 0x20, 4, false, &v);
	CHECK_EQ(v, 0);
}

TEST(edge)
{
	setup();
	vioapic_set_line(&io, 4, true); /* masked: lost */
	wr(0x19, 0x03000000);
	wr(0x18, 0x00000834);
	CHECK_EQ(sent, 0);
	vioapic_set_line(&io, 4, true);
	CHECK_EQ(sent, 0);
	vioapic_set_line(&io, 4, false);
	vioapic_set_line(&io, 4, true);
	CHECK_EQ(sent, 1);
	CHECK_EQ(last.vector, 0x34);
	CHECK_EQ(last.dest, 3);
	CHECK(last.logical && !last.level && last.assert);
	vioapic_set_line(&io, 24, true); /* no such pin */
	CHECK_EQ(sent, 1);
}

TEST(level)
{
	u64 v = 0x51;

	setup();
	wr(0x22, 0x08051); /* level, unmasked */
	vioapic_set_line(&io, 9, true);
	CHECK_EQ(sent, 1);
	CHECK(last.level);
	CHECK_EQ(rd(0x22), 0x0c051);
	vioapic_set_line(&io, 9, false);
	vioapic_set_line(&io, 9, true);
	CHECK_EQ(sent, 1); /* waits for the EOI */
	vioapic_eoi(&io, 0x50);
	CHECK_EQ(sent, 1);
	vioapic_eoi(&io, 0x51);
	CHECK_EQ(sent, 2); /* still asserted */
	vioapic_set_line(&io, 9, false);
	vioapic_mmio(&io, 0x40, 4, true, &v); /* directed EOI */
	CHECK_EQ(sent, 2);
	CHECK_EQ(rd(0x22), 0x08051);
	wr(0x22, 0x18051);
	vioapic_set_line(&io, 9, true);
	CHECK_EQ(sent, 2);
	wr(0x22, 0x08051); /* unmasking finds it */
	CHECK_EQ(sent, 3);
	wr(0x22, 0x10051); /* to edge and back ends it */
	CHECK_EQ(rd(0x22), 0x10051);
	wr(0x22, 0x08051);
	CHECK_EQ(sent, 4);
}

TEST(resume)
{
	setup();
	io.rte[5] = 0x8055;
	io.lines = 1u << 5;
	CHECK_EQ(vioapic_resume(&io), 0);
	CHECK_EQ(sent, 1);
	io.rte[5] = 0x4055;
	CHECK_EQ(vioapic_resume(&io), -EINVAL);
	io.rte[5] = 1ull << 40;
	CHECK_EQ(vioapic_resume(&io), -EINVAL);
}

UNIT_MAIN({ "registers", registers }, { "edge", edge }, { "level", level },
	  { "resume", resume })
