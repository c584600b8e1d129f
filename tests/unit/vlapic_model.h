/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A local APIC and what is around it: a clock, a timer, the bus that messages go over.
 * One APIC is under test; what it sends is counted and kept.
 */
#ifndef TESTS_UNIT_VLAPIC_MODEL_H
#define TESTS_UNIT_VLAPIC_MODEL_H

#include "unit.h"

#include "devices/platform/vlapic.h"
#include "kernel/base/err.h"

static struct {
	u64 now, armed_at;
	bool armed;
	unsigned sent, eois;
	struct apic_msg msg;
	u8 eoi_vector;
	int acks;
} e;

static u64 env_now(void *c)
{
	(void)c;
	return e.now;
}

static void env_arm(void *c, u64 now, u64 ticks)
{
	(void)c;
	e.armed = true;
	e.armed_at = now + ticks;
}

static void env_send(void *c, const struct apic_msg *m)
{
	(void)c;
	e.sent++;
	e.msg = *m;
}

static void env_eoi(void *c, u8 vector)
{
	(void)c;
	e.eois++;
	e.eoi_vector = vector;
}

static u8 env_ack(void *c)
{
	(void)c;
	e.acks++;
	return 0x27;
}

static struct vlapic L;
static const struct irqchip_ops *ops = &vlapic_irqchip;

static void setup(u32 id)
{
	const struct vlapic_env env = { NULL, env_now, env_arm, env_send, env_eoi, env_ack };
	const struct vlapic_config cfg = { .id = id, .bsp = id == 0, .x2apic = true,
					   .tsc_deadline = true, .maxphyaddr = 40,
					   .tsc_khz = 2000000, .apic_khz = 1000000 };

	memset(&e, 0, sizeof(e));
	vlapic_init(&L, &cfg, &env);
}

static void wr(u64 off, u32 value)
{
	u64 v = value;

	ops->mmio(&L, off, 4, true, &v);
}

static u32 rd(u64 off)
{
	u64 v = ~0ull;

	ops->mmio(&L, off, 4, false, &v);
	return (u32)v;
}

static void x2_on(void)
{
	CHECK(ops->wrmsr(&L, 0x1b, 0xfee00000 | 0xc00 | (L.cfg.bsp ? 0x100 : 0)));
	CHECK(ops->wrmsr(&L, 0x80f, 0x1ff));
}

#endif
