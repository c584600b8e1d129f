/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bus: sorted, non-overlapping regions, each answered by one device. A VM has two,
 * for ports and for MMIO. Pure; the VM's lock is held around access and change.
 */
#ifndef GUEST_VM_IO_BUS_H
#define GUEST_VM_IO_BUS_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define IO_BUS_REGIONS 64
#define IO_BUS_HINTS   16

/*
 * Answer one access: 'off' is relative to the region's base, size 1, 2, 4 or 8 bytes and
 * [off, off+size) lies inside the region. Write: *value is masked to the size. Read: set
 * *value (masked by the bus). A device never fails: what it does not know reads as
 * all-ones or 0, as its manual says.
 */
typedef void (*io_fn)(void *ctx, u64 off, unsigned size, bool write, u64 *value);

struct io_region {
	u64 base;
	u64 len;
	const char *name;
	io_fn fn;
	void *ctx;
	u64 accesses;
};

struct io_bus {
	const char *name;
	u64 limit; /* highest valid address + 1; 0 means 2^64 */
	u32 count;
	u32 hint_shift;
	struct io_region *hint[IO_BUS_HINTS]; /* by address: the region found there last */
	struct io_region region[IO_BUS_REGIONS];
};

/** io_bus_init() - an empty bus of addresses 0..limit-1 (0: all 64 bits). */
void io_bus_init(struct io_bus *bus, const char *name, u64 limit);

/**
 * io_bus_add() - let fn answer [base, base+len).
 * Returns 0; -EINVAL (empty, or beyond the bus); -EEXIST (overlaps a region); -ENOSPC (table full).
 */
int MUST_CHECK io_bus_add(struct io_bus *bus, const struct io_region *r);

/** io_bus_remove() - the region that starts at base. -ENOENT when there is none. */
int MUST_CHECK io_bus_remove(struct io_bus *bus, u64 base);

/** io_bus_find() - the region that holds addr, or NULL. */
struct io_region *io_bus_find(struct io_bus *bus, u64 addr);

/**
 * io_bus_access() - one access of 1, 2, 4 or 8 bytes. Where it leaves a region it is
 * split into bytes; bytes nobody answers read as all-ones and drop writes.
 * *value: of a write, its bits above the size are lost.
 * Returns true when a device answered every byte.
 */
bool io_bus_access(struct io_bus *bus, u64 addr, unsigned size, bool write, u64 *value);

#endif
