/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug slots of the VMs: one for each 'netN = vf ... hotplug=yes', so that a running guest
 * gets and loses a function as by hand.
 */
#ifndef DEVICES_PCI_SLOTS_H
#define DEVICES_PCI_SLOTS_H

#include "devices/pci/hotplug.h"

struct vm;

/** slots_init() - register with the PC; once at boot, before assign_init(). */
void slots_init(void);

/** slots_at() - the slot of interface 'net', NULL: it has none. All vCPUs parked, or control. */
struct hotplug *slots_at(const struct vm *vm, u8 net);

/** slots_filled() - is something in it? False: also where there is no slot. */
bool slots_filled(const struct vm *vm, u8 net);

/**
 * slots_ask() - ask the guest to let go of interface 'net'; when it did its function is taken out
 * and its section of the configuration says so, but for 'keep': that goes on to say what is to be
 * there. False: there is nothing to ask or nobody to be asked. slots_call_off() - it need not, if
 * that was with 'keep'. Context: control, no lock held.
 */
bool slots_ask(struct vm *vm, u8 net, bool keep);
void slots_call_off(struct vm *vm, u8 net);

/** slots_take_out() - as if the guest let go of what is in the slot now; soon. Any context. */
void slots_take_out(struct vm *vm, u8 net);

/** slots_empty() - the VM's section: nothing in the slot of 'net' any more. */
void slots_empty(struct vm *vm, u8 net);

#endif
