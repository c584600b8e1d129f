/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Per-CPU timers: a heap under a lock, the CPU's timer interrupt set to its first deadline.
 */
#include "kernel/core/timer.h"

#include "arch/x86/cpu.h"
#include "arch/x86/lapic.h"
#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/core/clock.h"
#include "kernel/core/frames.h"
#include "kernel/core/irq.h"
#include "kernel/core/lock.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"

/* One frame of pointers; entry 0 of the heap is unused. */
#define TIMERS_PER_CPU (PAGE_SIZE / sizeof(struct timer *))
/* A callback that runs longer than this is a bug. */
#define CALLBACK_LIMIT_MS 10000

struct cpu_timers {
	struct spinlock lock;
	struct timer_heap heap;
	struct timer *running; /* (a) whose callback is in progress */
};

static bool deadline_mode;

static struct cpu_timers *timers_of(u32 cpu)
{
	struct pcpu *p = pcpu_get(cpu);

	return p ? p->timers : NULL;
}

static void program(u64 deadline)
{
	u64 now, count;

	if (deadline_mode) {
		lapic_timer_deadline(deadline ? deadline : 1);
		return;
	}
	now = tsc_read();
	if (deadline <= now) {
		lapic_timer_count(1);
		return;
	}
	/* Too far for the counter: it fires early, finds nothing due and is set again. */
	count = min_u64(deadline - now, tsc_khz() << 10) * clock_lapic_khz() / tsc_khz() + 1;
	lapic_timer_count((u32)min_u64(count, ~0u));
}

static void interrupt(void *ctx)
{
	(void)ctx;
	softirq_post(SOFTIRQ_TIMER);
}

static void run_due(void)
{
	struct cpu_timers *c = this_cpu()->timers;
	u64 now = tsc_read();
	struct timer *t;

	spin_lock(&c->lock);
	while ((t = timer_heap_first(&c->heap)) && t->deadline <= now) {
		timer_heap_remove(&c->heap, t);
		atomic_store_relaxed(&c->running, t);
		spin_unlock(&c->lock);
		t->fn(t->ctx);
		spin_lock(&c->lock);
		atomic_store_release(&c->running, NULL);
	}
	if (t)
		program(t->deadline);
	spin_unlock(&c->lock);
}

int timer_cpu_init(u32 id)
{
	struct pcpu *p = pcpu_get(id);
	struct cpu_timers *c;
	struct timer **array;

	if (id == 0) {
		deadline_mode = cpu_features()->tsc_deadline;
		irq_set(IRQ_VECTOR_TIMER, interrupt, NULL);
		softirq_register(SOFTIRQ_TIMER, run_due);
	}
	c = kalloc(hv_owner(), sizeof(*c));
	array = kalloc(hv_owner(), TIMERS_PER_CPU * sizeof(*array));
	if (!c || !array) {
		kfree(hv_owner(), c, sizeof(*c));
		kfree(hv_owner(), array, TIMERS_PER_CPU * sizeof(*array));
		return -ENOMEM;
	}
	spin_init(&c->lock, LOCK_TIMER, "timer");
	timer_heap_init(&c->heap, array, TIMERS_PER_CPU);
	p->timers = c;
	return 0;
}

void timer_cpu_start(void)
{
	if (deadline_mode)
		lapic_timer_use_deadline();
}

void timer_init(struct timer *t, void (*fn)(void *ctx), void *ctx)
{
	*t = (struct timer){ .fn = fn, .ctx = ctx };
}

/* Take t out of the heap it is in, on whatever CPU; returns the CPU it was last armed on. */
static u32 remove(struct timer *t)
{
	for (;;) {
		u32 cpu = atomic_load_acquire(&t->cpu);
		struct cpu_timers *c = timers_of(cpu);
		bool same;

		spin_lock(&c->lock);
		same = t->cpu == cpu;
		if (same && t->slot)
			timer_heap_remove(&c->heap, t);
		spin_unlock(&c->lock);
		if (same)
			return cpu;
	}
}

int timer_arm(struct timer *t, u64 deadline_tsc)
{
	u32 me = this_cpu()->id;
	struct cpu_timers *c = this_cpu()->timers;
	static struct log_limit limit;
	int err;

	if (t->cpu != me)
		remove(t);
	spin_lock(&c->lock);
	if (t->slot)
		timer_heap_remove(&c->heap, t);
	t->deadline = deadline_tsc;
	atomic_store_release(&t->cpu, me);
	err = timer_heap_add(&c->heap, t);
	if (!err && timer_heap_first(&c->heap) == t)
		program(deadline_tsc);
	spin_unlock(&c->lock);
	if (err)
		log_limited(&limit, LOG_ERR, "CPU %u: all %u timers are armed", me,
			    (u32)TIMERS_PER_CPU - 1);
	return err;
}

/* Wait until t's callback is not in progress on that CPU. */
static void wait_callback(const struct timer *t, u32 cpu)
{
	struct cpu_timers *c = timers_of(cpu);
	u64 start = tsc_read();

	while (c && atomic_load_acquire(&c->running) == t) {
		cpu_pause();
		if (tsc_read() - start > tsc_khz() * CALLBACK_LIMIT_MS)
			panic("timer callback %p on CPU %u does not end",
			      (void *)(uintptr_t)t->fn, cpu);
	}
}

void timer_cancel(struct timer *t)
{
	/* A callback in progress may be on a CPU where t was armed before, and may arm t again. */
	do {
		remove(t);
		for (u32 cpu = 0; cpu < cpu_count(); cpu++)
			if (cpu != this_cpu()->id)
				wait_callback(t, cpu);
	} while (atomic_load_acquire(&t->slot));
}
