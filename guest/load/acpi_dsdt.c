/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DSDT: sleep state S5, PCI root bridge, motherboard resources, COM1, RTC.
 */
#include "guest/load/acpi_dsdt.h"

#include "guest/vm/machine.h"
#include "kernel/base/bits.h"

#define PCI_SLOTS 32u
#define PCI_PINS 4u

/* _OSC: support and control fields of a PCI root bridge (PCI Firmware Specification §4.5). */
#define OSC_HOTPLUG BIT(0)
#define OSC_PME BIT(2)
#define OSC_PCIE_CAPS BIT(4)
#define OSC_GRANTED (OSC_HOTPLUG | OSC_PME | OSC_PCIE_CAPS)
#define OSC_BAD_UUID BIT(2)
#define OSC_BAD_REV BIT(3)
#define OSC_MASKED BIT(4)

/* 33db4d5b-1ff7-401c-9657-7441c03dd766, bytes in the order of ToUUID() (ACPI 6.4 §19.6.142). */
static const u8 pci_uuid[16] = { 0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
				 0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66 };

static void field(struct aml *a, u64 offset, const char *name)
{
	aml_ops(a, 2, AML_CREATE_DWORD_FIELD, AML_ARG3);
	aml_int(a, offset);
	aml_seg(a, name);
}

/* name = name | bits */
static void set_bits(struct aml *a, const char *name, u64 bits)
{
	aml_byte(a, AML_OR);
	aml_seg(a, name);
	aml_int(a, bits);
	aml_seg(a, name);
}

/*
 * Method(_OSC, 4): Arg0 UUID, Arg1 revision, Arg2 count, Arg3 fields. The third field is what the
 * guest wants to control; it gets what of it is offered.
 */
static void osc(struct aml *a)
{
	aml_method(a, "_OSC", 4);
	field(a, 0, "CDW1");
	aml_if(a);
	aml_ops(a, 2, AML_LEQUAL, AML_ARG0);
	aml_buffer(a, pci_uuid, sizeof(pci_uuid));
	field(a, 8, "CDW3");
	aml_byte(a, AML_AND);
	aml_seg(a, "CDW3");
	aml_int(a, OSC_GRANTED);
	aml_byte(a, AML_LOCAL0);
	aml_if(a);
	aml_ops(a, 4, AML_LNOT, AML_LEQUAL, AML_ARG1, AML_ONE);
	set_bits(a, "CDW1", OSC_BAD_REV);
	aml_end(a);
	aml_if(a);
	aml_ops(a, 3, AML_LNOT, AML_LEQUAL, AML_LOCAL0);
	aml_seg(a, "CDW3");
	set_bits(a, "CDW1", OSC_MASKED);
	aml_end(a);
	aml_ops(a, 2, AML_STORE, AML_LOCAL0);
	aml_seg(a, "CDW3");
	aml_end(a);
	aml_else(a);
	set_bits(a, "CDW1", OSC_BAD_UUID);
	aml_end(a);
	aml_ops(a, 2, AML_RETURN, AML_ARG3);
	aml_end(a);
}

/* Name(_PRT): { slot, any function }, pin, no link device, GSI. */
static void prt(struct aml *a)
{
	aml_name(a, "_PRT");
	aml_package(a, PCI_SLOTS * PCI_PINS);
	for (u32 slot = 0; slot < PCI_SLOTS; slot++) {
		for (u32 pin = 0; pin < PCI_PINS; pin++) {
			aml_package(a, 4);
			aml_int(a, slot << 16 | 0xffff);
			aml_int(a, pin);
			aml_byte(a, AML_ZERO);
			aml_int(a, MACHINE_PCI_GSI + (slot + pin) % PCI_PINS);
			aml_end(a);
		}
	}
	aml_end(a);
}

static void pci_root(struct aml *a)
{
	struct aml_res r;

	aml_device(a, "PCI0");
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0A08");
	aml_name(a, "_CID");
	aml_eisaid(a, "PNP0A03");
	aml_name_int(a, "_UID", 0);
	aml_name_int(a, "_SEG", 0);
	aml_name_int(a, "_BBN", 0);
	aml_res_begin(&r);
	aml_res_window_bus(&r, 0, MACHINE_ECAM_BUSES - 1);
	aml_res_io(&r, 0xcf8, 8);
	aml_res_window_io(&r, MACHINE_PCI_IO_BASE, MACHINE_PCI_IO_BASE + MACHINE_PCI_IO_SIZE - 1);
	aml_res_window_mem32(&r, (u32)MACHINE_PCI_MEM_BASE, (u32)(MACHINE_PCI_MEM_END - 1));
	aml_res_window_mem64(&r, MACHINE_PCI_MEM64_BASE,
			     MACHINE_PCI_MEM64_BASE + MACHINE_PCI_MEM64_SIZE - 1);
	aml_res_end(a, &r);
	osc(a);
	prt(a);
	aml_end(a);
}

/* Reserved space that belongs to no other device: ECAM (PCI Firmware Specification §4.1.2). */
static void motherboard(struct aml *a)
{
	struct aml_res r;

	aml_device(a, "MBRD");
	aml_name(a, "_HID");
	aml_eisaid(a, "PNP0C02");
	aml_name_int(a, "_UID", 0);
	aml_res_begin(&r);
	aml_res_mem32(&r, (u32)MACHINE_ECAM_BASE, MACHINE_ECAM_SIZE);
	aml_res_end(a, &r);
	aml_end(a);
}

struct isa {
	const char *seg, *id;
	u16 port;
	u8 ports, irq;
};

static void isa_device(struct aml *a, const struct isa *d)
{
	struct aml_res r;

	aml_device(a, d->seg);
	aml_name(a, "_HID");
	aml_eisaid(a, d->id);
	aml_name_int(a, "_UID", 0);
	aml_res_begin(&r);
	aml_res_io(&r, d->port, d->ports);
	aml_res_irq(&r, d->irq);
	aml_res_end(a, &r);
	aml_end(a);
}

void acpi_dsdt_write(struct aml *a)
{
	static const struct isa com1 = { "COM1", "PNP0501", MACHINE_COM1_PORT, 8,
					 MACHINE_COM1_IRQ };
	static const struct isa rtc = { "RTC0", "PNP0B00", MACHINE_RTC_PORT, 2, MACHINE_RTC_IRQ };

	aml_name(a, "_S5_");
	aml_package(a, 4);
	aml_int(a, MACHINE_PM_SLP_TYP_S5);
	aml_ops(a, 3, AML_ZERO, AML_ZERO, AML_ZERO);
	aml_end(a);
	aml_scope_sb(a);
	pci_root(a);
	motherboard(a);
	isa_device(a, &com1);
	isa_device(a, &rtc);
	aml_end(a);
}
