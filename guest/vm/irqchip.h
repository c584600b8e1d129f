/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the vCPU loop asks of the interrupt controllers, and the messages that cross
 * between them. Implemented by devices/platform, called by guest/vm; pure declarations.
 */
#ifndef GUEST_VM_IRQCHIP_H
#define GUEST_VM_IRQCHIP_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* Delivery modes as in the ICR, the I/O APIC's RTE and MSI data (SDM vol. 3 §11.6.1). */
enum apic_delivery {
	APIC_FIXED = 0,
	APIC_LOWEST = 1,
	APIC_SMI = 2,
	APIC_NMI = 4,
	APIC_INIT = 5,
	APIC_SIPI = 6,
	APIC_EXTINT = 7,
};

enum apic_shorthand { APIC_DEST, APIC_SELF, APIC_ALL, APIC_OTHERS };

/* An interrupt message, however it came about (IPI, I/O APIC, MSI). */
struct apic_msg {
	u32 dest;
	bool logical;
	bool level;	/* trigger mode */
	bool assert;	/* INIT level de-assert is 'false' */
	u8 delivery;	/* enum apic_delivery */
	u8 shorthand;	/* enum apic_shorthand; IPIs only */
	u8 vector;
};

/* pending(): the page that the CPU delivers from has changed, hvm_ops.apic_update() is due. */
#define IRQCHIP_UPDATE (-2)

/*
 * Per-vCPU controller (the local APIC plus the 8259's line into it). Called on the vCPU's
 * own CPU with no lock held, except post().
 */
struct irqchip_ops {
	/* pending() - highest vector that is to be injected now, or -1, or IRQCHIP_UPDATE. */
	int (*pending)(void *lapic);
	/* wakes() - would an interrupt end HLT now? */
	bool (*wakes)(void *lapic);
	/* direct() - the CPU is to deliver from its page; called after IRQCHIP_UPDATE. */
	bool (*direct)(void *lapic);
	/* eoi() - the CPU has ended this level-triggered vector. */
	void (*eoi)(void *lapic, u8 vector);
	/* ack() - the vector pending() named is being delivered: IRR -> ISR (or 8259 INTA).
	 * Returns the vector to inject (the 8259 may say a spurious one). */
	u8 (*ack)(void *lapic);
	/* eoi_silent() - would the end of 'vector', just delivered, change nothing else? */
	bool (*eoi_silent)(void *lapic, u8 vector);
	/* end() - the guest has ended the interrupt in service. */
	void (*end)(void *lapic);
	/* tpr()/set_tpr() - CR8, 0..15. */
	u8 (*tpr)(void *lapic);
	void (*set_tpr)(void *lapic, u8 tpr);
	/* rdmsr()/wrmsr() - IA32_APIC_BASE, x2APIC registers, IA32_TSC_DEADLINE.
	 * false: owes the guest #GP. */
	bool (*rdmsr)(void *lapic, u32 msr, u64 *value);
	bool (*wrmsr)(void *lapic, u32 msr, u64 value);
	/* mmio() - the xAPIC page at its current base; size 4, off within 4 KiB. */
	void (*mmio)(void *lapic, u64 off, unsigned size, bool write, u64 *value);
	/* mmio_base() - GPA of the page; ~0 when disabled or in x2APIC mode. */
	gpa_t (*mmio_base)(void *lapic);
	/* reset() - RESET (init false) or INIT (init true: the APIC ID and base stay). */
	void (*reset)(void *lapic, bool init);
};

#endif
