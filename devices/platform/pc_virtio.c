/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio devices on the PC: guest memory, MMIO region, MSI and INTx.
 */
#include "devices/platform/pc_virtio.h"

#include "devices/platform/pc.h"
#include "guest/mem/gmem.h"
#include "guest/vm/machine.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/core/log.h"

static u8 *mem_map(void *ctx, gpa_t gpa, u32 *len)
{
	return gmem_piece(&((struct pc_virtio *)ctx)->vm->mem, gpa, len);
}

static void mem_dirty(void *ctx, gpa_t gpa, u32 len)
{
	gmem_dirty(&((struct pc_virtio *)ctx)->vm->mem, gpa, len);
}

static void bar_io(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	struct pc_virtio *p = ctx;

	if (p->enter)
		p->enter(p);
	virtio_pci_bar(p->dev, off, size, write, value);
	if (p->leave)
		p->leave(p);
	pc_virtio_sync(p);
}

static void bar_map(void *ctx, unsigned bar, u64 base, u64 size)
{
	struct pc_virtio *p = ctx;
	const struct io_region r = {
		.base = base, .len = size, .name = p->name, .fn = bar_io, .ctx = p
	};
	int rc;

	(void)bar;
	/* Resuming after a pause maps again what never went away. */
	if (p->mapped && p->base == base)
		return;
	rc = io_bus_add(&p->vm->mmio, &r);
	p->mapped = rc == 0;
	p->base = base;
	if (rc)
		log_warn("vm %s: %s: BAR at %#lx: %s", p->vm->name, p->name, base, err_name(rc));
}

static void bar_unmap(void *ctx, unsigned bar, u64 base, u64 size)
{
	struct pc_virtio *p = ctx;

	(void)bar, (void)size;
	if (p->mapped && io_bus_remove(&p->vm->mmio, base))
		log_warn("vm %s: %s: no BAR at %#lx", p->vm->name, p->name, base);
	p->mapped = false;
}

static void enter(void *ctx)
{
	struct pc_virtio *p = ctx;

	if (p->enter)
		p->enter(p);
}

/* Configuration space is reached under the VM's lock. */
static void leave(void *ctx)
{
	struct pc_virtio *p = ctx;

	if (p->leave)
		p->leave(p);
	pc_virtio_sync(p);
}

static void msi(void *ctx, u64 address, u32 data)
{
	pc_msi(((struct pc_virtio *)ctx)->vm, address, data);
}

static void intx(void *ctx, bool level)
{
	struct pc_virtio *p = ctx;

	if (atomic_swap(&p->line_wanted, level) != level && p->line_changed)
		p->line_changed(p);
}

static void broken(void *ctx, unsigned queue, const char *why)
{
	struct pc_virtio *p = ctx;

	log_warn("vm %s: %s: queue %u: %s; it needs a reset", p->vm->name, p->name, queue, why);
}

void pc_virtio_env(struct pc_virtio *p, struct virtio_env *env)
{
	p->mem = (struct virtq_mem){ p, mem_map, mem_dirty };
	*env = (struct virtio_env){ .ctx = p,
				    .bar_map = bar_map,
				    .bar_unmap = bar_unmap,
				    .enter = enter,
				    .leave = leave,
				    .msi = msi,
				    .intx = intx,
				    .broken = broken };
}

int pc_virtio_plug(struct pc_virtio *p, struct virtio_dev *dev, u32 slot)
{
	int rc;

	p->dev = dev;
	p->fn = (struct vpci_function){ .cfg = &dev->cfg, .devfn = VPCI_DEVFN(slot, 0) };
	rc = vpci_add(pc_pci(p->vm), &p->fn);
	if (rc)
		p->fn.cfg = NULL;
	return rc;
}

void pc_virtio_unplug(struct pc_virtio *p)
{
	if (p->fn.cfg)
		vpci_remove(pc_pci(p->vm), &p->fn);
	p->fn.cfg = NULL;
}

void pc_virtio_sync(struct pc_virtio *p)
{
	u32 slot = p->fn.devfn >> 3;
	bool want = atomic_load_relaxed(&p->line_wanted) != 0;

	if (want == p->line)
		return;
	p->line = want;
	pc_gsi(p->vm, MACHINE_PCI_GSI + slot % 4, slot, want);
}
