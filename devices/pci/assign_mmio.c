/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of assigned functions: pages that are mapped, pages that are trapped.
 */
#include "devices/pci/assign_priv.h"

#include "arch/x86/io.h"
#include "guest/mem/stage2.h"
#include "guest/vm/vm.h"
#include "kernel/base/err.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"

/* The region's context carries function and BAR: the io_fn has no other way to know. */
struct trap {
	struct assigned *a;
	unsigned bar;
	u64 off;
};

static void physical_mmio(struct assigned *a, unsigned bar, u64 off, unsigned size, bool write,
			  u64 *value)
{
	volatile u8 *p = a->bar[bar] + off;

	switch (size) {
	case 1:
		if (write)
			mmio_write8(p, (u8)*value);
		else
			*value = mmio_read8(p);
		break;
	case 2:
		if (write)
			mmio_write16(p, (u16)*value);
		else
			*value = mmio_read16(p);
		break;
	case 4:
		if (write)
			mmio_write32(p, (u32)*value);
		else
			*value = mmio_read32(p);
		break;
	default:
		if (write)
			mmio_write64(p, *value);
		else
			*value = mmio_read64(p);
		break;
	}
}

void assign_mmio(void *ctx, unsigned bar, u64 off, unsigned size, bool write, u64 *value)
{
	struct assigned *a = ctx;

	if (a->ops && a->ops->mmio)
		a->ops->mmio(a->ctx, bar, off, size, write, value);
	else if (a->bar[bar] && off % size == 0)
		physical_mmio(a, bar, off, size, write, value);
	else if (!write)
		*value = ~0ull;
}

static void trapped(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	struct trap *t = ctx;

	vassign_mmio(&t->a->v, t->bar, t->off + off, size, write, value);
}

static int add_trap(struct assigned *a, unsigned bar, u64 gpa, const struct vassign_range *r)
{
	struct trap *t = kalloc(&a->vm->owner, sizeof(*t));
	struct io_region region = { .base = gpa, .len = r->len, .name = "assigned", .fn = trapped,
				    .ctx = t };
	int rc = -ENOMEM;

	if (!t)
		return rc;
	*t = (struct trap){ a, bar, r->off };
	rc = io_bus_add(&a->vm->mmio, &region);
	if (rc)
		kfree(&a->vm->owner, t, sizeof(*t));
	return rc;
}

static void remove_trap(struct assigned *a, unsigned bar, u64 gpa, const struct vassign_range *r)
{
	struct io_region *region = io_bus_find(&a->vm->mmio, gpa);
	struct trap *t;

	/* It may never have been added: then somebody else's lies there, or nothing. */
	if (!region || region->base != gpa || region->fn != trapped)
		return;
	t = region->ctx;
	if (t->a != a || t->bar != bar || t->off != r->off)
		return;
	if (io_bus_remove(&a->vm->mmio, gpa) == 0)
		kfree(&a->vm->owner, t, sizeof(*t));
}

/* Is it this piece that is mapped at gpa? */
static bool maps_piece(struct assigned *a, unsigned bar, u64 gpa, const struct vassign_range *r)
{
	struct pgtable_leaf leaf;

	return pgtable_lookup(&a->vm->stage2, gpa, &leaf) == 0 &&
	       leaf.hpa + (gpa - leaf.va) == a->v.info.bar[bar].addr + r->off;
}

void assign_range(void *ctx, unsigned bar, u64 gpa, const struct vassign_range *r, bool on)
{
	struct assigned *a = ctx;
	int rc = 0;

	if (!on && r->trap)
		remove_trap(a, bar, gpa, r);
	else if (!on && maps_piece(a, bar, gpa, r))
		stage2_unmap_mmio(a->vm, gpa, r->len);
	else if (on && r->trap)
		rc = add_trap(a, bar, gpa, r);
	else if (on)
		rc = stage2_map_mmio(a->vm, gpa, a->v.info.bar[bar].addr + r->off, r->len);
	if (rc)
		log_limited(&assign_limit, LOG_WARN, "vm %s: " BDF_FMT ": BAR %u not at %#lx: %s",
			    a->vm->name, BDF_ARGS(a->v.info.bdf), bar, gpa, err_name(rc));
}

int assign_map_bars(struct assigned *a)
{
	for (unsigned i = 0; i < 6 && !(a->ops && a->ops->mmio); i++) {
		const struct pci_bar *b = &a->v.info.bar[i];
		struct vassign_range r[VASSIGN_RANGES];
		u32 n = b->size && !b->io ? vassign_ranges(&a->v, i, r) : 0;
		bool traps = false;

		for (u32 k = 0; k < n; k++)
			traps |= r[k].trap;
		if (!traps)
			continue;
		a->bar[i] = hostmap_mmio(b->addr, b->size);
		if (!a->bar[i])
			return -ENOMEM;
	}
	return 0;
}
