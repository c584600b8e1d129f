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

/* What a redirection entry has to express. */
struct ioapic_route {
	u32 gsi_base; /* of the I/O APIC, */
	u32 pin;      /* and its input */
	u8 vector;
	u32 dest;
	bool level, active_low;
};

/**
 * ioapic_set_remap() - from now on fn gives the redirection entry of each route (interrupt
 * remapping); routes made before are written anew. fn returns 0 or an error, which ioapic_route()
 * returns. The first error for an existing route is returned here; that input is masked. Boot CPU.
 */
int MUST_CHECK ioapic_set_remap(int (*fn)(const struct ioapic_route *r, u64 *rte));

#endif
