/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware: PM timer, sleep, reset, power button, timer carry.
 */
#include "unit.h"

#include "devices/platform/vpm.h"
#include "kernel/base/err.h"

static struct vpm p;
static u64 now, armed;
static bool sci;
static unsigned offs, resets;

static u64 env_now(void *c)
{
	(void)c;
	return now;
}

static void env_arm(void *c, u64 ns)
{
	(void)c;
	armed = ns;
}

static void env_sci(void *c, bool level)
{
	(void)c;
	sci = level;
}

static void env_off(void *c)
{
	(void)c;
	offs++;
}

static void env_reset(void *c)
{
	(void)c;
	resets++;
}

static void setup(void)
{
	const struct vpm_env env = { NULL, env_now, env_arm, env_sci, env_off, env_reset };

	now = armed = 0;
	sci = false;
	offs = resets = 0;
	vpm_init(&p, &env);
}

static u64 rd(u64 off, unsigned size)
{
	u64 v = 0;

	vpm_io(&p, off, size, false, &v);
	return v & (size == 4 ? ~0u : size == 2 ? 0xffffu : 0xffu);
}

static void wr(u64 off, unsigned size, u64 v)
{
	vpm_io(&p, off, size, true, &v);
}

TEST(timer_rate)
{
	setup();
	CHECK_EQ(rd(8, 4), 0);
	now = 1000000000;
	CHECK_EQ(rd(8, 4), 3579545);
	CHECK_EQ(rd(9, 1), 3579545 >> 8 & 0xff);
	now = 3600ull * 1000000000 * 24 * 365 * 100; /* a century */
	CHECK_EQ(rd(8, 4), 3579545ull * 3600 * 24 * 365 * 100 & 0xffffff);
}

TEST(timer_carry)
{
	setup();
	wr(2, 2, 1);
	CHECK(armed >= 2343000000 && armed < 2344000000);
	CHECK(!sci);
	now = armed;
	vpm_timer(&p);
	CHECK(sci);
	CHECK_EQ(rd(0, 2), 1);
	wr(0, 2, 1);
	CHECK(!sci);
	CHECK(armed > now);
}

TEST(sleep_states)
{
	setup();
	CHECK_EQ(rd(4, 2), 1); /* SCI_EN */
	wr(4, 2, 5 << 10);
	CHECK_EQ(offs, 0);
	CHECK_EQ(rd(4, 2), 5 << 10 | 1);
	wr(4, 2, 5 << 10 | 1 << 13);
	CHECK_EQ(offs, 1);
	CHECK_EQ(rd(4, 2) & 1 << 13, 0);
	wr(4, 2, 3 << 10 | 1 << 13);
	CHECK_EQ(offs, 1);
	CHECK_EQ(rd(0, 2), 0x8000);
	wr(5, 1, (5 << 10 | 1 << 13) >> 8); /* the high byte alone */
	CHECK_EQ(offs, 2);
}

TEST(power_button)
{
	setup();
	CHECK(!vpm_power_button(&p));
	CHECK(!sci);
	wr(3, 1, 1); /* enable, by byte */
	CHECK_EQ(rd(2, 2), 0x100);
	CHECK(sci);
	wr(0, 1, 0xff); /* the other byte: clears nothing of it */
	CHECK(sci);
	wr(0, 4, 0x01000100);
	CHECK(!sci);
	CHECK(vpm_power_button(&p));
	CHECK(sci);
}

TEST(reset_ports)
{
	u8 v = 2;

	setup();
	vpm_cf9(&p, true, &v);
	CHECK_EQ(resets, 0);
	v = 6;
	vpm_cf9(&p, true, &v);
	CHECK_EQ(resets, 1);
	vpm_cf9(&p, false, &v);
	CHECK_EQ(v, 2);
	vpm_port92(&p, false, &v);
	CHECK_EQ(v, 2);
	v = 3;
	vpm_port92(&p, true, &v);
	CHECK_EQ(resets, 2);
}

TEST(resume_checks)
{
	setup();
	p.en = 0x100;
	p.sts = 0x100;
	CHECK_EQ(vpm_resume(&p), 0);
	CHECK(sci);
	p.sts = 0x200;
	CHECK_EQ(vpm_resume(&p), -EINVAL);
}

UNIT_MAIN({ "timer_rate", timer_rate }, { "timer_carry", timer_carry },
	  { "sleep_states", sleep_states }, { "power_button", power_button },
	  { "reset_ports", reset_ports }, { "resume_checks", resume_checks })
