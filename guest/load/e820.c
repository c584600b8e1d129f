/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory map of a guest.
 */
#include "guest/load/e820.h"

#include "guest/vm/machine.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"

static void add(struct e820_map *m, gpa_t base, gpa_t end, enum e820_type type)
{
	if (end > base)
		m->entry[m->count++] = (struct e820_entry){ base, end - base, type };
}

int e820_build(u64 ram, struct e820_map *out)
{
	u64 low = min_u64(ram, MACHINE_PCI_HOLE_BASE);
	struct e820_map m = { .facs = low - E820_NVS_LEN };

	if (ram == 0 || !is_aligned(ram, SIZE_2M) || ram > ~0ull - SIZE_4G)
		return -EINVAL;
	m.acpi = m.facs - E820_ACPI_LEN;
	m.usable_end = m.acpi;
	add(&m, 0, E820_LOW_END, E820_RAM);
	add(&m, E820_LOW_END, 0xa0000, E820_RESERVED);
	add(&m, E820_BIOS_BASE, E820_BIOS_END, E820_RESERVED);
	add(&m, E820_BIOS_END, m.usable_end, E820_RAM);
	add(&m, m.acpi, m.facs, E820_ACPI);
	add(&m, m.facs, low, E820_NVS);
	add(&m, MACHINE_ECAM_BASE, MACHINE_ECAM_BASE + MACHINE_ECAM_SIZE, E820_RESERVED);
	add(&m, MACHINE_IOAPIC_BASE, MACHINE_IOAPIC_BASE + PAGE_SIZE, E820_RESERVED);
	add(&m, MACHINE_LAPIC_BASE, MACHINE_LAPIC_BASE + PAGE_SIZE, E820_RESERVED);
	add(&m, SIZE_4G, SIZE_4G + (ram - low), E820_RAM);
	*out = m;
	return 0;
}
