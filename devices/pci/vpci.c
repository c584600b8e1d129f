/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual PCI hierarchy: routing of configuration accesses. A function's bus number is what the
 * guest wrote into its bridge, so nothing is kept twice. Bridge windows are not enforced: kernels
 * program them around the BARs, and what they leave out nobody addresses.
 */
#include "devices/pci/vpci.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define ADDRESS_ENABLE BIT(31)
#define ADDRESS_VALID  0x80fffffcu
#define MULTI_FUNCTION 0x80
/* Bridges below bridges; more than any topology we build. */
#define MAX_DEPTH      8u

/* The bus number f answers on, -1: a bridge above it has none yet. */
static int bus_of(const struct vpci_function *f)
{
	const struct vpci_function *b = f->bridge;
	int number;

	if (!b)
		return 0;
	number = b->cfg->value[PCI_SECONDARY_BUS];
	for (unsigned depth = 0; b && depth < MAX_DEPTH; depth++) {
		const u8 *v = b->cfg->value;

		/* Each bridge on the way forwards its own range only. */
		if (b->down || !v[PCI_SECONDARY_BUS] || number < v[PCI_SECONDARY_BUS] ||
		    number > v[PCI_SUBORDINATE_BUS])
			return -1;
		b = b->bridge;
	}
	return b ? -1 : number;
}

struct vpci_function *vpci_find(const struct vpci *bus, u8 number, u8 devfn)
{
	for (u32 i = 0; i < bus->count; i++)
		if (bus->fn[i]->devfn == devfn && bus_of(bus->fn[i]) == number)
			return bus->fn[i];
	return NULL;
}

static struct vpci_function *sibling(const struct vpci *bus, const struct vpci_function *f,
				     u8 devfn)
{
	for (u32 i = 0; i < bus->count; i++)
		if (bus->fn[i]->bridge == f->bridge && bus->fn[i]->devfn == devfn)
			return bus->fn[i];
	return NULL;
}

int vpci_add(struct vpci *bus, struct vpci_function *f)
{
	struct vpci_function *first;

	if (sibling(bus, f, f->devfn))
		return -EEXIST;
	if (f->devfn & 7) {
		first = sibling(bus, f, f->devfn & 0xf8);
		if (!first)
			return -ENOENT;
		first->cfg->value[PCI_HEADER_TYPE] |= MULTI_FUNCTION;
		first->cfg->power_on[PCI_HEADER_TYPE] |= MULTI_FUNCTION;
	}
	if (bus->count == VPCI_FUNCTIONS)
		return -ENOSPC;
	bus->fn[bus->count++] = f;
	return 0;
}

void vpci_remove(struct vpci *bus, struct vpci_function *f)
{
	for (u32 i = 0; i < bus->count; i++) {
		if (bus->fn[i] != f)
			continue;
		vcfg_unmap_all(f->cfg);
		bus->fn[i] = bus->fn[--bus->count];
		return;
	}
}

/* One naturally aligned access of 1, 2 or 4 bytes. */
static u32 access(struct vpci *bus, u32 bdf, u32 off, unsigned size, bool write, u32 value)
{
	struct vpci_function *f = vpci_find(bus, (u8)(bdf >> 8), (u8)bdf);

	if (!f)
		return ~0u;
	if (!write)
		return vcfg_read(f->cfg, off, size);
	vcfg_write(f->cfg, off, size, value);
	return 0;
}

void vpci_ports(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	struct vpci *bus = ctx;
	u32 a = bus->address;

	if (off == 0 && size == 4) {
		if (write)
			bus->address = (u32)*value & ADDRESS_VALID;
		else
			*value = a;
		return;
	}
	if (!write)
		*value = ~0ull;
	/* The address register is a double word; other accesses to it go to the bus behind. */
	if (off < 4 || size > 4 || off % size || !(a & ADDRESS_ENABLE))
		return;
	if (write)
		access(bus, a >> 8 & 0xffff, (a & 0xfc) + (u32)off - 4, size, true, (u32)*value);
	else
		*value = access(bus, a >> 8 & 0xffff, (a & 0xfc) + (u32)off - 4, size, false, 0);
}

void vpci_ecam(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	struct vpci *bus = ctx;
	u32 bdf = (u32)(off >> 12) & 0xffff, reg = (u32)off & 0xfff;

	if (size == 8) { /* as two double words */
		u64 low = *value & MASK(31, 0), high = *value >> 32;

		vpci_ecam(ctx, off, 4, write, &low);
		vpci_ecam(ctx, off + 4, 4, write, &high);
		if (!write)
			*value = (low & MASK(31, 0)) | high << 32;
		return;
	}
	if (reg % size) {
		if (!write)
			*value = ~0ull;
	} else if (write) {
		access(bus, bdf, reg, size, true, (u32)*value);
	} else {
		*value = access(bus, bdf, reg, size, false, 0);
	}
}

void vpci_reset(void *state)
{
	struct vpci *bus = state;

	bus->address = 0;
	for (u32 i = 0; i < bus->count; i++)
		vcfg_reset(bus->fn[i]->cfg);
}

void vpci_init(struct vpci *bus)
{
	/*
	 * The host bridge of a real PCIe chipset (Intel Q35 family): every kernel knows it, none
	 * has a quirk for it, and no driver of ours hides behind somebody else's virtual device.
	 */
	static const struct vcfg_ids ids = { .vendor = 0x8086, .device = 0x29c0,
					     .class_code = 0x060000, .revision = 2 };
	static const struct vcfg_env env;

	memset(bus, 0, sizeof(*bus));
	vcfg_init(&bus->host, &ids, &env);
	bus->host_fn.cfg = &bus->host;
	bus->fn[bus->count++] = &bus->host_fn;
}

int vpci_resume(void *state)
{
	struct vpci *bus = state;

	if (bus->address & ~ADDRESS_VALID)
		return -EINVAL;
	return vcfg_resume(&bus->host);
}

const struct vmstate_field vpci_fields[] = {
	VMSTATE(struct vpci, address, VMS_U32),
	{ "host", offsetof(struct vpci, host.value), 1, VCFG_LEN, VMS_BYTES },
};
const u32 vpci_nfields = ARRAY_SIZE(vpci_fields);
