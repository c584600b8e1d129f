/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that the configuration names by address: what the scan found, or a VF.
 */
#include "devices/pci/assign_pci.h"

#include "devices/pci/assign.h"
#include "devices/platform/pc.h"
#include "devices/sriov/nvme/nvme_pf.h"
#include "guest/vm/vm.h"
#include "iommu/iommu.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/config_value.h"
#include "kernel/core/pci.h"
#include "kernel/core/pci_iso.h"

int assign_pci_add(struct vm *vm, const char *name, char *why, size_t why_size)
{
	struct assign_request r = { .ops = NULL };
	char text[120] = "";
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
		rc = nvme_vf_add(vm, bdf, text, sizeof(text));
	if (rc)
		fmt_snprintf(why, why_size, "pci = %s: %s", name, text);
	return rc;
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

void assign_pci_init(void)
{
	static const struct pc_part part = { build, destroy };

	pc_register_part(&part);
}
