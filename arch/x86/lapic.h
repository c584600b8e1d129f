/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC in xAPIC or x2APIC mode (AMD APM vol. 2 §16, Intel SDM vol. 3 §11).
 */
#ifndef ARCH_X86_LAPIC_H
#define ARCH_X86_LAPIC_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct lapic_vectors {
	u8 timer, error, spurious;
};

/**
 * lapic_setup() - choose the mode for all CPUs: x2APIC when the CPU has it, else xAPIC through
 * mmio (register page, mapped uncached). Once, on the boot CPU, before lapic_enable().
 */
void lapic_setup(volatile void *mmio);

/** lapic_mmio_base() - physical address of the register page, from the base MSR. */
hpa_t lapic_mmio_base(void);

/** lapic_is_x2apic() - the mode chosen. */
bool lapic_is_x2apic(void);

/** lapic_enable() - enable the calling CPU's APIC: LINT1 = NMI, everything else masked. */
void lapic_enable(const struct lapic_vectors *v);

/** lapic_id() - of the calling CPU. */
u32 lapic_id(void);

/** lapic_eoi() - end of the interrupt in service. */
void lapic_eoi(void);

/** lapic_recheck() - makes the APIC look again for interrupts to deliver, by its task priority: for
 *  an emulator that loses its word of them (arch/svm/svm.c). */
void lapic_recheck(void);

/** lapic_in_service() - did this APIC deliver 'vector', and is owed its end? Before setup: no. */
bool lapic_in_service(u8 vector);

/** lapic_error() - the error status register, and clear it. */
u32 lapic_error(void);

/** lapic_send_ipi() - fixed interrupt to the CPU with APIC id dest. Waits for xAPIC, bounded. */
void lapic_send_ipi(u32 dest, u8 vector);

/** lapic_send_nmi_others() - NMI to all CPUs but this one. */
void lapic_send_nmi_others(void);

/** lapic_send_init(), lapic_send_startup() - start a CPU at page << 12, below 1 MiB. */
void lapic_send_init(u32 dest);
void lapic_send_startup(u32 dest, u8 page);

/** lapic_timer_count() - arm the one-shot timer for a count of its clock, 0 stops it. */
void lapic_timer_count(u32 count);

/** lapic_timer_left() - count left. */
u32 lapic_timer_left(void);

/**
 * lapic_timer_use_deadline() - TSC-deadline mode on the calling CPU; then
 * lapic_timer_deadline() arms it for a TSC value (0 stops it).
 */
void lapic_timer_use_deadline(void);
void lapic_timer_deadline(u64 tsc);

#endif
