/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's 8259 pair, which is only silenced, and the 8254, which only measures.
 */
#ifndef ARCH_X86_PIC_H
#define ARCH_X86_PIC_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define PIC_FIRST_VECTOR 0x20 /* where a spurious one of the 8259s would arrive */
#define PIC_VECTORS	 16

/** pic_disable() - move both 8259s to PIC_FIRST_VECTOR and mask all their inputs. */
void pic_disable(void);

/**
 * pit_wait_10ms() - wait until channel 2 of the 8254 has counted 10 ms.
 * Returns 0, or -ETIMEDOUT when it does not count. Interrupts are not used.
 */
int MUST_CHECK pit_wait_10ms(void);

#endif
