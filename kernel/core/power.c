/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power-off, reset and the emulator's exit port.
 */
#include "kernel/core/power.h"

#include "arch/x86/io.h"

static u16 debug_exit_port;

void host_set_debug_exit(u16 port)
{
	debug_exit_port = port;
}

void host_debug_exit(u8 value)
{
	if (debug_exit_port)
		io_out8(debug_exit_port, value);
}
