/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VFs of a VM that moves: all of them become their twins before it is copied, and go on in hardware
 * where it has come to. What its configuration says does not change by that.
 */
#include "devices/sriov/igb/igb_guest_priv.h"
#include "guest/migrate/migrate.h"
#include "kernel/base/fmt.h"
#include "kernel/core/log.h"

#define WHY 160

/* In hardware, or in software though its configuration wants hardware. */
static struct igb_guest *due_one(const struct vm *vm, u8 net, bool aside)
{
	struct igb_guest *v = igb_guest_of(vm, net);
	bool due = v && v->a && (aside ? v->g != NULL : !v->g && !vm->own_config.net[net].twin);

	return due ? v : NULL;
}

static bool due(const struct vm *vm, bool aside)
{
	for (u8 i = 0; i < CONFIG_NETS; i++)
		if (due_one(vm, i, aside))
			return true;
	return false;
}

/* On a failure it is the twin, and 'vf direct' can try again. */
static int back(struct vm *vm)
{
	char why[WHY];
	int n = 0;

	for (u8 i = 0; i < CONFIG_NETS; i++) {
		if (!due_one(vm, i, false))
			continue;
		if (igb_guest_direct(vm, i, vm->own_config.net[i].nic, why, sizeof(why)))
			log_warn("vm %s: net%u stays in software: %s", vm->name, i, why);
		else
			n++;
	}
	return n;
}

static int aside(struct vm *vm, char *why, size_t why_size)
{
	char text[WHY];
	int n = 0, rc;

	for (u8 i = 0; i < CONFIG_NETS; i++) {
		if (!due_one(vm, i, true))
			continue;
		rc = igb_guest_twin(vm, i, text, sizeof(text));
		if (rc) {
			fmt_snprintf(why, why_size, "net%u cannot go on in software: %s", i, text);
			(void)back(vm);
			return rc;
		}
		vm->own_config.net[i].twin = false; /* it is no operator's wish */
		n++;
	}
	return n;
}

static int move(struct vm *vm, bool to_software, char *why, size_t why_size)
{
	return to_software ? aside(vm, why, why_size) : back(vm);
}

void igb_move_init(void)
{
	static const struct mig_functions f = { due, move };

	mig_register_functions(&f);
}
