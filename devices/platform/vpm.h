/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware: PM1 event and control registers, PM timer, power button; and the
 * reset ports CF9h and 92h. Pure; the VM's lock is held around every call.
 */
#ifndef DEVICES_PLATFORM_VPM_H
#define DEVICES_PLATFORM_VPM_H

#include "guest/vm/vdev.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VPM_TIMER_HZ 3579545u
#define VPM_LEN	     12u /* bytes from MACHINE_PM1_EVT on: event 4, control 2, gap 2, timer 4 */

struct vpm_env {
	void *ctx;
	u64 (*now_ns)(void *ctx);
	/* arm() - call vpm_timer() at now_ns() = ns; replaces an earlier request. */
	void (*arm)(void *ctx, u64 ns);
	void (*sci)(void *ctx, bool level);
	void (*power_off)(void *ctx);
	void (*reset)(void *ctx);
};

struct vpm {
	struct vpm_env env;
	bool line;
	u16 sts, en, cnt;
	u8 cf9, port92;
	u64 tmr_seen; /* half-periods of timer bit 23 accounted for in sts */
};

/** vpm_init() - at power-on; *env is copied. */
void vpm_init(struct vpm *p, const struct vpm_env *env);
/** vpm_reset() - to power-on: no event, none enabled. */
void vpm_reset(void *state);
/** vpm_io() - io_fn of the block at MACHINE_PM1_EVT; any size, any alignment inside. */
void vpm_io(void *ctx, u64 off, unsigned size, bool write, u64 *value);
/** vpm_cf9() - reset control register, one byte. */
void vpm_cf9(struct vpm *p, bool write, u8 *value);
/** vpm_port92() - system control port A, one byte. */
void vpm_port92(struct vpm *p, bool write, u8 *value);
/** vpm_timer() - the time given to arm() has come, or is near. */
void vpm_timer(struct vpm *p);
/** vpm_power_button() - ask the guest to shut down. Returns whether it listens (enable bit). */
bool vpm_power_button(struct vpm *p);
/** vpm_resume() - check loaded state; -EINVAL. */
int MUST_CHECK vpm_resume(void *state);

extern const struct vmstate_field vpm_fields[];
extern const u32 vpm_nfields;

#endif
