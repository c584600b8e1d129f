/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between CPUs. A call is one slot at the receiver; senders queue for it.
 */
#include "kernel/core/ipi.h"

#include "arch/x86/cpu.h"
#include "arch/x86/lapic.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

#define CALL_TIMEOUT_US	 1000000
/* A call that has begun works on the caller's memory, so it cannot be abandoned. */
#define CALL_STUCK_US	 10000000
#define STOP_WAIT_US	 100000

enum call_state { CALL_FREE, CALL_FILLING, CALL_POSTED, CALL_RUNNING, CALL_DONE };

struct call_slot {
	u32 state; /* enum call_state, atomic */
	void (*fn)(void *arg);
	void *arg;
};

static struct call_slot slots[MAX_CPUS];
static bool ready;
static u32 stopped;

void cpu_kick(u32 id)
{
	struct pcpu *p = pcpu_get(id);

	/* Already set: whoever set it has sent the interrupt, or is that CPU itself. */
	if (atomic_swap(&p->kick, 1) || id == this_cpu()->id)
		return;
	lapic_send_ipi(p->apic_id, IRQ_VECTOR_KICK);
}

static void run_posted_call(void)
{
	struct call_slot *s = &slots[this_cpu()->id];

	if (!atomic_cas(&s->state, CALL_POSTED, CALL_RUNNING))
		return;
	s->fn(s->arg);
	atomic_store_release(&s->state, CALL_DONE);
}

/* Wait for *state == want, changing it to 'to'; serves calls made to this CPU meanwhile. */
static bool wait_state(u32 *state, u32 want, u32 to, u64 limit_us)
{
	u64 end = tsc_read() + ns_to_tsc(limit_us * 1000);

	while (!atomic_cas(state, want, to)) {
		if ((s64)(tsc_read() - end) > 0)
			return false;
		run_posted_call();
		cpu_pause();
	}
	return true;
}

int cpu_call(u32 id, void (*fn)(void *arg), void *arg)
{
	struct pcpu *p = pcpu_get(id);
	struct call_slot *s;

	if (!p)
		return -EINVAL;
	if (p == this_cpu()) {
		fn(arg);
		return 0;
	}
	s = &slots[id];
	if (!wait_state(&s->state, CALL_FREE, CALL_FILLING, CALL_TIMEOUT_US))
		goto timeout;
	s->fn = fn;
	s->arg = arg;
	atomic_store_release(&s->state, CALL_POSTED);
	atomic_or(&p->softirq, (u32)SOFTIRQ_CALL);
	cpu_kick(id);
	if (wait_state(&s->state, CALL_DONE, CALL_FREE, CALL_TIMEOUT_US))
		return 0;
	if (atomic_cas(&s->state, CALL_POSTED, CALL_FREE))
		goto timeout;
	if (!wait_state(&s->state, CALL_DONE, CALL_FREE, CALL_STUCK_US))
		panic("call of %p on CPU %u does not end", (void *)(uintptr_t)fn, id);
	return 0;
timeout:
	log_err("CPU %u does not answer a call from CPU %u within 1 s", id, this_cpu()->id);
	return -ETIMEDOUT;
}

static void kicked(void *ctx)
{
	/* The sender has set the kick word; to have left the guest or HLT is all. */
	(void)ctx;
}

void ipi_init(void)
{
	irq_set(IRQ_VECTOR_KICK, kicked, NULL);
	softirq_register(SOFTIRQ_CALL, run_posted_call);
	ready = true;
}

void ipi_stop_others(void)
{
	u64 start = tsc_read();

	if (!ready || cpu_count() == 1)
		return;
	lapic_send_nmi_others();
	while (atomic_load_acquire(&stopped) + 1 < cpu_count() &&
	       tsc_read() - start < tsc_khz() * (STOP_WAIT_US / 1000))
		cpu_pause();
}

void ipi_stopped(void)
{
	atomic_add(&stopped, 1);
	cpu_stop();
}
