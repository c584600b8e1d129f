/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that the configuration names by address: what the scan found, or a VF.
 */
#include "devices/pci/assign_pci.h"

#include "arch/x86/io.h"
#include "devices/pci/assign.h"
#include "devices/pci/slots.h"
#include "devices/platform/pc.h"
#include "devices/sriov/nvme/nvme_pf.h"
#include "devices/sriov/uplink.h"
#include "guest/vm/vm.h"
#include "iommu/iommu.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/config_value.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"
#include "kernel/core/pci_iso.h"
#include "kernel/core/timer.h"

#define LOOK_NS 1000000000ull

static int add(struct vm *vm, const char *name, struct assign_request r, char *why,
	       size_t why_size)
{
	char text[120] = "no such function";
	const struct pci_func *f = NULL;
	int rc = 0;
	u16 bdf = 0;

	if (!iommu_present()) {
		fmt_snprintf(why, why_size, "no IOMMU: devices cannot be given to guests");
		return -ENODEV;
	}
	if (value_pci((struct slice){ name, strlen(name) }, &bdf))
		f = pci_lookup(bdf);
	if (f)
		rc = pci_isolated(pci_cfg_host(), pci_list_host(), (u32)(f - pci_func(0)), false,
				  text, sizeof(text));
	if (f && !rc)
		rc = assign_info_function(pci_cfg_host(), f, &r.info, text, sizeof(text));
	if (f && !rc)
		rc = assign_add(vm, &r, text, sizeof(text));
	if (!f)
		rc = r.slot ? -ENODEV : nvme_vf_add(vm, bdf, text, sizeof(text));
	if (rc)
		fmt_snprintf(why, why_size, "pci = %s: %s", name, text);
	return rc;
}

int assign_pci_add(struct vm *vm, const char *name, char *why, size_t why_size)
{
	return add(vm, name, (struct assign_request){ .ops = NULL }, why, why_size);
}

/* What it says about receiving: drivers let a NIC reach memory before they open it. */
static void on_master(void *ctx, bool on)
{
	uplink_team(ctx, on);
}

static void on_gone(void *ctx)
{
	uplink_team(ctx, false);
}

int assign_pci_plug(struct vm *vm, u8 net, char *why, size_t why_size)
{
	static const struct assigned_ops ops = { .master = on_master, .gone = on_gone };
	struct config_net *c = &vm->own_config.net[net];
	const struct assign_request r = { .ops = &ops, .ctx = c, .slot = slots_at(vm, net) };

	return add(vm, c->pci, r, why, why_size);
}

static int build(struct vm *vm, char *why, size_t why_size)
{
	int rc = 0;

	for (u32 i = 0; i < vm->config->npci && !rc; i++)
		rc = assign_pci_add(vm, vm->config->pci[i], why, why_size);
	return rc;
}

static void destroy(struct vm *vm)
{
	(void)vm; /* assign.c gives each function back */
}

static bool is_gone(struct vm *vm, const char *name)
{
	bool gone = false;
	u16 bdf;

	if (!value_pci((struct slice){ name, strlen(name) }, &bdf))
		return false;
	spin_lock(&vm->lock); /* not while the guest resets it */
	if (assign_at(vm, bdf))
		gone = pci_read(bdf, PCI_COMMAND, 2) == 0xffff;
	spin_unlock(&vm->lock);
	return gone;
}

/* For a team's primary its standby steps in; otherwise the VM ends with its function. */
static void look_at(struct vm *vm)
{
	const struct config_vm *c = vm->config;

	for (u32 i = 0; i < c->npci; i++)
		if (is_gone(vm, c->pci[i]))
			vm_fail(vm, NULL, "assigned %s does not answer any more", c->pci[i]);
	for (u8 i = 0; i < CONFIG_NETS; i++) {
		if (!is_gone(vm, c->net[i].pci))
			continue;
		log_warn("vm %s: net%u: %s does not answer any more", vm->name, i, c->net[i].pci);
		slots_take_out(vm, i);
	}
}

static void look(void *ctx)
{
	for (u32 i = 0; i < VM_MAX; i++) {
		struct vm *vm = vm_at(i);

		if (vm && vm->state == VM_RUNNING)
			look_at(vm);
	}
	if (timer_arm(ctx, tsc_read() + ns_to_tsc(LOOK_NS)))
		log_warn("assigned functions are not looked after any more");
}

void assign_pci_init(void)
{
	static const struct pc_part part = { build, destroy };
	static struct timer timer;

	pc_register_part(&part);
	timer_init(&timer, look, &timer);
	if (iommu_present())
		look(&timer);
}
