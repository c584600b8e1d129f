/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550 at COM1, polled.
 */
#include "guest/image/lib/serial.h"

#include "guest/image/lib/cpu.h"
#include "kernel/base/atomic.h"
#include "kernel/base/fmt.h"

#define LSR_DATA  0x01
#define LSR_EMPTY 0x20
#define POLLS	  1000000 /* a port that never gets ready is not there */

static u32 lock;

void serial_init(void)
{
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 0x80);
	outb(COM1 + 0, 1);
	outb(COM1 + 1, 0);
	outb(COM1 + 3, 0x03);
	outb(COM1 + 2, 0x07);
	outb(COM1 + 4, 0x03);
}

static void put(char c)
{
	for (u32 i = 0; i < POLLS && !(inb(COM1 + 5) & LSR_EMPTY); i++)
		pause();
	outb(COM1, (u8)c);
}

void serial_printf(const char *f, ...)
{
	char buf[256];
	va_list ap;

	va_start(ap, f);
	fmt_vsnprintf(buf, sizeof(buf), f, ap);
	va_end(ap);
	while (atomic_swap(&lock, 1))
		pause();
	for (const char *s = buf; *s; s++) {
		if (*s == '\n')
			put('\r');
		put(*s);
	}
	atomic_store_release(&lock, 0);
}

void serial_seize(void)
{
	atomic_store_release(&lock, 0);
}

int serial_read(void)
{
	return inb(COM1 + 5) & LSR_DATA ? inb(COM1) : -1;
}
