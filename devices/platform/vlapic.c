/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC: interrupt queues, priorities, acceptance, reset. The path of one interrupt costs a
 * few word operations: a summary of the non-zero words spares every scan of 256 bits.
 */
#include "devices/platform/vlapic.h"

#include "devices/platform/vlapic_priv.h"
#include "guest/vm/machine.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

/* The highest queued vector, or -1. Own CPU only: it alone clears bits of irr and irr_sum. */
HOT int vlapic_highest_irr(struct vlapic *v)
{
	u32 sum;

	while ((sum = atomic_load_acquire(&v->irr_sum)) != 0) {
		u32 i = 31u - (u32)__builtin_clz(sum);
		u64 word = atomic_load_relaxed(&v->irr[i]);

		if (likely(word))
			return (int)(i * 64 + 63 - (u32)__builtin_clzll(word));
		atomic_and(&v->irr_sum, ~(1u << i));
		/* Partner: vlapic_post() sets the word, then the summary. */
		if (atomic_load_acquire(&v->irr[i]))
			atomic_or(&v->irr_sum, 1u << i);
	}
	return -1;
}

/* Processor priority, Intel SDM vol. 3 §11.8.3.1. */
HOT void vlapic_update_ppr(struct vlapic *v)
{
	int top = vlapic_top(v->isr, v->isr_sum);
	u32 isrv = top < 0 ? 0 : (u32)top & 0xf0;

	atomic_store_relaxed(&v->ppr, (v->tpr & 0xf0) >= isrv ? v->tpr : isrv);
}

/*
 * The CPU may take it while it runs the guest, but knows nothing of trigger modes: so only edges of
 * vectors that were edges before. Who finds the bit "outstanding" set knows that someone has told
 * the CPU, and that it has not looked yet.
 */
static enum vlapic_action post_to_cpu(struct vlapic *v, u32 i, u64 bit)
{
	if (atomic_or(&v->posted[i], bit) & bit)
		return VLAPIC_NOTHING;
	return atomic_or(&v->posted[POSTED_CONTROL], POSTED_ON) & POSTED_ON
		       ? VLAPIC_NOTHING
		       : VLAPIC_NOTIFY;
}

/* What the CPU has not taken, by its own CPU. Partner: post_to_cpu() sets the vector first. */
static void take_posted(struct vlapic *v)
{
	if (!(atomic_load_relaxed(&v->posted[POSTED_CONTROL]) & POSTED_ON))
		return;
	atomic_and(&v->posted[POSTED_CONTROL], ~POSTED_ON);
	for (u32 i = 0; i < 4; i++) {
		atomic_or(&v->irr[i], atomic_swap(&v->posted[i], (u64)0));
		atomic_or(&v->irr_sum, 1u << i);
	}
}

HOT enum vlapic_action vlapic_post(struct vlapic *v, u8 vector, bool level)
{
	u32 i = vector >> 6;
	u64 bit = BIT(vector & 63);

	if (level)
		atomic_or(&v->tmr[i], bit);
	else if (atomic_load_relaxed(&v->tmr[i]) & bit)
		atomic_and(&v->tmr[i], ~bit);
	else if (v->cfg.posted && vlapic_direct(v))
		return post_to_cpu(v, i, bit);
	if (atomic_or(&v->irr[i], bit) & bit)
		return VLAPIC_NOTHING;
	atomic_or(&v->irr_sum, 1u << i);
	return VLAPIC_KICK;
}

/* Record an error from any CPU. */
static enum vlapic_action post_error(struct vlapic *v, u32 bit)
{
	u32 lvt = atomic_load_relaxed(&v->lvt[VLAPIC_LVT_ERROR]);

	atomic_or(&v->esr_pending, bit);
	if ((lvt & LVT_MASKED) || (lvt & LVT_VECTOR) < 16)
		return VLAPIC_NOTHING;
	return vlapic_post(v, (u8)(lvt & LVT_VECTOR), false);
}

/* Record an error of our own making (ESR bits): no kick, as pending() comes before each entry. */
void vlapic_error(struct vlapic *v, u32 bit)
{
	(void)post_error(v, bit);
}

/* End of interrupt, Intel SDM vol. 3 §11.8.5. */
HOT void vlapic_eoi(struct vlapic *v)
{
	int top = vlapic_top(v->isr, v->isr_sum);
	u32 i;
	u64 bit;

	if (top < 0)
		return;
	i = (u32)top >> 6;
	bit = BIT((u32)top & 63);
	v->isr[i] &= ~bit;
	if (!v->isr[i])
		v->isr_sum &= ~(1u << i);
	vlapic_update_ppr(v);
	if (atomic_load_relaxed(&v->tmr[i]) & bit)
		v->env.eoi(v->env.ctx, (u8)top);
}

/* ---- acceptance: any CPU --------------------------------------------------------------- */

bool vlapic_fixed_ok(const struct vlapic *v)
{
	return vlapic_hw_on(v) && (atomic_load_relaxed(&v->svr) & SVR_ENABLE);
}

static bool matches_logical(const struct vlapic *v, u32 dest)
{
	u32 ldr = atomic_load_relaxed(&v->ldr);

	if (dest == ~0u)
		return true;
	if (vlapic_is_x2(v)) {
		ldr = (v->cfg.id >> 4) << 16 | 1u << (v->cfg.id & 15);
		return ldr >> 16 == dest >> 16 && (ldr & dest & 0xffff);
	}
	ldr >>= 24;
	if (dest > 0xff)
		return false;
	if (atomic_load_relaxed(&v->dfr) >> 28 == 0xf)
		return (ldr & dest) != 0;
	return (dest >> 4 == 0xf || dest >> 4 == ldr >> 4) && (ldr & dest & 0xf);
}

bool vlapic_matches(const struct vlapic *v, const struct apic_msg *msg)
{
	if (!vlapic_hw_on(v))
		return false;
	if (msg->logical)
		return matches_logical(v, msg->dest);
	return msg->dest == v->cfg.id || msg->dest == ~0u;
}

enum vlapic_action vlapic_accept(struct vlapic *v, const struct apic_msg *msg)
{
	if (!vlapic_hw_on(v))
		return VLAPIC_NOTHING;
	switch (msg->delivery) {
	case APIC_FIXED:
	case APIC_LOWEST:
		if (!vlapic_fixed_ok(v))
			return VLAPIC_NOTHING;
		if (unlikely(msg->vector < 16))
			return post_error(v, ESR_RECV_VECTOR);
		return vlapic_post(v, msg->vector, msg->level);
	case APIC_NMI:
		return VLAPIC_NMI;
	case APIC_INIT:
		/* Level de-assert only re-synchronised arbitration IDs of old buses. */
		return msg->level && !msg->assert ? VLAPIC_NOTHING : VLAPIC_INIT;
	case APIC_SIPI:
		return VLAPIC_SIPI;
	default:
		return VLAPIC_NOTHING; /* SMI: no SMM; ExtINT comes by LINT0 only */
	}
}

enum vlapic_action vlapic_lint(struct vlapic *v, unsigned pin, bool level)
{
	u32 lvt = atomic_load_relaxed(&v->lvt[pin ? VLAPIC_LVT_LINT1 : VLAPIC_LVT_LINT0]);
	u32 old = 0;

	if (!pin && level)
		old = atomic_or(&v->attention, (u32)VLAPIC_ATT_EXTINT);
	else if (!pin)
		atomic_and(&v->attention, ~(u32)VLAPIC_ATT_EXTINT);
	if (!level || (old & VLAPIC_ATT_EXTINT))
		return VLAPIC_NOTHING;
	if (!vlapic_hw_on(v)) /* the pins are the CPU's INTR and NMI then */
		return pin ? VLAPIC_NMI : VLAPIC_KICK;
	if (lvt & LVT_MASKED)
		return VLAPIC_NOTHING;
	switch ((lvt & LVT_DELIVERY) >> 8) {
	case APIC_FIXED:
		if ((lvt & LVT_VECTOR) < 16)
			return VLAPIC_NOTHING;
		return vlapic_post(v, (u8)(lvt & LVT_VECTOR), false);
	case APIC_NMI:
		return VLAPIC_NMI;
	case APIC_EXTINT:
		return pin ? VLAPIC_NOTHING : VLAPIC_KICK;
	default:
		return VLAPIC_NOTHING;
	}
}

void vlapic_timer_hint(struct vlapic *v)
{
	atomic_or(&v->attention, (u32)VLAPIC_ATT_TIMER);
}

/* ---- the vCPU's side ------------------------------------------------------------------- */

/* Does the 8259's line reach the CPU now? */
static bool extint_on(struct vlapic *v)
{
	if (!(atomic_load_relaxed(&v->attention) & VLAPIC_ATT_EXTINT))
		return false;
	return !vlapic_hw_on(v) || (v->lvt[VLAPIC_LVT_LINT0] & (LVT_MASKED | LVT_DELIVERY)) ==
					   (u32)APIC_EXTINT << 8;
}

/* By the fields: 0 for the 8259, whose vector ack() asks for, or the highest that may come. */
static int look(struct vlapic *v)
{
	int vector;

	if (atomic_load_relaxed(&v->attention)) {
		if (atomic_load_relaxed(&v->attention) & VLAPIC_ATT_TIMER) {
			atomic_and(&v->attention, ~(u32)VLAPIC_ATT_TIMER);
			vlapic_timer_check(v);
		}
		if (extint_on(v))
			return 0;
	}
	vector = vlapic_direct(v) ? -1 : vlapic_highest_irr(v);
	if (vector < 0 || ((u32)vector & 0xf0) <= (v->ppr & 0xf0) || unlikely(!vlapic_hw_on(v)))
		return -1;
	return vector;
}

/* The CPU's page first: an update is due when the mode changed or something was posted. */
static NOINLINE int pending_page(struct vlapic *v)
{
	bool update = atomic_load_relaxed(&v->attention) & VLAPIC_ATT_PAGE;
	int vector = look(v);

	take_posted(v);
	atomic_and(&v->attention, ~(u32)VLAPIC_ATT_PAGE);
	if (vlapic_direct(v)) {
		if (update)
			vlapic_page_write(v);
		update |= vlapic_page_post(v);
	}
	return update ? IRQCHIP_UPDATE : vector;
}

static HOT int vlapic_pending(void *lapic)
{
	struct vlapic *v = lapic;

	/* Asked before each entry, and this is nearly always the answer. */
	if (likely(!(atomic_load_relaxed(&v->attention) | atomic_load_relaxed(&v->irr_sum) |
		     atomic_load_relaxed(&v->posted[POSTED_CONTROL]))))
		return -1;
	return v->cfg.page ? pending_page(v) : look(v);
}

static bool vlapic_wakes(void *lapic)
{
	struct vlapic *v = lapic;
	int vector = look(v);

	if (vector >= 0 || !vlapic_direct(v))
		return vector >= 0;
	vlapic_quiesce(v);
	vector = vlapic_highest_irr(v);
	return vector >= 0 && ((u32)vector & 0xf0) > (v->ppr & 0xf0);
}

static bool vlapic_is_direct(void *lapic)
{
	return vlapic_direct(lapic);
}

static void vlapic_cpu_eoi(void *lapic, u8 vector)
{
	struct vlapic *v = lapic;

	v->env.eoi(v->env.ctx, vector);
}

static HOT u8 vlapic_ack(void *lapic)
{
	struct vlapic *v = lapic;
	int vector = -1;
	u32 i;
	u64 bit;

	if (likely(!extint_on(v)) && !vlapic_direct(v))
		vector = vlapic_highest_irr(v);
	if (unlikely(vector < 0)) /* the line fell since pending(): the 8259 answers spurious */
		return v->env.extint_ack(v->env.ctx);
	i = (u32)vector >> 6;
	bit = BIT((u32)vector & 63);
	atomic_and(&v->irr[i], ~bit);
	v->isr[i] |= bit;
	v->isr_sum |= 1u << i;
	vlapic_update_ppr(v);
	return (u8)vector;
}

/* An edge, at the top of those in service, and no other waits for its end. */
static HOT bool vlapic_eoi_silent(void *lapic, u8 vector)
{
	struct vlapic *v = lapic;

	return !vlapic_direct(v) && vlapic_top(v->isr, v->isr_sum) == vector &&
	       vlapic_highest_irr(v) < 0 && !atomic_load_relaxed(&v->attention) &&
	       !(atomic_load_relaxed(&v->tmr[vector >> 6]) >> (vector & 63) & 1);
}

static HOT void vlapic_end(void *lapic)
{
	vlapic_eoi(lapic);
}

static u8 vlapic_tpr(void *lapic)
{
	const struct vlapic *v = lapic;

	return (u8)(v->tpr >> 4);
}

static void vlapic_set_tpr(void *lapic, u8 tpr)
{
	struct vlapic *v = lapic;

	v->tpr = (u32)(tpr & 0xf) << 4;
	vlapic_update_ppr(v);
}

static gpa_t vlapic_mmio_base(void *lapic)
{
	const struct vlapic *v = lapic;

	if ((v->base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) != APIC_BASE_ENABLE)
		return ~0ull;
	return v->base & ~(PAGE_SIZE - 1);
}

/* Before the next entry the page is written anew, or left. */
void vlapic_page_stale(struct vlapic *v)
{
	if (v->cfg.page)
		atomic_or(&v->attention, (u32)VLAPIC_ATT_PAGE);
}

/* Everything but the ID, the base and the wires, Intel SDM vol. 3 §11.4.7.1. */
void vlapic_reset_regs(struct vlapic *v)
{
	for (unsigned i = 0; i < 4; i++) {
		atomic_store_relaxed(&v->irr[i], (u64)0);
		atomic_store_relaxed(&v->tmr[i], (u64)0);
		v->isr[i] = 0;
		atomic_store_relaxed(&v->posted[i], (u64)0);
	}
	v->isr_sum = 0;
	v->tpr = 0;
	v->ldr = 0;
	v->dfr = ~0u;
	v->svr = 0xff;
	v->esr = 0;
	atomic_store_relaxed(&v->esr_pending, 0u);
	v->icr = 0;
	for (unsigned i = 0; i < VLAPIC_LVTS; i++)
		v->lvt[i] = LVT_MASKED;
	/* What firmware would have set up, and 8259 users rely on: virtual wire mode. */
	if (v->cfg.bsp)
		v->lvt[VLAPIC_LVT_LINT0] = (u32)APIC_EXTINT << 8;
	v->tmict = 0;
	v->dcr = 0;
	v->deadline = 0;
	vlapic_update_ppr(v);
	vlapic_page_stale(v);
}

static void vlapic_reset(void *lapic, bool init)
{
	struct vlapic *v = lapic;

	if (!init)
		atomic_store_relaxed(&v->base, MACHINE_LAPIC_BASE | APIC_BASE_ENABLE |
						       (v->cfg.bsp ? APIC_BASE_BSP : 0));
	vlapic_reset_regs(v);
}

const struct irqchip_ops vlapic_irqchip = {
	.pending = vlapic_pending,
	.wakes = vlapic_wakes,
	.direct = vlapic_is_direct,
	.eoi = vlapic_cpu_eoi,
	.ack = vlapic_ack,
	.eoi_silent = vlapic_eoi_silent,
	.end = vlapic_end,
	.tpr = vlapic_tpr,
	.set_tpr = vlapic_set_tpr,
	.rdmsr = vlapic_rdmsr,
	.wrmsr = vlapic_wrmsr,
	.mmio = vlapic_mmio,
	.mmio_base = vlapic_mmio_base,
	.reset = vlapic_reset,
};

void vlapic_init(struct vlapic *v, const struct vlapic_config *cfg, const struct vlapic_env *env)
{
	memset(v, 0, sizeof(*v));
	v->env = *env;
	v->cfg = *cfg;
	v->posted = cfg->posted ? cfg->posted : v->none;
	vlapic_reset(v, false);
}

/* ---- saved state ----------------------------------------------------------------------- */

const struct vmstate_field vlapic_fields[] = {
	VMSTATE(struct vlapic, base, VMS_U64),
	VMSTATE_ARRAY(struct vlapic, irr, VMS_U64),
	VMSTATE_ARRAY(struct vlapic, tmr, VMS_U64),
	VMSTATE_ARRAY(struct vlapic, isr, VMS_U64),
	VMSTATE(struct vlapic, tpr, VMS_U32),
	VMSTATE(struct vlapic, ldr, VMS_U32),
	VMSTATE(struct vlapic, dfr, VMS_U32),
	VMSTATE(struct vlapic, svr, VMS_U32),
	VMSTATE(struct vlapic, esr, VMS_U32),
	VMSTATE(struct vlapic, esr_pending, VMS_U32),
	VMSTATE(struct vlapic, icr, VMS_U64),
	VMSTATE_ARRAY(struct vlapic, lvt, VMS_U32),
	VMSTATE(struct vlapic, tmict, VMS_U32),
	VMSTATE(struct vlapic, dcr, VMS_U32),
	VMSTATE(struct vlapic, deadline, VMS_U64),
};
const u32 vlapic_nfields = ARRAY_SIZE(vlapic_fields);

static bool state_valid(const struct vlapic *v)
{
	u64 mode = v->base & (APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	u64 known = APIC_BASE_BSP | APIC_BASE_ENABLE | MASK(v->cfg.maxphyaddr - 1u, PAGE_SHIFT);

	if (v->cfg.x2apic)
		known |= APIC_BASE_X2APIC;
	if ((v->base & ~known) || mode == APIC_BASE_X2APIC ||
	    !(v->base & APIC_BASE_BSP) != !v->cfg.bsp)
		return false;
	if ((v->irr[0] | v->isr[0]) & 0xffff)
		return false;
	if (v->tpr > 0xff || (v->ldr & 0xffffff) || ~v->dfr & 0x0fffffff)
		return false;
	for (unsigned i = 0; i < VLAPIC_LVTS; i++)
		if (v->lvt[i] & ~vlapic_lvt_valid(v, i))
			return false;
	return !(v->svr & ~0x3ffu) && !(v->dcr & ~0xbu) && !((v->esr | v->esr_pending) & ~0xe0u);
}

void vlapic_quiesce(void *lapic)
{
	struct vlapic *v = lapic;

	take_posted(v);
	/* What is to be written yet is in the fields. */
	if (vlapic_direct(v) && !(atomic_load_relaxed(&v->attention) & VLAPIC_ATT_PAGE))
		vlapic_page_read(v);
}

int vlapic_resume(void *lapic)
{
	struct vlapic *v = lapic;

	if (!state_valid(v))
		return -EINVAL;
	v->isr_sum = 0;
	atomic_store_relaxed(&v->irr_sum, 0u);
	for (unsigned i = 0; i < 4; i++) {
		v->isr_sum |= v->isr[i] ? 1u << i : 0;
		atomic_or(&v->irr_sum, v->irr[i] ? 1u << i : 0u);
	}
	vlapic_update_ppr(v);
	vlapic_page_stale(v);
	vlapic_timer_hint(v);
	return 0;
}
