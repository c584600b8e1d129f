/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC: mode changes, priorities, EOI, IPIs, destinations, timer modes.
 */
#include "vlapic_model.h"

TEST(reset_values)
{
	u64 v;

	setup(3);
	CHECK_EQ(rd(0x20), 3u << 24);
	CHECK_EQ(rd(0x30), 0x50014);
	CHECK_EQ(rd(0xe0), ~0u);
	CHECK_EQ(rd(0xf0), 0xff);
	CHECK_EQ(rd(0x350), 0x10000);
	CHECK_EQ(ops->mmio_base(&L), 0xfee00000);
	CHECK(ops->rdmsr(&L, 0x1b, &v));
	CHECK_EQ(v, 0xfee00800);
	setup(0);
	CHECK_EQ(rd(0x350), 0x700); /* virtual wire on the boot CPU */
	CHECK(ops->rdmsr(&L, 0x1b, &v));
	CHECK_EQ(v, 0xfee00900);
}

TEST(base_transitions)
{
	u64 v;

	setup(1);
	CHECK(!ops->rdmsr(&L, 0x802, &v));
	CHECK(!ops->wrmsr(&L, 0x1b, 0xfee00400));	     /* x2APIC without enable */
	CHECK(!ops->wrmsr(&L, 0x1b, 0xfee00801));	     /* reserved bit */
	CHECK(!ops->wrmsr(&L, 0x1b, 0x10000000000 | 0x800)); /* above MAXPHYADDR */
	CHECK(ops->wrmsr(&L, 0x1b, 0xfee00c00));	     /* xAPIC -> x2APIC */
	CHECK_EQ(ops->mmio_base(&L), ~0ull);
	CHECK(ops->rdmsr(&L, 0x802, &v));
	CHECK_EQ(v, 1);
	CHECK(ops->rdmsr(&L, 0x80d, &v));
	CHECK_EQ(v, 2);
	CHECK(!ops->wrmsr(&L, 0x1b, 0xfee00800)); /* x2APIC -> xAPIC */
	CHECK(ops->wrmsr(&L, 0x1b, 0xfee00000));  /* -> disabled */
	CHECK(!ops->wrmsr(&L, 0x1b, 0xfee00c00)); /* disabled -> x2APIC */
	CHECK(ops->wrmsr(&L, 0x1b, 0xfed00800));
	CHECK_EQ(ops->mmio_base(&L), 0xfed00000);
	L.cfg.x2apic = false;
	CHECK(!ops->wrmsr(&L, 0x1b, 0xfee00c00));
}

TEST(x2_register_faults)
{
	u64 v;

	setup(0);
	x2_on();
	CHECK(!ops->wrmsr(&L, 0x80b, 1));
	CHECK(ops->wrmsr(&L, 0x80b, 0));
	CHECK(!ops->rdmsr(&L, 0x80b, &v));
	CHECK(!ops->rdmsr(&L, 0x80e, &v));
	CHECK(!ops->rdmsr(&L, 0x831, &v));
	CHECK(!ops->rdmsr(&L, 0x83f, &v));
	CHECK(!ops->rdmsr(&L, 0x8ff, &v));
	CHECK(!ops->wrmsr(&L, 0x802, 0));
	CHECK(!ops->wrmsr(&L, 0x808, 0x100));
	CHECK(!ops->wrmsr(&L, 0x828, 1));
	CHECK(!ops->wrmsr(&L, 0x830, 1u << 16));
	CHECK(!ops->wrmsr(&L, 0x832, 1u << 19));
	CHECK(ops->wrmsr(&L, 0x838, 5));
	CHECK(!ops->wrmsr(&L, 0x839, 5));
}

TEST(priorities)
{
	setup(0);
	wr(0xf0, 0x1ff);
	CHECK_EQ(ops->pending(&L), -1);
	CHECK(vlapic_post(&L, 0x41, false));
	CHECK(!vlapic_post(&L, 0x41, false));
	CHECK(vlapic_post(&L, 0xef, false));
	CHECK(vlapic_post(&L, 0x45, false));
	CHECK_EQ(ops->pending(&L), 0xef);
	CHECK_EQ(ops->ack(&L), 0xef);
	CHECK_EQ(rd(0xa0), 0xe0);
	CHECK_EQ(rd(0x170), 1u << 15);
	CHECK_EQ(ops->pending(&L), -1);
	wr(0xb0, 0);
	CHECK_EQ(rd(0xa0), 0);
	CHECK_EQ(ops->pending(&L), 0x45);
	wr(0x80, 0x40); /* same class: held */
	CHECK_EQ(ops->pending(&L), -1);
	CHECK_EQ(ops->tpr(&L), 4);
	ops->set_tpr(&L, 3);
	CHECK_EQ(rd(0x80), 0x30);
	CHECK_EQ(ops->ack(&L), 0x45);
	CHECK(!ops->eoi_silent(&L, 0x45)); /* and waits for the end */
	CHECK_EQ(ops->pending(&L), -1); /* 41h is of the class in service */
	CHECK_EQ(rd(0x220), 1u << 1);
	wr(0xb0, 0);
	CHECK_EQ(ops->ack(&L), 0x41);
	CHECK(ops->eoi_silent(&L, 0x41));
	CHECK(!ops->eoi_silent(&L, 0x27)); /* the 8259's: not in service here */
	ops->end(&L);
	CHECK_EQ(rd(0xa0), 0x30);
	wr(0xb0, 0);
	CHECK_EQ(e.eois, 0);
	CHECK_EQ(ops->pending(&L), -1);
}

TEST(level_eoi_broadcast)
{
	struct apic_msg m = { .vector = 0x52, .level = true, .assert = true };

	setup(0);
	CHECK_EQ(vlapic_accept(&L, &m), VLAPIC_NOTHING); /* software-disabled */
	wr(0xf0, 0x1ff);
	CHECK_EQ(vlapic_accept(&L, &m), VLAPIC_KICK);
	CHECK_EQ(rd(0x1a0), 1u << 18);
	CHECK_EQ(ops->ack(&L), 0x52);
	CHECK(!ops->eoi_silent(&L, 0x52));
	wr(0xb0, 0);
	CHECK_EQ(e.eois, 1);
	CHECK_EQ(e.eoi_vector, 0x52);
	vlapic_post(&L, 0x52, false);
	CHECK_EQ(rd(0x1a0), 0);
	ops->ack(&L);
	wr(0xb0, 0);
	CHECK_EQ(e.eois, 1);
}

TEST(ipis)
{
	setup(0);
	wr(0xf0, 0x1ff);
	wr(0x310, 2u << 24);
	wr(0x300, 0x4500); /* INIT assert */
	CHECK_EQ(e.sent, 1);
	CHECK_EQ(e.msg.dest, 2);
	CHECK_EQ(e.msg.delivery, APIC_INIT);
	CHECK(e.msg.assert && !e.msg.logical);
	wr(0x300, 0x0608);
	CHECK_EQ(e.msg.delivery, APIC_SIPI);
	CHECK_EQ(e.msg.vector, 8);
	wr(0x310, 0xff000000);
	wr(0x300, 0x40fd);
	CHECK_EQ(e.msg.dest, ~0u);
	wr(0x300, 0x48fd);
	CHECK_EQ(e.msg.dest, 0xff);
	CHECK(e.msg.logical);
	wr(0x300, 0xc00f2);
	CHECK_EQ(e.msg.shorthand, APIC_OTHERS);
	CHECK_EQ(e.sent, 5);
	wr(0x300, 0x40033); /* self: not routed */
	CHECK_EQ(e.sent, 5);
	CHECK_EQ(ops->ack(&L), 0x33);
	wr(0x370, 0xfe);
	wr(0x300, 0x0000f); /* vector 15: error */
	CHECK_EQ(e.sent, 5);
	CHECK_EQ(rd(0x280), 0);
	wr(0x280, 0);
	CHECK_EQ(rd(0x280), 1u << 5);
	CHECK_EQ(ops->ack(&L), 0xfe);
	setup(0);
	x2_on();
	CHECK(ops->wrmsr(&L, 0x830, 0x1000000fdull));
	CHECK_EQ(e.msg.dest, 1);
	CHECK(ops->wrmsr(&L, 0x83f, 0x61));
	CHECK(!ops->wrmsr(&L, 0x83f, 0x161));
	CHECK_EQ(ops->ack(&L), 0x61);
}

TEST(destinations)
{
	struct apic_msg m = { .dest = 5, .vector = 0x40 };

	setup(5);
	CHECK(vlapic_matches(&L, &m));
	m.dest = 4;
	CHECK(!vlapic_matches(&L, &m));
	m.dest = ~0u;
	CHECK(vlapic_matches(&L, &m));
	m.logical = true;
	wr(0xd0, 0x04000000); /* flat */
	m.dest = 0x06;
	CHECK(vlapic_matches(&L, &m));
	m.dest = 0x03;
	CHECK(!vlapic_matches(&L, &m));
	wr(0xe0, 0); /* cluster */
	CHECK_EQ(rd(0xe0), 0x0fffffff);
	wr(0xd0, 0x12000000);
	m.dest = 0x12;
	CHECK(vlapic_matches(&L, &m));
	m.dest = 0x22;
	CHECK(!vlapic_matches(&L, &m));
	m.dest = 0xf2;
	CHECK(vlapic_matches(&L, &m));
	setup(0x25);
	x2_on();
	m.dest = 0x00020020;
	CHECK(vlapic_matches(&L, &m));
	m.dest = 0x00030020;
	CHECK(!vlapic_matches(&L, &m));
	CHECK(ops->wrmsr(&L, 0x1b, 0xfee00000));
	m.logical = false;
	m.dest = 0x25;
	CHECK(!vlapic_matches(&L, &m));
	m.delivery = APIC_NMI;
	CHECK_EQ(vlapic_accept(&L, &m), VLAPIC_NOTHING);
}

TEST(message_kinds)
{
	struct apic_msg m = { .delivery = APIC_NMI };

	setup(1);
	CHECK_EQ(vlapic_accept(&L, &m), VLAPIC_NMI);
	m.delivery = APIC_INIT;
	m.level = true;
	CHECK_EQ(vlapic_accept(&L, &m), VLAPIC_NOTHING);
	m.assert = true;
	CHECK_EQ(vlapic_accept(&L, &m), VLAPIC_INIT);
	m.delivery = APIC_SIPI;
	CHECK_EQ(vlapic_accept(&L, &m), VLAPIC_SIPI);
	m.delivery = APIC_SMI;
	CHECK_EQ(vlapic_accept(&L, &m), VLAPIC_NOTHING);
	m.delivery = APIC_FIXED;
	m.vector = 3;
	wr(0xf0, 0x1ff);
	CHECK_EQ(vlapic_accept(&L, &m), VLAPIC_NOTHING);
	wr(0x280, 0);
	CHECK_EQ(rd(0x280), 1u << 6);
}

TEST(local_pins)
{
	setup(0);
	CHECK_EQ(vlapic_lint(&L, 0, true), VLAPIC_KICK);
	CHECK_EQ(vlapic_lint(&L, 0, true), VLAPIC_NOTHING);
	CHECK(ops->pending(&L) >= 0);
	CHECK_EQ(ops->ack(&L), 0x27);
	CHECK_EQ(e.acks, 1);
	wr(0xf0, 0x1ff);
	wr(0x350, 0x10700);
	CHECK_EQ(ops->pending(&L), -1);
	wr(0x350, 0x700);
	CHECK(ops->pending(&L) >= 0);
	vlapic_lint(&L, 0, false);
	CHECK_EQ(ops->pending(&L), -1);
	wr(0x350, 0x31);
	CHECK_EQ(vlapic_lint(&L, 0, true), VLAPIC_KICK);
	CHECK_EQ(ops->ack(&L), 0x31);
	CHECK_EQ(vlapic_lint(&L, 1, true), VLAPIC_NOTHING);
	wr(0x360, 0x400);
	CHECK_EQ(vlapic_lint(&L, 1, true), VLAPIC_NMI);
}

TEST(software_disable)
{
	setup(0);
	wr(0xf0, 0x1ff);
	wr(0x320, 0x40);
	wr(0xf0, 0xff);
	CHECK_EQ(rd(0x320), 0x10040);
	wr(0x320, 0x41);
	CHECK_EQ(rd(0x320), 0x10041);
	wr(0x300, 0x40033);
	CHECK_EQ(ops->pending(&L), -1);
}

TEST(timer_one_shot)
{
	setup(0);
	wr(0xf0, 0x1ff);
	wr(0x320, 0x30);
	wr(0x3e0, 0xb); /* divide by 1 */
	e.now = 1000;
	wr(0x380, 500); /* 500 ns = 1000 ticks of 2 GHz */
	CHECK(e.armed);
	CHECK_EQ(e.armed_at, 2000);
	e.now = 1500;
	CHECK_EQ(rd(0x390), 250);
	e.armed = false;
	vlapic_timer_hint(&L);
	CHECK_EQ(ops->pending(&L), -1); /* early hint: asks again */
	CHECK(e.armed);
	CHECK_EQ(e.armed_at, 2000);
	e.now = 2000;
	vlapic_timer_hint(&L);
	CHECK_EQ(ops->pending(&L), 0x30);
	CHECK_EQ(ops->ack(&L), 0x30);
	CHECK_EQ(rd(0x390), 0);
	wr(0xb0, 0);
	vlapic_timer_hint(&L);
	CHECK_EQ(ops->pending(&L), -1);
	/* divider changed while running: the count goes on at the new rate */
	e.now = 10000;
	wr(0x380, 1000);
	e.now = 11000;
	CHECK_EQ(rd(0x390), 500);
	wr(0x3e0, 0x3); /* divide by 16 */
	CHECK_EQ(rd(0x390), 500);
	CHECK_EQ(e.armed_at, 11000 + 500 * 16 * 2);
	wr(0x380, 0);
	e.now = 1000000;
	vlapic_timer_hint(&L);
	CHECK_EQ(ops->pending(&L), -1);
}

TEST(timer_periodic)
{
	setup(0);
	wr(0xf0, 0x1ff);
	wr(0x320, 0x20030);
	wr(0x3e0, 0xb);
	wr(0x380, 100000);
	CHECK_EQ(e.armed_at, 200000);
	e.now = 200010;
	vlapic_timer_hint(&L);
	CHECK_EQ(ops->pending(&L), 0x30);
	CHECK_EQ(e.armed_at, 400000);
	e.now = 1000020; /* three periods missed: one interrupt, in phase */
	vlapic_timer_hint(&L);
	CHECK_EQ(ops->pending(&L), 0x30);
	CHECK_EQ(ops->ack(&L), 0x30);
	CHECK_EQ(e.armed_at, 1200000);
	CHECK_EQ(rd(0x390), 99990);
	wr(0x380, 1); /* 1 ns: stretched */
	CHECK_EQ(e.armed_at - e.now, 100000);
	wr(0x320, 0x30030); /* masked: runs, says nothing */
	wr(0xb0, 0);
	e.now += 200000;
	vlapic_timer_hint(&L);
	CHECK_EQ(ops->pending(&L), -1);
	CHECK(e.armed_at > e.now);
}

TEST(timer_deadline)
{
	u64 v = 1;

	setup(0);
	x2_on();
	CHECK(ops->wrmsr(&L, 0x6e0, 50)); /* not in that mode: ignored */
	CHECK(!e.armed);
	CHECK(ops->wrmsr(&L, 0x832, 0x40033));
	e.now = 100;
	CHECK(ops->wrmsr(&L, 0x6e0, 150));
	CHECK_EQ(e.armed_at, 150);
	CHECK(ops->rdmsr(&L, 0x6e0, &v));
	CHECK_EQ(v, 150);
	CHECK(ops->wrmsr(&L, 0x838, 77)); /* initial count is ignored */
	e.now = 151;
	vlapic_timer_hint(&L);
	CHECK_EQ(ops->pending(&L), 0x33);
	CHECK_EQ(ops->ack(&L), 0x33);
	CHECK(ops->wrmsr(&L, 0x80b, 0));
	CHECK(ops->rdmsr(&L, 0x6e0, &v));
	CHECK_EQ(v, 0);
	CHECK(ops->wrmsr(&L, 0x6e0, 100)); /* in the past: at once */
	CHECK_EQ(ops->ack(&L), 0x33);
	CHECK(ops->wrmsr(&L, 0x80b, 0));
	CHECK(ops->wrmsr(&L, 0x6e0, 900));
	CHECK(ops->wrmsr(&L, 0x832, 0x00033)); /* leaving the mode disarms */
	e.now = 1000;
	vlapic_timer_hint(&L);
	CHECK_EQ(ops->pending(&L), -1);
	L.cfg.tsc_deadline = false;
	CHECK(!ops->wrmsr(&L, 0x6e0, 1));
	CHECK(!ops->rdmsr(&L, 0x6e0, &v));
	CHECK(!ops->wrmsr(&L, 0x832, 0x40033));
}

TEST(init_and_reset)
{
	u64 v;

	setup(2);
	x2_on();
	vlapic_post(&L, 0x99, true);
	ops->ack(&L);
	ops->reset(&L, true);
	CHECK(ops->rdmsr(&L, 0x1b, &v));
	CHECK_EQ(v, 0xfee00c00); /* INIT keeps the mode */
	CHECK(ops->rdmsr(&L, 0x80f, &v));
	CHECK_EQ(v, 0xff);
	CHECK_EQ(ops->pending(&L), -1);
	ops->reset(&L, false);
	CHECK_EQ(ops->mmio_base(&L), 0xfee00000);
}

TEST(odd_accesses)
{
	u64 v = 0x1ff;

	setup(0);
	ops->mmio(&L, 0xf0, 1, true, &v);
	CHECK_EQ(rd(0xf0), 0xff);
	ops->mmio(&L, 0xf4, 4, true, &v);
	CHECK_EQ(rd(0xf0), 0xff);
	v = ~0ull;
	ops->mmio(&L, 0x22, 2, false, &v);
	CHECK_EQ(v, 0);
	wr(0xf0, 0x1ff);
	wr(0x3f0, 0x44); /* no such register in xAPIC mode */
	wr(0x280, 0);
	CHECK_EQ(rd(0x280), 1u << 7);
}

TEST(resume_checks)
{
	setup(1);
	wr(0xf0, 0x1ff);
	L.irr[2] = 1ull << 4;
	L.isr[1] = 1;
	L.irr_sum = 0;
	CHECK_EQ(vlapic_resume(&L), 0);
	CHECK_EQ(ops->pending(&L), 0x84);
	CHECK_EQ(rd(0xa0), 0x40);
	L.isr[0] = 2;
	CHECK_EQ(vlapic_resume(&L), -EINVAL);
	L.isr[0] = 0;
	L.base |= APIC_BASE_BSP;
	CHECK_EQ(vlapic_resume(&L), -EINVAL);
	L.base = APIC_BASE_X2APIC;
	CHECK_EQ(vlapic_resume(&L), -EINVAL);
	L.base = 0xfee00800;
	L.lvt[VLAPIC_LVT_ERROR] = 0x400;
	CHECK_EQ(vlapic_resume(&L), -EINVAL);
}
UNIT_MAIN({ "reset_values", reset_values }, { "base_transitions", base_transitions },
	  { "x2_register_faults", x2_register_faults }, { "priorities", priorities },
	  { "level_eoi_broadcast", level_eoi_broadcast }, { "ipis", ipis },
	  { "destinations", destinations }, { "message_kinds", message_kinds },
	  { "local_pins", local_pins }, { "software_disable", software_disable },
	  { "timer_one_shot", timer_one_shot }, { "timer_periodic", timer_periodic },
	  { "timer_deadline", timer_deadline }, { "init_and_reset", init_and_reset },
	  { "odd_accesses", odd_accesses }, { "resume_checks", resume_checks })
