/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Polled output on COM1 and port 0xE9: before the serial driver runs and in a panic.
 */
#ifndef ARCH_X86_EARLYCON_H
#define ARCH_X86_EARLYCON_H

#include "kernel/base/types.h"

/** earlycon_init() - find out which of the two ports is there; boot.S has set COM1 up. */
void earlycon_init(void);

/**
 * earlycon_write_com1() - len characters; "\n" goes out as "\r\n". Drops text when COM1 is stuck.
 */
void earlycon_write_com1(const char *text, size_t len);

/** earlycon_write_e9() - len characters to the emulator's debug port, if there is one. */
void earlycon_write_e9(const char *text, size_t len);

#endif
