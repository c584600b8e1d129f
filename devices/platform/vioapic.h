/* SPDX-License-Identifier: Apache-2.0 */
/*
 * I/O APIC (82093AA registers, version 20h with the EOI register): 24 pins to interrupt
 * messages. Pure; the VM's lock is held around every call.
 */
#ifndef DEVICES_PLATFORM_VIOAPIC_H
#define DEVICES_PLATFORM_VIOAPIC_H

#include "guest/vm/irqchip.h"
#include "guest/vm/machine.h"
#include "guest/vm/vdev.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct vioapic_env {
	void *ctx;
	/* deliver() - route a message to the local APICs. dest is 8 bits wide. */
	void (*deliver)(void *ctx, const struct apic_msg *msg);
};

struct vioapic {
	struct vioapic_env env;
	u32 lines; /* bit per pin: asserted; saved as vpic_chip.line is */
	u32 id;	   /* as in the ID register, 27:24 */
	u32 select;
	u64 rte[MACHINE_IOAPIC_PINS];
};

/** vioapic_init() - at power-on, no line driven; *env is copied. */
void vioapic_init(struct vioapic *io, const struct vioapic_env *env);
/** vioapic_reset() - all pins masked; the lines stay as devices drive them. */
void vioapic_reset(void *state);

/** vioapic_set_line() - pin (0..23) is asserted or not, polarity already applied. */
void vioapic_set_line(struct vioapic *io, unsigned pin, bool asserted);

/** vioapic_eoi() - a local APIC ended a level-triggered vector. */
void vioapic_eoi(struct vioapic *io, u8 vector);

/** vioapic_mmio() - io_fn of the register page. */
void vioapic_mmio(void *ctx, u64 off, unsigned size, bool write, u64 *value);

/** vioapic_resume() - check loaded state; -EINVAL. */
int MUST_CHECK vioapic_resume(void *state);

extern const struct vmstate_field vioapic_fields[];
extern const u32 vioapic_nfields;

#endif
