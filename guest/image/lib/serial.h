/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text output of guest kernels on COM1, whole lines at a time when several CPUs print.
 */
#ifndef GUEST_IMAGE_LIB_SERIAL_H
#define GUEST_IMAGE_LIB_SERIAL_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define COM1 0x3f8

/** serial_init() - 115200 8N1, FIFO on, interrupts off. */
void serial_init(void);

/** serial_printf() - format (kernel/base/fmt.h) and send; at most 255 characters. */
void serial_printf(const char *f, ...) PRINTF_LIKE(1, 2);

/** serial_seize() - a dying kernel takes the port from whoever has it. */
void serial_seize(void);

/** serial_read() - the next received byte, or -1. */
int serial_read(void);

#endif
