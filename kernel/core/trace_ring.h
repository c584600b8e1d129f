/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings of events, one per CPU, and their merging by time. Pure.
 */
#ifndef KERNEL_CORE_TRACE_RING_H
#define KERNEL_CORE_TRACE_RING_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define TRACE_EVENTS 1024 /* kept per CPU */

enum trace_kind {
	TRACE_EXIT,   /* a: enum hvm_exit_code, b: guest RIP */
	TRACE_INJECT, /* a: vector, b: guest RIP */
	TRACE_SWITCH, /* the scheduler: b: address of the entity */
	TRACE_KINDS
};

struct trace_event {
	u64 tsc;
	u16 kind; /* enum trace_kind */
	u16 who;  /* VM index << 8 | vCPU, TRACE_HOST */
	u32 a;
	u64 b;
};

#define TRACE_HOST 0xffffu

/* Written by its own CPU only. */
struct trace_ring {
	u64 total; /* events ever */
	struct trace_event event[TRACE_EVENTS];
};

/** trace_ring_put() - overwrite the oldest. */
static inline void trace_ring_put(struct trace_ring *r, const struct trace_event *e)
{
	r->event[r->total % TRACE_EVENTS] = *e;
	r->total++;
}

/**
 * trace_merge() - call fn for the newest 'want' events of n rings (at most 64; NULL ones are left
 * out), oldest first. cpu is the ring's index. Returns how many there were.
 */
u64 trace_merge(struct trace_ring *const *rings, u32 n, u64 want,
		void (*fn)(void *ctx, u32 cpu, const struct trace_event *e), void *ctx);

#endif
