/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VFs of a VM that moves: all of them become their twins before it is copied, and go on in hardware
 * where it has come to. A team's primary cannot be its twin: the guest lets go of it, and gets one
 * again. What the VM's configuration says does not change by that.
 */
#include "devices/pci/slots.h"
#include "devices/sriov/igb/igb_guest_priv.h"
#include "guest/migrate/migrate.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/core/log.h"

#define WHY 160

int igb_plug(struct vm *vm, u8 net, bool in, char *why, size_t why_size)
{
	int rc = vm_hold(vm, why, why_size);

	if (rc)
		return rc;
	if (in)
		rc = igb_guest_add(vm, net, why, why_size);
	else
		igb_guest_remove(vm, net);
	vm_let_go(vm);
	return rc;
}

static void back(struct vm *vm)
{
	char why[WHY];
	bool on = vm->state == VM_RUNNING || vm->state == VM_PAUSED;

	for (u8 i = 0; i < CONFIG_NETS && on; i++) {
		if (!config_net_primary(vm->config, i))
			igb_go_home(vm, i, NULL);
		else if (slots_filled(vm, i))
			slots_call_off(vm, i);
		else if (config_net_filled(&vm->config->net[i]) &&
			 igb_plug(vm, i, true, why, sizeof(why)))
			log_warn("vm %s: goes on with its standby: %s", vm->name, why);
	}
}

static int unplug(struct vm *vm, bool ask, char *why, size_t why_size)
{
	int n = 0, rc = 0;

	for (u8 i = CONFIG_NETS; i-- > 0 && !rc;) {
		if (!slots_filled(vm, i) || !config_net_primary(vm->config, i))
			continue;
		if (ask && vm->state != VM_RUNNING) {
			fmt_snprintf(why, why_size, "net%u: a guest that is paused cannot let go "
				     "of it", i);
			return -EBUSY;
		}
		/* Where nobody listens it is taken out at once, as by 'vf detach'. */
		if (ask && !slots_ask(vm, i, true))
			rc = igb_plug(vm, i, false, why, why_size);
		n++;
		if (!rc)
			fmt_snprintf(why, why_size, "net%u", i);
	}
	return rc ? rc : n;
}

static int aside(struct vm *vm, u32 *held_us, char *why, size_t why_size)
{
	char text[WHY];
	int n = 0, rc;

	for (u8 i = 0; i < CONFIG_NETS; i++) {
		struct igb_guest *v = igb_guest_of(vm, i);

		if (!v || !v->a || (!v->g && !v->next && !v->twin.lost))
			continue;
		rc = igb_guest_twin(vm, i, text, sizeof(text));
		if (rc) {
			fmt_snprintf(why, why_size, "net%u cannot go on in software: %s", i, text);
			return rc;
		}
		vm->own_config.net[i].twin = false; /* it is no operator's wish */
		v->why = "it moves";
		*held_us += igb_guest_switched(vm, i).stopped_us;
		n++;
	}
	return n;
}

void igb_move_init(void)
{
	static const struct mig_functions f = { unplug, aside, back };

	mig_register_functions(&f);
}
