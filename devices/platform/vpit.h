/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 8254 timer, three channels, and port 61h. The counters are functions of the VM's clock;
 * only channel 0 needs a timer. Pure; the VM's lock is held around every call.
 */
#ifndef DEVICES_PLATFORM_VPIT_H
#define DEVICES_PLATFORM_VPIT_H

#include "guest/vm/vdev.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VPIT_HZ	      1193182u
#define VPIT_PORT     0x40
#define VPIT_PORT_61H 0x61

struct vpit_env {
	void *ctx;
	u64 (*now_ns)(void *ctx);
	/* arm() - call vpit_timer() at now_ns() = ns; replaces an earlier request. */
	void (*arm)(void *ctx, u64 ns);
	/* irq() - channel 0's output. */
	void (*irq)(void *ctx, bool level);
};

struct vpit_channel {
	u8 mode;   /* 0..5 */
	u8 rw;	   /* 1 low byte, 2 high byte, 3 low then high */
	bool bcd;
	bool gate;
	bool loaded;	/* a count was written since the control word */
	bool triggered; /* modes 1, 5: the gate rose since */
	bool write_high, read_high; /* rw 3: which byte comes next */
	u8 write_low;	/* rw 3: the low byte, waiting for the high one */
	u8 latched;	/* count bytes held for reading: 0..2 */
	bool status_latched;
	u8 status;
	u16 latch;
	u32 count;	/* reload value, 1..65536 */
	u64 start;	/* PIT tick at which counting began */
	u64 held;	/* ticks counted when the gate fell (modes 0, 4) */
};

struct vpit {
	struct vpit_env env;
	struct vpit_channel ch[3];
	u8 port61;     /* bits 1:0 as written */
	u64 next_edge; /* PIT tick of channel 0's next rising edge, 0: none */
};

/** vpit_init() - at power-on; *env is copied. */
void vpit_init(struct vpit *p, const struct vpit_env *env);
/** vpit_reset() - to power-on: channels stopped, the timer too. */
void vpit_reset(void *state);
/** vpit_timer() - the time given to arm() has come (or is near: early calls do no harm). */
void vpit_timer(struct vpit *p);
/** vpit_io() - one byte at port 40h..43h or 61h. */
void vpit_io(struct vpit *p, u16 port, bool write, u8 *value);
/** vpit_resume() - check loaded state, arm the timer; -EINVAL. */
int MUST_CHECK vpit_resume(void *state);

extern const struct vmstate_field vpit_fields[];
extern const u32 vpit_nfields;

#endif
