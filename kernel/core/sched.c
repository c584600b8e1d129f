/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Weighted fair queues, one a CPU. A CPU that runs dry takes a waiting entity from the
 * CPU with the longest queue; a wake-up prefers an idle CPU. All locks are per queue and
 * never nest.
 */
#include "kernel/core/sched.h"

#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/core/frames.h"
#include "kernel/core/lock.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"
#include "kernel/core/trace.h"

#define SLICE_NS       5000000ull  /* how long one entity may keep another waiting */
#define WAKE_BONUS_NS  2000000ull  /* how far a sleeper may lag behind the queue */
#define PARK_LIMIT_NS  1000000000ull
#define WEIGHT_NORMAL  100
#define WEIGHT_SHIFT   10

struct runqueue {
	struct spinlock lock;
	struct sched_entity *ready;	/* unsorted: a handful of entries */
	struct sched_entity *current;
	u32 nready;
	u32 idle;			/* atomic hint: in HLT */
	u64 min_vruntime;
	u64 started;			/* TSC when current was entered */
	struct timer slice;
	u64 switches;
	u64 stolen;
};

static struct runqueue *rq_of(u32 cpu)
{
	return pcpu_get(cpu)->sched;
}

/* The slice timer's work is its interrupt: the kick made the entity return. */
static void slice_over(void *ctx)
{
	(void)ctx; /* one callback type for all timers; this one needs no context */
}

int sched_init(void)
{
	for (u32 cpu = 0; cpu < cpu_count(); cpu++) {
		struct runqueue *rq = kalloc(hv_owner(), sizeof(*rq));

		if (!rq)
			return -ENOMEM;
		spin_init(&rq->lock, LOCK_SCHED, "runqueue");
		timer_init(&rq->slice, slice_over, rq);
		pcpu_get(cpu)->sched = rq;
	}
	return 0;
}

static bool may_run_on(const struct sched_entity *e, u32 cpu)
{
	return e->pin == 0 || (e->pin & BIT(cpu));
}

static u64 charge(const struct sched_entity *e, u64 ticks)
{
	return (ticks * ((WEIGHT_NORMAL << WEIGHT_SHIFT) / e->weight)) >> WEIGHT_SHIFT;
}

static void enqueue_locked(struct runqueue *rq, struct sched_entity *e, u32 cpu)
{
	lock_assert_held(&rq->lock);
	e->state = SCHED_READY;
	e->cpu = cpu;
	e->next = rq->ready;
	rq->ready = e;
	rq->nready++;
}

/* Unlink e; it must be in the queue. */
static void dequeue_locked(struct runqueue *rq, struct sched_entity *e)
{
	struct sched_entity **at = &rq->ready;

	lock_assert_held(&rq->lock);
	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	e->next = NULL;
	rq->nready--;
}

static struct sched_entity *least_locked(struct runqueue *rq, u32 for_cpu)
{
	struct sched_entity *best = NULL;

	for (struct sched_entity *e = rq->ready; e; e = e->next)
		if (may_run_on(e, for_cpu) && (!best || e->vruntime < best->vruntime))
			best = e;
	return best;
}

static u32 load_of(u32 cpu)
{
	struct runqueue *rq = rq_of(cpu);

	return atomic_load_relaxed(&rq->nready) + (atomic_load_relaxed(&rq->current) != NULL);
}

/* The least loaded CPU e may use, 'prefer' on a tie; cpu_count() when its pin excludes all. */
static u32 choose_cpu(const struct sched_entity *e, u32 prefer)
{
	u32 best = cpu_count(), best_load = ~0u;

	for (u32 i = 0; i < cpu_count(); i++) {
		u32 cpu = (prefer + i) % cpu_count();
		u32 load = load_of(cpu);

		if (may_run_on(e, cpu) && load < best_load) {
			best = cpu;
			best_load = load;
		}
	}
	return best;
}

int sched_add(struct sched_entity *e)
{
	static u32 spread;
	u32 cpu = choose_cpu(e, atomic_add(&spread, 1) % cpu_count());

	if (cpu == cpu_count())
		return -EINVAL;
	e->cpu = cpu;
	e->state = SCHED_PARKED;
	e->wake = e->park = 0;
	e->vruntime = 0;
	e->next = NULL;
	return 0;
}

void sched_remove(struct sched_entity *e)
{
	ASSERT(e->state == SCHED_PARKED);
	e->run = NULL;
}

/* Lock the queue e belongs to; it may move to another CPU until the lock is held. */
static struct runqueue *lock_home(struct sched_entity *e)
{
	for (;;) {
		u32 cpu = atomic_load_acquire(&e->cpu);
		struct runqueue *rq = rq_of(cpu);

		spin_lock(&rq->lock);
		if (atomic_load_relaxed(&e->cpu) == cpu)
			return rq;
		spin_unlock(&rq->lock);
	}
}

/*
 * Put a sleeper or parked entity into a queue and see that its CPU notices. Called with
 * the home queue locked, returns with it unlocked.
 */
static void make_ready(struct runqueue *home, struct sched_entity *e)
{
	u32 cpu = e->cpu, other;
	struct runqueue *rq = home;
	u64 bonus = ns_to_tsc(WAKE_BONUS_NS);
	bool preempt;

	other = home->current || home->nready ? choose_cpu(e, cpu) : cpu;
	if (other != cpu && other != cpu_count()) {
		/* In no queue and under no lock for a moment: RUNNING keeps others away. */
		e->state = SCHED_RUNNING;
		atomic_store_release(&e->cpu, other);
		spin_unlock(&home->lock);
		rq = rq_of(other);
		cpu = other;
		spin_lock(&rq->lock);
	}
	if (e->vruntime + bonus < rq->min_vruntime)
		e->vruntime = rq->min_vruntime - bonus;
	enqueue_locked(rq, e, cpu);
	preempt = !rq->current || e->vruntime < rq->current->vruntime;
	if (rq->current && !preempt && !rq->slice.slot)
		preempt = true; /* so that the CPU arms its slice timer */
	spin_unlock(&rq->lock);
	if (preempt)
		cpu_kick(cpu);
}

void sched_wake(struct sched_entity *e)
{
	struct runqueue *rq = lock_home(e);

	if (e->state == SCHED_BLOCKED) {
		make_ready(rq, e);
		return;
	}
	if (e->state == SCHED_RUNNING)
		e->wake = 1;
	spin_unlock(&rq->lock);
}

void sched_unpark(struct sched_entity *e)
{
	struct runqueue *rq = lock_home(e);

	e->park = 0;
	if (e->state == SCHED_PARKED)
		make_ready(rq, e);
	else
		spin_unlock(&rq->lock);
}

int sched_park(struct sched_entity *e)
{
	u64 end = time_ns() + PARK_LIMIT_NS;
	struct runqueue *rq;

	do {
		rq = lock_home(e);
		e->park = 1;
		if (e->state == SCHED_READY) {
			dequeue_locked(rq, e);
			e->state = SCHED_PARKED;
		} else if (e->state == SCHED_BLOCKED) {
			e->state = SCHED_PARKED;
		} else if (rq == this_cpu()->sched && rq->current == e) {
			/* Between two entries: this CPU's loop serves us in a softirq. */
			e->leave(e);
			e->state = SCHED_PARKED;
			rq->current = NULL;
		}
		if (e->state == SCHED_PARKED) {
			spin_unlock(&rq->lock);
			return 0;
		}
		spin_unlock(&rq->lock);
		cpu_kick(e->cpu);
		__builtin_ia32_pause();
	} while (time_ns() < end);
	log_err("sched: entity on CPU %u did not park within 1 s", e->cpu);
	return -ETIMEDOUT;
}

bool sched_elsewhere(struct sched_entity *e)
{
	struct runqueue *rq = lock_home(e);
	bool yes = e->state == SCHED_RUNNING && rq != this_cpu()->sched;

	spin_unlock(&rq->lock);
	return yes;
}

/* An entity from the longest other queue, or NULL. It comes back owned by this CPU. */
static struct sched_entity *steal(u32 self)
{
	u32 victim = self, most = 0;
	struct sched_entity *e;
	struct runqueue *rq;

	for (u32 cpu = 0; cpu < cpu_count(); cpu++) {
		u32 n = atomic_load_relaxed(&rq_of(cpu)->nready);

		if (cpu != self && n > most) {
			most = n;
			victim = cpu;
		}
	}
	if (victim == self)
		return NULL;
	rq = rq_of(victim);
	spin_lock(&rq->lock);
	e = rq->current ? least_locked(rq, self) : NULL;
	if (e) {
		dequeue_locked(rq, e);
		/* Keep its lag against the queue it leaves; the new queue's base follows. */
		e->vruntime = e->vruntime > rq->min_vruntime ? e->vruntime - rq->min_vruntime : 0;
		e->state = SCHED_RUNNING;
		atomic_store_release(&e->cpu, self);
	}
	spin_unlock(&rq->lock);
	return e;
}

/* Take the next entity for this CPU and mark it running; NULL: nothing to do. */
static struct sched_entity *pick(struct runqueue *rq, u32 self)
{
	struct sched_entity *e, *stolen = NULL;

	if (!atomic_load_relaxed(&rq->nready)) {
		stolen = steal(self);
		if (!stolen)
			return NULL;
	}
	spin_lock(&rq->lock);
	if (stolen) {
		stolen->vruntime += rq->min_vruntime;
		rq->stolen++;
		e = stolen;
	} else {
		e = least_locked(rq, self);
		if (e)
			dequeue_locked(rq, e);
	}
	if (e) {
		e->state = SCHED_RUNNING;
		e->wake = 0;
		rq->current = e;
		if (e->vruntime > rq->min_vruntime)
			rq->min_vruntime = e->vruntime;
		rq->switches++;
		trace(TRACE_SWITCH, TRACE_HOST, 0, (u64)(uintptr_t)e);
	}
	spin_unlock(&rq->lock);
	return e;
}

static void account(struct runqueue *rq, struct sched_entity *e)
{
	u64 used = tsc_read() - rq->started;

	e->runtime += used;
	e->vruntime += charge(e, used);
}

/* e came back: where does it go? It stays current when it may simply be entered again. */
static void settle(struct runqueue *rq, struct sched_entity *e, enum sched_result why, u32 self)
{
	bool again;

	spin_lock(&rq->lock);
	account(rq, e);
	again = !e->park && !rq->ready && (why == SCHED_YIELD || e->wake);
	if (again) {
		e->wake = 0;
		if (e->vruntime > rq->min_vruntime)
			rq->min_vruntime = e->vruntime;
		spin_unlock(&rq->lock);
		return;
	}
	e->leave(e);
	if (e->park)
		e->state = SCHED_PARKED;
	else if (why == SCHED_BLOCK && !e->wake)
		e->state = SCHED_BLOCKED;
	else
		enqueue_locked(rq, e, self);
	rq->current = NULL;
	spin_unlock(&rq->lock);
}

static void arm_slice(struct runqueue *rq)
{
	if (atomic_load_relaxed(&rq->nready) && !rq->slice.slot) {
		int rc = timer_arm(&rq->slice, tsc_read() + ns_to_tsc(SLICE_NS));

		if (rc)
			log_err("sched: no slice timer: %s", err_name(rc));
	}
}

static void idle(struct runqueue *rq, struct pcpu *cpu)
{
	u64 start = tsc_read();

	__asm__ volatile("cli" : : : "memory");
	atomic_store_relaxed(&rq->idle, 1);
	atomic_fence();
	if (!atomic_load_acquire(&cpu->kick) && !atomic_load_acquire(&cpu->softirq) &&
	    !atomic_load_acquire(&rq->nready))
		__asm__ volatile("sti; hlt" : : : "memory");
	else
		__asm__ volatile("sti" : : : "memory");
	atomic_store_relaxed(&rq->idle, 0);
	cpu->idle_tsc += tsc_read() - start;
}

NORETURN void sched_loop(void)
{
	struct pcpu *cpu = this_cpu();
	struct runqueue *rq = cpu->sched;

	for (;;) {
		struct sched_entity *e;

		atomic_store_relaxed(&cpu->kick, 0);
		atomic_fence(); /* pairs with the writers' order: work first, then kick */
		if (atomic_load_relaxed(&cpu->softirq))
			softirq_run();
		/* Only this CPU sets or clears it, a softirq's sched_park() included. */
		e = atomic_load_relaxed(&rq->current);
		if (!e)
			e = pick(rq, cpu->id);
		if (!e) {
			idle(rq, cpu);
			continue;
		}
		arm_slice(rq);
		rq->started = tsc_read();
		settle(rq, e, e->run(e), cpu->id);
	}
}

void sched_stat(u32 cpu, struct sched_cpu_stat *out)
{
	const struct runqueue *rq = rq_of(cpu);

	out->ready = atomic_load_relaxed(&rq->nready);
	out->busy = atomic_load_relaxed(&rq->current) != NULL;
	out->switches = rq->switches;
	out->stolen = rq->stolen;
}
