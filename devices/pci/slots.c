/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Slots on the guest's root bus. A guest lets go of a function in its own context; the function
 * is taken out by the boot CPU, with the VM standing still.
 */
#include "devices/pci/slots.h"

#include "devices/pci/assign.h"
#include "devices/platform/pc.h"
#include "guest/vm/vm.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"

#define FIRST_DEV 24u /* ports at 00:18.0 to 00:1b.0 */

struct slot {
	struct hotplug h;
	struct vm *vm;
	u8 net;
	struct vdev vdev;
	u32 eject; /* atomic: the guest let go */
	bool keep; /* of slots_ask() */
};

/* Boot CPU, control. */
static struct slot *slots[VM_MAX][CONFIG_NETS];

struct hotplug *slots_at(const struct vm *vm, u8 net)
{
	struct slot *s = slots[vm->index][net];

	return s ? &s->h : NULL;
}

bool slots_filled(const struct vm *vm, u8 net)
{
	const struct slot *s = slots[vm->index][net];

	return s && s->h.present;
}

/* ---- the guest's side: vm->lock held ----------------------------------------------------- */

static void on_msi(void *ctx, u64 address, u32 data)
{
	pc_msi(((struct slot *)ctx)->vm, address, data);
}

static void on_off(void *ctx)
{
	struct slot *s = ctx;

	assign_reset(assign_in_slot(s->vm, &s->h));
}

static void on_eject(void *ctx)
{
	struct slot *s = ctx;

	atomic_store_release(&s->eject, 1u);
	atomic_or(&pcpu_get(0)->softirq, SOFTIRQ_SLOT);
	cpu_kick(0);
}

void slots_take_out(struct vm *vm, u8 net)
{
	on_eject(slots[vm->index][net]);
}

/* ---- the host's side: control ------------------------------------------------------------ */

void slots_empty(struct vm *vm, u8 net)
{
	struct config_net *c = &vm->own_config.net[net];

	c->nic[0] = c->pci[0] = '\0';
	c->twin = false;
}

static void take_out(struct slot *s)
{
	struct vm *vm = s->vm;
	char why[160] = "";

	if (vm_hold(vm, why, sizeof(why))) {
		log_err("vm %s: net%u: taking it out: %s", vm->name, s->net, why);
		return;
	}
	if (s->h.present)
		assign_remove(assign_in_slot(vm, &s->h));
	if (!s->keep)
		slots_empty(vm, s->net);
	vm_let_go(vm);
	log_info("vm %s: net%u: the guest let go, the slot is empty", vm->name, s->net);
}

static void softirq(void)
{
	for (u32 i = 0; i < VM_MAX; i++)
		for (u32 n = 0; n < CONFIG_NETS; n++)
			if (slots[i][n] && atomic_swap(&slots[i][n]->eject, 0u))
				take_out(slots[i][n]);
}

bool slots_ask(struct vm *vm, u8 net, bool keep)
{
	struct slot *s = slots[vm->index][net];
	bool asked;

	if (!s || vm->state != VM_RUNNING)
		return false;
	spin_lock(&vm->lock);
	if (!keep || !s->h.asked || s->h.called_off)
		s->keep = keep;
	asked = s->h.present && hotplug_ask(&s->h);
	spin_unlock(&vm->lock);
	return asked;
}

void slots_call_off(struct vm *vm, u8 net)
{
	struct slot *s = slots[vm->index][net];

	if (!s || !s->keep)
		return;
	spin_lock(&vm->lock);
	hotplug_call_off(&s->h, atomic_swap(&s->eject, 0u));
	spin_unlock(&vm->lock);
}

/* ---- making and undoing ------------------------------------------------------------------ */

static int build_slot(struct vm *vm, u8 net)
{
	static const struct vdev_ops ops = { .reset = hotplug_reset, .resume = hotplug_resume };
	struct slot *s = kalloc(&vm->owner, sizeof(*s));
	const struct hotplug_env env = { s, on_msi, on_off, on_eject };
	int rc;

	if (!s)
		return -ENOMEM;
	s->vm = vm;
	s->net = net;
	hotplug_init(&s->h, &env, VPCI_DEVFN(FIRST_DEV + net, 0), (u16)(net + 1));
	s->vdev = (struct vdev){ "slot", net, 1, &s->h, &ops, hotplug_fields, hotplug_nfields };
	slots[vm->index][net] = s;
	rc = vpci_add(pc_pci(vm), &s->h.fn);
	return rc ? rc : pc_add_vdev(vm, &s->vdev);
}

static int build(struct vm *vm, char *why, size_t why_size)
{
	int rc = 0;

	for (u8 i = 0; i < CONFIG_NETS && !rc; i++) {
		if (!vm->config->net[i].hotplug)
			continue;
		rc = build_slot(vm, i);
		if (rc)
			fmt_snprintf(why, why_size, "net%u: no slot: %s", i, err_name(rc));
	}
	return rc;
}

static void destroy(struct vm *vm)
{
	for (u32 i = 0; i < CONFIG_NETS; i++) {
		struct slot *s = slots[vm->index][i];

		slots[vm->index][i] = NULL;
		if (!s)
			continue;
		vpci_remove(pc_pci(vm), &s->h.fn);
		kfree(&vm->owner, s, sizeof(*s));
	}
}

void slots_init(void)
{
	static const struct pc_part part = { build, destroy };

	softirq_register(SOFTIRQ_SLOT, softirq);
	pc_register_part(&part);
}
