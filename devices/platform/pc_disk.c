/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disks of a VM: virtio-blk over a copy of a boot module or over an NVMe namespace.
 */
#include "devices/platform/pc.h"
#include "devices/platform/pc_virtio.h"
#include "devices/sriov/nvme/nvme_disk.h"
#include "devices/virtio/virtio_blk.h"
#include "guest/vm/ctl_vm.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/timer.h"

#define RAM_PIECE	128u	      /* sectors */
#define RAM_MAX_BLOCKS	(SIZE_2M / 8) /* of 2 MiB */
#define DRAIN_LIMIT_NS	5000000000ull
#define DRAIN_STEP_US	20u

/* What a guest wrote outlives resets and power-off, until the VM is deleted. */
struct ram_disk {
	struct pool_owner owner;
	const struct bootmod *module;
	u64 blocks; /* 0: read-only, the module itself */
	hpa_t *block;
	struct virtio_blk *blk; /* of the VM as it runs */
};

struct pc_disk {
	struct virtio_blk blk;
	struct pc_virtio v;
	struct vdev vdev;
	struct timer timer;
	struct spinlock own;
	struct spinlock *lock; /* that one, or the controller's */
	struct nvme_disk *nvme; /* NULL: a RAM disk */
	char name[8];
};

/* By VM and number; a VM's are its control's, which builds and destroys. */
static struct pc_disk *disks[VM_MAX][CONFIG_DISKS];
static struct ram_disk *rams[VM_MAX][CONFIG_DISKS];

/* ---- RAM disks ----------------------------------------------------------------------------- */

static u8 *ram_at(const struct ram_disk *r, u64 off, u32 *n)
{
	if (!r->blocks)
		return (u8 *)r->module->data + off;
	*n = (u32)min_u64(*n, SIZE_2M - off % SIZE_2M);
	return (u8 *)phys_to_virt(r->block[off / SIZE_2M]) + off % SIZE_2M;
}

static int ram_submit(void *ctx, const struct virtio_blk_io *io)
{
	const struct ram_disk *r = ctx;
	u32 left = io->op == VIRTIO_BLK_FLUSH ? 0 : io->sectors * VIRTIO_BLK_SECTOR, n;

	for (u32 at = 0; left; at += n, left -= n) {
		u8 *p;

		n = left;
		p = ram_at(r, io->sector * VIRTIO_BLK_SECTOR + at, &n);
		if (io->op == VIRTIO_BLK_READ)
			virtio_blk_put(r->blk, io->slot, at, p, n);
		else if (io->op == VIRTIO_BLK_WRITE)
			virtio_blk_get(r->blk, io->slot, at, p, n);
		else
			memset(p, 0, n);
	}
	return 0;
}

static void ram_free(struct ram_disk *r)
{
	if (r->owner.id) {
		for (u64 i = 0; i < r->blocks; i++)
			block_free(&r->owner, r->block[i]);
		kfree(&r->owner, r->block, r->blocks * sizeof(*r->block));
		if (owner_remove(&r->owner))
			log_err("%s: memory was not given back", r->owner.name);
	}
	kfree(hv_owner(), r, sizeof(*r));
}

static int ram_fill(struct ram_disk *r, const char *name)
{
	u64 n = (r->module->len + SIZE_2M - 1) / SIZE_2M;
	int rc;

	if (n > RAM_MAX_BLOCKS)
		return -ENOSPC;
	rc = owner_add(&r->owner, name, POOL_NO_QUOTA);
	if (rc)
		return rc;
	r->block = kalloc(&r->owner, n * sizeof(*r->block));
	rc = r->block ? blocks_alloc(&r->owner, n, r->block) : -ENOMEM;
	if (rc) {
		kfree(&r->owner, r->block, n * sizeof(*r->block));
		r->block = NULL;
		return rc;
	}
	r->blocks = n;
	for (u64 i = 0, at = 0; i < n; i++, at += SIZE_2M)
		memcpy(phys_to_virt(r->block[i]), r->module->data + at,
		       min_u64(SIZE_2M, r->module->len - at));
	return 0;
}

static int open_ram(struct vm *vm, u32 i, struct pc_disk *d, struct virtio_blk_be *be)
{
	const struct config_disk *c = &vm->config->disk[i];
	struct ram_disk *r = rams[vm->index][i];
	char name[CONFIG_NAME_LEN + 8];
	int rc = 0;

	if (!r) {
		r = kalloc(hv_owner(), sizeof(*r));
		if (!r)
			return -ENOMEM;
		r->module = bootmod_find(vm_modules(), c->module);
		if (!r->module || r->module->len < VIRTIO_BLK_SECTOR)
			rc = -ENOENT;
		fmt_snprintf(name, sizeof(name), "%s.%s", vm->name, d->name);
		if (!rc && !c->ro)
			rc = ram_fill(r, name);
		if (rc) {
			ram_free(r);
			return rc;
		}
		rams[vm->index][i] = r;
	}
	r->blk = &d->blk;
	*be = (struct virtio_blk_be){ .ctx = r,
				      .sectors = r->module->len / VIRTIO_BLK_SECTOR,
				      .block = VIRTIO_BLK_SECTOR,
				      .piece = RAM_PIECE,
				      .zero_piece = RAM_PIECE,
				      .zero = true,
				      .discard = true,
				      .ro = c->ro,
				      .submit = ram_submit };
	(void)str_copy(be->id, sizeof(be->id), c->module);
	return 0;
}

static void forget(struct vm *vm)
{
	for (u32 i = 0; i < CONFIG_DISKS; i++) {
		if (rams[vm->index][i])
			ram_free(rams[vm->index][i]);
		rams[vm->index][i] = NULL;
	}
}

/* ---- as a device of the VM ----------------------------------------------------------------- */

static void disk_enter(struct pc_virtio *p)
{
	spin_lock(container_of(p, struct pc_disk, v)->lock);
}

static void disk_leave(struct pc_virtio *p)
{
	spin_unlock(container_of(p, struct pc_disk, v)->lock);
}

static void disk_soon(struct pc_disk *d)
{
	if (timer_arm(&d->timer, 0))
		log_warn("vm %s: %s: timer could not be armed", d->v.vm->name, d->name);
}

static void disk_defer(void *ctx)
{
	disk_soon(ctx);
}

static void disk_line_changed(struct pc_virtio *p)
{
	disk_soon(container_of(p, struct pc_disk, v));
}

static void disk_due(void *ctx)
{
	struct pc_disk *d = ctx;

	disk_enter(&d->v);
	virtio_blk_work(&d->blk);
	disk_leave(&d->v);
	spin_lock(&d->v.vm->lock);
	pc_virtio_sync(&d->v);
	spin_unlock(&d->v.vm->lock);
}

/* Until nothing is under way, and nothing new begins. Returns whether it came to that. */
static bool drain(struct pc_disk *d)
{
	u64 end = time_ns() + DRAIN_LIMIT_NS;
	bool busy;

	for (;;) {
		disk_enter(&d->v);
		d->blk.stopped = true;
		virtio_blk_work(&d->blk);
		if (d->nvme)
			nvme_disk_poll(d->nvme);
		busy = virtio_blk_busy(&d->blk);
		disk_leave(&d->v);
		if (!busy || time_ns() > end)
			return !busy;
		delay_us(DRAIN_STEP_US);
	}
}

static void disk_reset(void *state)
{
	struct pc_disk *d = container_of(state, struct pc_disk, blk);

	disk_enter(&d->v);
	virtio_blk_reset(&d->blk);
	d->blk.stopped = false;
	disk_leave(&d->v);
	pc_virtio_sync(&d->v);
}

static void disk_quiesce(void *state)
{
	struct pc_disk *d = container_of(state, struct pc_disk, blk);

	if (!drain(d))
		log_warn("vm %s: %s: requests under way do not end", d->v.vm->name, d->name);
	disk_enter(&d->v);
	virtio_pci_quiesce(&d->blk.dev);
	disk_leave(&d->v);
}

static int disk_resume(void *state)
{
	struct pc_disk *d = container_of(state, struct pc_disk, blk);
	int rc;

	disk_enter(&d->v);
	rc = virtio_blk_resume(&d->blk);
	disk_leave(&d->v);
	pc_virtio_sync(&d->v);
	return rc;
}

/* ---- making and undoing -------------------------------------------------------------------- */

static int build_disk(struct vm *vm, u32 i, char *why, size_t why_size)
{
	static const struct vdev_ops ops = { disk_reset, disk_quiesce, disk_resume };
	const struct config_disk *c = &vm->config->disk[i];
	struct pc_disk *d = kalloc(&vm->owner, sizeof(*d));
	struct virtio_blk_be be;
	struct virtio_env pci;
	int rc;

	if (!d)
		return -ENOMEM;
	disks[vm->index][i] = d;
	fmt_snprintf(d->name, sizeof(d->name), "disk%u", i);
	spin_init(&d->own, LOCK_VDEV, "disk");
	d->lock = &d->own;
	timer_init(&d->timer, disk_due, d);
	d->v = (struct pc_virtio){ .vm = vm,
				   .name = d->name,
				   .enter = disk_enter,
				   .leave = disk_leave,
				   .line_changed = disk_line_changed };
	if (c->kind == CONFIG_DISK_MODULE)
		rc = open_ram(vm, i, d, &be);
	else
		rc = nvme_disk_open(c, &d->blk, &be, &d->nvme, why, why_size);
	if (rc)
		return rc;
	if (d->nvme)
		d->lock = nvme_disk_lock(d->nvme);
	pc_virtio_env(&d->v, &pci);
	disk_enter(&d->v);
	virtio_blk_init(&d->blk, &be, (u16)min_u64(vm->vcpus, VIRTIO_BLK_MAX_QUEUES), &d->v.mem,
			&pci);
	d->blk.ctx = d;
	d->blk.defer = disk_defer;
	disk_leave(&d->v);
	d->vdev = (struct vdev){ "virtio-blk",	    i, 1, &d->blk, &ops, virtio_blk_fields,
				 virtio_blk_nfields };
	rc = pc_virtio_plug(&d->v, &d->blk.dev, PC_SLOT_DISK + i);
	return rc ? rc : pc_add_vdev(vm, &d->vdev);
}

static int build(struct vm *vm, char *why, size_t why_size)
{
	int rc = 0;

	for (u32 i = 0; i < CONFIG_DISKS && !rc; i++) {
		char more[80] = "";

		if (vm->config->disk[i].kind == CONFIG_DISK_NONE)
			continue;
		rc = build_disk(vm, i, more, sizeof(more));
		if (rc)
			fmt_snprintf(why, why_size, "disk%u: %s", i, more[0] ? more : err_name(rc));
	}
	return rc;
}

static void destroy(struct vm *vm)
{
	for (u32 i = 0; i < CONFIG_DISKS; i++) {
		struct pc_disk *d = disks[vm->index][i];
		bool idle = true;

		if (!d)
			continue;
		if (d->blk.ctx)
			idle = drain(d);
		timer_cancel(&d->timer);
		pc_virtio_unplug(&d->v);
		if (d->nvme)
			nvme_disk_close(d->nvme, !idle);
		kfree(&vm->owner, d, sizeof(*d));
		disks[vm->index][i] = NULL;
	}
}

/* ---- figures ------------------------------------------------------------------------------- */

static const struct ctl_column columns[] = {
	{ "disk", "disk", 5 },		 { "backend", "on", 20 },
	{ "bytes", "size", -10 },	 { "queues", "queues", -6 },
	{ "reads", "reads", -9 },	 { "read_bytes", "bytes", -10 },
	{ "writes", "writes", -9 },	 { "written_bytes", "bytes", -10 },
	{ "flushes", "flushes", -9 },	 { "zeroes", "zeroes", -7 },
	{ "discards", "discards", -8 },	 { "errors", "errors", 0 },
};

static void show(struct ctl_out *out, const struct vm *vm)
{
	ctl_table(out, "disk", columns, ARRAY_SIZE(columns));
	for (u32 i = 0; i < CONFIG_DISKS; i++) {
		const struct pc_disk *d = disks[vm->index][i];

		if (!d)
			continue;
		ctl_cell(out, "%s", d->name);
		ctl_cell(out, "%s%s", d->blk.be.id, d->blk.be.ro ? " ro" : "");
		ctl_cell_bytes(out, d->blk.be.sectors * VIRTIO_BLK_SECTOR);
		ctl_cell_num(out, d->blk.dev.nqueues);
		for (u32 op = 0; op < VIRTIO_BLK_OPS; op++) {
			ctl_cell_num(out, d->blk.done[op]);
			if (op <= VIRTIO_BLK_WRITE)
				ctl_cell_bytes(out, d->blk.bytes[op]);
		}
		ctl_cell_num(out, d->blk.errors);
	}
}

void pc_disk_init(void)
{
	static const struct pc_part part = { build, destroy };

	pc_register_part(&part);
	vm_on_delete(forget);
	ctl_vm_more(show);
}
