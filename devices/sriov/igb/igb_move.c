/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VFs of a VM that moves: all of them become their twins before it is copied, and go on in hardware
 * where it has come to. What its configuration says does not change by that.
 */
#include "devices/sriov/igb/igb_guest_priv.h"
#include "guest/migrate/migrate.h"
#include "kernel/base/fmt.h"

#define WHY 160

static void back(struct vm *vm)
{
	for (u8 i = 0; i < CONFIG_NETS; i++)
		igb_go_home(vm, i, NULL);
}

static int aside(struct vm *vm, u32 *held_us, char *why, size_t why_size)
{
	char text[WHY];
	int n = 0, rc;

	for (u8 i = 0; i < CONFIG_NETS; i++) {
		const struct igb_guest *v = igb_guest_of(vm, i);

		if (!v || !v->a || (!v->g && !v->next))
			continue;
		rc = igb_guest_twin(vm, i, text, sizeof(text));
		if (rc) {
			fmt_snprintf(why, why_size, "net%u cannot go on in software: %s", i, text);
			back(vm);
			return rc;
		}
		vm->own_config.net[i].twin = false; /* it is no operator's wish */
		*held_us += igb_guest_switched(vm, i).stopped_us;
		n++;
	}
	return n;
}

void igb_move_init(void)
{
	static const struct mig_functions f = { aside, back };

	mig_register_functions(&f);
}
