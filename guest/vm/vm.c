/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life cycle of VMs. All of it runs on the boot CPU in softirq context, one request at a
 * time; vCPUs only post what they want.
 */
#include "guest/vm/vm.h"

#include "guest/load/load_vm.h"
#include "guest/mem/stage2.h"
#include "guest/vm/console.h"
#include "guest/vm/dump.h"
#include "guest/vm/exit.h"
#include "guest/vm/machine.h"
#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

static struct vm *vms[VM_MAX];
static const struct hvm_ops *backend;
static bool vendor_amd;
static const struct bootmods *modules;
static const struct vm_machine_ops *machine;
static void (*on_delete)(struct vm *vm);

struct vm *vm_at(u32 index)
{
	return index < VM_MAX ? vms[index] : NULL;
}

struct vm *vm_find(const char *name)
{
	for (u32 i = 0; i < VM_MAX; i++)
		if (vms[i] && strcmp(vms[i]->name, name) == 0)
			return vms[i];
	return NULL;
}

void vm_register_machine(const struct vm_machine_ops *ops)
{
	machine = ops;
}

void vm_on_delete(void (*fn)(struct vm *vm))
{
	on_delete = fn;
}

size_t vm_console_input(struct vm *vm, const u8 *data, size_t len)
{
	return machine->console_input(vm, data, len);
}

u64 vm_ns(const struct vm *vm)
{
	if (vm->state == VM_PAUSED || vm->state == VM_INCOMING)
		return tsc_to_ns(vm->paused_at);
	return tsc_to_ns(tsc_read() + vm->tsc_offset);
}

u64 vm_ns_to_host_tsc(const struct vm *vm, u64 ns)
{
	return ns_to_tsc(ns) - vm->tsc_offset;
}

/* ---- requests from vCPU loops -------------------------------------------------------- */

static void post(struct vm *vm, u32 bit, const char *reason)
{
	/* The first reason stands. */
	if (!atomic_or(&vm->pending, bit))
		str_copy(vm->reason, sizeof(vm->reason), reason);
	atomic_or(&pcpu_get(0)->softirq, SOFTIRQ_VM);
	cpu_kick(0);
}

void vm_power_off(struct vm *vm, const char *reason)
{
	post(vm, VM_PENDING_POWEROFF, reason);
}

void vm_request_reset(struct vm *vm, const char *reason)
{
	post(vm, VM_PENDING_RESET, reason);
}

void vm_fail(struct vm *vm, struct vcpu *v, const char *f, ...)
{
	char reason[sizeof(vm->reason)];
	va_list ap;

	va_start(ap, f);
	fmt_vsnprintf(reason, sizeof(reason), f, ap);
	va_end(ap);
	if (v)
		v->state = VCPU_STOPPED;
	if (atomic_or(&vm->pending, VM_PENDING_FAIL) & VM_PENDING_FAIL)
		return;
	str_copy(vm->reason, sizeof(vm->reason), reason);
	log_err("vm %s: stopped: %s", vm->name, reason);
	if (v)
		vcpu_dump(v);
	post(vm, VM_PENDING_FAIL, reason);
}

/* ---- parking ----------------------------------------------------------------------- */

static int park_all(struct vm *vm)
{
	int rc = 0;

	for (u32 i = 0; i < vm->vcpus; i++)
		if (vm->vcpu[i] && sched_park(&vm->vcpu[i]->sched))
			rc = -ETIMEDOUT;
	return rc;
}

static void unpark_all(struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpus; i++)
		sched_unpark(&vm->vcpu[i]->sched);
}

/* ---- resources of a running VM --------------------------------------------------------- */

static void release(struct vm *vm)
{
	if (vm->machine)
		machine->destroy(vm);
	for (u32 i = 0; i < vm->vcpus; i++)
		vcpu_destroy(vm->vcpu[i]);
	if (vm->hvm)
		backend->vm_destroy(vm->hvm);
	vm->hvm = NULL;
	stage2_destroy(vm);
	kfree(&vm->owner, vm->policy, sizeof(*vm->policy));
	vm->policy = NULL;
	vm->vdevs = 0;
	if (vm->owner.used)
		log_err("vm %s: %lu bytes were not given back", vm->name, vm->owner.used);
}

static int build_policy(struct vm *vm, char *why, size_t why_size)
{
	const struct cpu_policy_env env = { .host_cpuid = hvm_host_cpuid,
					    .tsc_khz = tsc_khz(),
					    .apic_hz = MACHINE_APIC_KHZ * 1000ull,
					    .vcpus = vm->vcpus,
					    .vendor_amd = vendor_amd };

	vm->policy = kalloc(&vm->owner, sizeof(*vm->policy));
	if (!vm->policy) {
		str_copy(why, why_size, "no memory for the CPU policy");
		return -ENOMEM;
	}
	return cpu_policy_build(vm->policy, vm->config->cpu, &env, why, why_size);
}

static int build(struct vm *vm, char *why, size_t why_size)
{
	struct hvm_vm_config hc = { .owner = &vm->owner };
	int rc = build_policy(vm, why, why_size);

	if (!rc)
		rc = stage2_create(vm, why, why_size);
	if (rc)
		return rc;
	str_copy(why, why_size, "no memory for control pages, vCPUs or devices");
	hc.stage2_root = vm->stage2.root;
	rc = backend->vm_create(&vm->hvm, &hc);
	for (u32 i = 0; i < vm->vcpus && !rc; i++)
		rc = vcpu_create(vm, i);
	if (rc)
		return rc;
	io_bus_init(&vm->ports, "port", 65536);
	io_bus_init(&vm->mmio, "mmio", 0);
	return machine->build(vm, why, why_size);
}

/* Power-on state of everything but RAM. All vCPUs parked. */
static void power_on(struct vm *vm)
{
	vm->tsc_offset = 0 - tsc_read();
	vm->paused_at = 0;
	vm->moved = false;
	atomic_store_relaxed(&vm->pending, 0);
	for (u32 i = 0; i < vm->vcpus; i++)
		vcpu_reset(vm->vcpu[i]);
	machine->reset(vm);
}

/* From OFF or FAILED to a machine in power-on state; with a kernel or to be filled by a stream. */
static int begin(struct vm *vm, bool kernel, char *why, size_t why_size)
{
	int rc;

	if (vm->state != VM_OFF && vm->state != VM_FAILED) {
		fmt_snprintf(why, why_size, "vm %s is %s", vm->name, vm_state_name(vm->state));
		return -EBUSY;
	}
	if (vm->state == VM_FAILED)
		release(vm);
	vm->state = kernel ? VM_OFF : VM_INCOMING;
	rc = build(vm, why, why_size);
	if (!rc)
		power_on(vm);
	if (!rc && kernel)
		rc = load_vm_kernel(vm, why, why_size);
	if (rc) {
		release(vm);
		vm->state = VM_OFF;
		return rc;
	}
	vm->reason[0] = '\0';
	return 0;
}

/* The first of a's interfaces whose address one of b's has, too; CONFIG_NETS: none. */
static u32 same_mac(const struct config_vm *a, const struct config_vm *b)
{
	u32 i = 0;

	for (; i < CONFIG_NETS; i++)
		for (u32 k = 0; a->net[i].kind != CONFIG_NET_NONE && k < CONFIG_NETS; k++)
			if (b->net[k].kind != CONFIG_NET_NONE &&
			    memcmp(a->net[i].mac, b->net[k].mac, sizeof(a->net[i].mac)) == 0)
				return i;
	return i;
}

/* A VM that arrives must find its addresses free, but for the VM that it is made of. */
int vm_receive(struct vm *vm, char *why, size_t why_size)
{
	for (u32 i = 0; i < VM_MAX; i++) {
		const struct vm *other = vms[i];
		u32 net = CONFIG_NETS;

		if (other && other != vm && other->state != VM_OFF && !other->migrating)
			net = same_mac(vm->config, other->config);
		if (net < CONFIG_NETS) {
			fmt_snprintf(why, why_size, "vm %s has the address of net%u", other->name,
				     net);
			return -EEXIST;
		}
	}
	return begin(vm, false, why, why_size);
}

int vm_start(struct vm *vm, char *why, size_t why_size)
{
	int rc = begin(vm, true, why, why_size);

	if (rc)
		return rc;
	vm->state = VM_RUNNING;
	log_info("vm %s: started: %lu MiB, %u vCPUs, cpu %s", vm->name, vm->config->memory >> 20,
		 vm->vcpus, vm->config->cpu);
	unpark_all(vm);
	return 0;
}

static int require_state(struct vm *vm, u32 state, char *why, size_t why_size)
{
	if (vm->state == state)
		return 0;
	fmt_snprintf(why, why_size, "vm %s is %s, not %s", vm->name, vm_state_name(vm->state),
		     vm_state_name(state));
	return -EBUSY;
}

static int park_or_say(struct vm *vm, char *why, size_t why_size)
{
	int rc = park_all(vm);

	if (rc)
		fmt_snprintf(why, why_size, "a vCPU of %s did not park within 1 s", vm->name);
	return rc;
}

/* Who looks at its console only shall know, too. */
static void say_ended(struct vm *vm)
{
	char text[sizeof(vm->reason) + CONFIG_NAME_LEN + 32];
	struct text t = text_make(text, sizeof(text));

	text_add(&t, "\r\n[%s is %s%s%s]\r\n", vm->name, vm_state_name(vm->state),
		 vm->reason[0] ? ": " : "", vm->reason);
	vm_console_write(vm, (const u8 *)text, t.len);
}

int vm_stop(struct vm *vm, char *why, size_t why_size)
{
	int rc;

	if (vm->state == VM_OFF)
		return require_state(vm, VM_RUNNING, why, why_size);
	rc = park_or_say(vm, why, why_size);
	if (rc)
		return rc;
	release(vm);
	vm->state = VM_OFF;
	atomic_store_relaxed(&vm->pending, 0);
	log_info("vm %s: off%s%s", vm->name, vm->reason[0] ? ": " : "", vm->reason);
	say_ended(vm);
	return 0;
}

int vm_hold(struct vm *vm, char *why, size_t why_size)
{
	int rc = vm->state == VM_RUNNING ? park_or_say(vm, why, why_size) : 0;

	if (rc)
		unpark_all(vm);
	return rc;
}

void vm_let_go(struct vm *vm)
{
	if (vm->state == VM_RUNNING)
		unpark_all(vm);
}

void vm_quiesce(struct vm *vm)
{
	lock_assert_held(&vm->lock);
	for (u32 i = 0; i < vm->vdevs; i++)
		if (vm->vdev[i]->ops->quiesce)
			vm->vdev[i]->ops->quiesce(vm->vdev[i]->state);
}

int vm_pause(struct vm *vm, char *why, size_t why_size)
{
	int rc = require_state(vm, VM_RUNNING, why, why_size);

	if (!rc)
		rc = park_or_say(vm, why, why_size);
	if (rc)
		return rc;
	spin_lock(&vm->lock);
	vm_quiesce(vm);
	vm->paused_at = tsc_read() + vm->tsc_offset;
	vm->state = VM_PAUSED;
	spin_unlock(&vm->lock);
	return 0;
}

int vm_devices_resume(struct vm *vm, char *why, size_t why_size)
{
	int rc = 0;

	spin_lock(&vm->lock);
	if (!vm->clock_runs)
		vm->tsc_offset = vm->paused_at - tsc_read();
	vm->clock_runs = false;
	if (vm->state == VM_PAUSED)
		vm->state = VM_RUNNING;
	for (u32 i = 0; i < vm->vcpus; i++) {
		backend->set_sys(vm->vcpu[i]->hv, HVM_TSC_OFFSET,
				 vm->tsc_offset + vm->vcpu[i]->msr.tsc_adjust);
		/* Here the TSC may run a little faster or slower. */
		if (vm->moved)
			kvmclock_write(vm->vcpu[i]);
	}
	for (u32 i = 0; i < vm->vdevs && !rc; i++) {
		const struct vdev *d = vm->vdev[i];

		if (d->ops->resume)
			rc = d->ops->resume(d->state);
		if (rc)
			fmt_snprintf(why, why_size, "%s%u of %s could not resume: %s", d->name,
				     d->instance, vm->name, err_name(rc));
	}
	spin_unlock(&vm->lock);
	return rc;
}

int vm_resume(struct vm *vm, char *why, size_t why_size)
{
	int rc = require_state(vm, VM_PAUSED, why, why_size);

	if (rc)
		return rc;
	rc = vm_devices_resume(vm, why, why_size);
	vm->moved = false;
	if (rc) {
		vm_fail(vm, NULL, "%s", why);
		return rc;
	}
	unpark_all(vm);
	return 0;
}

int vm_reset(struct vm *vm, char *why, size_t why_size)
{
	int rc;

	if (vm->state != VM_RUNNING && vm->state != VM_PAUSED)
		return require_state(vm, VM_RUNNING, why, why_size);
	rc = park_or_say(vm, why, why_size);
	if (rc)
		return rc;
	power_on(vm);
	rc = load_vm_kernel(vm, why, why_size);
	if (rc)
		return rc;
	log_info("vm %s: reset%s%s", vm->name, vm->reason[0] ? ": " : "", vm->reason);
	vm->reason[0] = '\0';
	vm->state = VM_RUNNING;
	unpark_all(vm);
	return 0;
}

void vm_rename(struct vm *vm, const char *name)
{
	str_copy(vm->name, sizeof(vm->name), name);
	str_copy(vm->own_config.name, sizeof(vm->own_config.name), name);
	str_copy(vm->owner.name, sizeof(vm->owner.name), name);
	vm_console_named(vm);
}

int vm_create(const struct config_vm *config, char *why, size_t why_size)
{
	struct vm *vm;
	u32 i = 0;
	int rc;

	if (vm_find(config->name)) {
		fmt_snprintf(why, why_size, "a vm named %s exists", config->name);
		return -EEXIST;
	}
	while (i < VM_MAX && vms[i])
		i++;
	if (i == VM_MAX) {
		fmt_snprintf(why, why_size, "the table of %u VMs is full", VM_MAX);
		return -ENOSPC;
	}
	vm = kalloc(hv_owner(), sizeof(*vm));
	if (!vm) {
		str_copy(why, why_size, "no memory for the VM's control structure");
		return -ENOMEM;
	}
	spin_init(&vm->lock, LOCK_VM, "vm");
	spin_init(&vm->ram_lock, LOCK_RAM, "ram");
	str_copy(vm->name, sizeof(vm->name), config->name);
	vm->index = i;
	vm->own_config = *config;
	vm->config = &vm->own_config;
	vm->ops = backend;
	vm->vendor_amd = vendor_amd;
	vm->vcpus = config->cpus;
	rc = owner_add(&vm->owner, vm->name, config->memory + VM_OVERHEAD(config->memory));
	if (rc) {
		fmt_snprintf(why, why_size, "no account in the frame pool: %s", err_name(rc));
		goto no_account;
	}
	rc = vm_console_create(vm);
	if (rc) {
		str_copy(why, why_size, "no memory for the console");
		goto no_console;
	}
	vms[i] = vm;
	return 0;

no_console:
	ASSERT(owner_remove(&vm->owner) == 0);
no_account:
	kfree(hv_owner(), vm, sizeof(*vm));
	return rc;
}

int vm_delete(struct vm *vm, char *why, size_t why_size)
{
	int rc = 0;

	if (vm->state != VM_OFF)
		rc = vm_stop(vm, why, why_size);
	if (rc)
		return rc;
	on_delete(vm);
	rc = owner_remove(&vm->owner);
	if (rc) {
		fmt_snprintf(why, why_size, "vm %s still holds %lu bytes", vm->name,
			     vm->owner.used);
		return rc;
	}
	vms[vm->index] = NULL;
	vm_console_destroy(vm);
	log_info("vm %s: deleted", vm->name);
	kfree(hv_owner(), vm, sizeof(*vm));
	return 0;
}

/* ---- work that vCPUs posted --------------------------------------------------------------- */

static void serve(struct vm *vm)
{
	u32 work = atomic_load_acquire(&vm->pending);
	char why[160];
	int rc = 0;

	if (!work || (vm->state != VM_RUNNING && vm->state != VM_PAUSED))
		return;
	if (work & VM_PENDING_FAIL) {
		rc = park_or_say(vm, why, sizeof(why));
		vm->state = VM_FAILED;
	} else if (work & VM_PENDING_POWEROFF) {
		rc = vm_stop(vm, why, sizeof(why));
	} else {
		rc = vm_reset(vm, why, sizeof(why));
	}
	if (rc) {
		log_err("vm %s: %s", vm->name, why);
		vm->state = VM_FAILED;
	}
	if (vm->state == VM_FAILED)
		say_ended(vm);
}

static void serve_all(void)
{
	for (u32 i = 0; i < VM_MAX; i++)
		if (vms[i])
			serve(vms[i]);
}

const char *vm_state_name(u32 state)
{
	static const char *const names[] = { "off", "running", "paused", "failed",
					     "incoming" };

	return state < ARRAY_SIZE(names) ? names[state] : "?";
}

const struct bootmods *vm_modules(void)
{
	return modules;
}

void vm_init(const struct hvm_ops *ops, bool amd, const struct bootmods *mods)
{
	modules = mods;
	backend = ops;
	vendor_amd = amd;
	softirq_register(SOFTIRQ_VM, serve_all);
}
