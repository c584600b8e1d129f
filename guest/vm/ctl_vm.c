/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control verbs about VMs: life cycle, console, figures, dumps; and those that end all of them.
 */
#include "guest/vm/ctl_vm.h"

#include "guest/vm/console.h"
#include "guest/vm/dump.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/log.h"
#include "kernel/core/power.h"
#include "kernel/core/timer.h"
#include "kernel/core/trace.h"

#define WHY 160

static const struct config *config;
static void (*show_more)(struct ctl_out *out, const struct vm *vm);

static struct vm *named(struct ctl_out *out)
{
	struct vm *vm = vm_find(ctl_arg(out, 0));

	if (!vm)
		ctl_fail(out, 0, "no vm named %s", ctl_arg(out, 0));
	return vm;
}

static const struct config_vm *configured(const char *name)
{
	for (u32 i = 0; i < config->vms; i++)
		if (strcmp(config->vm[i].name, name) == 0)
			return &config->vm[i];
	return NULL;
}

/* ---- life cycle ------------------------------------------------------------------------- */

typedef int (*vm_action)(struct vm *vm, char *why, size_t why_size);

static int act(struct ctl_out *out, vm_action fn)
{
	struct vm *vm = named(out);
	char why[WHY] = "";
	int rc;

	if (!vm)
		return -ENOENT;
	if (vm->migrating)
		return ctl_fail(out, -EBUSY, "vm %s is being moved; migrate-cancel ends that",
				vm->name);
	rc = fn(vm, why, sizeof(why));
	return rc ? ctl_fail(out, rc, "%s", why) : 0;
}

static int run_start(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	return act(out, vm_start);
}

static int run_stop(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	return act(out, vm_stop);
}

static int run_pause(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	return act(out, vm_pause);
}

static int run_resume(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	return act(out, vm_resume);
}

static int run_reset(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	return act(out, vm_reset);
}

static int run_delete(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	return act(out, vm_delete);
}

static int run_create(struct ctl_out *out, const struct ctl_args *args)
{
	const char *name = ctl_arg(out, 0);
	const struct config_vm *c = configured(name);
	char why[WHY] = "";
	int rc;

	(void)args;
	if (!c)
		return ctl_fail(out, -ENOENT, "%s has no section [vm %s]", config->file, name);
	if (!c->valid)
		return ctl_fail(out, -EINVAL, "section [vm %s] of %s has an error, see log", name,
				config->file);
	rc = vm_create(c, why, sizeof(why));
	return rc ? ctl_fail(out, rc, "%s", why) : 0;
}

static int run_console(struct ctl_out *out, const struct ctl_args *args)
{
	struct vm *vm = named(out);

	(void)args;
	if (!vm)
		return -ENOENT;
	out->attach = vm_console_stream(vm);
	return 0;
}

/* ---- looking ---------------------------------------------------------------------------- */

static const struct ctl_column list_columns[] = {
	{ "name", "name", 12 },      { "state", "state", 8 },     { "vcpus", "vcpus", -5 },
	{ "memory", "memory", -10 }, { "cpu_ms", "cpu ms", -10 }, { "up_ms", "up ms", -10 },
	{ "reason", "reason", 0 },
};

/* Host CPU time its vCPUs have had, ms. */
static u64 cpu_ms(const struct vm *vm)
{
	u64 ticks = 0;

	for (u32 i = 0; i < vm->vcpus; i++)
		if (vm->vcpu[i])
			ticks += vm->vcpu[i]->sched.runtime;
	return tsc_to_ns(ticks) / 1000000;
}

static u64 up_ms(const struct vm *vm)
{
	return vm->state == VM_RUNNING || vm->state == VM_PAUSED ? vm_ns(vm) / 1000000 : 0;
}

static int run_list(struct ctl_out *out, const struct ctl_args *args)
{
	struct vm *vm;

	(void)args;
	ctl_table(out, "vm", list_columns, ARRAY_SIZE(list_columns));
	for (u32 i = 0; i < VM_MAX; i++) {
		vm = vm_at(i);
		if (!vm)
			continue;
		ctl_cell(out, "%s", vm->name);
		ctl_cell(out, "%s", vm_state_name(vm->state));
		ctl_cell_num(out, vm->vcpus);
		ctl_cell_bytes(out, vm->config->memory);
		ctl_cell_num(out, cpu_ms(vm));
		ctl_cell_num(out, up_ms(vm));
		ctl_cell(out, "%s", vm->reason);
	}
	return 0;
}

static const char *vcpu_state_name(u32 state)
{
	static const char *const names[] = { "wait-sipi", "run", "halted", "stopped" };

	return state < ARRAY_SIZE(names) ? names[state] : "?";
}

static u64 exits_of(const struct vcpu *v)
{
	u64 n = 0;

	for (u32 i = 0; i < HVM_EXIT_CODES; i++)
		n += v->exits[i];
	return n;
}

static const struct ctl_column vcpu_columns[] = {
	{ "id", "vcpu", -4 },        { "state", "state", 9 },   { "host_cpu", "cpu", -3 },
	{ "cpu_ms", "cpu ms", -10 }, { "exits", "exits", -12 }, { "halts", "halts", -10 },
	{ "rip", "rip", 16 },
};

static void show_vcpus(struct ctl_out *out, const struct vm *vm)
{
	ctl_table(out, "vcpu", vcpu_columns, ARRAY_SIZE(vcpu_columns));
	for (u32 i = 0; i < vm->vcpus; i++) {
		const struct vcpu *v = vm->vcpu[i];

		if (!v)
			continue;
		ctl_cell_num(out, v->id);
		ctl_cell(out, "%s", vcpu_state_name(v->state));
		ctl_cell_num(out, v->sched.cpu);
		ctl_cell_num(out, tsc_to_ns(v->sched.runtime) / 1000000);
		ctl_cell_num(out, exits_of(v));
		ctl_cell_num(out, v->halts);
		ctl_cell(out, "%016lx", v->regs.rip);
	}
}

/* What the guest reads as the time, and the host's clock: at the same instant. */
static void show_clock(struct ctl_out *out, const struct vm *vm)
{
	u64 now = tsc_read(), ticks = vm->state == VM_PAUSED || vm->state == VM_INCOMING ?
					      vm->paused_at :
					      now + vm->tsc_offset;

	ctl_num(out, "clock_ns", vm->vcpu[0] ? kvmclock_read(vm->vcpu[0], ticks) : 0);
	ctl_num(out, "host_ns", time_ns_at(now));
}

static int run_info(struct ctl_out *out, const struct ctl_args *args)
{
	const struct vm *vm = named(out);
	const struct config_vm *c;

	(void)args;
	if (!vm)
		return -ENOENT;
	c = vm->config;
	ctl_text(out, "name", "%s", vm->name);
	ctl_text(out, "state", "%s", vm_state_name(vm->state));
	ctl_text(out, "reason", "%s", vm->reason);
	ctl_text(out, "role", "%s", c->courier ? "courier" : "guest");
	ctl_bytes(out, "memory", c->memory);
	ctl_bytes(out, "memory_used", vm->owner.used);
	ctl_num(out, "vcpus", vm->vcpus);
	ctl_text(out, "cpu", "%s", c->cpu);
	ctl_num(out, "weight", c->weight);
	ctl_text(out, "pin", "%#lx", c->pin);
	ctl_text(out, "kernel", "%s", c->kernel);
	ctl_text(out, "initrd", "%s", c->initrd);
	ctl_text(out, "cmdline", "%s", c->cmdline);
	ctl_num(out, "up_ms", up_ms(vm));
	ctl_num(out, "cpu_ms", cpu_ms(vm));
	show_clock(out, vm);
	show_vcpus(out, vm);
	if (show_more)
		show_more(out, vm);
	return 0;
}

static const struct ctl_column stat_columns[] = {
	{ "vm", "vm", 12 },
	{ "vcpu", "vcpu", -4 },
	{ "exit", "exit", 14 },
	{ "count", "count", -12 },
};

static void stat_vm(struct ctl_out *out, const struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpus; i++) {
		for (u32 k = 0; vm->vcpu[i] && k < HVM_EXIT_CODES; k++) {
			if (!vm->vcpu[i]->exits[k])
				continue;
			ctl_cell(out, "%s", vm->name);
			ctl_cell_num(out, i);
			ctl_cell(out, "%s", hvm_exit_name((enum hvm_exit_code)k));
			ctl_cell_num(out, vm->vcpu[i]->exits[k]);
		}
	}
}

static int run_stat(struct ctl_out *out, const struct ctl_args *args)
{
	const struct vm *only = NULL;

	(void)args;
	if (ctl_arg(out, 0)) {
		only = named(out);
		if (!only)
			return -ENOENT;
	}
	ctl_table(out, "exit", stat_columns, ARRAY_SIZE(stat_columns));
	for (u32 i = 0; i < VM_MAX; i++)
		if (vm_at(i) && (!only || vm_at(i) == only))
			stat_vm(out, vm_at(i));
	return 0;
}

/* Dumps go to the log, where that of a failed VM is as well, and from there to the reply. */
static void show_log(struct ctl_out *out, u64 from)
{
	char buf[512];
	size_t n;

	/* People see the log itself. */
	while (!out->person && (n = log_read(&from, buf, sizeof(buf))) > 0) {
		size_t end = n, at = 0;

		while (end > 1 && buf[end - 1] != '\n')
			end--;
		from -= n - end;
		for (size_t i = 0; i < end; i++) {
			if (buf[i] != '\n')
				continue;
			ctl_line(out, buf + at, i - at);
			at = i + 1;
		}
	}
}

/* Registers can be read only while the vCPUs stand still: a running VM is paused meanwhile. */
static int run_dump(struct ctl_out *out, const struct ctl_args *args)
{
	struct vm *vm = named(out);
	char why[WHY] = "";
	u64 from = log_end();
	bool running;
	int rc = 0;

	(void)args;
	if (!vm)
		return -ENOENT;
	if (vm->state == VM_OFF || vm->migrating)
		return ctl_fail(out, -EBUSY, "vm %s is off or being moved", vm->name);
	running = vm->state == VM_RUNNING;
	if (running)
		rc = vm_pause(vm, why, sizeof(why));
	if (rc)
		return ctl_fail(out, rc, "%s", why);
	for (u32 i = 0; i < vm->vcpus; i++)
		vcpu_dump(vm->vcpu[i]);
	show_log(out, from);
	if (running)
		rc = vm_resume(vm, why, sizeof(why));
	return rc ? ctl_fail(out, rc, "%s", why) : 0;
}

/* ---- the end of the host ---------------------------------------------------------------- */

static void stop_all(void)
{
	char why[WHY];

	for (u32 i = 0; i < VM_MAX; i++)
		if (vm_at(i) && vm_at(i)->state != VM_OFF && vm_stop(vm_at(i), why, sizeof(why)))
			log_err("vm %s: %s", vm_at(i)->name, why);
}

static void power_off(void)
{
	stop_all();
	host_poweroff();
}

static void reboot(void)
{
	stop_all();
	host_reboot();
}

static int run_poweroff(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	out->after = power_off;
	return 0;
}

static int run_reboot(struct ctl_out *out, const struct ctl_args *args)
{
	(void)args;
	out->after = reboot;
	return 0;
}

/* ---- registration ----------------------------------------------------------------------- */

static const struct ctl_verb verbs[] = {
	{ "vm", "list", "", "all VMs", NULL, 0, 0, CTL_ARG_NONE, run_list },
	{ "vm", "info", "VM", "one VM and its vCPUs", NULL, 1, 1, CTL_ARG_VM, run_info },
	{ "vm", "start", "VM", "power on", NULL, 1, 1, CTL_ARG_VM, run_start },
	{ "vm", "stop", "VM", "power off at once", NULL, 1, 1, CTL_ARG_VM, run_stop },
	{ "vm", "pause", "VM", "stop its vCPUs and clock", NULL, 1, 1, CTL_ARG_VM, run_pause },
	{ "vm", "resume", "VM", "go on after pause", NULL, 1, 1, CTL_ARG_VM, run_resume },
	{ "vm", "reset", "VM", "reset and boot again", NULL, 1, 1, CTL_ARG_VM, run_reset },
	{ "vm", "delete", "VM", "power off and forget", NULL, 1, 1, CTL_ARG_VM, run_delete },
	{ "vm", "create", "NAME", "create a deleted VM again, as configured", NULL, 1, 1,
	  CTL_ARG_VM_CONFIG, run_create },
	{ "vm", "console", "VM", "connect this port to its console; Ctrl-] leaves", NULL, 1, 1,
	  CTL_ARG_VM, run_console },
	{ "vm", "dump", "VM", "registers and code of its vCPUs, to the log", NULL, 1, 1, CTL_ARG_VM,
	  run_dump },
	{ "stat", NULL, "[VM]", "exits of each vCPU by cause", NULL, 0, 1, CTL_ARG_VM, run_stat },
	{ "poweroff", NULL, "", "stop all VMs, switch the machine off", NULL, 0, 0, CTL_ARG_NONE,
	  run_poweroff },
	{ "reboot", NULL, "", "stop all VMs, reset the machine", NULL, 0, 0, CTL_ARG_NONE,
	  run_reboot },
};

static const char *names(enum ctl_arg kind, u32 i)
{
	if (kind == CTL_ARG_VM_CONFIG)
		return i < config->vms ? config->vm[i].name : NULL;
	for (u32 k = 0; k < VM_MAX; k++)
		if (vm_at(k) && i-- == 0)
			return vm_at(k)->name;
	return NULL;
}

static const char *exit_name(u32 code)
{
	return code < HVM_EXIT_CODES ? hvm_exit_name((enum hvm_exit_code)code) : "?";
}

void ctl_vm_more(void (*show)(struct ctl_out *out, const struct vm *vm))
{
	show_more = show;
}

int ctl_vm_init(struct ctl *c, const struct config *cfg)
{
	config = cfg;
	c->names = names;
	trace_set_names(exit_name);
	return ctl_add(c, verbs, ARRAY_SIZE(verbs));
}
