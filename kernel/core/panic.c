/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of the hypervisor: stop the other CPUs, say why, and stop.
 */
#include "kernel/core/panic.h"

#include "arch/x86/cpu.h"
#include "kernel/base/atomic.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/dump.h"
#include "kernel/core/ipi.h"
#include "kernel/core/log.h"
#include "kernel/core/log_priv.h"
#include "kernel/core/percpu.h"
#include "kernel/core/power.h"
#include "kernel/core/trace.h"

#define LOG_TAIL 1536
#define TRACE_TAIL 16 /* events, when they were recorded */

static u32 panic_owner; /* 1 + id of the CPU that panics */

bool panic_in_progress(void)
{
	return atomic_load_acquire(&panic_owner) != 0;
}

static void panic_begin(void)
{
	u32 me = this_cpu()->id + 1;

	irq_disable();
	if (!atomic_cas(&panic_owner, 0u, me)) {
		/* Another CPU is at it; or this one failed again while dumping. */
		if (atomic_load_relaxed(&panic_owner) != me)
			cpu_stop();
		log_err("panic inside a panic; stopped");
		host_debug_exit(DEBUG_EXIT_PANIC);
		cpu_stop();
	}
	ipi_stop_others();
	log_set_raw();
}

static NORETURN void panic_end(void)
{
	trace_log_tail(TRACE_TAIL);
	log_err("end of the log:");
	log_replay_tail(LOG_TAIL);
	log_err("panic: stopped");
	host_debug_exit(DEBUG_EXIT_PANIC);
	cpu_stop();
}

void panic(const char *f, ...)
{
	char text[256];
	va_list ap;

	panic_begin();
	va_start(ap, f);
	fmt_vsnprintf(text, sizeof(text), f, ap);
	va_end(ap);
	log_err("panic on CPU %u: %s", this_cpu()->id, text);
	dump_backtrace((u64)(uintptr_t)__builtin_frame_address(0), 0);
	panic_end();
}

void panic_trap(struct trap_frame *frame)
{
	panic_begin();
	log_err("panic on CPU %u: %s in the hypervisor", this_cpu()->id, trap_name(frame->vector));
	dump_trap(frame);
	panic_end();
}

void assert_failed(const char *file, int line, const char *cond)
{
	panic("%s:%d: assertion failed: %s", file, line, cond);
}

/* The compiler's call when a stack canary is found changed. */
NORETURN void __stack_chk_fail(void);

void __stack_chk_fail(void)
{
	panic("stack overrun: canary changed in the caller of %p", __builtin_return_address(0));
}
