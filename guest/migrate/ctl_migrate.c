/* SPDX-License-Identifier: Apache-2.0 */
/*
 * migrate, migrate-status, migrate-cancel.
 */
#include "guest/migrate/ctl_migrate.h"

#include "guest/migrate/mig_priv.h"
#include "guest/vm/vm.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/timer.h"

#define WHY 160

static const char *opt(const struct ctl_args *args, const char *key)
{
	for (u32 i = 0; i < args->opts; i++)
		if (strcmp(args->opt[i].key, key) == 0)
			return args->opt[i].value;
	return NULL;
}

/* HOST[:PORT] */
static int parse_host(struct ctl_out *out, const char *text, struct mig_request *rq)
{
	size_t n = 0;
	u32 port = 0;

	while (text[n] && text[n] != ':')
		n++;
	if (!n || n >= sizeof(rq->host))
		return ctl_fail(out, -EINVAL, "%s: HOST or HOST:PORT is wanted", text);
	memcpy(rq->host, text, n);
	rq->host[n] = '\0';
	rq->port = MIG_DEFAULT_PORT;
	if (!text[n])
		return 0;
	for (const char *p = text + n + 1; *p >= '0' && *p <= '9' && port < 65536; p++)
		port = port * 10 + (u32)(*p - '0');
	rq->port = (u16)port;
	return port && port < 65536 ? 0 : ctl_fail(out, -ERANGE, "%s: ports are 1 to 65535", text);
}

/* fault=flip|cut|lose at=N, back=N: what a test wants of the connection. */
static int parse_fault(struct ctl_out *out, const struct ctl_args *args, struct mig_request *rq)
{
	static const char *const kinds[] = { "none", "flip", "cut", "lose" };
	const char *kind = opt(args, "fault");
	int rc = ctl_opt_u64(out, "at", 0, ~0ull, &rq->fault.at);

	rq->fault.back = opt(args, "back") != NULL;
	if (!rc)
		rc = ctl_opt_u64(out, "back", 0, ~0ull, &rq->fault.at);
	if (!rc)
		rc = ctl_opt_u64(out, "cancel", 1, ~0ull, &rq->cancel_at);
	if (rc)
		return rc;
	for (u32 i = 0; kind && i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kind, kinds[i]) == 0)
			rq->fault.kind = i;
	return kind && !rq->fault.kind ?
		       ctl_fail(out, -EINVAL, "fault= is flip, cut or lose") : 0;
}

static int run_migrate(struct ctl_out *out, const struct ctl_args *args)
{
	struct vm *vm = vm_find(ctl_arg(out, 0));
	static struct mig_request rq; /* one request runs at a time */
	u64 ms = 0, mbit = 0;
	char why[WHY] = "";
	int rc;

	if (!vm)
		return ctl_fail(out, -ENOENT, "no vm named %s", ctl_arg(out, 0));
	rq = (struct mig_request){ .limits = mig_policy_defaults() };
	rc = parse_host(out, ctl_arg(out, 1), &rq);
	if (!rc)
		rc = parse_fault(out, args, &rq);
	if (!rc)
		rc = ctl_opt_u64(out, "downtime", 1, 60000, &ms);
	if (!rc)
		rc = ctl_opt_u64(out, "limit", 1, 1000000, &mbit);
	if (rc)
		return rc;
	if (ms) {
		rq.limits.downtime_ns = ms * 1000000;
		rq.limits.downtime_max_ns = max_u64(rq.limits.downtime_max_ns,
						    rq.limits.downtime_ns);
	}
	rq.limits.bytes_per_s = mbit * 1000000 / 8;
	rc = mig_begin(vm, &rq, why, sizeof(why));
	return rc ? ctl_fail(out, rc, "%s", why) : 0;
}

static const struct ctl_column columns[] = {
	{ "number", NULL, 0 },
	{ "vm", "vm", 12 },
	{ "direction", "", 4 },
	{ "peer", "peer", 16 },
	{ "phase", "phase", 10 },
	{ "passes", "passes", -6 },
	{ "pages_left", "left", -8 },
	{ "pages_sent", "pages", -8 },
	{ "pages_zero", "zero", -8 },
	{ "sent", "sent", -10 },
	{ "received", "received", -10 },
	{ "wire", "on wire", -10 },
	{ "bytes_per_s", "bytes/s", -11 },
	{ "downtime_us", "stop us", -9 },
	{ "estimate_us", "est. us", -9 },
	{ "total_ms", "ms", -7 },
	{ "clock_us", "clock us", -9 },
	{ "functions", "fns", -3 },
	{ "functions_us", "fns us", -8 },
	{ "reason", "reason", 0 },
};

static void show_send(struct ctl_out *out, const struct mig_send *s)
{
	static const char *const phases[] = {
		[MIG_PHASE_UNPLUG] = "unplugging",
		[MIG_PHASE_CONNECT] = "connecting", [MIG_PHASE_INTRO] = "asking",
		[MIG_PHASE_COPY] = "copying",	    [MIG_PHASE_LAST] = "stopped",
		[MIG_PHASE_MACHINE] = "stopped",    [MIG_PHASE_WAIT] = "stopped",
		[MIG_PHASE_DONE] = "done",	    [MIG_PHASE_FAILED] = "failed",
	};
	const struct mig_pages_stats *st = s->logging ? &s->pages.stats : &s->stats;
	u64 now = time_ns(), stop = s->verdict.downtime_ns;

	if (s->stopped)
		stop = (s->resumed_at ? s->resumed_at : now) - s->stopped_at;
	ctl_cell_num(out, s->number);
	ctl_cell(out, "%s", s->name);
	ctl_cell(out, "out");
	ctl_cell(out, "%s", s->rq.host);
	ctl_cell(out, "%s", s->owner == MIG_GIVEN ? "given" : phases[s->phase]);
	ctl_cell_num(out, st->passes);
	ctl_cell_num(out, s->logging ? s->pages.left : 0);
	ctl_cell_num(out, st->data);
	ctl_cell_num(out, st->zero);
	ctl_cell_num(out, s->sent + s->link.sent);
	ctl_cell_num(out, s->received + s->link.received);
	ctl_cell_num(out, s->wire + s->link.wire);
	ctl_cell_num(out, s->verdict.bytes_per_s);
	ctl_cell_num(out, stop / 1000);
	ctl_cell_num(out, s->verdict.downtime_ns / 1000);
	ctl_cell_num(out, ((s->vm ? now : s->ended) - s->began) / 1000000);
	ctl_cell_num(out, s->rtt / 2000); /* at most so far the guest's clock is off */
	ctl_cell_num(out, s->functions);
	ctl_cell_num(out, s->held_us);
	ctl_cell(out, "%s", s->why);
}

static void show_recv(struct ctl_out *out, const struct mig_recv *r)
{
	static const char *const phases[] = { [MIG_NOTHING] = "dropped", [MIG_LOADING] = "loading",
					      [MIG_READY] = "ready", [MIG_TAKEN] = "taken" };

	ctl_cell_num(out, 0);
	ctl_cell(out, "%s", r->name);
	ctl_cell(out, "in");
	ctl_cell(out, "%s", "");
	ctl_cell(out, "%s", phases[r->owner]);
	for (u32 i = 0; i < 4; i++)
		ctl_cell_num(out, 0); /* the source counts passes and pages */
	ctl_cell_num(out, r->link.sent);
	ctl_cell_num(out, r->link.received);
	for (u32 i = 0; i < 4; i++)
		ctl_cell_num(out, 0);
	ctl_cell_num(out, (time_ns() - r->began) / 1000000);
	for (u32 i = 0; i < 3; i++)
		ctl_cell_num(out, 0);
	ctl_cell(out, "%s", "");
}

static int run_status(struct ctl_out *out, const struct ctl_args *args)
{
	const char *only = ctl_arg(out, 0);
	const struct mig_send *s;
	const struct mig_recv *r;

	(void)args;
	ctl_table(out, "move", columns, ARRAY_SIZE(columns));
	for (u32 i = 0; (s = mig_send_at(i)); i++)
		if (s->phase != MIG_PHASE_NONE && (!only || strcmp(only, s->name) == 0))
			show_send(out, s);
	for (u32 i = 0; (r = mig_recv_at(i)); i++)
		if (r->used && (!only || strcmp(only, r->name) == 0))
			show_recv(out, r);
	return 0;
}

static int run_cancel(struct ctl_out *out, const struct ctl_args *args)
{
	const char *force = opt(args, "force");
	char why[WHY] = "";
	int rc;

	if (force && strcmp(force, "yes") != 0)
		return ctl_fail(out, -EINVAL, "force=yes, or nothing");
	rc = mig_cancel(ctl_arg(out, 0), force != NULL, why, sizeof(why));
	return rc ? ctl_fail(out, rc, "%s", why) : 0;
}

int ctl_migrate_init(struct ctl *c)
{
	static const struct ctl_verb verbs[] = {
		{ "migrate", NULL, "VM HOST[:PORT] [downtime=MS] [limit=MBIT]",
		  "move a VM to another host while it runs",
		  "downtime limit fault at back cancel", 2, 2, CTL_ARG_VM, run_migrate },
		{ "migrate-status", NULL, "[VM]", "moves that go on, and the last ones", NULL, 0, 1,
		  CTL_ARG_VM, run_status },
		{ "migrate-cancel", NULL, "VM [force=yes]", "end a move, the VM stays", "force", 1,
		  1, CTL_ARG_VM, run_cancel },
	};
	int rc = mig_init();

	return rc ? rc : ctl_add(c, verbs, ARRAY_SIZE(verbs));
}
