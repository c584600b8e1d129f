/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spin locks with rank checking; each waiter gives up loudly.
 */
#include "kernel/core/lock.h"

#include "arch/x86/cpu.h"
#include "kernel/base/atomic.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

#define LOCK_TIMEOUT_MS 10000
/* Before the TSC is calibrated: high enough for any CPU to mean seconds. */
#define LOCK_TIMEOUT_TSC_UNCALIBRATED (30ull << 30)

void spin_init(struct spinlock *l, enum lock_rank rank, const char *name)
{
	*l = (struct spinlock){ .bit = 1u << rank, .name = name };
}

/* Out of line, with what follows the wait: the free lock is taken without saving a register. */
static NOINLINE void lock_contended(struct spinlock *l, struct pcpu *p)
{
	u64 limit = tsc_khz() ? tsc_khz() * LOCK_TIMEOUT_MS : LOCK_TIMEOUT_TSC_UNCALIBRATED;
	u64 start = tsc_read();

	while (!atomic_cas(&l->word, 0u, p->id + 1)) {
		while (atomic_load_relaxed(&l->word)) {
			cpu_pause();
			if (tsc_read() - start > limit)
				panic("lock %s: CPU %u waited 10 s for CPU %u", l->name, p->id,
				      atomic_load_relaxed(&l->word) - 1);
		}
	}
	p->locks_held |= l->bit;
}

static NOINLINE void rank_violated(const struct spinlock *l, const struct pcpu *p)
{
	panic("lock %s (rank %u) taken while holding ranks %#x%s", l->name,
	      (u32)__builtin_ctz(l->bit), p->locks_held,
	      l->word == p->id + 1 ? ", itself among them" : "");
}

HOT void spin_lock(struct spinlock *l)
{
	struct pcpu *p = this_cpu();

	/* The bits of all ranks from this one up. */
	if (unlikely(p->locks_held >= l->bit)) {
		rank_violated(l, p);
	} else if (unlikely(!atomic_cas(&l->word, 0u, p->id + 1))) {
		lock_contended(l, p);
	} else {
		p->locks_held |= l->bit;
	}
}

HOT void spin_unlock(struct spinlock *l)
{
	struct pcpu *p = this_cpu();

	if (unlikely(l->word != p->id + 1))
		panic("lock %s released by CPU %u, owner is %d", l->name, p->id, (int)l->word - 1);
	p->locks_held &= ~l->bit;
	atomic_store_release(&l->word, 0u);
}

void lock_assert_held(const struct spinlock *l)
{
	if (unlikely(atomic_load_relaxed(&l->word) != this_cpu()->id + 1))
		panic("lock %s is not held by CPU %u", l->name, this_cpu()->id);
}
