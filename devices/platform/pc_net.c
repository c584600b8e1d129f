/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paravirtual NICs of a VM: from its configuration to ports of the switch.
 */
#include "devices/net/net.h"
#include "devices/platform/pc.h"
#include "devices/platform/pc_virtio.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/timer.h"

#define SPEED_MBPS 10000u /* as shown when no rate is set */
#define NEVER (~0ull)

struct pc_nic {
	struct virtio_net net;
	struct pc_virtio v;
	struct vdev vdev;
	struct timer timer;
	u64 deadline; /* ns, what the timer is set to (switch's lock) */
	bool has_port;
	char name[8];
};

/* By VM and number; a VM's are its control's, which builds and destroys. */
static struct pc_nic *nics[VM_MAX][CONFIG_NETS];

/* ---- time ------------------------------------------------------------------------------ */

static u64 nic_now(void *ctx)
{
	(void)ctx;
	return net_now();
}

/*
 * The earlier of two wishes counts; one that is overdue does not: QEMU's emulation loses an
 * interrupt of the host at times. Locks: the switch's.
 */
static void nic_timer(void *ctx, u64 ns)
{
	struct pc_nic *nic = ctx;
	u64 now = net_now(), at = now + ns;

	if (at >= nic->deadline && now < nic->deadline + VIRTIO_NET_PATIENCE_NS)
		return;
	nic->deadline = at;
	if (timer_arm(&nic->timer, tsc_read() + ns_to_tsc(ns)))
		log_warn("vm %s: %s: timer could not be armed", nic->v.vm->name, nic->name);
}

static void nic_defer(void *ctx)
{
	nic_timer(ctx, 0);
}

static void nic_due(void *ctx)
{
	struct pc_nic *nic = ctx;
	struct vm *vm = nic->v.vm;

	net_lock();
	nic->deadline = NEVER;
	virtio_net_work(&nic->net);
	net_unlock();
	spin_lock(&vm->lock);
	pc_virtio_sync(&nic->v);
	spin_unlock(&vm->lock);
}

/* This NIC has room again: whoever waits for room looks whether it was here. */
static void nic_room(void *ctx)
{
	struct pc_nic *nic = ctx;
	struct vswitch *sw = nic->net.sw;

	for (u32 i = 0; i < VSWITCH_PORTS; i++) {
		const struct netbe *be = &sw->port[i].be;
		struct virtio_net *n = be->ctx;

		if (sw->port[i].used && be->ops == virtio_net_be(&nic->net).ops && n->waiting)
			nic_defer(container_of(n, struct pc_nic, net));
	}
}

/* ---- as a device of the VM ------------------------------------------------------------- */

static void nic_enter(struct pc_virtio *p)
{
	(void)p;
	net_lock();
}

static void nic_leave(struct pc_virtio *p)
{
	(void)p;
	net_unlock();
}

static void nic_line_changed(struct pc_virtio *p)
{
	nic_defer(container_of(p, struct pc_nic, v));
}

static void nic_reset(void *state)
{
	struct pc_nic *nic = container_of(state, struct pc_nic, net);

	net_lock();
	virtio_net_reset(&nic->net);
	nic->net.stopped = false;
	net_unlock();
	pc_virtio_sync(&nic->v);
}

/* Before it leaves the VM leaves the switch: its addresses are to be somewhere else. */
static void nic_quiesce(void *state)
{
	struct pc_nic *nic = container_of(state, struct pc_nic, net);
	struct vswitch *sw = net_lock();

	virtio_net_quiesce(&nic->net);
	if (nic->v.vm->migrating && nic->has_port) {
		vswitch_remove(sw, nic->net.port);
		nic->has_port = false;
	}
	net_unlock();
}

static int attach(struct pc_nic *nic, struct vswitch *sw)
{
	const struct config_net *c = &nic->v.vm->config->net[nic->vdev.instance];
	char name[VSWITCH_NAME_LEN];
	struct vswitch_config port = { .name = name,
				       .vlan = c->vlan,
				       .mtu = nic->net.cfg.mtu,
				       .tx_bps = c->rate_bps,
				       .rx_bps = c->rate_bps };
	struct netbe be = virtio_net_be(&nic->net);
	u32 id = 0;
	int rc;

	fmt_snprintf(name, sizeof(name), "%s.%s", nic->v.vm->name, nic->name);
	memcpy(port.mac, c->mac, sizeof(port.mac));
	rc = vswitch_add(sw, &port, &be, net_now(), &id);
	if (rc)
		return rc;
	virtio_net_attach(&nic->net, sw, id);
	nic->has_port = true;
	return 0;
}

static int nic_resume(void *state)
{
	struct pc_nic *nic = container_of(state, struct pc_nic, net);
	struct vswitch *sw = net_lock();
	int rc = 0;

	if (!nic->has_port && nic->v.vm->state != VM_INCOMING)
		rc = attach(nic, sw);
	if (!rc)
		rc = virtio_net_resume(&nic->net, nic->v.vm->state != VM_INCOMING);
	if (!rc && nic->v.vm->moved) {
		virtio_net_announce(&nic->net);
		vswitch_show(sw, nic->net.port, net_now());
	}
	net_unlock();
	pc_virtio_sync(&nic->v);
	return rc;
}

/* ---- making and undoing ---------------------------------------------------------------- */

static int build_nic(struct vm *vm, u32 i, const struct config_net *c)
{
	static const struct vdev_ops ops = { nic_reset, nic_quiesce, nic_resume };
	struct pc_nic *nic = kalloc(&vm->owner, sizeof(*nic));
	struct virtio_net_config cfg = {
		.pairs = (u16)(c->queues ? c->queues : min_u64(vm->vcpus, VIRTIO_NET_MAX_PAIRS)),
		.mtu = c->mtu ? c->mtu : VIRTIO_NET_MTU,
		.packed = !c->no_packed,
		.standby = c->standby,
		.speed_mbps = SPEED_MBPS
	};
	struct virtio_net_env env = { .ctx = nic, nic_now, nic_defer, nic_timer, nic_room };
	struct virtio_env pci;
	struct vswitch *sw;
	int rc;

	if (!nic)
		return -ENOMEM;
	nics[vm->index][i] = nic;
	memcpy(cfg.mac, c->mac, sizeof(cfg.mac));
	if (c->rate_bps)
		cfg.speed_mbps = (u32)min_u64(c->rate_bps / 1000000, 0x7fffffff);
	fmt_snprintf(nic->name, sizeof(nic->name), "net%u", i);
	nic->deadline = NEVER;
	timer_init(&nic->timer, nic_due, nic);
	nic->v = (struct pc_virtio){ .vm = vm,
				     .name = nic->name,
				     .enter = nic_enter,
				     .leave = nic_leave,
				     .line_changed = nic_line_changed };
	pc_virtio_env(&nic->v, &pci);
	net_lock();
	virtio_net_init(&nic->net, &cfg, &env, net_scratch(), &nic->v.mem, &pci);
	net_unlock();
	nic->vdev = (struct vdev){ "virtio-net",      i, 1, &nic->net, &ops, virtio_net_fields,
				   virtio_net_nfields };
	sw = net_lock();
	rc = vm->state == VM_INCOMING ? 0 : attach(nic, sw);
	net_unlock();
	if (!rc)
		rc = pc_virtio_plug(&nic->v, &nic->net.dev, PC_SLOT_NET + i);
	if (!rc)
		rc = pc_add_vdev(vm, &nic->vdev);
	return rc;
}

static int build(struct vm *vm, char *why, size_t why_size)
{
	const struct config_vm *c = vm->config;
	int rc = 0;

	for (u32 i = 0; i < CONFIG_NETS && !rc; i++) {
		if (c->net[i].kind != CONFIG_NET_PV)
			continue;
		rc = build_nic(vm, i, &c->net[i]);
		if (rc == -ENOSPC)
			fmt_snprintf(why, why_size, "net%u: the switch has no port left of its %u",
				     i, VSWITCH_PORTS);
		else if (rc == -EEXIST)
			fmt_snprintf(why, why_size, "net%u: another port has this address", i);
		else if (rc)
			fmt_snprintf(why, why_size, "net%u: %s", i, err_name(rc));
	}
	return rc;
}

static void destroy(struct vm *vm)
{
	for (u32 i = 0; i < CONFIG_NETS; i++) {
		struct pc_nic *nic = nics[vm->index][i];
		struct vswitch *sw;

		if (!nic)
			continue;
		/* No port: nobody else's frames reach it; then no timer, and nobody at all does. */
		sw = net_lock();
		nic->net.stopped = true;
		virtio_net_drain(&nic->net);
		if (nic->has_port)
			vswitch_remove(sw, nic->net.port);
		net_unlock();
		timer_cancel(&nic->timer);
		pc_virtio_unplug(&nic->v);
		kfree(&vm->owner, nic, sizeof(*nic));
		nics[vm->index][i] = NULL;
	}
}

struct virtio_net *pc_net_nic(const struct vm *vm, u32 i)
{
	return nics[vm->index][i] ? &nics[vm->index][i]->net : NULL;
}

void pc_net_init(void)
{
	static const struct pc_part part = { build, destroy };

	pc_register_part(&part);
}
