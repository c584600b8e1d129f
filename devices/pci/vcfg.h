/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration space of one virtual PCI function: what each bit does when written, BARs,
 * the capability list. Pure; the VM's lock is held around every call.
 */
#ifndef DEVICES_PCI_VCFG_H
#define DEVICES_PCI_VCFG_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/pci_regs.h"

/* Extended configuration space (100h and up) reads 0: no extended capabilities. */
#define VCFG_LEN  256u
#define VCFG_BARS 6u

/* Device/port type of the PCI Express capability (PCIe base specification §7.5.3.2). */
enum vcfg_pcie_type {
	PCIE_ENDPOINT = 0,
	PCIE_ROOT_PORT = 4,
	PCIE_ROOT_ENDPOINT = 9,
};

struct vcfg_ids {
	u16 vendor, device;
	u16 sub_vendor, sub_device;
	u32 class_code; /* base class, subclass, interface: 24 bits */
	u8 revision;
	bool bridge;	/* type 1 header */
	u8 irq_pin;	/* 1 = INTA .. 4 = INTD, 0: none */
};

enum vcfg_bar_kind { VCFG_BAR_NONE, VCFG_BAR_IO, VCFG_BAR_MEM32, VCFG_BAR_MEM64 };

struct vcfg_bar {
	u8 kind; /* enum vcfg_bar_kind */
	u64 size;
	bool mapped; /* as last told to the environment */
	u64 base;    /* where, when mapped */
};

struct vcfg_env {
	void *ctx;
	/*
	 * bar_map(), bar_unmap() - the function decodes BAR 'bar' at base, or no longer. A move
	 * is an unmap and a map.
	 */
	void (*bar_map)(void *ctx, unsigned bar, u64 base, u64 size);
	void (*bar_unmap)(void *ctx, unsigned bar, u64 base, u64 size);
	/* written() - bytes [off, off+size) were written; registers already hold the result. */
	void (*written)(void *ctx, u32 off, unsigned size);
	/* read() - NULL, or called before [off, off+size) is read: may refresh registers. */
	void (*read)(void *ctx, u32 off, unsigned size);
};

struct vcfg {
	struct vcfg_env env;
	u8 value[VCFG_LEN];
	u8 rw[VCFG_LEN];  /* bits that take what is written */
	u8 w1c[VCFG_LEN]; /* bits that a written 1 clears */
	u8 power_on[VCFG_LEN];
	struct vcfg_bar bar[VCFG_BARS];
	u8 last_cap;	  /* offset of the last capability, 0: none */
	u8 next_free;	  /* where the next one goes */
};

/** vcfg_init() - header with command register, IDs, interrupt pin; env callbacks may be NULL. */
void vcfg_init(struct vcfg *c, const struct vcfg_ids *ids, const struct vcfg_env *env);

/**
 * vcfg_add_bar() - size: a power of two, >= 16 (memory), >= 4 (port). MEM64 takes n and n + 1.
 * Context: before vcfg_seal().
 */
void vcfg_add_bar(struct vcfg *c, unsigned n, enum vcfg_bar_kind kind, u64 size, bool prefetch);

/** vcfg_add_cap() - append a capability of len bytes (header included); returns its offset. */
u8 vcfg_add_cap(struct vcfg *c, u8 id, u8 len);

/** vcfg_add_pcie() - PCI Express capability, version 2. Returns its offset. */
u8 vcfg_add_pcie(struct vcfg *c, enum vcfg_pcie_type type);

/** vcfg_set_link() - link registers of the PCI Express capability at off: 2.5 GT/s, x1, up. */
void vcfg_set_link(struct vcfg *c, u8 off);

/** vcfg_set16(), vcfg_set32() - a register and which of its bits the guest may write. */
void vcfg_set16(struct vcfg *c, u32 off, u16 value, u16 rw);
void vcfg_set32(struct vcfg *c, u32 off, u32 value, u32 rw);
void vcfg_set_w1c16(struct vcfg *c, u32 off, u16 mask);

/** vcfg_get16(), vcfg_get32() - what the register at off holds now. */
u16 vcfg_get16(const struct vcfg *c, u32 off);
u32 vcfg_get32(const struct vcfg *c, u32 off);

/** vcfg_seal() - what the registers hold now is the power-on state. */
void vcfg_seal(struct vcfg *c);
/** vcfg_reset() - to the power-on state; unmaps BARs. */
void vcfg_reset(struct vcfg *c);

/** vcfg_read(), vcfg_write() - size 1, 2 or 4, off < 4096, naturally aligned. */
u32 vcfg_read(struct vcfg *c, u32 off, unsigned size);
void vcfg_write(struct vcfg *c, u32 off, unsigned size, u32 value);

/** vcfg_set_intx() - the interrupt status bit; returns whether INTx may be asserted now. */
bool vcfg_set_intx(struct vcfg *c, bool asserted);

/** vcfg_unmap_all() - as when the function goes away. */
void vcfg_unmap_all(struct vcfg *c);

/**
 * vcfg_resume() - value[] was loaded: read-only bits must be as this machine has them (-EINVAL);
 * maps the BARs.
 */
int MUST_CHECK vcfg_resume(struct vcfg *c);

#endif
