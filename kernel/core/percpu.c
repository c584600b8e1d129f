/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registry of the per-CPU areas; the boot CPU's is static, because boot.S needs it
 * before there is memory.
 */
#include "kernel/core/percpu.h"

#include "kernel/base/atomic.h"
#include "kernel/base/assert.h"

STATIC_ASSERT(offsetof(struct pcpu, apic_id) == 12, "boot.S");
STATIC_ASSERT(offsetof(struct pcpu, stack_top) == 32, "boot.S");
STATIC_ASSERT(offsetof(struct pcpu, stack_canary) == 40, "boot.S and the compiler's flags");

struct pcpu boot_pcpu;

static struct pcpu *cpus[MAX_CPUS] = { &boot_pcpu };
static u32 ncpus = 1;

struct pcpu *pcpu_get(u32 id)
{
	return id < cpu_count() ? cpus[id] : NULL;
}

u32 cpu_count(void)
{
	return atomic_load_acquire(&ncpus);
}

void pcpu_register(struct pcpu *p)
{
	u32 id = ncpus;

	ASSERT(id < MAX_CPUS);
	p->id = id;
	cpus[id] = p;
	atomic_store_release(&ncpus, id + 1);
}
