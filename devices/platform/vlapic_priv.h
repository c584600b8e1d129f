/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the local APIC model: register bits, queues, timer.
 */
#ifndef DEVICES_PLATFORM_VLAPIC_PRIV_H
#define DEVICES_PLATFORM_VLAPIC_PRIV_H

#include "devices/platform/vlapic.h"

#define LVT_VECTOR     0xffu
#define LVT_DELIVERY   0x700u
#define LVT_STATUS     BIT(12)
#define LVT_MASKED     (1u << 16)
#define LVT_TIMER_MODE (3u << 17)
#define LVT_PERIODIC   (1u << 17)
#define LVT_DEADLINE   (2u << 17)

#define SVR_ENABLE     0x100u

#define ESR_SEND_VECTOR BIT(5)
#define ESR_RECV_VECTOR BIT(6)
#define ESR_REGISTER	BIT(7)

static inline bool vlapic_hw_on(const struct vlapic *v)
{
	return (atomic_load_relaxed(&v->base) & APIC_BASE_ENABLE) != 0;
}

static inline bool vlapic_is_x2(const struct vlapic *v)
{
	return (atomic_load_relaxed(&v->base) & APIC_BASE_X2APIC) != 0;
}

/* In this mode TPR, ISR and what was taken over of the IRR are in the CPU's page. */
static inline bool vlapic_direct(const struct vlapic *v)
{
	return v->cfg.page && vlapic_is_x2(v);
}

/* Highest bit set of four words, given which words to look at; -1 for none. */
static inline int vlapic_top(const u64 *w, u32 sum)
{
	u32 i;

	if (!sum)
		return -1;
	i = 31u - (u32)__builtin_clz(sum);
	return (int)(i * 64 + 63 - (u32)__builtin_clzll(w[i]));
}

/* vlapic.c */
void vlapic_update_ppr(struct vlapic *v);
void vlapic_eoi(struct vlapic *v);
void vlapic_error(struct vlapic *v, u32 bit);
void vlapic_reset_regs(struct vlapic *v);
void vlapic_page_stale(struct vlapic *v);
int vlapic_highest_irr(struct vlapic *v);

/* vlapic_page.c */
void vlapic_page_write(struct vlapic *v);
bool vlapic_page_post(struct vlapic *v);
void vlapic_page_read(struct vlapic *v);

/* vlapic_timer.c */
void vlapic_timer_check(struct vlapic *v);
void vlapic_timer_set_count(struct vlapic *v, u32 count);
u32 vlapic_timer_count(struct vlapic *v);
void vlapic_timer_set_divide(struct vlapic *v, u32 dcr);
void vlapic_timer_set_lvt(struct vlapic *v, u32 lvt);
void vlapic_timer_set_deadline(struct vlapic *v, u64 tsc);
u64 vlapic_timer_deadline(struct vlapic *v);

/* vlapic_regs.c */
bool vlapic_rdmsr(void *lapic, u32 msr, u64 *value);
bool vlapic_wrmsr(void *lapic, u32 msr, u64 value);
void vlapic_mmio(void *lapic, u64 off, unsigned size, bool write, u64 *value);
u32 vlapic_lvt_valid(const struct vlapic *v, unsigned n);

#endif
