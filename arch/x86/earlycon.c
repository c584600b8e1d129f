/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Polled output on COM1 and port 0xE9.
 */
#include "arch/x86/earlycon.h"

#include "arch/x86/io.h"

#define COM1	     0x3f8
#define COM_LSR	     5
#define COM_SCRATCH  7
#define LSR_THRE     0x20
#define DEBUG_PORT   0xe9
#define POLL_LIMIT   200000 /* far above one character's time at 115200 baud */
#define MISSES_LIMIT 8	    /* in a row: a busy emulator's port comes back, a missing one never */

static bool has_com1, has_e9;
static u32 misses;

void earlycon_init(void)
{
	io_out8(COM1 + COM_SCRATCH, 0x5a);
	has_com1 = io_in8(COM1 + COM_SCRATCH) == 0x5a;
	has_e9 = io_in8(DEBUG_PORT) == DEBUG_PORT;
}

static void put(u8 c)
{
	for (u32 i = 0; !(io_in8(COM1 + COM_LSR) & LSR_THRE); i++) {
		if (i == POLL_LIMIT) {
			has_com1 = ++misses < MISSES_LIMIT;
			return;
		}
	}
	misses = 0;
	io_out8(COM1, c);
}

void earlycon_write_com1(const char *text, size_t len)
{
	for (size_t i = 0; i < len && has_com1; i++) {
		if (text[i] == '\n')
			put('\r');
		put((u8)text[i]);
	}
}

void earlycon_write_e9(const char *text, size_t len)
{
	for (size_t i = 0; i < len && has_e9; i++)
		io_out8(DEBUG_PORT, (u8)text[i]);
}
