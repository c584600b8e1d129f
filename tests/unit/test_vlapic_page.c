/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC of a CPU that delivers from its register page in x2APIC mode: what it may take itself,
 * what is queued, what is saved.
 */
#include "vlapic_model.h"

static u32 page[1024];

static void setup_page(void)
{
	const struct vlapic_env env = { NULL, env_now, env_arm, env_send, env_eoi, env_ack };
	const struct vlapic_config cfg = { .id = 0, .bsp = true, .x2apic = true, .maxphyaddr = 40,
					   .tsc_khz = 2000000, .apic_khz = 1000000, .page = page };

	memset(&e, 0, sizeof(e));
	memset(page, 0xa5, sizeof(page));
	vlapic_init(&L, &cfg, &env);
}

/* What the CPU does when it takes a vector. */
static void cpu_takes(u8 vector)
{
	u32 at = 4 * (vector / 32), bit = 1u << vector % 32;

	CHECK(page[0x200 / 4 + at] & bit);
	page[0x200 / 4 + at] &= ~bit;
	page[0x100 / 4 + at] |= bit;
}

TEST(page_by_mode)
{
	setup_page();
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE); /* first of all: not now */
	CHECK(!ops->direct(&L));
	wr(0xf0, 0x1ff);
	CHECK(vlapic_post(&L, 0x41, false));
	CHECK_EQ(ops->pending(&L), 0x41); /* xAPIC mode: by injection */
	CHECK_EQ(ops->ack(&L), 0x41);
	CHECK(vlapic_post(&L, 0x35, true));
	wr(0x80, 0x20);
	CHECK(ops->wrmsr(&L, MSR_APIC_BASE, L.base | APIC_BASE_X2APIC));
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	CHECK(ops->direct(&L));
	CHECK_EQ(page[0x80 / 4], 0x20);
	CHECK_EQ(page[0x120 / 4], 1u << 1);
	CHECK_EQ(page[0x210 / 4], 1u << 21);
	CHECK_EQ(page[0x190 / 4], 1u << 21);
	CHECK_EQ(page[0x270 / 4], 0);
	CHECK_EQ(ops->pending(&L), -1);
	/* reset: out of the mode, the page is left */
	ops->reset(&L, false);
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	CHECK(!ops->direct(&L));
	CHECK_EQ(ops->pending(&L), -1);
}

TEST(page_queues)
{
	u64 v;

	setup_page();
	wr(0xf0, 0x1ff);
	CHECK(ops->wrmsr(&L, MSR_APIC_BASE, L.base | APIC_BASE_X2APIC));
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	CHECK(!ops->wakes(&L));
	CHECK(vlapic_post(&L, 0x52, true));
	CHECK(ops->wakes(&L));
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	CHECK(ops->wakes(&L)); /* it waits in the page, taken back by that look */
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	cpu_takes(0x52);
	CHECK_EQ(ops->pending(&L), -1);
	CHECK(vlapic_post(&L, 0x51, false));
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	CHECK(!ops->wakes(&L)); /* of the class in service */
	CHECK(ops->rdmsr(&L, 0x812, &v));
	CHECK_EQ(v, 1u << 18);
	CHECK(ops->rdmsr(&L, 0x822, &v));
	CHECK_EQ(v, 1u << 17);
	CHECK(ops->rdmsr(&L, 0x80a, &v));
	CHECK_EQ(v, 0x50);
	page[0x120 / 4] = 0; /* EOI by the CPU */
	ops->eoi(&L, 0x52);
	CHECK_EQ(e.eoi_vector, 0x52);
	CHECK(ops->wakes(&L));
	/* The guest's TPR is in the page. */
	page[0x80 / 4] = 0x60;
	CHECK(!ops->wakes(&L));
	CHECK_EQ(ops->tpr(&L), 6);
}

/* Saved, loaded, resumed: the same queues, in the page again. */
TEST(page_saved)
{
	setup_page();
	wr(0xf0, 0x1ff);
	CHECK(ops->wrmsr(&L, MSR_APIC_BASE, L.base | APIC_BASE_X2APIC));
	(void)ops->pending(&L);
	(void)vlapic_post(&L, 0x52, false);
	(void)vlapic_post(&L, 0x99, false);
	(void)ops->pending(&L);
	cpu_takes(0x99);
	vlapic_quiesce(&L);
	CHECK_EQ(L.irr[1], 1ull << 18);
	CHECK_EQ(L.isr[2], 1ull << 25);
	memset(page, 0, sizeof(page));
	CHECK_EQ(vlapic_resume(&L), 0);
	vlapic_quiesce(&L); /* again, before it ran: the fields stay */
	CHECK_EQ(L.isr[2], 1ull << 25);
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	CHECK_EQ(page[0x220 / 4], 1u << 18);
	CHECK_EQ(page[0x140 / 4], 1u << 25);
	/* The 8259's line goes by injection in this mode too. */
	L.lvt[VLAPIC_LVT_LINT0] = 0x700;
	CHECK_EQ(vlapic_lint(&L, 0, true), VLAPIC_KICK);
	(void)vlapic_post(&L, 0xf0, false);
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	CHECK_EQ(ops->pending(&L), 0);
	CHECK_EQ(ops->ack(&L), 0x27);
}
static u64 posted[POSTED_WORDS];

static void setup_posted(void)
{
	const struct vlapic_env env = { NULL, env_now, env_arm, env_send, env_eoi, env_ack };
	const struct vlapic_config cfg = { .id = 0, .bsp = true, .x2apic = true, .maxphyaddr = 40,
					   .tsc_khz = 2000000, .apic_khz = 1000000, .page = page,
					   .posted = posted };

	memset(&e, 0, sizeof(e));
	memset(page, 0, sizeof(page));
	memset(posted, 0, sizeof(posted));
	vlapic_init(&L, &cfg, &env);
	wr(0xf0, 0x1ff);
	CHECK_EQ(vlapic_post(&L, 0x41, false), VLAPIC_KICK); /* xAPIC mode: not to the CPU */
	CHECK_EQ(posted[POSTED_CONTROL], 0);
	while (ops->pending(&L) == IRQCHIP_UPDATE)
		;
	CHECK_EQ(ops->ack(&L), 0x41);
	wr(0xb0, 0);
	CHECK(ops->wrmsr(&L, MSR_APIC_BASE, L.base | APIC_BASE_X2APIC));
	while (ops->pending(&L) == IRQCHIP_UPDATE)
		;
}

/* What the CPU does in the guest when it is notified. */
static void cpu_notified(void)
{
	posted[POSTED_CONTROL] &= ~POSTED_ON;
	for (u32 i = 0; i < 8; i++)
		page[0x200 / 4 + 4 * i] |= (u32)(posted[i / 2] >> i % 2 * 32);
	memset(posted, 0, 4 * sizeof(u64));
}

TEST(page_posted)
{
	struct apic_msg m = { .vector = 0x99, .assert = true };

	setup_posted();
	CHECK_EQ(vlapic_accept(&L, &m), VLAPIC_NOTIFY);
	CHECK_EQ(posted[2], 1ull << 25);
	CHECK_EQ(posted[POSTED_CONTROL], POSTED_ON);
	CHECK_EQ(vlapic_accept(&L, &m), VLAPIC_NOTHING);
	CHECK_EQ(vlapic_post(&L, 0xff, false), VLAPIC_NOTHING); /* it was told and has not looked */
	cpu_notified();
	cpu_takes(0xff);
	cpu_takes(0x99);
	CHECK_EQ(ops->pending(&L), -1);
	/* Told when it did not run the guest: taken before the next entry. */
	CHECK_EQ(vlapic_post(&L, 0x30, false), VLAPIC_NOTIFY);
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	CHECK_EQ(posted[0] | posted[POSTED_CONTROL], 0);
	CHECK_EQ(ops->pending(&L), -1);
	cpu_takes(0x30);
	/* Halted, the first does not wake it, the second must. */
	page[0x110 / 4] = page[0x140 / 4] = page[0x170 / 4] = 0;
	page[0x80 / 4] = 0x60;
	CHECK_EQ(vlapic_post(&L, 0x51, false), VLAPIC_NOTIFY);
	CHECK(!ops->wakes(&L));
	CHECK_EQ(vlapic_post(&L, 0x71, false), VLAPIC_NOTIFY);
	CHECK(ops->wakes(&L));
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	cpu_takes(0x71);
	cpu_takes(0x51);
}

/* Of trigger modes the CPU knows what apic_update() told it: no level, and no first edge after. */
TEST(page_posted_level)
{
	setup_posted();
	CHECK_EQ(vlapic_post(&L, 0x52, true), VLAPIC_KICK);
	CHECK_EQ(posted[1] | posted[POSTED_CONTROL], 0);
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	cpu_takes(0x52);
	CHECK_EQ(page[0x1a0 / 4], 1u << 18);
	CHECK_EQ(vlapic_post(&L, 0x52, false), VLAPIC_KICK);
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	CHECK_EQ(page[0x1a0 / 4], 0);
	cpu_takes(0x52);
	CHECK_EQ(vlapic_post(&L, 0x52, false), VLAPIC_NOTIFY);
}

/* Nothing posted is left behind by a save, nothing survives a reset. */
TEST(page_posted_saved)
{
	setup_posted();
	CHECK_EQ(vlapic_post(&L, 0x52, false), VLAPIC_NOTIFY);
	vlapic_quiesce(&L);
	CHECK_EQ(L.irr[1], 1ull << 18);
	CHECK_EQ(vlapic_resume(&L), 0);
	CHECK_EQ(vlapic_post(&L, 0x99, false), VLAPIC_NOTIFY);
	vlapic_quiesce(&L); /* not run since */
	CHECK_EQ(L.irr[1], 1ull << 18);
	CHECK_EQ(L.irr[2], 1ull << 25);
	CHECK_EQ(ops->pending(&L), IRQCHIP_UPDATE);
	cpu_takes(0x99);
	cpu_takes(0x52);
	CHECK_EQ(vlapic_post(&L, 0x61, false), VLAPIC_NOTIFY);
	ops->reset(&L, false);
	CHECK_EQ(posted[1], 0);
}

UNIT_MAIN({ "page_by_mode", page_by_mode }, { "page_queues", page_queues },
	  { "page_saved", page_saved }, { "page_posted", page_posted },
	  { "page_posted_level", page_posted_level }, { "page_posted_saved", page_posted_saved })
