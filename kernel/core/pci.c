/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ECAM and CF8/CFC access, and the list of functions.
 */
#include "kernel/core/pci.h"

#include "arch/x86/io.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/lock.h"
#include "kernel/core/log.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define ECAM_BUS_SHIFT 20

static u8 *ecam; /* of bus 0, though only ecam_first..ecam_last are mapped */
static u8 ecam_first, ecam_last;
static struct spinlock port_lock = SPINLOCK_INIT(LOCK_PCI, "pci");

static struct pci_list list;
static struct pci_func *funcs;
static u32 nfuncs;

static volatile u8 *ecam_at(u16 bdf, u16 off)
{
	if (!ecam || PCI_BUS(bdf) < ecam_first || PCI_BUS(bdf) > ecam_last)
		return NULL;
	return ecam + ((size_t)bdf << 12) + off;
}

static u16 select_port(u16 bdf, u16 off)
{
	io_out32(CONFIG_ADDRESS, 1u << 31 | (u32)bdf << 8 | (off & 0xfc));
	return (u16)(CONFIG_DATA + (off & 3));
}

static u32 read_port(u16 bdf, u16 off, u8 size)
{
	u16 port;
	u32 v;

	if (off >= 256)
		return (u32)size_mask(size);
	spin_lock(&port_lock);
	port = select_port(bdf, off);
	v = size == 4 ? io_in32(port) : size == 2 ? io_in16(port) : io_in8(port);
	spin_unlock(&port_lock);
	return v;
}

u32 pci_read(u16 bdf, u16 off, u8 size)
{
	volatile u8 *p = ecam_at(bdf, off);

	if (!p)
		return read_port(bdf, off, size);
	return size == 4 ? mmio_read32(p) : size == 2 ? mmio_read16(p) : mmio_read8(p);
}

static void write_port(u16 bdf, u16 off, u8 size, u32 v)
{
	u16 port;

	if (off >= 256)
		return;
	spin_lock(&port_lock);
	port = select_port(bdf, off);
	if (size == 4)
		io_out32(port, v);
	else if (size == 2)
		io_out16(port, (u16)v);
	else
		io_out8(port, (u8)v);
	spin_unlock(&port_lock);
}

void pci_write(u16 bdf, u16 off, u8 size, u32 v)
{
	volatile u8 *p = ecam_at(bdf, off);

	if (!p)
		write_port(bdf, off, size, v);
	else if (size == 4)
		mmio_write32(p, v);
	else if (size == 2)
		mmio_write16(p, (u16)v);
	else
		mmio_write8(p, (u8)v);
}

static u32 cfg_read(void *ctx, u16 bdf, u16 off, u8 size)
{
	(void)ctx;
	return pci_read(bdf, off, size);
}

static void cfg_write(void *ctx, u16 bdf, u16 off, u8 size, u32 v)
{
	(void)ctx;
	pci_write(bdf, off, size, v);
}

static struct pci_cfg host_cfg = { .read = cfg_read, .write = cfg_write, .space = 256 };

const struct pci_cfg *pci_cfg_host(void)
{
	return &host_cfg;
}

int pci_use_ecam(hpa_t base, u8 first, u8 last)
{
	u8 *p = hostmap_mmio(base + ((u64)first << ECAM_BUS_SHIFT),
			     (size_t)(last - first + 1) << ECAM_BUS_SHIFT);

	if (!p)
		return -ENOMEM;
	ecam = p - ((size_t)first << ECAM_BUS_SHIFT);
	ecam_first = first;
	ecam_last = last;
	host_cfg.space = 4096;
	return 0;
}

int pci_enumerate(void)
{
	u8 first = ecam ? ecam_first : 0, last = ecam ? ecam_last : 255;
	size_t bytes;

	pci_scan(&host_cfg, first, last, &list);
	bytes = list.count * sizeof(*list.func);
	if (!list.count)
		return 0;
	list.func = kalloc(hv_owner(), bytes);
	if (!list.func)
		return -ENOMEM;
	list.capacity = list.count;
	pci_scan(&host_cfg, first, last, &list);
	if (list.errors)
		log_warn("pci: %u bridges have impossible bus numbers", list.errors);
	if (list.missed)
		log_warn("pci: %u functions appeared late and are not used", list.missed);
	funcs = list.func;
	nfuncs = list.count;
	return 0;
}

const struct pci_list *pci_list_host(void)
{
	return &list;
}

u32 pci_count(void)
{
	return nfuncs;
}

const struct pci_func *pci_func(u32 i)
{
	return i < nfuncs ? &funcs[i] : NULL;
}

const struct pci_func *pci_lookup(u16 bdf)
{
	for (u32 i = 0; i < nfuncs; i++)
		if (funcs[i].bdf == bdf)
			return &funcs[i];
	return NULL;
}
