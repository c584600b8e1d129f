/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recording of events and the verbs that show them.
 */
#include "kernel/core/trace.h"

#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

bool trace_on;

static struct trace_ring *rings[MAX_CPUS];
static const char *(*exit_name)(u32 code);

void trace_put(enum trace_kind kind, u32 who, u32 a, u64 b)
{
	struct trace_event e = { tsc_read(), (u16)kind, (u16)who, a, b };
	struct trace_ring *r = rings[this_cpu()->id];

	if (r)
		trace_ring_put(r, &e);
}

int trace_start(void)
{
	trace_stop();
	for (u32 i = 0; i < cpu_count(); i++) {
		if (!rings[i])
			rings[i] = kalloc(hv_owner(), sizeof(*rings[i]));
		if (!rings[i])
			return -ENOMEM;
		rings[i]->total = 0;
	}
	atomic_store_release(&trace_on, true);
	return 0;
}

void trace_stop(void)
{
	atomic_store_relaxed(&trace_on, false);
}

void trace_set_names(const char *(*fn)(u32 code))
{
	exit_name = fn;
}

static void describe(const struct trace_event *e, char *buf, size_t size)
{
	switch (e->kind) {
	case TRACE_EXIT:
		fmt_snprintf(buf, size, "exit %s rip %#lx", exit_name ? exit_name(e->a) : "?",
			     e->b);
		break;
	case TRACE_INJECT:
		fmt_snprintf(buf, size, "inject vector %u rip %#lx", e->a, e->b);
		break;
	case TRACE_SWITCH:
		fmt_snprintf(buf, size, "switch to entity %#lx", e->b);
		break;
	default:
		fmt_snprintf(buf, size, "kind %u", e->kind);
		break;
	}
}

static void describe_who(const struct trace_event *e, char *buf, size_t size)
{
	if (e->who == TRACE_HOST)
		str_copy(buf, size, "host");
	else
		fmt_snprintf(buf, size, "%u.%u", e->who >> 8, e->who & 0xff);
}

static void log_event(void *ctx, u32 cpu, const struct trace_event *e)
{
	char text[80], who[16];

	(void)ctx;
	describe(e, text, sizeof(text));
	describe_who(e, who, sizeof(who));
	log_err("  trace %lu us cpu %u vcpu %s: %s", tsc_to_ns(e->tsc) / 1000, cpu, who, text);
}

void trace_log_tail(u64 n)
{
	trace_stop();
	trace_merge(rings, cpu_count(), n, log_event, NULL);
}

/* ---- verbs ------------------------------------------------------------------------------ */

static int run_on(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	return trace_start() ? ctl_fail(out, -ENOMEM, "no memory for the rings") : 0;
}

static int run_off(struct ctl_out *out, const struct ctl_args *args)
{
	(void)out;
	(void)args;
	trace_stop();
	return 0;
}

static const struct ctl_column columns[] = {
	{ "tsc", "tsc", -16 },
	{ "cpu", "cpu", -3 },
	{ "vcpu", "vcpu", 6 },
	{ "event", "event", 0 },
};

static void show_event(void *ctx, u32 cpu, const struct trace_event *e)
{
	struct ctl_out *out = ctx;
	char text[80];

	ctl_cell_num(out, e->tsc);
	ctl_cell_num(out, cpu);
	describe_who(e, text, sizeof(text));
	ctl_cell(out, "%s", text);
	describe(e, text, sizeof(text));
	ctl_cell(out, "%s", text);
}

static int run_show(struct ctl_out *out, const struct ctl_args *args)
{
	bool was_on = trace_on;
	u64 last = 40;
	int rc = ctl_opt_u64(out, "last", 1, 1000, &last);

	(void)args;
	if (rc)
		return rc;
	trace_stop(); /* a ring that is written cannot be read */
	ctl_text(out, "tracing", "%s", was_on ? "on" : "off");
	ctl_table(out, "event", columns, ARRAY_SIZE(columns));
	trace_merge(rings, cpu_count(), last, show_event, out);
	atomic_store_release(&trace_on, was_on);
	return 0;
}

static const struct ctl_verb verbs[] = {
	{ "trace", "on", "", "record exits, injections, switches anew", NULL, 0, 0, CTL_ARG_NONE,
	  run_on },
	{ "trace", "off", "", "stop recording", NULL, 0, 0, CTL_ARG_NONE, run_off },
	{ "trace", "show", "[last=N]", "the newest recorded events", "last", 0, 0, CTL_ARG_NONE,
	  run_show },
};

int trace_ctl_init(struct ctl *c)
{
	return ctl_add(c, verbs, ARRAY_SIZE(verbs));
}
