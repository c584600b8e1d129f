/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event trace: off unless the verb 'trace on' starts it.
 */
#ifndef KERNEL_CORE_TRACE_H
#define KERNEL_CORE_TRACE_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/ctl.h"
#include "kernel/core/trace_ring.h"

extern bool trace_on;

/** trace_put() - record now on this CPU; use trace(). */
void trace_put(enum trace_kind kind, u32 who, u32 a, u64 b);

/** trace() - record an event when tracing is on; costs a load and a branch when it is off. */
static ALWAYS_INLINE void trace(enum trace_kind kind, u32 who, u32 a, u64 b)
{
	if (unlikely(trace_on))
		trace_put(kind, who, a, b);
}

/**
 * trace_start() - empty rings (made on the first call, 24 KiB a CPU on the hypervisor's account)
 * and record. 0 or -ENOMEM. trace_stop() - what was recorded stays. Boot CPU.
 */
int MUST_CHECK trace_start(void);
void trace_stop(void);

/** trace_set_names() - words for TRACE_EXIT codes, from the layer that knows them. */
void trace_set_names(const char *(*exit_name)(u32 code));

/** trace_log_tail() - the newest n events to the log; stops recording. For dumps. */
void trace_log_tail(u64 n);

/** trace_ctl_init() - add the verbs 'trace on|off|show'. 0 or -ENOSPC. */
int MUST_CHECK trace_ctl_init(struct ctl *c);

#endif
