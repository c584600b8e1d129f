/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clock, interrupt controllers, processors and PCI of the host, as its ACPI tables describe them.
 */
#include "kernel/init/platform.h"

#include "arch/x86/cpu.h"
#include "arch/x86/ioapic.h"
#include "arch/x86/lapic.h"
#include "arch/x86/pic.h"
#include "iommu/iommu.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/acpi.h"
#include "kernel/core/clock.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/ipi.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"
#include "kernel/core/percpu.h"
#include "kernel/core/power.h"
#include "kernel/core/timer.h"
#include "kernel/core/wallclock.h"
#include "kernel/init/smp.h"

#define IOAPIC_PAGE 4096

static struct acpi_info acpi;

static const void *firmware(void *ctx, hpa_t pa, size_t len)
{
	(void)ctx;
	return hostmap_firmware(pa, len);
}

static void report_dropped(void)
{
	u32 n = acpi.cpus_dropped + acpi.ioapics_dropped + acpi.overrides_dropped +
		acpi.nmis_dropped + acpi.segments_dropped + acpi.tables_dropped;

	if (acpi.notes[0])
		log_warn("acpi: %s", acpi.notes);
	if (n)
		log_warn("acpi: beyond our limits and left out: %u CPUs, %u I/O APICs, %u "
			 "overrides, "
			 "%u NMI inputs, %u PCI segments, %u tables",
			 acpi.cpus_dropped, acpi.ioapics_dropped, acpi.overrides_dropped,
			 acpi.nmis_dropped, acpi.segments_dropped, acpi.tables_dropped);
}

int platform_acpi(const struct boot_info *b, char *text, size_t size)
{
	static const struct boot_env env = { .phys = firmware };
	int err = acpi_parse(b->rsdp, b->rsdp_len, &env, &acpi, text, size);

	if (err)
		return err;
	report_dropped();
	power_init(&acpi.fadt);
	fmt_snprintf(text, size, "revision %u, %u tables, %u CPUs, %u I/O APICs%s%s%s",
		     acpi.revision, acpi.tables, acpi.cpus, acpi.ioapics,
		     acpi.segments ? ", MCFG" : "", acpi.dmar.pa ? ", DMAR" : "",
		     acpi.ivrs.pa ? ", IVRS" : "");
	return 0;
}

const struct acpi_info *platform_tables(void)
{
	return &acpi;
}

int platform_clock(char *text, size_t size)
{
	const char *source;
	int err = clock_calibrate(acpi_io_port(&acpi.fadt.pm_timer), &source);

	if (err) {
		str_copy(text, size, "neither the ACPI PM timer nor the 8254 counts");
		return err;
	}
	wallclock_init();
	fmt_snprintf(text, size, "TSC %lu.%03lu MHz by the %s, %s", tsc_khz() / 1000,
		     tsc_khz() % 1000, source,
		     cpu_features()->tsc_invariant ? "invariant" : "not said to be invariant");
	return 0;
}

static int add_ioapics(u32 *pins)
{
	for (u32 i = 0; i < acpi.ioapics; i++) {
		void *mmio = hostmap_mmio(acpi.ioapic[i].mmio, IOAPIC_PAGE);
		int n = mmio ? ioapic_add(mmio, acpi.ioapic[i].gsi_base) : -ENOMEM;

		if (n < 0)
			return n;
		*pins += (u32)n;
	}
	return 0;
}

int platform_interrupts(char *text, size_t size)
{
	u32 pins = 0;
	void *mmio = hostmap_mmio(lapic_mmio_base(), PAGE_SIZE);
	int err;

	if (!mmio)
		return -ENOMEM;
	pic_disable();
	irq_init();
	ipi_init();
	lapic_setup(mmio);
	err = smp_boot_cpu();
	if (err)
		return err;
	err = timer_cpu_init(0);
	if (!err)
		err = clock_init();
	if (!err)
		err = add_ioapics(&pins);
	if (err)
		return err;
	timer_cpu_start();
	fmt_snprintf(text, size, "local APIC in %s mode, timer by %s, %u inputs of I/O APICs",
		     lapic_is_x2apic() ? "x2APIC" : "xAPIC",
		     clock_lapic_khz() ? "count" : "TSC deadline", pins);
	return 0;
}

static void add_cpus(void)
{
	for (u32 i = 0; i < acpi.cpus; i++) {
		const struct acpi_cpu *c = &acpi.cpu[i];
		int err;

		if (!c->enabled || c->apic_id == boot_pcpu.apic_id)
			continue;
		err = smp_add(c->apic_id);
		if (err)
			log_err("CPU with APIC id %u is not used: %s", c->apic_id,
				err == -ENOSPC ? "more CPUs than Godwit manages" : err_name(err));
	}
}

int platform_cpus(hpa_t trampoline, char *text, size_t size)
{
	u32 missing = 0;

	if (trampoline) {
		add_cpus();
		missing = smp_start(trampoline);
	} else {
		log_err("no free page below 1 MiB: other CPUs cannot be started");
	}
	fmt_snprintf(text, size, "%u up, %u missing", cpu_count(), missing);
	return 0;
}

/* Segment 0 is the one that functions are looked for in. */
static int use_ecam(void)
{
	for (u32 i = 0; i < acpi.segments; i++) {
		const struct acpi_segment *s = &acpi.segment[i];

		if (s->segment == 0)
			return pci_use_ecam(s->base, s->first, s->last);
		log_warn("pci: segment %u is not used", s->segment);
	}
	return 0;
}

int platform_pci(char *text, size_t size)
{
	int err = use_ecam();

	if (!err)
		err = pci_enumerate();
	fmt_snprintf(text, size, "%u functions, %u bytes of configuration space each", pci_count(),
		     pci_cfg_host()->space);
	return err;
}

int platform_iommu(char *text, size_t size)
{
	struct iommu_unit_info u = { 0 };
	int err = iommu_init(&acpi);
	u32 units = iommu_unit_list(&u, 1);

	if (!iommu_present())
		fmt_snprintf(text, size, "none%s%s: devices cannot be given to guests",
			     err ? " that can be used, " : "", err ? err_name(err) : "");
	else
		fmt_snprintf(text, size, "%s, %u units, %u-bit device addresses, interrupts %s",
			     iommu_name(), units, u.bits,
			     iommu_remaps_irqs() ? "remapped" : "not remapped");
	return err == -ETIMEDOUT ? err : 0;
}
