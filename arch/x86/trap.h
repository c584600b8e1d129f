/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exceptions and interrupts as they come from the CPU. What to do with them is
 * registered from above: kernel/core/irq.c and kernel/core/panic.c.
 */
#ifndef ARCH_X86_TRAP_H
#define ARCH_X86_TRAP_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VEC_DB	1
#define VEC_NMI 2
#define VEC_UD	6
#define VEC_DF	8
#define VEC_GP	13
#define VEC_PF	14
#define VEC_MC	18

#define VEC_FIRST_IRQ 32
#define VECTORS	      256

/* As trap.S pushes it. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

struct trap_hooks {
	/* An exception nothing can mend; does not return. */
	void (*fatal)(struct trap_frame *f);
	/* NMI; may return. */
	void (*nmi)(struct trap_frame *f);
	/* Vectors from VEC_FIRST_IRQ on; interrupts are off. Also lower ones that the local APIC
	 * delivered: nobody sends such, but a broken or hostile device. */
	void (*irq)(u32 vector);
};

/** trap_init() - fill the IDT, shared by all CPUs; once, on the boot CPU. h stays in use. */
void trap_init(const struct trap_hooks *h);

/** trap_load() - use the IDT on the calling CPU. */
void trap_load(void);

/** trap_take() - serve an interrupt that was acknowledged by an exit; interrupts are off. */
void trap_take(u8 vector);

/** trap_use_ist() - NMI, #DF and #MC go to their own stacks from now on; all CPUs have a TSS. */
void trap_use_ist(void);

/** trap_name() - name of an exception, "?" for others. */
const char *trap_name(u64 vector);

#endif
