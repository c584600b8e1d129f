/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two cascaded 8259A interrupt controllers with the edge/level registers (ELCR).
 * Pure; the VM's lock is held around every call.
 */
#ifndef DEVICES_PLATFORM_VPIC_H
#define DEVICES_PLATFORM_VPIC_H

#include "guest/vm/vdev.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VPIC_PORT_MASTER 0x20
#define VPIC_PORT_SLAVE	 0xa0
#define VPIC_PORT_ELCR	 0x4d0

struct vpic_env {
	void *ctx;
	/* out() - the master's INT output changed. */
	void (*out)(void *ctx, bool level);
};

struct vpic_chip {
	u8 line;  /* input levels: saved, or devices that go on would make edges anew */
	u8 irr, isr, imr;
	u8 elcr;  /* 1: level triggered */
	u8 base;  /* vector of input 0 */
	u8 first; /* input of highest priority (rotation) */
	u8 init;  /* next ICW expected: 2, 3, 4; 0: none */
	bool need_icw4, single;
	bool read_isr, poll, special_mask, auto_eoi, rotate_auto, special_nested;
};

struct vpic {
	struct vpic_env env;
	bool out;
	struct vpic_chip chip[2]; /* master, slave */
};

/** vpic_init() - at power-on, no line driven; *env is copied. */
void vpic_init(struct vpic *p, const struct vpic_env *env);
/** vpic_reset() - power-on; input lines stay as devices drive them. */
void vpic_reset(void *state);
/** vpic_set_line() - input irq (0..15, not 2). */
void vpic_set_line(struct vpic *p, unsigned irq, bool level);
/** vpic_inta() - acknowledge cycle: the vector, maybe that of a spurious interrupt 7. */
u8 vpic_inta(struct vpic *p);
/** vpic_io() - one byte at port 20h, 21h, a0h, a1h, 4d0h or 4d1h. */
void vpic_io(struct vpic *p, u16 port, bool write, u8 *value);
/** vpic_resume() - check loaded state; -EINVAL. */
int MUST_CHECK vpic_resume(void *state);

extern const struct vmstate_field vpic_fields[];
extern const u32 vpic_nfields;

#endif
