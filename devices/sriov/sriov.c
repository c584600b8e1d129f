/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual functions of the host's devices.
 */
#include "devices/sriov/sriov.h"

#include "arch/x86/io.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/pci.h"
#include "kernel/core/pci_iso.h"
#include "kernel/core/timer.h"

#define TAKEN_MAX 64u

/* RAM and ECAM end below on PCs. */
#define ROOT_SPACE_BASE 0xd0000000ull

static struct pci_range taken[TAKEN_MAX];
static u32 ntaken;

static void wait_us(void *ctx, u32 us)
{
	(void)ctx;
	delay_us(us);
}

const struct pci_delay host_delay = { wait_us, NULL };

static u32 index_of(const struct pci_func *f)
{
	return (u32)(f - pci_list_host()->func);
}

/* The lowest address of a 32-bit memory BAR that firmware gave out. */
static u64 lowest_bar(void)
{
	u64 low = SIZE_4G;

	for (u32 i = 0; i < pci_count(); i++) {
		for (u32 b = 0; b < 6; b++) {
			const struct pci_bar *bar = &pci_func(i)->bar[b];

			if (bar->size && !bar->io && bar->addr && bar->addr < SIZE_4G)
				low = min_u64(low, bar->addr);
		}
	}
	return low;
}

/*
 * On a root bus no register says which addresses lead to the bus. Firmware hands out 32-bit BARs
 * upwards from somewhere in the hole below 4 GiB: just below them is where a BAR may lie as well.
 * Whether the function answers there is seen when it is read (bar_answers()).
 */
static int find_on_root(const struct pci_space *want, u64 *addr)
{
	u64 top = lowest_bar();

	for (u32 i = 0; i < want->ntaken; i++)
		if (want->taken[i].base >= ROOT_SPACE_BASE)
			top = min_u64(top, want->taken[i].base);
	if (top < ROOT_SPACE_BASE + want->len + want->align)
		return -ENOSPC;
	*addr = align_down(top - want->len, want->align);
	return 0;
}

/* Registers of a device that is there are neither all ones nor all zero, all over a page. */
static bool bar_answers(u64 addr)
{
	const volatile u8 *p = hostmap_mmio(addr, PAGE_SIZE);

	for (u32 off = 0; p && off < PAGE_SIZE; off += 4) {
		u32 v = mmio_read32(p + off);

		if (v != 0 && v != ~0u)
			return true;
	}
	return false;
}

static int place_bar(const struct pci_func *f, struct sriov *s, u32 bar, u16 n)
{
	const struct pci_bar *b = &s->bar[bar];
	struct pci_space want = { .len = sriov_bar_bytes(s, bar, n),
				  .align = b->size,
				  .below = b->mem64 ? ~0ull : SIZE_4G,
				  .taken = taken,
				  .ntaken = ntaken };
	u64 addr = b->addr;
	int rc = 0;

	if (!b->size)
		return 0;
	if (ntaken == TAKEN_MAX)
		return -ENOSPC;
	if (!addr)
		rc = pci_find_space(pci_cfg_host(), pci_list_host(), index_of(f), &want, &addr);
	if (rc == -ENOENT)
		rc = find_on_root(&want, &addr);
	if (rc)
		return rc;
	sriov_place_bar(pci_cfg_host(), s, bar, addr);
	taken[ntaken++] = (struct pci_range){ addr, want.len };
	return 0;
}

/* VFs have function numbers above 7: the port above must take all eight bits for one. */
static bool enable_ari(const struct pci_func *f)
{
	const struct pci_func *port;
	u32 at;

	if (f->parent < 0 || !f->ext_ari)
		return false;
	port = pci_func((u32)f->parent);
	if (!port->cap_pcie)
		return false;
	at = port->cap_pcie + PCIE_DEVCTL2;
	pci_write(port->bdf, (u16)at, 2, pci_read(port->bdf, (u16)at, 2) | PCIE_DEVCTL2_ARI);
	return (pci_read(port->bdf, (u16)at, 2) & PCIE_DEVCTL2_ARI) != 0;
}

int sriov_setup(const struct pci_func *f, u16 n, struct sriov *s, char *why, size_t why_size)
{
	int rc = sriov_read(pci_cfg_host(), f, s, why, why_size);

	if (!rc)
		rc = pci_isolated(pci_cfg_host(), pci_list_host(), index_of(f), true, why,
				  why_size);
	if (rc)
		return rc;
	for (u32 bar = 0; bar < SRIOV_BARS; bar++) {
		rc = place_bar(f, s, bar, n);
		if (!rc)
			continue;
		fmt_snprintf(why, why_size, "no address space for BAR %u of its %u VFs", bar, n);
		return rc;
	}
	rc = sriov_enable(pci_cfg_host(), &host_delay, s, n, enable_ari(f));
	if (rc) {
		fmt_snprintf(why, why_size, "its %u VFs did not come up: %s", n, err_name(rc));
		return rc;
	}
	/* Some models decode a VF's BARs by its own command register. */
	for (u16 i = 0; i < n; i++)
		pci_write(sriov_vf_bdf(s, i), PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	/* The other BARs may hold nothing but an MSI-X table. */
	if (!s->bar[0].size || bar_answers(sriov_vf_bar(s, 0, 0)))
		return 0;
	sriov_disable(pci_cfg_host(), &host_delay, s);
	fmt_snprintf(why, why_size, "nothing answers at BAR 0 of its VFs, %#lx", s->bar[0].addr);
	return -EIO;
}
