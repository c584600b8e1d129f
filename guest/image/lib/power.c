/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power-off and reset. ACPI 6.5 §4.8.3.2 (SLP_TYP, SLP_EN).
 */
#include "guest/image/lib/power.h"

#include "guest/image/lib/cpu.h"
#include "guest/image/lib/trap.h"
#include "guest/vm/machine.h"

#define SLP_EN	   0x2000u
#define DEBUG_EXIT 0xf4u /* of a bare QEMU machine: absent under Godwit */

static NORETURN void halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void power_off(u8 status)
{
	outw(MACHINE_PM1_CNT, (u16)(SLP_EN | MACHINE_PM_SLP_TYP_S5 << 10));
	outb(DEBUG_EXIT, status);
	outw(MACHINE_PM1_CNT, SLP_EN); /* S5 of a bare QEMU machine */
	halt();
}

void power_reset(void)
{
	outb(MACHINE_RESET_PORT, MACHINE_RESET_VALUE);
	halt();
}

void power_triple_fault(void)
{
	struct desc_ptr none = { 0, 0 };

	__asm__ volatile("lidt %0; ud2" : : "m"(none));
	halt();
}
