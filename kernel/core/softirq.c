/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bottom half: interrupt handlers set bits, the CPU's main loop runs the handlers.
 */
#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"
#include "kernel/core/percpu.h"

#define SOFTIRQS 32

static void (*handlers[SOFTIRQS])(void);

void softirq_register(u32 bit, void (*fn)(void))
{
	u32 n = (u32)__builtin_ctz(bit);

	ASSERT(bit && bit == BIT(n) && !handlers[n]);
	handlers[n] = fn;
}

void softirq_post(u32 bits)
{
	struct pcpu *p = this_cpu();

	atomic_or(&p->softirq, bits);
	atomic_store_release(&p->kick, 1);
}

void softirq_run(void)
{
	struct pcpu *p = this_cpu();
	u32 pending;

	/* Kick first: what is posted after this line kicks again. */
	atomic_swap(&p->kick, 0);
	pending = atomic_swap(&p->softirq, 0);
	while (pending) {
		u32 n = (u32)__builtin_ctz(pending);

		pending &= pending - 1;
		if (handlers[n])
			handlers[n]();
	}
}
