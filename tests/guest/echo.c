/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends back each received line, taken by interrupt from the serial port: the path of a
 * person's keys through a console. Ends with the line "bye".
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/power.h"
#include "guest/image/lib/test.h"
#include "kernel/base/atomic.h"
#include "kernel/base/str.h"

#define V_COM 0x72
#define COM1_IRQ 4

static char ring[1024];
static u32 head, tail;

static void receive(struct trap_frame *f)
{
	int c;

	(void)f;
	(void)inb(COM1 + 2);
	while ((c = serial_read()) >= 0) {
		ring[head % sizeof(ring)] = (char)c;
		head++;
	}
	apic_eoi();
}

void guest_main(void)
{
	char line[200];
	u32 n = 0, lines = 0;

	trap_set(V_COM, receive);
	ioapic_set(COM1_IRQ, V_COM, apic_id());
	outb(COM1 + 4, 0x0b);
	outb(COM1 + 1, 1); /* received data */
	serial_printf("echo ready\n");
	for (;;) {
		char c;

		while (tail == atomic_load_acquire(&head))
			sti_hlt_cli();
		c = ring[tail++ % sizeof(ring)];
		if (c != '\r' && c != '\n') {
			if (n < sizeof(line) - 1)
				line[n++] = c;
			continue;
		}
		line[n] = 0;
		n = 0;
		if (strcmp(line, "bye") == 0)
			break;
		serial_printf("echo %u %s\n", ++lines, line);
	}
	serial_printf("RESULT 1 passed, 0 failed\n");
	power_off(0);
}
