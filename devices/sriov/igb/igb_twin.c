/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's VF without hardware: its twin at a port of the switch, and its state.
 */
#include "devices/net/net.h"
#include "devices/sriov/igb/igb_guest_priv.h"
#include "devices/platform/pc.h"
#include "devices/sriov/nics.h"
#include "guest/mem/gmem.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/log.h"

#define TWIN_MTU   9000u
#define NEVER	   (~0ull)
#define OVERDUE_NS 2000000u

/* ---- controller without registers --------------------------------------------------------- */

static u32 soft_rd(void *ctx, u32 off)
{
	(void)ctx, (void)off;
	return 0;
}

static void soft_wr(void *ctx, u32 off, u32 value)
{
	(void)ctx, (void)off, (void)value;
}

static void soft_delay(void *ctx, u32 us)
{
	(void)ctx, (void)us;
}

static void soft_init(struct igb_guest *v)
{
	v->soft = (struct igb_hw){ .env = { v, soft_rd, soft_wr, soft_delay },
				   .vfs = 1,
				   .pf_pool = 1 };
}

/* ---- the guest's memory and interrupts ------------------------------------------------------ */

static u8 *mem_map(void *ctx, gpa_t gpa, u32 *len)
{
	return gmem_piece(&((struct igb_guest *)ctx)->vm->mem, gpa, len);
}

static void mem_dirty(void *ctx, gpa_t gpa, u32 len)
{
	gmem_dirty(&((struct igb_guest *)ctx)->vm->mem, gpa, len);
}

/*
 * Vectors to raise; for those that may be raised later, and with 'more' at once, the timer. One
 * that is overdue does not count: QEMU's emulation loses an interrupt of the host at times. Locks:
 * the switch's.
 */
static u32 take_irqs(struct igb_guest *v, bool more)
{
	u64 now = net_now(), wait, at;
	u32 irqs = vf_twin_irqs(&v->twin, now);

	wait = more ? 0 : vf_twin_wait(&v->twin, now);
	at = now + wait;
	if (wait == NEVER || (at >= v->due && now < v->due + OVERDUE_NS))
		return irqs;
	v->due = at;
	if (timer_arm(&v->timer, tsc_read() + ns_to_tsc(wait)))
		log_warn("vm %s: net%u: timer could not be armed", v->vm->name, v->net);
	return irqs;
}

static u32 work(struct igb_guest *v)
{
	bool more = vf_twin_work(&v->twin);

	igb_switch_check(v);
	vswitch_flush(net_locked());
	return take_irqs(v, more);
}

static void twin_due(void *ctx)
{
	struct igb_guest *v = ctx;
	u32 irqs;

	(void)net_lock();
	v->due = NEVER;
	irqs = work(v);
	net_unlock();
	if (irqs)
		assign_raise_soon(v->a, irqs);
}

void igb_twin_mmio(struct igb_guest *v, u32 off, unsigned size, bool write, u64 *value)
{
	u32 irqs;

	(void)net_lock();
	vf_twin_io(&v->twin, off, size, write, value);
	irqs = work(v);
	net_unlock();
	for (; irqs; irqs &= irqs - 1)
		(void)assign_raise(v->a, (u16)__builtin_ctz(irqs));
}

void igb_twin_sync(struct igb_guest *v)
{
	const struct igb_vf *f = &v->soft.vf[0];

	(void)net_lock();
	if (!f->cts)
		vf_twin_stop_queues(&v->twin);
	v->twin.open = f->cts;
	v->twin.multicast = f->hashes || f->all_multi;
	v->twin.max_frame = f->max_frame;
	net_unlock();
}

void igb_twin_power_on(struct igb_guest *v)
{
	(void)net_lock();
	vf_twin_reset(&v->twin);
	net_unlock();
}

/* ---- at the switch -------------------------------------------------------------------------- */

static void twin_send(void *ctx, struct frame *f)
{
	struct igb_guest *v = ctx;

	/* What is dropped is counted at the port. */
	(void)vswitch_send(net_locked(), v->port, f, false, net_now());
}

static u32 be_caps(void *ctx, const struct frame *f)
{
	(void)ctx, (void)f;
	return 0;
}

static enum net_drop be_send(void *ctx, const struct frame *f)
{
	struct igb_guest *v = ctx;
	struct frame again;
	enum net_drop rc;
	struct netbe nic;

	if (!v->g) {
		rc = vf_twin_receive(&v->twin, f);
		igb_switch_check(v);
		return rc;
	}
	/* The last ones that came before hardware took over: through the NIC's own switch. Group
	 * frames it has delivered itself. */
	if (mac_is_group(f->head))
		return NET_OK;
	again = *f;
	again.owner = NULL; /* copied */
	again.vlan = v->soft.vf[0].vlan;
	nic = igb_netbe(v->g);
	return nic.ops->send(nic.ctx, &again);
}

static void be_flush(void *ctx)
{
	struct igb_guest *v = ctx;
	struct netbe nic;
	u32 irqs;

	if (v->g) {
		nic = igb_netbe(v->g);
		nic.ops->flush(nic.ctx);
		return;
	}
	vf_twin_flush(&v->twin);
	irqs = take_irqs(v, false);
	if (irqs)
		assign_raise_soon(v->a, irqs);
}

void igb_twin_init(struct igb_guest *v)
{
	const struct vf_twin_env env = { v, twin_send };

	v->mem = (struct virtq_mem){ v, mem_map, mem_dirty };
	timer_init(&v->timer, twin_due, v);
	timer_init(&v->look, igb_failover_due, v);
	vf_twin_init(&v->twin, &env, &v->mem);
	v->twin.stopped = v->g != NULL;
	soft_init(v);
}

int igb_twin_add_port(struct igb_guest *v)
{
	static const struct netbe_ops ops = { be_caps, be_send, be_flush, NULL, NULL };
	const struct netbe be = { &ops, v };
	const struct igb_vf *policy = &v->soft.vf[0];
	char name[VSWITCH_NAME_LEN];
	struct vswitch_config c = { .name = name, .vlan = policy->vlan, .mtu = TWIN_MTU,
				    .tx_bps = policy->rate_bps, .rx_bps = policy->rate_bps };
	int rc;

	fmt_snprintf(name, sizeof(name), "%s.net%u", v->vm->name, v->net);
	memcpy(c.mac, policy->mac, 6);
	rc = vswitch_add(net_locked(), &c, &be, net_now(), &v->port);
	v->has_port = !rc;
	return rc;
}

void igb_twin_listen(struct igb_guest *v)
{
	if (nics_uplink() && igb_mac_add(nics_uplink(), v->soft.vf[0].mac))
		log_warn("nic %s: all %u address filters in use: net%u of %s is not reached from "
			 "there", nics_uplink()->name, IGB_RARS, v->net, v->vm->name);
}

void igb_twin_show(struct igb_guest *v)
{
	struct vswitch *sw = net_lock();
	struct frame f;
	struct netbe nic;

	if (v->g) {
		vswitch_announcement(v->soft.vf[0].mac, &f);
		f.vlan = v->soft.vf[0].vlan;
		nic = igb_netbe(v->g);
		(void)nic.ops->send(nic.ctx, &f);
		nic.ops->flush(nic.ctx);
	} else if (v->has_port) {
		vswitch_show(sw, v->port, net_now());
	}
	net_unlock();
}

static int open_port(struct igb_guest *v)
{
	int rc;

	(void)net_lock();
	rc = igb_twin_add_port(v);
	net_unlock();
	if (!rc)
		igb_twin_listen(v);
	return rc;
}

int igb_twin_policy(struct igb_guest *v, const struct igb_vf *policy)
{
	soft_init(v);
	return igb_vf_give(&v->soft, 0, policy);
}

int igb_twin_start(struct igb_guest *v, const struct igb_vf *policy)
{
	int rc = igb_twin_policy(v, policy);

	return rc || v->vm->state == VM_INCOMING ? rc : open_port(v);
}

void igb_twin_stop(struct igb_guest *v)
{
	if (!v->has_port)
		return;
	vswitch_remove(net_lock(), v->port);
	net_unlock();
	v->has_port = false;
	if (nics_uplink())
		igb_mac_remove(nics_uplink(), v->soft.vf[0].mac);
}

/* ---- state ---------------------------------------------------------------------------------- */

static void vdev_reset(void *state)
{
	(void)state; /* with the function */
}

static void vdev_quiesce(void *state)
{
	struct igb_guest *v = state;

	if (v->g || !v->vm->migrating)
		return;
	igb_twin_stop(v);
	(void)net_lock();
	v->twin.stopped = true;
	net_unlock();
}

static int check_state(struct igb_guest *v)
{
	const struct igb_vf *f = &v->soft.vf[0];
	int rc = igb_vf0_resume(&v->page);

	if (f->hashes > IGB_HASHES || f->max_frame < IGB_MIN_FRAME || f->max_frame > IGB_MAX_FRAME)
		return -EINVAL;
	return rc ? rc : vf_twin_resume(&v->twin);
}

static int vdev_resume(void *state)
{
	struct igb_guest *v = state;
	bool incoming = v->vm->state == VM_INCOMING;
	int rc = v->g ? 0 : check_state(v);

	if (rc || v->g || incoming)
		return rc;
	if (!v->has_port)
		rc = open_port(v);
	if (rc)
		return rc;
	v->twin.stopped = false;
	igb_twin_sync(v);
	if (v->vm->moved) {
		vswitch_show(net_lock(), v->port, net_now());
		net_unlock();
	}
	igb_twin_recheck(v);
	return 0;
}

static const struct vmstate_field fields[] = {
	VMSTATE_ARRAY(struct igb_guest, page.mem, VMS_U32),
	VMSTATE(struct igb_guest, page.mbox, VMS_U32),
	VMSTATE_ARRAY(struct igb_guest, page.stat_base, VMS_U32),
	VF_TWIN_VMSTATE(struct igb_guest, twin),
	VMSTATE(struct igb_guest, soft.vf[0].cts, VMS_BOOL),
	VMSTATE(struct igb_guest, soft.vf[0].all_multi, VMS_BOOL),
	VMSTATE(struct igb_guest, soft.vf[0].max_frame, VMS_U16),
	VMSTATE(struct igb_guest, soft.vf[0].hashes, VMS_U32),
	VMSTATE_ARRAY(struct igb_guest, soft.vf[0].hash, VMS_U16),
};

int igb_twin_add_vdev(struct igb_guest *v)
{
	static const struct vdev_ops ops = { vdev_reset, vdev_quiesce, vdev_resume };

	v->vdev = (struct vdev){ "igbvf", v->net, 1, v, &ops, fields, ARRAY_SIZE(fields) };
	return pc_add_vdev(v->vm, &v->vdev);
}

void igb_twin_recheck(struct igb_guest *v)
{
	u32 irqs;

	(void)net_lock();
	vf_twin_recheck(&v->twin);
	irqs = take_irqs(v, true);
	net_unlock();
	assign_raise_soon(v->a, irqs);
}
