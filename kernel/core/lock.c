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
	*l = (struct spinlock){ .rank = rank, .name = name };
}

static void wait_free(struct spinlock *l, u32 me)
{
	u64 limit = tsc_khz() ? tsc_khz() * LOCK_TIMEOUT_MS : LOCK_TIMEOUT_TSC_UNCALIBRATED;
	u64 start = tsc_read();

	while (!atomic_cas(&l->word, 0u, me)) {
		while (atomic_load_relaxed(&l->word)) {
			cpu_pause();
			if (tsc_read() - start > limit)
				panic("lock %s: CPU %u waited 10 s for CPU %u", l->name, me - 1,
				      atomic_load_relaxed(&l->word) - 1);
		}
	}
}

void spin_lock(struct spinlock *l)
{
	struct pcpu *p = this_cpu();
	u32 me = p->id + 1;

	if (unlikely(p->locks_held >> l->rank))
		panic("lock %s (rank %u) taken while holding ranks %#x%s", l->name, l->rank,
		      p->locks_held, l->word == me ? ", itself among them" : "");
	if (unlikely(!atomic_cas(&l->word, 0u, me)))
		wait_free(l, me);
	p->locks_held |= 1u << l->rank;
}

void spin_unlock(struct spinlock *l)
{
	struct pcpu *p = this_cpu();

	if (unlikely(l->word != p->id + 1))
		panic("lock %s released by CPU %u, owner is %d", l->name, p->id, (int)l->word - 1);
	p->locks_held &= ~(1u << l->rank);
	atomic_store_release(&l->word, 0u);
}

void lock_assert_held(const struct spinlock *l)
{
	if (unlikely(atomic_load_relaxed(&l->word) != this_cpu()->id + 1))
		panic("lock %s is not held by CPU %u", l->name, this_cpu()->id);
}
