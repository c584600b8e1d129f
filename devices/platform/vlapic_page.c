/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC whose interrupts the CPU itself delivers: what goes between the model's fields
 * and the page of registers. Other CPUs post into the model's IRR only; its own moves that over.
 */
#include "devices/platform/vlapic_priv.h"

#define PAGE_TPR (0x080 / 4)
#define PAGE_ISR (0x100 / 4)
#define PAGE_TMR (0x180 / 4)
#define PAGE_IRR (0x200 / 4)

/* Registers lie 16 bytes apart; 64-bit word i of a queue is two of them. */
static u64 get(const u32 *queue, u32 i)
{
	return queue[8 * i] | (u64)queue[8 * i + 4] << 32;
}

static void put(u32 *queue, u32 i, u64 value)
{
	queue[8 * i] = (u32)value;
	queue[8 * i + 4] = (u32)(value >> 32);
}

/* The fields were set: the page becomes what they say. The IRR follows by vlapic_page_post(). */
void vlapic_page_write(struct vlapic *v)
{
	u32 *page = v->cfg.page;

	page[PAGE_TPR] = v->tpr;
	for (u32 i = 0; i < 4; i++) {
		put(page + PAGE_ISR, i, v->isr[i]);
		put(page + PAGE_TMR, i, atomic_load_relaxed(&v->tmr[i]));
		put(page + PAGE_IRR, i, 0);
	}
}

/* Moves what was posted into the page; false: nothing was. */
bool vlapic_page_post(struct vlapic *v)
{
	u32 *page = v->cfg.page, sum = atomic_swap(&v->irr_sum, 0u);
	bool any = false;

	/* Partner: vlapic_post() sets the word, then the summary. */
	for (; sum; sum &= sum - 1) {
		u32 i = (u32)__builtin_ctz(sum);
		u64 bits = atomic_swap(&v->irr[i], (u64)0);

		put(page + PAGE_TMR, i, atomic_load_relaxed(&v->tmr[i]));
		put(page + PAGE_IRR, i, get(page + PAGE_IRR, i) | bits);
		any |= bits != 0;
	}
	return any;
}

/* The fields become what the page says. What is still queued counts as just posted. */
void vlapic_page_read(struct vlapic *v)
{
	u32 *page = v->cfg.page;

	v->tpr = page[PAGE_TPR] & 0xff;
	v->isr_sum = 0;
	for (u32 i = 0; i < 4; i++) {
		u64 irr = get(page + PAGE_IRR, i);

		v->isr[i] = get(page + PAGE_ISR, i);
		v->isr_sum |= v->isr[i] ? 1u << i : 0;
		if (!irr)
			continue;
		put(page + PAGE_IRR, i, 0);
		atomic_or(&v->irr[i], irr);
		atomic_or(&v->irr_sum, 1u << i);
	}
	vlapic_update_ppr(v);
}
