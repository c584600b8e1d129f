/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's I/O APICs: redirection entries by global system interrupt.
 */
#ifndef ARCH_X86_IOAPIC_H
#define ARCH_X86_IOAPIC_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define IOAPIC_MAX 16

/** ioapic_add() - an I/O APIC at mmio (mapped uncached) whose inputs start at gsi_base; masks all.
 * Returns the number of inputs, or -ENOSPC when there are more than IOAPIC_MAX. */
int MUST_CHECK ioapic_add(volatile void *mmio, u32 gsi_base);

/**
 * ioapic_route() - deliver gsi as vector to the CPU with APIC id dest, unmasked.
 * Returns 0, or -ENODEV when no I/O APIC has that input, -ERANGE when dest needs more than 8 bits.
 */
int MUST_CHECK ioapic_route(u32 gsi, u8 vector, u32 dest, bool level, bool active_low);

/** ioapic_mask() - mask or unmask gsi; nothing happens when there is no such input. */
void ioapic_mask(u32 gsi, bool masked);

#endif
