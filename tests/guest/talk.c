/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest to talk to over its console: says each line back in capitals; some lines are commands.
 * For tests of the host's control.
 */
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/power.h"
#include "guest/image/lib/serial.h"
#include "kernel/base/str.h"

#define LINE 300

static void read_line(char *line)
{
	size_t n = 0;
	int c;

	while ((c = serial_read()) != '\r') {
		if (c < 0)
			wait_us(100);
		else if (n < LINE - 1)
			line[n++] = (char)c;
	}
	line[n] = '\0';
}

static void answer(char *line)
{
	if (strcmp(line, "off") == 0)
		power_off(0);
	if (strcmp(line, "reset") == 0)
		power_reset();
	if (strcmp(line, "die") == 0)
		power_triple_fault();
	if (strcmp(line, "burst") == 0) /* 40,000 bytes: more than the host keeps */
		for (u32 i = 0; i < 2500; i++)
			serial_printf("burst line %4u\n", i);
	if (strcmp(line, "leave") == 0) /* the byte that ends raw mode of a control port */
		serial_printf("<\x1d\n\x1d>\n");
	if (strcmp(line, "ask") == 0) /* a terminal answers to these as if it were typed */
		serial_printf("\033[6n\033[c");
	for (char *p = line; *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'z' ? *p - 32 : *p);
	serial_printf("said: %s\n", line);
}

void guest_main(void)
{
	char line[LINE];

	serial_printf("talk: ready, %s\n", boot_cmdline());
	for (;;) {
		read_line(line);
		answer(line);
	}
}
