/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of the PC machine.
 */
#ifndef DEVICES_PLATFORM_PC_PRIV_H
#define DEVICES_PLATFORM_PC_PRIV_H

#include "devices/pci/vpci.h"
#include "devices/platform/pc.h"
#include "devices/platform/vioapic.h"
#include "devices/platform/vlapic.h"
#include "devices/platform/vpic.h"
#include "devices/platform/vpit.h"
#include "devices/platform/vpm.h"
#include "devices/platform/vrtc.h"
#include "devices/platform/vuart.h"
#include "guest/vm/machine.h"
#include "guest/vm/vm.h"
#include "kernel/core/timer.h"

struct pc;

/* Typed-ahead console input that the UART has no room for. */
#define PC_CONSOLE_RING 256u

struct pc_lapic {
	struct vlapic lapic;
	struct timer timer;
	struct vcpu *vcpu;
	struct pc *pc;
	struct vdev vdev;
};

/* Devices besides the local APICs. */
#define PC_DEVS 7u

struct pc {
	struct vm *vm;
	/* Under vm->lock. */
	struct vpic pic;
	struct vioapic ioapic;
	struct vpit pit;
	struct vuart uart;
	struct vpm pm;
	struct vrtc rtc;
	struct vpci pci;
	u32 gsi_sources[MACHINE_IOAPIC_PINS]; /* bit per source: asserted */
	u8 post_code;			      /* port 80h */
	u8 rx[PC_CONSOLE_RING];
	u32 rx_head, rx_count;
	/* Constant while the machine exists. */
	struct timer pit_timer, pm_timer, rtc_timer;
	struct vdev vdev[PC_DEVS];
	struct pc_lapic *lapic[VM_MAX_VCPUS];
};

/* pc_io.c */
int MUST_CHECK pc_io_register(struct pc *pc);
void pc_io_unregister(struct pc *pc);

/* pc_vdev.c */
int MUST_CHECK pc_vdev_register(struct pc *pc);

/* pc_env.c */
void pc_devices_init(struct pc *pc);
void pc_lapic_env(struct pc_lapic *l, struct vlapic_env *env);
void pc_lapic_timer(void *ctx);
void pc_deliver(struct pc *pc, const struct apic_msg *msg);
void pc_console_refill(struct pc *pc);

#endif
