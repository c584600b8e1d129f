/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI Express root port with a hot-plug slot: attention button, presence, power, link. Pure; the
 * VM's lock is held around every call, or all its vCPUs are parked.
 */
#ifndef DEVICES_PCI_HOTPLUG_H
#define DEVICES_PCI_HOTPLUG_H

#include "devices/pci/vpci.h"

struct hotplug_env {
	void *ctx;
	/* msi() - an interrupt message for the guest. */
	void (*msi)(void *ctx, u64 address, u32 data);
	/* off() - what is in the slot lost its power: it is as after a reset. */
	void (*off)(void *ctx);
	/* eject() - the guest was asked and let go: take it out, soon. */
	void (*eject)(void *ctx);
};

struct hotplug {
	struct hotplug_env env;
	struct vcfg cfg;
	struct vpci_function fn; /* the port, to be added to the bus by the owner */
	u8 cap, cap_msi;
	bool present;	/* something is in the slot */
	bool asked;	/* the guest is to let go of it */
	bool called_off; /* it was asked, need not any more, and may still do so */
	bool signalled; /* its interrupt condition held when it was last looked at */
};

/** hotplug_init() - port at devfn of the root bus, slot number (1..8191), empty. */
void hotplug_init(struct hotplug *h, const struct hotplug_env *env, u8 devfn, u16 number);

/** hotplug_insert(), hotplug_remove() - a function came behind the port, or is no longer there. */
void hotplug_insert(struct hotplug *h);
void hotplug_remove(struct hotplug *h);

/**
 * hotplug_ask() - push the attention button for removal. False: nobody uses what is there (no
 * driver listens, or its power is off): it may be taken out at once.
 */
bool hotplug_ask(struct hotplug *h);

/**
 * hotplug_call_off() - it may keep what it was asked for. One that let go (gone: eject() was
 * called), or does so now, finds another card in the slot.
 */
void hotplug_call_off(struct hotplug *h, bool gone);

/** hotplug_reset() - power-on state; what is in the slot stays. */
void hotplug_reset(void *state);

/**
 * hotplug_resume() - the registers were loaded (-EINVAL: impossible ones). When the slot is not as
 * they say the guest is told as of any other change.
 */
int MUST_CHECK hotplug_resume(void *state);

extern const struct vmstate_field hotplug_fields[];
extern const u32 hotplug_nfields;

#endif
