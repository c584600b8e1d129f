/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local APIC of a guest kernel in either mode, and the I/O APIC. Registers are named by their
 * xAPIC offset in both modes. Intel SDM vol. 3 §11.
 */
#ifndef GUEST_IMAGE_LIB_APIC_H
#define GUEST_IMAGE_LIB_APIC_H

#include "guest/image/lib/cpu.h"

#define APIC_BASE   0xfee00000ull
#define IOAPIC_BASE 0xfec00000ull

#define APIC_ID	      0x20
#define APIC_VERSION  0x30
#define APIC_TPR      0x80
#define APIC_PPR      0xa0
#define APIC_EOI      0xb0
#define APIC_LDR      0xd0
#define APIC_DFR      0xe0
#define APIC_SVR      0xf0
#define APIC_ISR      0x100
#define APIC_TMR      0x180
#define APIC_IRR      0x200
#define APIC_ESR      0x280
#define APIC_ICR      0x300
#define APIC_ICR2     0x310
#define APIC_LVT_TMR  0x320
#define APIC_LVT_PMC  0x340
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERR  0x370
#define APIC_TMICT    0x380
#define APIC_TMCCT    0x390
#define APIC_TDCR     0x3e0
#define APIC_SELF_IPI 0x3f0 /* x2APIC only */

#define APIC_LVT_MASKED	  0x10000u
#define APIC_LVT_PERIODIC 0x20000u
#define APIC_LVT_DEADLINE 0x40000u

#define ICR_FIXED    0x000u
#define ICR_LOWEST   0x100u
#define ICR_NMI	     0x400u
#define ICR_INIT     0x500u
#define ICR_SIPI     0x600u
#define ICR_LOGICAL  0x800u
#define ICR_BUSY     0x1000u
#define ICR_ASSERT   0x4000u
#define ICR_LEVEL    0x8000u
#define ICR_SELF     0x40000u
#define ICR_ALL	     0x80000u
#define ICR_OTHERS   0xc0000u

#define APIC_SPURIOUS 0xff

/** apic_init_cpu() - enable, TPR 0, all LVT masked, spurious vector FFh; keeps the mode. */
void apic_init_cpu(void);

/** apic_x2() - is this CPU in x2APIC mode? */
bool apic_x2(void);

/** apic_x2_enable() - switch this CPU to x2APIC mode. There is no way back but INIT. */
void apic_x2_enable(void);

/** apic_read(), apic_write() - a register in the mode the APIC is in. */
u32 apic_read(u32 reg);
void apic_write(u32 reg, u32 v);

/** apic_id() - full width in x2APIC mode, 8 bits else. */
u32 apic_id(void);

void apic_eoi(void);

/** apic_icr() - send: cmd is the low half; waits (bounded) until it left. */
void apic_icr(u32 dest, u32 cmd);

/** apic_bit() - bit vector of the 256-bit register (IRR, ISR or TMR) at reg. */
bool apic_bit(u32 reg, u8 vector);

u32 ioapic_read(u32 reg);
void ioapic_write(u32 reg, u32 v);

/** ioapic_set() - redirection entry. low: vector and flags; dest: APIC ID. */
void ioapic_set(u32 pin, u32 low, u32 dest);

#define IOAPIC_MASKED	  0x10000u
#define IOAPIC_LEVEL	  0x8000u
#define IOAPIC_REMOTE_IRR 0x4000u
#define IOAPIC_LOW	  0x2000u

#endif
