/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control verbs about the host: versions, memory, processors, interrupts, log.
 */
#include "kernel/core/ctl_host.h"

#include "arch/x86/cpu.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"
#include "kernel/core/sched.h"
#include "kernel/core/serial.h"
#include "kernel/core/timer.h"

#define ACCOUNTS_SHOWN 48 /* hypervisor and VMs: 1 + VM_MAX, and some */

static const struct config *config;
static void (*show_more)(struct ctl_out *out);

static int run_version(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	ctl_text(out, "version", "%s", GODWIT_VERSION);
	return 0;
}

/* ---- host ------------------------------------------------------------------------------- */

static const struct ctl_column cpu_columns[] = {
	{ "id", "cpu", -3 },
	{ "apic", "apic", -4 },
	{ "busy", "busy", 4 },
	{ "ready", "ready", -5 },
	{ "idle_ms", "idle ms", -10 },
	{ "irqs", "irqs", -10 },
	{ "switches", "switches", -10 },
	{ "stolen", "stolen", -8 },
};

static int run_host(struct ctl_out *out, const struct ctl_args *args)
{
	const struct cpu_features *f = cpu_features();
	struct pool_stats mem;

	(void)args;
	frames_stats(&mem);
	ctl_text(out, "name", "%s", config->host.name);
	ctl_text(out, "version", "%s", GODWIT_VERSION);
	ctl_text(out, "cpu", "%s", f->brand[0] ? f->brand : f->vendor);
	ctl_num(out, "cpus", cpu_count());
	ctl_bytes(out, "memory", mem.total);
	ctl_bytes(out, "memory_free", mem.free);
	ctl_num(out, "tsc_khz", tsc_khz());
	ctl_num(out, "up_ms", time_ns() / 1000000);
	ctl_table(out, "cpu", cpu_columns, ARRAY_SIZE(cpu_columns));
	for (u32 i = 0; i < cpu_count(); i++) {
		const struct pcpu *p = pcpu_get(i);
		struct sched_cpu_stat s;

		sched_stat(i, &s);
		ctl_cell_num(out, i);
		ctl_cell_num(out, p->apic_id);
		ctl_cell(out, "%s", s.busy ? "yes" : "no");
		ctl_cell_num(out, s.ready);
		ctl_cell_num(out, tsc_to_ns(atomic_load_relaxed(&p->idle_tsc)) / 1000000);
		ctl_cell_num(out, atomic_load_relaxed(&p->irq_count));
		ctl_cell_num(out, s.switches);
		ctl_cell_num(out, s.stolen);
	}
	if (show_more)
		show_more(out);
	return 0;
}

void ctl_host_more(void (*show)(struct ctl_out *out))
{
	show_more = show;
}

/* ---- mem -------------------------------------------------------------------------------- */

static const struct ctl_column account_columns[] = {
	{ "name", "account", 16 },
	{ "used", "used", -12 },
	{ "peak", "peak", -12 },
	{ "quota", "quota", -12 },
};

static struct pool_owner_info accounts[ACCOUNTS_SHOWN]; /* one request runs at a time */

static int run_mem(struct ctl_out *out, const struct ctl_args *args)
{
	bool balanced = frames_audit();
	struct pool_stats s;
	u64 fail = ~0ull;
	u32 n;
	int rc = ctl_opt_u64(out, "fail", 0, ~0ull - 1, &fail);

	(void)args;
	if (rc)
		return rc;
	fail = frames_fail(fail == ~0ull ? NULL : &fail);
	frames_stats(&s);
	ctl_bytes(out, "total", s.total);
	ctl_bytes(out, "free", s.free);
	ctl_bytes(out, "used", s.used);
	ctl_bytes(out, "overhead", s.overhead);
	ctl_bytes(out, "ignored", s.ignored);
	ctl_bytes(out, "largest_run", s.largest_run);
	ctl_text(out, "balanced", "%s", balanced ? "yes" : "no");
	ctl_num(out, "fail_in", fail);
	n = owner_list(accounts, ACCOUNTS_SHOWN);
	ctl_table(out, "account", account_columns, ARRAY_SIZE(account_columns));
	for (u32 i = 0; i < n; i++) {
		ctl_cell(out, "%s", accounts[i].name);
		ctl_cell_bytes(out, accounts[i].used);
		ctl_cell_bytes(out, accounts[i].peak);
		if (accounts[i].quota == POOL_NO_QUOTA)
			ctl_cell(out, "none");
		else
			ctl_cell_bytes(out, accounts[i].quota);
	}
	return balanced ? 0 : ctl_fail(out, -EIO, "the accounts do not agree with the frame map");
}

/* ---- irq -------------------------------------------------------------------------------- */

static const struct ctl_column irq_columns[] = {
	{ "cpu", "cpu", -3 },
	{ "interrupts", "interrupts", -12 },
};

static const struct ctl_column port_columns[] = {
	{ "port", "port", 6 },         { "open", "open", 4 },     { "rx", "received", -10 },
	{ "tx", "sent", -10 },         { "rx_lost", "lost", -8 }, { "tx_dropped", "dropped", -8 },
	{ "irqs", "interrupts", -10 },
};

static const struct ctl_column vector_columns[] = {
	{ "vector", "vector", -6 },
	{ "count", "taken", -12 },
	{ "handler", "handler", 0 },
};

static void show_vectors(struct ctl_out *out)
{
	struct irq_info info;

	ctl_table(out, "vector", vector_columns, ARRAY_SIZE(vector_columns));
	for (u32 v = 0; v < 256; v++) {
		const char *name;
		u64 offset;

		if (!irq_get((u8)v, &info))
			continue;
		name = ksym_name(info.fn, &offset);
		ctl_cell_num(out, v);
		ctl_cell_num(out, info.count);
		ctl_cell(out, "%s", name ? name : "?");
	}
}

static int run_irq(struct ctl_out *out, const struct ctl_args *args)
{
	struct serial_stat s;

	(void)args;
	ctl_table(out, "irq", irq_columns, ARRAY_SIZE(irq_columns));
	for (u32 i = 0; i < cpu_count(); i++) {
		ctl_cell_num(out, i);
		ctl_cell_num(out, atomic_load_relaxed(&pcpu_get(i)->irq_count));
	}
	show_vectors(out);
	ctl_table(out, "serial", port_columns, ARRAY_SIZE(port_columns));
	for (u32 i = 0; i < SERIAL_PORTS; i++) {
		serial_stats(i, &s);
		if (!s.open)
			continue;
		ctl_cell(out, "ttyS%u", i);
		ctl_cell(out, "%s", s.open ? "yes" : "no");
		ctl_cell_num(out, s.rx);
		ctl_cell_num(out, s.tx);
		ctl_cell_num(out, s.rx_lost);
		ctl_cell_num(out, s.tx_dropped);
		ctl_cell_num(out, s.irqs);
	}
	return 0;
}

/* ---- log -------------------------------------------------------------------------------- */

/* Calls line() for each whole log line from *from on, until 'end'. */
static u64 each_line(u64 from, u64 end, struct ctl_out *out, u64 skip)
{
	char buf[512];
	u64 lines = 0;
	size_t n;

	while (from < end && (n = log_read(&from, buf, sizeof(buf))) > 0) {
		size_t at = 0;

		for (size_t i = 0; i < n; i++) {
			if (buf[i] != '\n')
				continue;
			if (lines++ >= skip && out)
				ctl_line(out, buf + at, i - at);
			at = i + 1;
		}
		/* The rest of the buffer is the beginning of a line: read it again. */
		if (at)
			from -= n - at;
	}
	return lines;
}

static int run_log(struct ctl_out *out, const struct ctl_args *args)
{
	u64 want = 40, end = log_end(), all;
	int rc = ctl_opt_u64(out, "lines", 1, 2000, &want);

	(void)args;
	if (rc)
		return rc;
	all = each_line(0, end, NULL, 0);
	each_line(0, end, out, all > want ? all - want : 0);
	return 0;
}

/* ---- registration ----------------------------------------------------------------------- */

static const struct ctl_verb verbs[] = {
	{ "version", NULL, "", "the hypervisor's version", NULL, 0, 0, CTL_ARG_NONE, run_version },
	{ "host", NULL, "", "the machine and its processors", NULL, 0, 0, CTL_ARG_NONE, run_host },
	{ "mem", NULL, "[fail=N]", "memory: pool and accounts", "fail", 0, 0, CTL_ARG_NONE,
	  run_mem },
	{ "irq", NULL, "", "interrupts and serial ports", NULL, 0, 0, CTL_ARG_NONE, run_irq },
	{ "log", NULL, "[lines=N]", "the newest lines of the log", "lines", 0, 0, CTL_ARG_NONE,
	  run_log },
};

int ctl_host_init(struct ctl *c, const struct config *cfg)
{
	int rc = ctl_add(c, &ctl_help_verb, 1);

	config = cfg;
	return rc ? rc : ctl_add(c, verbs, ARRAY_SIZE(verbs));
}
