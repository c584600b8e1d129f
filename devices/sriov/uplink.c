/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the switch and the NIC's own queue.
 */
#include "devices/sriov/uplink.h"

#include "devices/net/net.h"
#include "devices/platform/pc.h"
#include "devices/platform/pc_virtio.h"
#include "devices/sriov/nics.h"
#include "guest/vm/vm.h"
#include "iommu/iommu.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"

#define ETHERNET_MTU 1500u

static u32 port;
static struct igb *home; /* the NIC that the configuration says, once it is in use */
static u8 pool_of[VM_MAX][CONFIG_NETS]; /* by VM and interface; 0: none */

/* ---- from the NIC: softirq, no lock held ----------------------------------------------- */

static void rx_begin(void *ctx)
{
	(void)ctx;
	(void)net_lock();
}

static void rx(void *ctx, struct frame *f)
{
	(void)ctx;
	/* A drop is counted at the port. */
	(void)vswitch_send(net_locked(), port, f, false, net_now());
}

static void rx_end(void *ctx)
{
	(void)ctx;
	vswitch_flush(net_locked());
	net_unlock();
}

static bool pools(void *ctx)
{
	bool more;

	(void)ctx;
	(void)net_lock();
	more = igb_serve_pools(nics_uplink());
	vswitch_flush(net_locked());
	net_unlock();
	return more;
}

static void link(void *ctx, u32 mbps)
{
	struct vswitch *sw = net_lock();

	(void)ctx;
	vswitch_set_up(sw, port, mbps != 0);
	if (!mbps)
		vswitch_drain(sw); /* what waits there would wait for long */
	net_unlock();
}

static const struct igb_client client = { NULL, rx_begin, rx, rx_end, pools, link };

/* ---- memory that it reads ---------------------------------------------------------------- */

static bool wants(const struct vm *vm)
{
	bool pv = false;

	for (u32 i = 0; i < CONFIG_NETS; i++)
		pv |= vm->config->net[i].kind == CONFIG_NET_PV;
	return pv && nics_uplink() && iommu_present();
}

static void unmap(struct vm *vm)
{
	const struct gmap *m = &vm->mem;
	int rc = 0;

	for (u64 i = 0; wants(vm) && i < m->blocks; i++)
		rc = iommu_unmap(iommu_host(), virt_to_phys(m->block[i]), SIZE_2M) ? -EIO : rc;
	if (rc)
		log_err("vm %s: the uplink may still read its memory", vm->name);
}

/*
 * RAM of guests with paravirtual NICs, where the host's own devices find it. What the NIC is told
 * to read or to write are places that virtq_pop() found in it.
 */
static int map(struct vm *vm, char *why, size_t why_size)
{
	const struct gmap *m = &vm->mem;
	int rc = 0;

	for (u64 i = 0; wants(vm) && i < m->blocks && !rc; i++) {
		hpa_t hpa = virt_to_phys(m->block[i]);

		rc = iommu_map(iommu_host(), hpa, hpa, SIZE_2M, PG_R | PG_W);
	}
	if (rc)
		fmt_snprintf(why, why_size, "uplink cannot be given its memory: %s", err_name(rc));
	return rc;
}

void uplink_memory_init(void)
{
	static const struct pc_part part = { map, unmap };

	pc_register_part(&part);
}

/* ---- addresses of paravirtual guests --------------------------------------------------- */

/* Does another VM have this address, which it is made of or becomes? */
static bool has_address(const u8 *mac, const struct vm *but)
{
	for (u32 i = 0; i < VM_MAX; i++) {
		const struct vm *vm = vm_at(i);

		for (u32 k = 0; vm && vm != but && k < CONFIG_NETS; k++)
			if (vm->config->net[k].kind == CONFIG_NET_PV &&
			    !memcmp(vm->config->net[k].mac, mac, 6))
				return true;
	}
	return false;
}

static u8 *pool_buffer(void *ctx)
{
	return virtio_net_hw_buffer(ctx);
}

static void pool_filled(void *ctx, u32 len)
{
	virtio_net_hw_filled(ctx, len);
}

static void pool_withdraw(void *ctx)
{
	igb_pool_withdraw(nics_uplink(), *(const u8 *)ctx);
}

/* While there are pools that no VF has, the NIC writes into a guest's buffers; not behind tags. */
static bool open_pool(struct vm *vm, u32 i)
{
	const struct config_net *c = &vm->config->net[i];
	struct virtio_net *n = pc_net_nic(vm, i);
	const struct igb_pool_user user = { n, pool_buffer, pool_filled };
	u8 *pool = &pool_of[vm->index][i];

	/* The courier gives no buffers of that kind; the physical function's ring is the longer. */
	if (!n || c->vlan || c->standby || vm->config->courier ||
	    igb_pool_open(nics_uplink(), c->mac, pool))
		return false;
	(void)net_lock();
	n->hw = (struct virtio_net_hw){ pool, pool_withdraw, port, IGB_POOL_FRAME };
	igb_pool_begin(nics_uplink(), *pool, &user);
	net_unlock();
	return true;
}

static void close_pool(struct vm *vm, u32 i, bool give_back)
{
	u8 *pool = &pool_of[vm->index][i];
	struct virtio_net *n = pc_net_nic(vm, i);

	if (!*pool)
		return;
	(void)net_lock();
	virtio_net_hw_end(n, give_back);
	n->hw.withdraw = NULL;
	igb_pool_end(nics_uplink(), *pool);
	net_unlock();
	igb_pool_close(nics_uplink(), vm->config->net[i].mac, *pool);
	*pool = 0;
}

/*
 * The NIC's switch sends what comes from a VF for an unknown address to the wire only. A full
 * table is no failure: then such a guest is reached from the wire, not from VFs.
 */
static void listen(const struct vm *vm, u32 i)
{
	if (igb_mac_add(nics_uplink(), vm->config->net[i].mac))
		log_warn("nic %s: all %u address filters in use: no VF reaches net%u of %s",
			 nics_uplink()->name, IGB_RARS, i, vm->name);
}

static int build(struct vm *vm, char *why, size_t why_size)
{
	(void)why;
	(void)why_size;
	for (u32 i = 0; i < CONFIG_NETS; i++) {
		const struct config_net *n = &vm->config->net[i];

		if (n->kind == CONFIG_NET_PV && !has_address(n->mac, vm) && !open_pool(vm, i))
			listen(vm, i);
	}
	return 0;
}

static void destroy(struct vm *vm)
{
	for (u32 i = 0; i < CONFIG_NETS; i++) {
		const struct config_net *n = &vm->config->net[i];

		if (n->kind != CONFIG_NET_PV)
			continue;
		uplink_team(n, false);
		close_pool(vm, i, false);
		if (has_address(n->mac, vm)) /* it has moved into that VM */
			listen(vm, i);
		else
			igb_mac_remove(nics_uplink(), n->mac);
	}
}

/* While both could receive, before the driver has begun to, the NIC leads to both. */
void uplink_team(const struct config_net *net, bool receives)
{
	bool change = vswitch_set_away(net_lock(), net->mac, net->vlan, receives);

	net_unlock();
	if (!change || !nics_uplink())
		return;
	if (receives)
		igb_mac_remove(nics_uplink(), net->mac);
	else if (igb_mac_add(nics_uplink(), net->mac))
		log_warn("nic %s: no address filter is left for a standby", nics_uplink()->name);
}

/* ---- start ----------------------------------------------------------------------------- */

static void allow_vlan(struct igb *g, u16 vlan)
{
	int rc = igb_vlan_listen(g, vlan);

	if (!rc) {
		rc = vswitch_allow(net_lock(), port, vlan);
		net_unlock();
	}
	if (rc)
		log_warn("nic %s: VLAN %u does not pass: %s", g->name, vlan, err_name(rc));
}

/* VLANs that guests are in, those with a VF too, as it may become its twin: they pass, tagged. */
static void allow_vlans(struct igb *g, const struct config *c)
{
	for (u32 i = 0; i < c->vms; i++) {
		for (u32 k = 0; k < CONFIG_NETS; k++) {
			const struct config_net *n = &c->vm[i].net[k];

			if (n->kind != CONFIG_NET_NONE && n->vlan)
				allow_vlan(g, n->vlan);
		}
	}
}

/* ---- another NIC steps in -------------------------------------------------------------- */

static struct igb *best(void)
{
	struct igb *now = nics_uplink(), *g;

	if (igb_trusted(home))
		return home;
	for (u32 i = 0; !now->mbps && (g = nics_at(i)) != NULL; i++)
		if (g->backup && igb_trusted(g))
			return g;
	return now;
}

/* What is received for others than itself. */
static void listen_there(struct igb *from, struct igb *to)
{
	u8 own = (u8)BIT(from->hw.pf_pool);
	bool all = true;

	for (u32 i = 0; i < IGB_RARS; i++) {
		const struct igb_rar r = from->hw.rar[i];

		if (!(r.pools & own) || memcmp(r.mac, from->hw.mac, 6) == 0)
			continue;
		all = !igb_mac_add(to, r.mac) && all;
		igb_mac_remove(from, r.mac);
	}
	for (u32 i = 0; i < IGB_VLVFS; i++)
		if (from->hw.vlvf[i].pools & own)
			all = !igb_vlan_listen(to, from->hw.vlvf[i].vid) && all;
	if (!all)
		log_warn("nic %s: it has too few filters for all guests and VLANs", to->name);
}

/* Interfaces with a pool of their own: taken from all, or each gets one at the uplink of now. */
static void move_pools(bool has[VM_MAX][CONFIG_NETS], bool open)
{
	for (u32 i = 0; i < VM_MAX; i++) {
		for (u32 k = 0; vm_at(i) && k < CONFIG_NETS; k++) {
			if (!open) {
				has[i][k] = pool_of[i][k] != 0;
				close_pool(vm_at(i), k, true);
			} else if (has[i][k] && !open_pool(vm_at(i), k)) {
				listen(vm_at(i), k);
			}
		}
	}
}

/* Switches on the way are to learn where everybody is. */
static void show_all(void)
{
	struct vswitch *sw = net_lock();

	for (u32 i = 0; i < VSWITCH_PORTS; i++)
		if (sw->port[i].used && !sw->port[i].cfg.open && !sw->port[i].away)
			vswitch_show(sw, i, net_now());
	net_unlock();
}

void uplink_choose(void)
{
	struct igb *from = nics_uplink(), *to = home ? best() : from;
	bool pool[VM_MAX][CONFIG_NETS] = { { false } };
	struct vswitch *sw;

	if (to == from)
		return;
	log_warn("nic %s: the uplink from now on, not %s", to->name, from->name);
	move_pools(pool, false);
	sw = net_lock();
	(void)igb_serve_locked(from);
	vswitch_drain(sw);
	from->client = (struct igb_client){ NULL };
	(void)igb_serve_locked(to); /* thrown away: both may have got it */
	sw->port[port].be = igb_netbe(to);
	fmt_snprintf(sw->port[port].name, VSWITCH_NAME_LEN, "uplink.%s", to->name);
	nics_set_uplink(to);
	to->client = client;
	vswitch_set_up(sw, port, to->mbps != 0);
	net_unlock();
	listen_there(from, to);
	move_pools(pool, true);
	show_all();
}

void uplink_init(const struct config *c)
{
	static const struct pc_part part = { build, destroy };
	char name[VSWITCH_NAME_LEN];
	const struct vswitch_config cfg = { .name = name, .open = true, .trunk = true,
					    .mtu = ETHERNET_MTU };
	struct igb *g = nics_uplink();
	struct vswitch *sw;
	struct netbe be;
	int rc;

	if (!g)
		return;
	be = igb_netbe(g);
	fmt_snprintf(name, sizeof(name), "uplink.%s", g->name);
	sw = net_lock();
	rc = vswitch_add(sw, &cfg, &be, net_now(), &port);
	if (!rc)
		vswitch_set_up(sw, port, g->mbps != 0);
	net_unlock();
	if (rc) {
		log_err("nic %s: cannot be the uplink: %s", g->name, err_name(rc));
		return;
	}
	allow_vlans(g, c);
	pc_register_part(&part);
	g->client = client;
	home = g;
}
