/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vector table and the way from a trap to its handler.
 */
#include "kernel/core/irq.h"

#include "arch/x86/lapic.h"
#include "arch/x86/pic.h"
#include "arch/x86/trap.h"
#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/core/dump.h"
#include "kernel/core/ipi.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"

#define FIRST_ALLOC (PIC_FIRST_VECTOR + PIC_VECTORS)
#define LAST_ALLOC  0xef

struct irq_handler {
	void (*fn)(void *ctx);
	void *ctx;
	u64 count; /* atomic */
};

static struct irq_handler handlers[VECTORS];
static struct log_limit unexpected;

static void dispatch(u32 vector)
{
	struct pcpu *p = this_cpu();
	void (*fn)(void *ctx) = atomic_load_acquire(&handlers[vector].fn);
	/* The 8259s and the spurious vector are not in service at the local APIC. */
	bool owed = vector < FIRST_ALLOC ? lapic_in_service((u8)vector)
					 : vector != IRQ_VECTOR_SPURIOUS;

	p->in_irq++;
	p->irq_count++;
	atomic_add(&handlers[vector].count, 1u);
	if (fn)
		fn(handlers[vector].ctx);
	else if (owed)
		log_limited(&unexpected, LOG_WARN, "interrupt %u has no handler", vector);
	if (owed)
		lapic_eoi();
	p->in_irq--;
}

static void nmi(struct trap_frame *f)
{
	if (panic_in_progress())
		ipi_stopped();
	log_err("NMI on CPU %u at %016lx, cause unknown", this_cpu()->id, f->rip);
}

static const struct trap_hooks hooks = {
	.fatal = panic_trap,
	.nmi = nmi,
	.irq = dispatch,
};

static void apic_error(void *ctx)
{
	(void)ctx;
	log_limited(&unexpected, LOG_WARN, "local APIC error %#x on CPU %u", lapic_error(),
		    this_cpu()->id);
}

void irq_init(void)
{
	trap_init(&hooks);
	trap_load();
	irq_set(IRQ_VECTOR_ERROR, apic_error, NULL);
}

void irq_set(u8 vector, void (*fn)(void *ctx), void *ctx)
{
	ASSERT(!handlers[vector].fn);
	handlers[vector].ctx = ctx;
	atomic_store_release(&handlers[vector].fn, fn);
}

static void reserved(void *ctx)
{
	(void)ctx;
}

int irq_alloc(void (*fn)(void *ctx), void *ctx)
{
	for (u32 v = FIRST_ALLOC; v <= LAST_ALLOC; v++) {
		/* Claim first: the context must be in place before the handler is. */
		if (!atomic_cas(&handlers[v].fn, NULL, reserved))
			continue;
		handlers[v].ctx = ctx;
		atomic_store_release(&handlers[v].fn, fn);
		return (int)v;
	}
	log_err("all %u interrupt vectors are in use", LAST_ALLOC - FIRST_ALLOC + 1);
	return -ENOSPC;
}

void irq_free(u8 vector)
{
	ASSERT(vector >= FIRST_ALLOC && vector <= LAST_ALLOC);
	atomic_store_release(&handlers[vector].fn, NULL);
}

bool irq_get(u8 vector, struct irq_info *out)
{
	out->fn = (u64)(uintptr_t)atomic_load_relaxed(&handlers[vector].fn);
	out->count = atomic_load_relaxed(&handlers[vector].count);
	return out->fn || out->count;
}
