/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control: verbs first, then the ports that requests come from.
 */
#include "kernel/init/control.h"

#include "guest/migrate/ctl_migrate.h"
#include "guest/migrate/ctl_writes.h"
#include "guest/migrate/save.h"
#include "guest/vm/ctl_vm.h"
#include "kernel/core/console.h"
#include "kernel/core/ctl_host.h"
#include "kernel/core/trace.h"
#include "kernel/init/ctl_iommu.h"
#include "kernel/init/ctl_net.h"
#include "kernel/init/ctl_vf.h"

int control_init(struct config *config, const struct acpi_info *acpi)
{
	int rc = ctl_host_init(console_ctl(), config);

	if (!rc)
		rc = trace_ctl_init(console_ctl());
	if (!rc)
		rc = ctl_vm_init(console_ctl(), config);
	if (!rc)
		rc = ctl_writes_init(console_ctl());
	if (!rc)
		rc = ctl_migrate_init(console_ctl());
	if (!rc)
		rc = mig_save_init(console_ctl());
	if (!rc)
		rc = ctl_iommu_init(console_ctl());
	if (!rc)
		rc = ctl_net_init(console_ctl());
	if (!rc)
		rc = ctl_vf_init(console_ctl());
	if (!rc)
		console_init(config, acpi);
	return rc;
}
