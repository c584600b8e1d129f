/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest beside a hostile one: every 200 ms it checks memory, a timer interrupt and a device,
 * and says so. It ends only when it is stopped.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/test.h"

#define VECTOR 0x70
#define WORDS  (64 * 512) /* 64 pages */

void guest_main(void)
{
	u64 *p = page_alloc(64);

	trap_set(VECTOR, trap_count_apic);
	apic_write(APIC_TDCR, 0xb);
	apic_write(APIC_LVT_TMR, VECTOR);
	for (u32 tick = 1;; tick++) {
		bool ok = true;

		for (u32 i = 0; i < WORDS; i++)
			p[i] = (u64)tick << 32 | i;
		outb(COM1 + 7, (u8)tick);
		apic_write(APIC_TMICT, 200000000);
		sti_hlt_cli();
		for (u32 i = 0; i < WORDS; i++)
			ok = ok && p[i] == ((u64)tick << 32 | i);
		ok = ok && trap_counted(VECTOR) == tick && inb(COM1 + 7) == (u8)tick;
		serial_printf("tick %u %s\n", tick, ok ? "ok" : "bad");
	}
}
