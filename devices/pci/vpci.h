/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual PCI hierarchy of one VM: configuration accesses by ports CF8h/CFCh and by ECAM to the
 * function they address, bridges included. Pure; the VM's lock is held around every call.
 */
#ifndef DEVICES_PCI_VPCI_H
#define DEVICES_PCI_VPCI_H

#include "devices/pci/vcfg.h"
#include "guest/vm/vdev.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VPCI_FUNCTIONS 48u /* in one VM */

#define VPCI_PORT_ADDRESS 0xcf8

#define VPCI_DEVFN(dev, fn) ((u8)((dev) << 3 | (fn)))

struct vpci_function {
	struct vcfg *cfg;
	const struct vpci_function *bridge; /* it is on its secondary bus; NULL: root bus */
	u8 devfn;
	bool down; /* a bridge: nothing behind it answers */
};

struct vpci {
	u32 address; /* port CF8h */
	u32 count;
	struct vpci_function *fn[VPCI_FUNCTIONS];
	struct vcfg host;
	struct vpci_function host_fn;
};

/** vpci_init() - a root bus with its host bridge at 00:00.0. */
void vpci_init(struct vpci *bus);
/** vpci_reset() - all functions to power-on state. */
void vpci_reset(void *state);
/** vpci_resume() - check the loaded state of the bus and its host bridge; -EINVAL. */
int MUST_CHECK vpci_resume(void *state);

/**
 * vpci_add() - f->cfg, f->bridge and f->devfn are set; f stays the caller's. Function numbers above
 * 0 need a function 0, whose multi-function bit is set then. Returns 0; -EEXIST (place taken),
 * -ENOENT (no function 0), -ENOSPC (VPCI_FUNCTIONS).
 */
int MUST_CHECK vpci_add(struct vpci *bus, struct vpci_function *f);
/** vpci_remove() - f is forgotten, its BARs unmapped. */
void vpci_remove(struct vpci *bus, struct vpci_function *f);

/** vpci_find() - the function that answers at bus number, devfn; NULL: none. */
struct vpci_function *vpci_find(const struct vpci *bus, u8 number, u8 devfn);

/** vpci_ports() - io_fn of ports CF8h..CFFh, except byte access to CF9h, which is no part of it. */
void vpci_ports(void *ctx, u64 off, unsigned size, bool write, u64 *value);
/** vpci_ecam() - io_fn of the ECAM window. */
void vpci_ecam(void *ctx, u64 off, unsigned size, bool write, u64 *value);

extern const struct vmstate_field vpci_fields[];
extern const u32 vpci_nfields;

#endif
