/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818 real-time clock with 128 bytes of CMOS. The time is an offset to the wall clock,
 * so nothing ticks unless an interrupt is asked for. Pure; the VM's lock is held around
 * every call.
 */
#ifndef DEVICES_PLATFORM_VRTC_H
#define DEVICES_PLATFORM_VRTC_H

#include "guest/vm/vdev.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct vrtc_env {
	void *ctx;
	/* now_ns() - wall clock, nanoseconds since 1970-01-01 UTC; goes on while paused. */
	u64 (*now_ns)(void *ctx);
	/* arm() - call vrtc_timer() at now_ns() = ns; replaces an earlier request. */
	void (*arm)(void *ctx, u64 ns);
	void (*irq)(void *ctx, bool level);
};

struct vrtc {
	struct vrtc_env env;
	bool line;
	u8 index;	/* last written to port 70h */
	u8 cmos[128];	/* time bytes 0-9 and 32h are current only while SET */
	u64 offset_ns;	/* guest's time = now_ns() + offset_ns, modulo 2^64 */
	u64 seen_s;	/* guest second up to which flags are accounted */
	u64 seen_tick;	/* 32768 Hz tick up to which PF is accounted */
	u64 alarm_s;	/* guest second of the next alarm, ~0: none; follows from cmos */
};

/** vrtc_init() - power-on; low and high: RAM bytes below and from 4 GiB, for the CMOS map. */
void vrtc_init(struct vrtc *r, const struct vrtc_env *env, u64 low_ram, u64 high_ram);
/** vrtc_reset() - RESET pin: interrupts off; time and CMOS are on battery. */
void vrtc_reset(void *state);
/** vrtc_io() - port 70h (off 0) or 71h (off 1), one byte. */
void vrtc_io(struct vrtc *r, unsigned off, bool write, u8 *value);
/** vrtc_timer() - the time given to arm() has come, or is near. */
void vrtc_timer(struct vrtc *r);
/** vrtc_resume() - check loaded state, re-arm; -EINVAL. */
int MUST_CHECK vrtc_resume(void *state);

extern const struct vmstate_field vrtc_fields[];
extern const u32 vrtc_nfields;

#endif
