/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 82576 VFs in guests: choosing one, its policy, its control page.
 */
#include "devices/sriov/igb/igb_guest_priv.h"

#include "arch/x86/io.h"
#include "devices/pci/assign_pci.h"
#include "devices/pci/slots.h"
#include "devices/platform/pc.h"
#include "devices/sriov/nics.h"
#include "devices/sriov/uplink.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"

/* The vector that stock drivers give to mailbox and link. */
#define VECTOR_OTHER 2u

#define STAT_RX_PACKETS 0xf10u
#define STAT_TX_PACKETS 0xf14u
#define STAT_RX_BYTES	0xf18u
#define STAT_TX_BYTES	0xf34u
#define STAT_RX_MULTICAST 0xf3cu

#define IGB_VF_BAR 0x4000u
#define WAIT_STEP_US 50u

/* By VM and interface. Boot CPU, control. */
static struct igb_guest *guests[VM_MAX][CONFIG_NETS];

/* ---- control page: vm->lock is held ---------------------------------------------------- */

/* The registers and tables that know of this VF, and its number there. */
static struct igb_hw *hw_lock(struct igb_guest *v, u8 *n)
{
	*n = v->g ? v->n : 0;
	if (!v->g)
		return &v->soft;
	spin_lock(&v->g->lock);
	return &v->g->hw;
}

static void hw_unlock(struct igb_guest *v)
{
	if (v->g)
		spin_unlock(&v->g->lock);
	else
		igb_twin_sync(v);
}

/* Its driver begins to receive, or ceases. */
static void set_receives(const struct igb_guest *v, bool on)
{
	if (v->g)
		uplink_team(&v->vm->config->net[v->net], on);
}

static void page_reset(void *ctx)
{
	struct igb_guest *v = ctx;
	u8 n;
	struct igb_hw *hw = hw_lock(v, &n);

	igb_vf_hw_reset(hw, n);
	hw_unlock(v);
	if (v->g) {
		vf_twin_stop_queues(&v->twin); /* what is known of them is void */
		igb_failover_look(v);
	}
	set_receives(v, false);
}

static u32 page_message(void *ctx, u32 msg[IGB_MBOX_WORDS])
{
	u8 n;
	struct igb_hw *hw = hw_lock(ctx, &n);
	u32 type = msg[0] & 0xffff, words = igb_mbox_handle(hw, n, msg);

	hw_unlock(ctx);
	/* Drivers say how long frames may be right before they switch the queue on. */
	if (type == IGB_MBOX_SET_LPE)
		set_receives(ctx, true);
	return words;
}

static bool page_link(void *ctx)
{
	const struct igb_guest *v = ctx;

	return !v->g || v->g->mbps != 0; /* the twin hangs on the switch */
}

/* What a function that is gone reads as is no count. */
static u32 hw_stat(struct igb_guest *v, u32 off)
{
	u32 value = mmio_read32(v->g->regs + IGB_VF_STAT(v->n) + off), *seen = &v->seen[off / 4];

	if ((value && ~value) || igb_answers(v->g))
		*seen = value;
	return *seen;
}

static u32 page_stat(void *ctx, u32 off)
{
	struct igb_guest *v = ctx;
	const struct vf_twin_count *c = &v->twin.count;

	if (v->g)
		return hw_stat(v, off & 0xff);
	switch (off) {
	case STAT_RX_PACKETS:
		return c->rx_packets;
	case STAT_TX_PACKETS:
		return c->tx_packets;
	case STAT_RX_BYTES:
		return c->rx_bytes;
	case STAT_TX_BYTES:
		return c->tx_bytes;
	case STAT_RX_MULTICAST:
		return c->rx_multicast;
	default:
		return 0;
	}
}

static void on_mmio(void *ctx, unsigned bar, u64 off, unsigned size, bool write, u64 *value)
{
	struct igb_guest *v = ctx;

	if (bar == 0 && off < IGB_VF_PAGE)
		igb_vf0_io(&v->page, (u32)off, size, write, value);
	else if (bar == 0)
		igb_twin_mmio(v, (u32)off, size, write, value);
	else if (!write)
		*value = 0; /* beside the MSI-X structures there is nothing */
}

int igb_guest_clean(struct igb *g, u8 n)
{
	int rc;

	if (!igb_answers(g))
		return -ENODEV;
	spin_lock(&g->lock);
	igb_vf_hw_reset(&g->hw, n);
	rc = igb_vf_clean(&g->hw, n);
	spin_unlock(&g->lock);
	if (rc)
		log_err("nic %s: VF %u does not stop: %s", g->name, n, err_name(rc));
	return rc;
}

void igb_guest_take(struct igb *g, u8 n)
{
	spin_lock(&g->lock);
	igb_vf_take(&g->hw, n);
	spin_unlock(&g->lock);
	g->slot[n].lost = igb_guest_clean(g, n) != 0;
	g->slot[n].guest = NULL;
}

/* After each reset of the function by configuration space or machine. */
static void on_reset(void *ctx)
{
	struct igb_guest *v = ctx;

	igb_twin_power_on(v);
	if (v->g) {
		set_receives(v, false);
		/* What runs on is bounded by the IOMMU. */
		v->g->slot[v->n].lost = igb_guest_clean(v->g, v->n) != 0;
	} else {
		page_reset(v);
	}
	igb_vf0_reset(&v->page);
}

static void release(struct igb_guest *v)
{
	igb_switch_cancel(v);
	igb_twin_stop(v);
	pc_remove_vdev(v->vm, &v->vdev);
	timer_cancel(&v->timer);
	timer_cancel(&v->look);
	set_receives(v, false);
	if (v->g)
		igb_guest_take(v->g, v->n);
	guests[v->vm->index][v->net] = NULL;
	kfree(&v->vm->owner, v, sizeof(*v));
}

static void on_gone(void *ctx)
{
	release(ctx);
}

/* ---- attaching ------------------------------------------------------------------------- */

/* Is its last reset over, with or without waiting? The NIC's queue is not left alone so long. */
static bool came_back(struct igb *g, struct igb_slot *s, bool wait)
{
	int rc = assign_left_end(&s->left);

	for (u32 us = 0; rc == -EBUSY && wait && us <= PCI_RESET_SETTLE_US; us += WAIT_STEP_US) {
		(void)igb_poll(g);
		delay_us(WAIT_STEP_US);
		rc = assign_left_end(&s->left);
	}
	s->lost = rc && rc != -EBUSY;
	return !rc;
}

bool igb_guest_free(struct igb *g, u8 *n)
{
	for (u32 i = 0; !g->dead && i < 2u * g->vfs; i++) {
		struct igb_slot *s = &g->slot[i % g->vfs];

		*n = (u8)(i % g->vfs);
		if (!s->guest && !s->lost && came_back(g, s, i >= g->vfs))
			return true;
	}
	return false;
}

/* What a VF looks like where there is none. Those of hardware are shown as this one. */
static void twin_info(struct assign_info *info)
{
	*info = (struct assign_info){ .vendor = 0x8086,
				      .device = 0x10ca,
				      .sub_vendor = 0x8086,
				      .sub_device = 0x10ca,
				      .class = 0x020000,
				      .revision = 1,
				      .vf = true,
				      .msix_vectors = VF_TWIN_VECTORS,
				      .msix_table_bar = 3,
				      .msix_pba_bar = 3,
				      .msix_pba = 0x2000,
				      .devcap = PCIE_DEVCAP_FLR };
	info->bar[0] = info->bar[3] =
		(struct pci_bar){ .size = IGB_VF_BAR, .mem64 = true, .prefetch = true };
	info->caps.pcie = info->caps.msix = 1;
}

int igb_guest_info(struct igb *g, u8 n, struct assign_info *info, char *why, size_t size)
{
	const struct assign_vf vf = { g->func, &g->sriov, n };
	struct assign_info shown;
	int rc = assign_info_vf(pci_cfg_host(), &vf, info, why, size);

	twin_info(&shown);
	info->device = shown.device;
	info->sub_vendor = shown.sub_vendor;
	info->sub_device = shown.sub_device;
	info->revision = shown.revision;
	info->devcap = shown.devcap;
	return rc;
}

static int give(struct igb_guest *v, const struct igb_vf *policy, char *why, size_t size)
{
	int rc = igb_guest_clean(v->g, v->n);

	spin_lock(&v->g->lock);
	if (!rc)
		rc = igb_vf_give(&v->g->hw, v->n, policy);
	spin_unlock(&v->g->lock);
	if (rc)
		fmt_snprintf(why, size, "its address or VLAN finds no filter: %s", err_name(rc));
	return rc;
}

/* The twin's, or VF n of g: rights, registers, a place on the guest's bus. */
static int attach(struct igb_guest *v, const struct config_net *net, char *why, size_t size)
{
	static const struct assigned_ops ops = { .mmio = on_mmio, .reset = on_reset,
						 .gone = on_gone };
	const struct igb_vf0_env page = { v, page_reset, page_message, page_link, page_stat };
	struct assign_request r = { .ops = &ops, .ctx = v, .trap_len = IGB_VF_PAGE,
				    .unbacked = !v->g, .slot = slots_at(v->vm, v->net) };
	struct igb_vf policy = { .vlan = net->vlan, .rate_bps = net->rate_bps };
	int rc = 0;

	memcpy(policy.mac, net->mac, 6);
	if (v->g)
		rc = igb_guest_info(v->g, v->n, &r.info, why, size);
	else
		twin_info(&r.info);
	if (!rc && v->g)
		rc = give(v, &policy, why, size);
	else if (!rc)
		rc = igb_twin_start(v, &policy);
	if (rc)
		return rc;
	igb_vf0_init(&v->page, &page);
	if (v->g)
		v->g->slot[v->n].guest = v;
	rc = igb_twin_add_vdev(v);
	return rc ? rc : assign_add(v->vm, &r, why, size);
}

static int add_vf(struct vm *vm, u8 index, char *why, size_t why_size)
{
	const struct config_net *net = &vm->config->net[index];
	struct igb *g = nics_find(net->nic);
	/* Who comes by a stream goes on as the twin, and then into hardware. */
	bool twin = net->twin || vm->state == VM_INCOMING;
	struct igb_guest *v = NULL;
	char text[120] = "";
	int rc = -ENODEV;
	u8 n = 0;

	if (!g && !twin)
		str_copy(text, sizeof(text), "that NIC does not run");
	else if (!twin && !g->vfs)
		str_copy(text, sizeof(text), "that NIC has no VFs here: the log says why");
	else if (!twin && !igb_guest_free(g, &n))
		str_copy(text, sizeof(text), "no VF is free");
	else
		v = kalloc(&vm->owner, sizeof(*v));
	if (v) {
		v->vm = vm;
		v->net = index;
		v->g = twin ? NULL : g;
		v->n = n;
		guests[vm->index][index] = v;
		igb_twin_init(v);
		rc = attach(v, net, text, sizeof(text));
	}
	if (rc)
		fmt_snprintf(why, why_size, "net%u = vf nic=%s: %s", index, net->nic,
			     text[0] ? text : err_name(rc));
	if (rc && v)
		release(v);
	else if (!rc)
		v->a = assign_find(vm, v);
	return rc;
}

int igb_guest_add(struct vm *vm, u8 index, char *why, size_t why_size)
{
	return vm->config->net[index].pci[0] ? assign_pci_plug(vm, index, why, why_size)
					     : add_vf(vm, index, why, why_size);
}

static int build(struct vm *vm, char *why, size_t why_size)
{
	int rc = 0;

	for (u8 i = 0; i < CONFIG_NETS && !rc; i++)
		if (config_net_filled(&vm->config->net[i]) &&
		    !(vm->state == VM_INCOMING && config_net_primary(vm->config, i)))
			rc = igb_guest_add(vm, i, why, why_size);
	return rc;
}

static void destroy(struct vm *vm)
{
	(void)vm; /* assign.c gives each function back: on_gone() */
}

struct igb_guest *igb_guest_of(const struct vm *vm, u8 index)
{
	return guests[vm->index][index];
}

void igb_guest_remove(struct vm *vm, u8 index)
{
	struct igb_guest *v = igb_guest_of(vm, index);

	if (slots_filled(vm, index))
		assign_remove(assign_in_slot(vm, slots_at(vm, index)));
	else if (v)
		assign_remove(v->a);
}

void igb_guest_init(void)
{
	static const struct pc_part part = { build, destroy };

	pc_register_part(&part);
	igb_move_init();
}

void igb_guests_link(struct igb *g)
{
	for (u8 n = 0; n < g->vfs; n++) {
		struct igb_guest *v = g->slot[n].guest;

		if (!v || !v->a || !g->hw.vf[n].cts) /* no driver yet: it will look itself */
			continue;
		spin_lock(&v->vm->lock);
		if (igb_vf0_ping(&v->page, igb_mbox_control(&g->hw, n)))
			(void)assign_raise(v->a, VECTOR_OTHER); /* the guest may have it off */
		spin_unlock(&v->vm->lock);
	}
}

static u32 counter(struct igb_guest *v, u32 off)
{
	u64 value = 0;

	igb_vf0_io(&v->page, off, 4, false, &value);
	return (u32)value;
}

static void guest_stat(struct igb_guest *v, const struct igb_vf *f, struct igb_vf_stat *out)
{
	spin_lock(&v->vm->lock);
	out->vm = v->vm->name;
	out->net = v->net;
	memcpy(out->mac, f->mac, 6);
	out->vlan = f->vlan;
	out->rate_bps = f->rate_bps;
	out->open = f->cts;
	out->messages = v->page.messages;
	out->rx_packets = counter(v, STAT_RX_PACKETS);
	out->tx_packets = counter(v, STAT_TX_PACKETS);
	out->rx_bytes = counter(v, STAT_RX_BYTES);
	out->tx_bytes = counter(v, STAT_TX_BYTES);
	spin_unlock(&v->vm->lock);
}

int igb_vf_stat(struct igb *g, u8 n, struct igb_vf_stat *out)
{
	if (n >= g->vfs)
		return -ENOENT;
	*out = (struct igb_vf_stat){ .nic = g->name, .n = n, .bdf = sriov_vf_bdf(&g->sriov, n) };
	if (g->slot[n].guest)
		guest_stat(g->slot[n].guest, &g->hw.vf[n], out);
	return 0;
}

bool igb_twin_stat(const struct vm *vm, u8 index, struct igb_vf_stat *out)
{
	struct igb_guest *v = igb_guest_of(vm, index);
	const struct config_net *net = &vm->own_config.net[index];

	*out = (struct igb_vf_stat){ .nic = "twin" };
	if (vm->machine && config_net_filled(net) && config_net_primary(vm->config, index) &&
	    !slots_filled(vm, index)) {
		*out = (struct igb_vf_stat){ .nic = "slot", .vm = vm->name, .net = index,
					     .wants = net->nic, .why = "not plugged" };
		memcpy(out->mac, net->mac, sizeof(out->mac));
		return true;
	}
	if (!v || v->g)
		return false;
	if (!net->twin)
		out->wants = net->nic;
	out->why = out->wants ? v->why : NULL;
	guest_stat(v, &v->soft.vf[0], out);
	return true;
}
