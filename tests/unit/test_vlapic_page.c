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
UNIT_MAIN({ "page_by_mode", page_by_mode }, { "page_queues", page_queues },
	  { "page_saved", page_saved })
