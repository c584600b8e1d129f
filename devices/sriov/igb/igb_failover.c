/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VFs of a NIC that loses its link, or that is replaced, go on as their twins by another NIC; those
 * that only wait for their NIC return to it.
 */
#include "arch/x86/io.h"
#include "devices/sriov/igb/igb_guest_priv.h"
#include "devices/sriov/nics.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/log.h"

#define WHY 160

/* After a reset registers are looked at after this time, and twice as long each time. */
#define LOOK_MS	    10u
#define LOOK_MAX_MS 640u

/* Do twins reach the wire by another NIC than g? */
static bool other_way(const struct igb *g)
{
	const struct igb *up = nics_uplink();

	return up && up != g && up->mbps;
}

/* Neither going nor coming: its VFs are guest/migrate's then. */
static bool at_home(const struct vm *vm)
{
	return !vm->migrating && (vm->state == VM_RUNNING || vm->state == VM_PAUSED);
}

/* Of a team the standby goes on, as if the card was pulled. */
static int leave(struct igb_guest *v, const struct igb *g, char *why)
{
	int rc;

	if (g->dead && config_net_primary(v->vm->config, v->net))
		return igb_plug(v->vm, v->net, false, why, WHY);
	rc = igb_guest_twin(v->vm, v->net, why, WHY);
	if (rc)
		return rc;
	v->vm->own_config.net[v->net].twin = false; /* it is no operator's wish */
	v->why = g->dead ? "it is dead" : "no link";
	return 0;
}

void igb_failover(struct igb *g)
{
	char why[WHY] = "";

	for (u8 n = 0; n < g->vfs && g->failover && (g->dead || other_way(g)); n++) {
		struct igb_guest *v = g->slot[n].guest;
		struct vm *vm = v ? v->vm : NULL;

		if (!v || !v->a || !at_home(vm) || !leave(v, g, why))
			continue;
		if (g->dead)
			vm_fail(vm, NULL, "VF %u of nic %s is lost, which %s, and: %s", n, g->name,
				g->dead, why);
		else
			log_warn("vm %s: stays at %s: %s", vm->name, g->name, why);
	}
}

void igb_failover_due(void *ctx)
{
	struct igb_guest *v = ctx;
	struct igb *g = v->g;

	if (!g || v->look_ms > LOOK_MAX_MS)
		return;
	igb_look_soon(g);
	if (timer_arm(&v->look, tsc_read() + ns_to_tsc(v->look_ms * 1000000ull)))
		log_warn("vm %s: net%u: timer could not be armed", v->vm->name, v->net);
	v->look_ms *= 2;
}

void igb_failover_look(struct igb_guest *v)
{
	v->look_ms = LOOK_MS;
	igb_failover_due(v);
}

void igb_go_home(struct vm *vm, u8 net, const struct igb *g)
{
	struct igb_guest *v = igb_guest_of(vm, net);
	const struct config_net *c = &vm->own_config.net[net];
	const struct igb *home = nics_find(c->nic);
	char why[WHY];
	int rc;

	if (!v || v->g || !v->a || c->twin || (g && g != home))
		return;
	if (home && !home->mbps && home->failover && other_way(home)) {
		v->why = home->dead ? "it is dead" : "no link"; /* igb_failback() has it */
		return;
	}
	rc = igb_guest_direct(vm, net, c->nic, why, sizeof(why));
	if (!rc)
		return;
	v->why = rc == -ENOENT ? "no VF there" : "refused";
	log_warn("vm %s: net%u stays in software: %s", vm->name, net, why);
}

void igb_failback(const struct igb *g)
{
	for (u32 i = 0; i < VM_MAX; i++)
		for (u8 n = 0; vm_at(i) && at_home(vm_at(i)) && n < CONFIG_NETS; n++)
			igb_go_home(vm_at(i), n, g);
}

int igb_guest_replace(struct vm *vm, u8 index, const char *nic, char *why, size_t why_size)
{
	const struct igb_guest *v = igb_guest_of(vm, index);
	struct igb *to = nic ? nics_find(nic) : NULL;
	char from[CONFIG_NAME_LEN], late[WHY];
	u8 n;
	int rc;

	if (!v || !v->g || !nic || to == v->g)
		return igb_guest_direct(vm, index, nic, why, why_size);
	str_copy(from, sizeof(from), v->g->name);
	if (!to || !igb_guest_free(to, &n)) {
		fmt_snprintf(why, why_size, "no VF is free at %s", nic);
		return -ENOENT;
	}
	rc = igb_guest_twin(vm, index, why, why_size);
	if (rc)
		return rc;
	vm->own_config.net[index].twin = false;
	rc = igb_guest_direct(vm, index, nic, why, why_size);
	if (rc && igb_guest_direct(vm, index, from, late, sizeof(late)))
		log_err("vm %s: net%u stays in software: %s", vm->name, index, late);
	return rc;
}
