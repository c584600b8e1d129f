/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between CPUs: a kick, and the stop of all.
 */
#include "kernel/core/ipi.h"

#include "arch/x86/cpu.h"
#include "arch/x86/lapic.h"
#include "kernel/base/atomic.h"
#include "kernel/core/irq.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

#define STOP_WAIT_US	 100000

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

void cpu_notify(u32 id)
{
	lapic_send_ipi(pcpu_get(id)->apic_id, IRQ_VECTOR_NOTIFY);
}

static void kicked(void *ctx)
{
	/* The sender has left word; to have left the guest or HLT is all. */
	(void)ctx;
}

void ipi_init(void)
{
	irq_set(IRQ_VECTOR_KICK, kicked, NULL);
	irq_set(IRQ_VECTOR_NOTIFY, kicked, NULL);
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
