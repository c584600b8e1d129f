/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hardware that begins at the beginning of a ring only: the twin goes on until its rings are there.
 * What a test asks of changes.
 */
#include "devices/net/net.h"
#include "devices/sriov/igb/igb_guest_priv.h"
#include "devices/sriov/nics.h"
#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"

#define HOLD_NS 50000000ull

/*
 * Sending is held there for HOLD_NS, so that receiving may come to it meanwhile, and then not for
 * as long. Who gets there first asks the boot CPU, where frames wait in the host's queue.
 */
void igb_switch_check(struct igb_guest *v)
{
	struct igb *g = nics_uplink();

	if (!v->next || v->g || !vf_twin_at_start(&v->twin))
		return;
	if (g)
		g->rx_waits = true;
	atomic_or(&pcpu_get(0)->softirq, SOFTIRQ_NIC);
	cpu_kick(0);
}

static void arm_next(struct igb_guest *v)
{
	if (timer_arm(&v->next_timer, tsc_read() + ns_to_tsc(HOLD_NS)))
		log_warn("vm %s: net%u: timer could not be armed", v->vm->name, v->net);
}

static void hold_due(void *ctx)
{
	struct igb_guest *v = ctx;

	(void)net_lock();
	v->twin.hold = !v->twin.hold;
	net_unlock();
	igb_twin_recheck(v);
	arm_next(v);
}

int igb_switch_wait(struct igb_guest *v, struct igb *g, u8 n)
{
	timer_init(&v->next_timer, hold_due, v);
	(void)net_lock();
	v->next_n = n;
	v->next = g;
	v->twin.hold = true;
	igb_switch_check(v);
	net_unlock();
	arm_next(v);
	return 0;
}

static void stop_waiting(struct igb_guest *v)
{
	timer_cancel(&v->next_timer);
	(void)net_lock();
	v->next = NULL;
	v->twin.hold = false;
	net_unlock();
}

void igb_switch_cancel(struct igb_guest *v)
{
	struct igb *g = v->next;

	if (!g)
		return;
	stop_waiting(v);
	igb_switch_give_up(v, g, v->next_n);
}

static void try_start(struct igb_guest *v)
{
	char why[120] = "";
	int rc = igb_switch_finish(v, why, sizeof(why));

	if (rc == -EBUSY) { /* it went on until it was held */
		igb_twin_recheck(v);
		return;
	}
	if (rc)
		log_err("vm %s: net%u: %s", v->vm->name, v->net, why);
	stop_waiting(v);
}

void igb_switch_poll(void)
{
	for (u32 i = 0; i < VM_MAX; i++) {
		for (u8 k = 0; vm_at(i) && k < CONFIG_NETS; k++) {
			struct igb_guest *v = igb_guest_of(vm_at(i), k);

			if (v && v->next && vf_twin_at_start(&v->twin))
				try_start(v);
		}
	}
	for (u32 i = 0; nics_at(i); i++)
		nics_at(i)->rx_waits = false;
}

int igb_guest_head(struct vm *vm, u8 index, const char *how)
{
	static const char *const names[] = { NULL, "write", "dummy", "wrap" };
	struct igb_guest *v = igb_guest_of(vm, index);
	u32 i = how ? 1 : 0;

	while (how && i < ARRAY_SIZE(names) && strcmp(how, names[i]) != 0)
		i++;
	if (!v || i == ARRAY_SIZE(names))
		return v ? -EINVAL : -ENOENT;
	v->head = (enum igb_head)i;
	return 0;
}

void igb_guest_hook(struct vm *vm, u8 index, u8 point)
{
	struct igb_guest *v = igb_guest_of(vm, index);

	if (v)
		v->hook = point;
}
