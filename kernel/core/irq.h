/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt vectors of the host and their handlers.
 */
#ifndef KERNEL_CORE_IRQ_H
#define KERNEL_CORE_IRQ_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* Fixed vectors, above all allocated ones and so of higher priority. */
#define IRQ_VECTOR_NOTIFY   0xfa /* VMX takes it without an exit: Intel SDM vol. 3 §31.6 */
#define IRQ_VECTOR_ERROR    0xfb
#define IRQ_VECTOR_KICK	    0xfc
#define IRQ_VECTOR_TIMER    0xfd
#define IRQ_VECTOR_SPURIOUS 0xff

/** irq_init() - take over traps from the early handlers; once, on the boot CPU. */
void irq_init(void);

/** irq_set() - handler of one of the fixed vectors; boot only. */
void irq_set(u8 vector, void (*fn)(void *ctx), void *ctx);

/**
 * irq_alloc() - a vector (the same on all CPUs) for fn(ctx). Returns it, or -ENOSPC. fn runs with
 * interrupts off on the CPU the interrupt was sent to, takes no locks and is short: it
 * posts a softirq. Context: control.
 */
int MUST_CHECK irq_alloc(void (*fn)(void *ctx), void *ctx);

/** irq_free() - give a vector back; its source is silent already. */
void irq_free(u8 vector);

struct irq_info {
	u64 fn; /* address of the handler */
	u64 count;
};

/** irq_get() - a vector's handler and how often it was taken; false: neither. */
bool irq_get(u8 vector, struct irq_info *out);

#endif
