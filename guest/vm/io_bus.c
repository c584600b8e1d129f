/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sorted table, binary search. A VM's buses have a few dozen regions.
 */
#include "guest/vm/io_bus.h"

#include "kernel/base/bits.h"
#include "kernel/base/err.h"

#define PORT_LIMIT 65536u

void io_bus_init(struct io_bus *bus, const char *name, u64 limit)
{
	bus->name = name;
	bus->limit = limit;
	bus->count = 0;
	/* Ports of a device lie within eight, registers in memory within a page. */
	bus->hint_shift = limit == PORT_LIMIT ? 3 : 12;
	for (u32 i = 0; i < IO_BUS_HINTS; i++)
		bus->hint[i] = &bus->region[0];
	bus->region[0] = (struct io_region){ 0 };
}

/* Index of the first region whose base is above addr. */
static u32 upper_bound(const struct io_bus *bus, u64 addr)
{
	u32 lo = 0, hi = bus->count;

	while (lo < hi) {
		u32 mid = (lo + hi) / 2;

		if (bus->region[mid].base <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int io_bus_add(struct io_bus *bus, const struct io_region *r)
{
	u64 last;
	u32 at, i;

	if (r->len == 0 || !checked_add(r->base, r->len - 1, &last))
		return -EINVAL;
	if (bus->limit && last >= bus->limit)
		return -EINVAL;
	at = upper_bound(bus, r->base);
	if (at > 0 && r->base - bus->region[at - 1].base < bus->region[at - 1].len)
		return -EEXIST;
	if (at < bus->count && bus->region[at].base <= last)
		return -EEXIST;
	if (bus->count == IO_BUS_REGIONS)
		return -ENOSPC;
	for (i = bus->count; i > at; i--)
		bus->region[i] = bus->region[i - 1];
	bus->region[at] = *r;
	bus->region[at].accesses = 0;
	bus->count++;
	return 0;
}

int io_bus_remove(struct io_bus *bus, u64 base)
{
	u32 at = upper_bound(bus, base);

	if (at == 0 || bus->region[at - 1].base != base)
		return -ENOENT;
	bus->count--;
	for (at--; at < bus->count; at++)
		bus->region[at] = bus->region[at + 1];
	bus->region[bus->count] = (struct io_region){ 0 };
	return 0;
}

static NOINLINE struct io_region *search(struct io_bus *bus, u64 addr,
					 struct io_region **hint)
{
	u32 at = upper_bound(bus, addr);
	struct io_region *r;

	if (at == 0)
		return NULL;
	r = &bus->region[at - 1];
	if (addr - r->base >= r->len)
		return NULL;
	*hint = r;
	return r;
}

struct io_region *io_bus_find(struct io_bus *bus, u64 addr)
{
	struct io_region **hint = &bus->hint[(addr >> bus->hint_shift) % IO_BUS_HINTS];
	struct io_region *r = *hint;

	/* A stale hint names a region elsewhere, or an empty one, which has no length. */
	if (likely(addr - r->base < r->len))
		return r;
	return search(bus, addr, hint);
}

/* Byte by byte: the access straddles a border between regions, or nothing. */
static NOINLINE bool access_bytes(struct io_bus *bus, u64 addr, unsigned size, bool write,
				  u64 *value)
{
	bool all = true;
	u64 out = 0;

	for (unsigned i = 0; i < size; i++) {
		u64 byte = write ? (*value >> (8 * i)) & 0xff : 0xff;
		struct io_region *r = io_bus_find(bus, addr + i);

		if (r) {
			r->accesses++;
			r->fn(r->ctx, addr + i - r->base, 1, write, &byte);
		} else {
			all = false;
		}
		out |= (byte & 0xff) << (8 * i);
	}
	if (!write)
		*value = out;
	return all;
}

static const u64 masks[9] = { [1] = 0xff, [2] = 0xffff, [4] = 0xffffffff, [8] = ~0ull };

HOT bool io_bus_access(struct io_bus *bus, u64 addr, unsigned size, bool write, u64 *value)
{
	struct io_region *r = io_bus_find(bus, addr);
	u64 mask = masks[size];

	if (unlikely(!r || r->len - (addr - r->base) < size))
		return access_bytes(bus, addr, size, write, value);
	*value = (write ? *value : ~0ull) & mask;
	r->accesses++;
	r->fn(r->ctx, addr - r->base, size, write, value);
	if (!write)
		*value &= mask;
	return true;
}
