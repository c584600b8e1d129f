/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC timer: one-shot, periodic and TSC-deadline, all kept as the guest TSC of the next
 * expiry. Intel SDM vol. 3 §11.5.4.
 */
#include "devices/platform/vlapic.h"
#include "devices/platform/vlapic_priv.h"

/* A shorter period is stretched to this, so that one guest cannot drown its host CPU in timers. */
#define MIN_PERIOD_US 50u

static bool deadline_mode(const struct vlapic *v)
{
	return (v->lvt[VLAPIC_LVT_TIMER] & LVT_TIMER_MODE) == LVT_DEADLINE;
}

/* Divide configuration 3,1,0: 0 is 2, ... 6 is 128, 7 is 1. */
static u32 divide_shift(const struct vlapic *v)
{
	return (((v->dcr & 3) | (v->dcr & 8) >> 1) + 1) & 7;
}

/* Below 2^63: count < 2^32, shift <= 7, tsc_khz < 2^24. */
static u64 count_to_ticks(const struct vlapic *v, u32 count)
{
	return ((u64)count << divide_shift(v)) * v->cfg.tsc_khz / v->cfg.apic_khz;
}

static u64 period_ticks(const struct vlapic *v)
{
	return max_u64(count_to_ticks(v, v->tmict), v->cfg.tsc_khz * MIN_PERIOD_US / 1000);
}

static void start(struct vlapic *v, u64 now, u64 ticks)
{
	v->deadline = now + ticks;
	if (!v->deadline) /* 0 means stopped */
		v->deadline = 1;
	v->env.arm(v->env.ctx, now, ticks);
}

static void expire(struct vlapic *v, u64 now)
{
	u32 lvt = v->lvt[VLAPIC_LVT_TIMER];

	if ((lvt & LVT_TIMER_MODE) == LVT_PERIODIC && v->tmict) {
		u64 period = period_ticks(v);
		u64 late = (now - v->deadline) % period; /* whole periods missed are dropped */

		start(v, now, period - late);
	} else {
		v->deadline = 0;
	}
	if (lvt & LVT_MASKED)
		return;
	if (likely((lvt & LVT_VECTOR) >= 16))
		vlapic_post(v, (u8)(lvt & LVT_VECTOR), false);
	else
		vlapic_error(v, ESR_RECV_VECTOR);
}

/* Expire when due; otherwise make sure a hint will come. */
void vlapic_timer_check(struct vlapic *v)
{
	u64 now;

	if (!v->deadline)
		return;
	now = v->env.now(v->env.ctx);
	if (now >= v->deadline)
		expire(v, now);
	else
		v->env.arm(v->env.ctx, now, v->deadline - now);
}

/* Initial count register. */
void vlapic_timer_set_count(struct vlapic *v, u32 count)
{
	if (deadline_mode(v))
		return;
	v->tmict = count;
	v->deadline = 0;
	if (!count)
		return;
	start(v, v->env.now(v->env.ctx),
	      v->lvt[VLAPIC_LVT_TIMER] & LVT_PERIODIC ? period_ticks(v) : count_to_ticks(v, count));
}

/* Current count register. */
u32 vlapic_timer_count(struct vlapic *v)
{
	u64 left, now;

	if (!v->deadline || deadline_mode(v))
		return 0;
	now = v->env.now(v->env.ctx);
	if (now >= v->deadline) {
		expire(v, now);
		if (!v->deadline)
			return 0;
	}
	left = v->deadline - now;
	/* Below 2^63 again, as left <= count_to_ticks(2^32 - 1), or the minimal period. */
	left = left * v->cfg.apic_khz / v->cfg.tsc_khz >> divide_shift(v);
	return (u32)min_u64(left, v->tmict);
}

/* Divide configuration register: the count goes on at the new rate. */
void vlapic_timer_set_divide(struct vlapic *v, u32 dcr)
{
	u32 count = vlapic_timer_count(v);

	v->dcr = dcr & 0xb;
	if (v->deadline && !deadline_mode(v))
		start(v, v->env.now(v->env.ctx), count_to_ticks(v, count));
}

/* LVT timer register; to or from TSC-deadline mode stops the timer. */
void vlapic_timer_set_lvt(struct vlapic *v, u32 lvt)
{
	if ((v->lvt[VLAPIC_LVT_TIMER] ^ lvt) & LVT_DEADLINE) {
		v->deadline = 0;
		v->tmict = 0;
	}
	atomic_store_relaxed(&v->lvt[VLAPIC_LVT_TIMER], lvt);
}

/* IA32_TSC_DEADLINE: ignored in the other modes. */
void vlapic_timer_set_deadline(struct vlapic *v, u64 tsc)
{
	u64 now;

	if (unlikely(!deadline_mode(v)))
		return;
	v->deadline = tsc;
	if (!tsc)
		return;
	now = v->env.now(v->env.ctx);
	if (tsc <= now)
		expire(v, now);
	else
		v->env.arm(v->env.ctx, now, tsc - now);
}

/* IA32_TSC_DEADLINE reads 0 once expired. */
u64 vlapic_timer_deadline(struct vlapic *v)
{
	if (!deadline_mode(v))
		return 0;
	vlapic_timer_check(v);
	return v->deadline;
}
