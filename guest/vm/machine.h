/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Constants of the guest-visible machine: what the ACPI tables promise and the
 * device models keep. docs/machine.md shows them as tables.
 */
#ifndef GUEST_VM_MACHINE_H
#define GUEST_VM_MACHINE_H

#include "kernel/base/types.h"

/* RAM lies below the hole and from 4 GiB on; the hole belongs to MMIO. */
#define MACHINE_PCI_HOLE_BASE  0xc0000000ull

/* PCI: a 32-bit window for BARs below ECAM, a 64-bit one, and a port window. */
#define MACHINE_PCI_MEM_BASE   0xc0000000ull
#define MACHINE_PCI_MEM_END    0xe0000000ull
#define MACHINE_ECAM_BASE      0xe0000000ull
#define MACHINE_ECAM_BUSES     64u /* more than functions; kernels look at each bus at boot */
#define MACHINE_ECAM_SIZE      (MACHINE_ECAM_BUSES << 20)
#define MACHINE_PCI_MEM64_BASE 0x4000000000ull /* 256 GiB: within 39 address bits */
#define MACHINE_PCI_MEM64_SIZE 0x800000000ull  /* 32 GiB */
#define MACHINE_PCI_IO_BASE    0xc000u
#define MACHINE_PCI_IO_SIZE    0x4000u

#define MACHINE_IOAPIC_BASE    0xfec00000ull
#define MACHINE_IOAPIC_PINS    24u
#define MACHINE_IOAPIC_ID      0u
#define MACHINE_LAPIC_BASE     0xfee00000ull

/* The local APIC timer counts at this rate whatever the host's does. */
#define MACHINE_APIC_KHZ       1000000u

/* Ports and lines of the platform devices. ISA interrupt n is GSI n, but for 0 -> 2. */
#define MACHINE_PIT_GSI	       2u
#define MACHINE_PIT_IRQ	       0u
#define MACHINE_CASCADE_IRQ    2u
#define MACHINE_COM1_PORT      0x3f8u
#define MACHINE_COM1_IRQ       4u
#define MACHINE_RTC_PORT       0x70u
#define MACHINE_RTC_IRQ	       8u

/* ACPI fixed hardware; SCI is level, active high (MADT overrides say so). */
#define MACHINE_SCI_IRQ	       9u
#define MACHINE_PM1_EVT	       0x600u /* status, enable: 2 bytes each */
#define MACHINE_PM1_CNT	       0x604u
#define MACHINE_PM_TMR	       0x608u
#define MACHINE_PM_SLP_TYP_S5  5u     /* _S5 package of the DSDT */
#define MACHINE_RESET_PORT     0xcf9u
#define MACHINE_RESET_VALUE    0x06u

/* PCI INTA..INTD of root-bus functions, level, active high: GSI 16 + (device + pin) % 4. */
#define MACHINE_PCI_GSI	       16u

#endif
