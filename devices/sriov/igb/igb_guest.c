/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 82576 VFs in guests: choosing one, its policy, its control page.
 */
#include "devices/sriov/igb/igb_guest.h"

#include "arch/x86/io.h"
#include "devices/pci/assign.h"
#include "devices/platform/pc.h"
#include "devices/sriov/nics.h"
#include "guest/vm/vm.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"

/* The vector that stock drivers give to mailbox and link. */
#define VECTOR_OTHER 2u

#define STAT_RX_PACKETS 0xf10u
#define STAT_TX_PACKETS 0xf14u
#define STAT_RX_BYTES	0xf18u
#define STAT_TX_BYTES	0xf34u

/* ---- control page: vm->lock is held ---------------------------------------------------- */

static void page_reset(void *ctx)
{
	struct igb_guest *v = ctx;

	spin_lock(&v->g->lock);
	igb_vf_hw_reset(&v->g->hw, v->n);
	spin_unlock(&v->g->lock);
}

static u32 page_message(void *ctx, u32 msg[IGB_MBOX_WORDS])
{
	struct igb_guest *v = ctx;
	u32 words;

	spin_lock(&v->g->lock);
	words = igb_mbox_handle(&v->g->hw, v->n, msg);
	spin_unlock(&v->g->lock);
	return words;
}

static bool page_link(void *ctx)
{
	return ((struct igb_guest *)ctx)->g->mbps != 0;
}

static u32 page_stat(void *ctx, u32 off)
{
	struct igb_guest *v = ctx;

	return mmio_read32(v->g->regs + IGB_VF_STAT(v->n) + (off & 0xff));
}

static void on_mmio(void *ctx, unsigned bar, u64 off, unsigned size, bool write, u64 *value)
{
	struct igb_guest *v = ctx;

	if (bar == 0 && off < IGB_VF_PAGE)
		igb_vf0_io(&v->page, (u32)off, size, write, value);
	else if (!write)
		*value = 0; /* beside the MSI-X structures there is nothing */
}

static int clean(struct igb_guest *v)
{
	int rc;

	spin_lock(&v->g->lock);
	igb_vf_hw_reset(&v->g->hw, v->n);
	rc = igb_vf_clean(&v->g->hw, v->n);
	spin_unlock(&v->g->lock);
	if (rc)
		log_err("nic %s: VF %u does not stop: %s", v->g->name, v->n, err_name(rc));
	return rc;
}

/* After each reset of the function by configuration space or machine. */
static void on_reset(void *ctx)
{
	struct igb_guest *v = ctx;

	(void)clean(v); /* said already; a queue that runs on is bounded by the IOMMU */
	igb_vf0_reset(&v->page);
}

static void release(struct igb_guest *v)
{
	spin_lock(&v->g->lock);
	igb_vf_take(&v->g->hw, v->n);
	spin_unlock(&v->g->lock);
	v->lost = clean(v) != 0;
	v->vm = NULL;
}

static void on_gone(void *ctx)
{
	release(ctx);
}

/* ---- attaching ------------------------------------------------------------------------- */

static struct igb_guest *free_vf(struct igb *g)
{
	for (u8 n = 0; n < g->vfs; n++)
		if (!g->guest[n].vm && !g->guest[n].lost)
			return &g->guest[n];
	return NULL;
}

/* Locally administered, different for each VF of each NIC. */
static void default_mac(const struct igb_guest *v, u8 mac[6])
{
	memcpy(mac, v->g->hw.mac, 6);
	mac[0] = (u8)((mac[0] | 2) & ~1u);
	mac[3] ^= 0x80;
	mac[5] = (u8)(mac[5] + v->n + 1);
}

static int give(struct igb_guest *v, const struct config_net *net)
{
	struct igb_vf policy = { .vlan = net->vlan, .rate_bps = net->rate_bps };
	int rc;

	if (net->has_mac)
		memcpy(policy.mac, net->mac, 6);
	else
		default_mac(v, policy.mac);
	spin_lock(&v->g->lock);
	rc = igb_vf_give(&v->g->hw, v->n, &policy);
	spin_unlock(&v->g->lock);
	return rc;
}

static int attach(struct vm *vm, struct igb_guest *v, const struct config_net *net, char *why,
		  size_t size)
{
	static const struct assigned_ops ops = { .mmio = on_mmio, .reset = on_reset,
						 .gone = on_gone };
	const struct igb_vf0_env page = { v, page_reset, page_message, page_link, page_stat };
	struct assign_request r = { .ops = &ops, .ctx = v, .trap_len = IGB_VF_PAGE };
	const struct assign_vf vf = { v->g->func, &v->g->sriov, v->n };
	int rc = assign_info_vf(pci_cfg_host(), &vf, &r.info, why, size);

	if (rc)
		return rc;
	rc = clean(v);
	if (!rc)
		rc = give(v, net);
	if (rc) {
		fmt_snprintf(why, size, "its address or VLAN finds no filter: %s", err_name(rc));
		return rc;
	}
	v->vm = vm;
	igb_vf0_init(&v->page, &page);
	rc = assign_add(vm, &r, why, size);
	if (rc)
		release(v);
	return rc;
}

int igb_guest_add(struct vm *vm, u8 index, char *why, size_t why_size)
{
	const struct config_net *net = &vm->config->net[index];
	struct igb *g = nics_find(net->nic);
	struct igb_guest *v = g ? free_vf(g) : NULL;
	char text[120] = "";
	int rc = -ENODEV;

	if (!g)
		str_copy(text, sizeof(text), "that NIC does not run");
	else if (!g->vfs)
		str_copy(text, sizeof(text), "that NIC has no VFs here: the log says why");
	else if (!v)
		str_copy(text, sizeof(text), "no VF is free");
	else
		rc = attach(vm, v, net, text, sizeof(text));
	if (rc)
		fmt_snprintf(why, why_size, "net%u = vf nic=%s: %s", index, net->nic, text);
	else
		v->net = index;
	return rc;
}

static int build(struct vm *vm, char *why, size_t why_size)
{
	int rc = 0;

	for (u8 i = 0; i < CONFIG_NETS && !rc; i++)
		if (vm->config->net[i].kind == CONFIG_NET_VF)
			rc = igb_guest_add(vm, i, why, why_size);
	return rc;
}

static void destroy(struct vm *vm)
{
	(void)vm; /* assign.c gives each function back: on_gone() */
}

bool igb_guest_remove(struct vm *vm, u8 index)
{
	for (u32 i = 0; nics_at(i); i++) {
		for (u8 n = 0; n < nics_at(i)->vfs; n++) {
			struct igb_guest *v = &nics_at(i)->guest[n];

			if (v->vm != vm || v->net != index)
				continue;
			assign_remove(assign_find(vm, v));
			return true;
		}
	}
	return false;
}

void igb_guest_init(void)
{
	static const struct pc_part part = { build, destroy };

	pc_register_part(&part);
	for (u32 i = 0; nics_at(i); i++) {
		struct igb *g = nics_at(i);

		for (u8 n = 0; n < IGB_MAX_VFS; n++) {
			g->guest[n].g = g;
			g->guest[n].n = n;
		}
	}
}

void igb_guests_link(struct igb *g)
{
	for (u8 n = 0; n < g->vfs; n++) {
		struct igb_guest *v = &g->guest[n];
		struct assigned *a;

		if (!v->vm || !g->hw.vf[n].cts) /* no driver yet: it will look itself */
			continue;
		spin_lock(&v->vm->lock);
		a = assign_find(v->vm, v);
		if (a && igb_vf0_ping(&v->page, igb_mbox_control(&g->hw, n)))
			(void)assign_raise(a, VECTOR_OTHER); /* the guest may have it off */
		spin_unlock(&v->vm->lock);
	}
}

static u32 counter(struct igb_guest *v, u32 off)
{
	u64 value = 0;

	igb_vf0_io(&v->page, off, 4, false, &value);
	return (u32)value;
}

int igb_vf_stat(struct igb *g, u8 n, struct igb_vf_stat *out)
{
	const struct igb_vf *f;
	struct igb_guest *v;

	if (n >= g->vfs)
		return -ENOENT;
	f = &g->hw.vf[n];
	v = &g->guest[n];
	*out = (struct igb_vf_stat){ .nic = g->name, .n = n, .bdf = sriov_vf_bdf(&g->sriov, n) };
	if (!v->vm)
		return 0;
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
	return 0;
}
