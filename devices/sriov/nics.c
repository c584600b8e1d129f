/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Table of the running NICs and their softirq.
 */
#include "devices/sriov/nics.h"

#include "devices/sriov/igb/igb_guest.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"
#include "kernel/core/pci_iso.h"
#include "kernel/core/percpu.h"

static struct igb *nics[CONFIG_NICS];
static u32 count;
static struct igb *uplink;

static void softirq(void)
{
	bool more = false;

	for (u32 i = 0; i < count; i++)
		more |= igb_poll(nics[i]);
	igb_switch_poll();
	if (more)
		softirq_post(SOFTIRQ_NIC);
}

static bool in_use(const struct pci_func *f)
{
	for (u32 i = 0; i < count; i++)
		if (nics[i]->func == f)
			return true;
	return false;
}

static const struct pci_func *match(const struct config_nic *c)
{
	for (u32 i = 0; i < pci_count(); i++) {
		const struct pci_func *f = pci_func(i);

		if (in_use(f) || (c->has_pci && f->bdf != PCI_BDF(c->bus, c->dev, c->fn)))
			continue;
		if (c->match_vendor &&
		    (f->vendor != c->match_vendor || f->device != c->match_device))
			continue;
		return f;
	}
	return NULL;
}

static void start(const struct config_nic *c)
{
	const struct pci_func *f = match(c);
	char why[160] = "";
	struct igb *g;
	int rc;

	if (!f || !igb_matches(f)) {
		log_err("nic %s: %s", c->name, f ? "no driver for this device"
						 : "no such device, or another nic has it");
		return;
	}
	g = kalloc(hv_owner(), sizeof(*g));
	rc = g ? igb_start_nic(g, f, c, why, sizeof(why)) : -ENOMEM;
	if (rc) {
		log_err("nic %s: not used: %s", c->name, g ? why : err_name(rc));
		kfree(hv_owner(), g, sizeof(*g));
		return;
	}
	nics[count++] = g;
	if (c->uplink && !uplink)
		uplink = g;
	log_info("nic %s: %02x:%02x.%u, %02x:%02x:%02x:%02x:%02x:%02x, %u VFs%s%s", c->name,
		 PCI_BUS(f->bdf), PCI_DEV(f->bdf), PCI_FN(f->bdf), g->hw.mac[0], g->hw.mac[1],
		 g->hw.mac[2], g->hw.mac[3], g->hw.mac[4], g->hw.mac[5], g->vfs,
		 !g->vfs ? "" : g->head == IGB_HEAD_WRITE ? " that keep heads written"
							   : " that keep no heads written",
		 uplink == g ? ", uplink" : "");
}

u32 nics_init(const struct config *c)
{
	softirq_register(SOFTIRQ_NIC, softirq);
	pci_acs_enable(pci_cfg_host(), pci_list_host());
	for (u32 i = 0; i < c->nics; i++)
		if (c->nic[i].valid)
			start(&c->nic[i]);
	return count;
}

struct igb *nics_at(u32 index)
{
	return index < count ? nics[index] : NULL;
}

struct igb *nics_find(const char *name)
{
	for (u32 i = 0; i < count; i++)
		if (strcmp(nics[i]->name, name) == 0)
			return nics[i];
	return NULL;
}

struct igb *nics_uplink(void)
{
	return uplink;
}

void nics_set_uplink(struct igb *g)
{
	uplink = g;
}
