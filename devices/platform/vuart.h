/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550A serial port. The line is infinitely fast: a byte written has been sent, so the
 * transmitter is always empty. Pure; the VM's lock is held around every call.
 */
#ifndef DEVICES_PLATFORM_VUART_H
#define DEVICES_PLATFORM_VUART_H

#include "guest/vm/vdev.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VUART_FIFO 16u

struct vuart_env {
	void *ctx;
	void (*tx)(void *ctx, u8 byte);
	void (*irq)(void *ctx, bool level);
	/* rx_room() - the receiver has room again: vuart_rx() may be called, also from here. */
	void (*rx_room)(void *ctx);
};

struct vuart {
	struct vuart_env env;
	bool line;	/* interrupt output */
	bool thre;	/* THRE interrupt pending */
	u8 ier, fcr, lcr, mcr, lsr_errors, msr, scratch;
	u8 dll, dlm;
	u8 rx_head, rx_count;
	u8 rx[VUART_FIFO];
};

/** vuart_init() - at power-on; *env is copied. */
void vuart_init(struct vuart *u, const struct vuart_env *env);
/** vuart_reset() - to power-on; received bytes are gone. */
void vuart_reset(void *state);
/** vuart_io() - register off (0..7), one byte. */
void vuart_io(struct vuart *u, unsigned off, bool write, u8 *value);
/** vuart_rx() - bytes arriving on the line; returns how many there was room for. */
size_t vuart_rx(struct vuart *u, const u8 *data, size_t len);
/** vuart_resume() - check loaded state, drive the line; -EINVAL. */
int MUST_CHECK vuart_resume(void *state);

extern const struct vmstate_field vuart_fields[];
extern const u32 vuart_nfields;

#endif
