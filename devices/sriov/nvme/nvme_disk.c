/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks on NVMe namespaces. Each slot of a disk has a buffer of its own that the controller may
 * reach for good: what it still does after a guest took its ring away harms nobody.
 */
#include "devices/sriov/nvme/nvme_disk.h"

#include "devices/pci/host_irq.h"
#include "devices/sriov/nvme/nvme_io.h"
#include "devices/sriov/nvme/nvme_pf.h"
#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"
#include "kernel/core/percpu.h"

#define QUEUES_MAX 4u
#define DISKS_MAX  ((NVME_IO_DEPTH - 1) / VIRTIO_BLK_DEPTH)

#define BUF_BYTES  0x10000u
#define BUF_PAGES  (BUF_BYTES / NVME_PAGE)
#define LISTS_AT   (VIRTIO_BLK_DEPTH * BUF_BYTES) /* of pages, one a slot */
#define ZERO_BLOCKS 0x10000u			  /* in one command */

struct nvme_queue {
	struct nvme_host host;
	struct spinlock lock;
	struct nvme_io io;
	struct host_irq irqs;
	u32 disks; /* that its depth is enough for */
	bool dead;
	struct nvme_disk *disk[DISKS_MAX];
};

struct nvme_disk {
	struct nvme_queue *q;
	struct virtio_blk *blk;
	u32 index, id;
	bool ro;
	struct nvme_ns ns;
	hpa_t block; /* buffers, lists */
	u32 read[VIRTIO_BLK_DEPTH]; /* bytes to be handed to the guest */
};

static struct nvme_queue *queues[QUEUES_MAX];
static u32 nqueues;

struct spinlock *nvme_disk_lock(struct nvme_disk *d)
{
	return &d->q->lock;
}

/* ---- requests ------------------------------------------------------------------------------ */

static u8 *buffer(const struct nvme_disk *d, u32 slot)
{
	return (u8 *)phys_to_virt(d->block) + slot * BUF_BYTES;
}

static void set_data(const struct nvme_disk *d, struct nvme_cmd *c, u32 slot, u32 bytes)
{
	c->prp[0] = d->block + slot * BUF_BYTES;
	if (bytes > 2 * NVME_PAGE)
		c->prp[1] = d->block + LISTS_AT + slot * BUF_PAGES * 8;
	else if (bytes > NVME_PAGE)
		c->prp[1] = c->prp[0] + NVME_PAGE;
}

static void set_dsm(const struct nvme_disk *d, struct nvme_cmd *c, u32 slot, u32 blocks)
{
	u8 *range = buffer(d, slot);

	put_le32(range, 0);
	put_le32(range + 4, blocks);
	put_le64(range + 8, c->lba);
	c->lba = (u64)NVME_IO_DEALLOC << 32; /* word 10: one range */
	set_data(d, c, slot, 16);
}

static int submit(void *ctx, const struct virtio_blk_io *io)
{
	static const u8 op[VIRTIO_BLK_OPS] = { [VIRTIO_BLK_READ] = NVME_IO_READ,
					       [VIRTIO_BLK_WRITE] = NVME_IO_WRITE,
					       [VIRTIO_BLK_FLUSH] = NVME_IO_FLUSH,
					       [VIRTIO_BLK_ZERO] = NVME_IO_ZEROES,
					       [VIRTIO_BLK_DISCARD] = NVME_IO_DSM };
	struct nvme_disk *d = ctx;
	u32 bytes = io->sectors * VIRTIO_BLK_SECTOR, shift = d->ns.shift - 9u;
	u32 blocks = io->sectors >> shift;
	struct nvme_cmd c = { .op = op[io->op],
			      .id = (u16)(d->index * VIRTIO_BLK_DEPTH + io->slot),
			      .ns = d->id };

	if (d->q->dead)
		return -EIO;
	d->read[io->slot] = io->op == VIRTIO_BLK_READ ? bytes : 0;
	if (io->op != VIRTIO_BLK_FLUSH) {
		c.lba = io->sector >> shift;
		c.word12 = blocks - 1;
	}
	if (io->op == VIRTIO_BLK_DISCARD) {
		c.word12 = 0;
		set_dsm(d, &c, io->slot, blocks);
	} else if (io->op <= VIRTIO_BLK_WRITE) {
		set_data(d, &c, io->slot, bytes);
	}
	if (io->op == VIRTIO_BLK_WRITE) {
		virtio_blk_get(d->blk, io->slot, 0, buffer(d, io->slot), bytes);
		c.word12 |= io->through ? (u32)NVME_IO_FUA : 0;
	}
	nvme_io_submit(&d->q->io, &c);
	return 1;
}

/* ---- completions --------------------------------------------------------------------------- */

static void complete(struct nvme_disk *d, u32 slot, u16 status)
{
	if (!status && d->read[slot])
		virtio_blk_put(d->blk, slot, 0, buffer(d, slot), d->read[slot]);
	if (status)
		log_warn("nvme %02x:%02x.%u: namespace %u: a command failed, status %#x",
			 PCI_BUS(d->q->host.func->bdf), PCI_DEV(d->q->host.func->bdf),
			 PCI_FN(d->q->host.func->bdf), d->id, status);
	virtio_blk_done(d->blk, slot, !status);
}

/* At most a round of the queue. */
static void poll(struct nvme_queue *q)
{
	u32 touched = 0;
	u16 id, status;

	for (u32 i = 0; i < q->io.depth && !q->dead && nvme_io_reap(&q->io, &id, &status); i++) {
		u32 n = id / VIRTIO_BLK_DEPTH, slot = id % VIRTIO_BLK_DEPTH;

		if (n >= q->disks || !q->disk[n] || !virtio_blk_pending(q->disk[n]->blk, slot)) {
			log_err("nvme: completion of command %u, which was not sent", id);
			continue;
		}
		complete(q->disk[n], slot, status);
		touched |= 1u << n;
	}
	for (u32 n = 0; touched; n++, touched >>= 1)
		if (touched & 1)
			virtio_blk_work(q->disk[n]->blk);
}

void nvme_disk_poll(struct nvme_disk *d)
{
	poll(d->q);
}

static void irq(void *ctx)
{
	(void)ctx;
	softirq_post(SOFTIRQ_DISK);
}

static void softirq(void)
{
	for (u32 i = 0; i < nqueues; i++) {
		spin_lock(&queues[i]->lock);
		poll(queues[i]);
		spin_unlock(&queues[i]->lock);
	}
}

/* ---- opening ------------------------------------------------------------------------------- */

static int start_irq(struct nvme_queue *q)
{
	const struct pci_func *f = q->host.func;
	u32 table = f->cap_msix ? pci_read(f->bdf, f->cap_msix + MSIX_TABLE, 4) : 7;
	struct host_irq_place p = { .bdf = f->bdf, .cap = f->cap_msix, .msix = true, .count = 1 };
	int rc, vector;

	if ((table & 7) > 5 || !f->bar[table & 7].size)
		return -ENODEV;
	p.table = f->bar[table & 7].addr + (table & ~7u);
	rc = host_irq_open(&q->irqs, &p);
	if (rc)
		return rc;
	vector = irq_alloc(irq, q);
	rc = vector < 0 ? vector :
			  host_irq_route(&q->irqs, 0, (u8)vector, pcpu_get(0)->apic_id);
	if (rc)
		host_irq_close(&q->irqs);
	if (rc && vector >= 0)
		irq_free((u8)vector);
	return rc;
}

static int open_queue(struct nvme_queue *q)
{
	u8 *base = phys_to_virt(q->host.block);
	const u64 sq = NVME_HOST_FREE, cq = sq + NVME_IO_DEPTH * 64;
	const struct nvme_mem mem = { .sq = (u32 *)(base + sq),
				      .cq = (u64 *)(base + cq),
				      .sq_dma = q->host.block + sq,
				      .cq_dma = q->host.block + cq };
	int rc = start_irq(q);

	if (rc)
		return rc;
	spin_lock(q->host.lock);
	rc = nvme_io_open(&q->io, q->host.admin, &mem);
	spin_unlock(q->host.lock);
	if (rc)
		host_irq_close(&q->irqs);
	q->disks = (q->io.depth - 1u) / VIRTIO_BLK_DEPTH;
	return rc;
}

/* The controller's queue, made at its first use. */
static int get_queue(u16 bdf, struct nvme_queue **out)
{
	struct nvme_queue *q;
	int rc;

	for (u32 i = 0; i < nqueues; i++) {
		if (queues[i]->host.func->bdf == bdf) {
			*out = queues[i];
			return queues[i]->dead ? -EIO : 0;
		}
	}
	q = nqueues < QUEUES_MAX ? kalloc(hv_owner(), sizeof(*q)) : NULL;
	if (!q)
		return -ENOMEM;
	spin_init(&q->lock, LOCK_VDEV, "nvme io");
	rc = nvme_pf_host(bdf, &q->host);
	if (!rc)
		rc = open_queue(q);
	if (rc) {
		kfree(hv_owner(), q, sizeof(*q));
		return rc;
	}
	if (!nqueues)
		softirq_register(SOFTIRQ_DISK, softirq);
	queues[nqueues++] = q;
	*out = q;
	return 0;
}

/* A place at the queue that is free; several may only read a namespace. */
static int find_place(struct nvme_queue *q, const struct nvme_disk *d, u32 *out)
{
	u32 place = q->disks;

	for (u32 i = q->disks; i-- > 0;) {
		const struct nvme_disk *o = q->disk[i];

		if (!o)
			place = i;
		else if (o->id == d->id && !(o->ro && d->ro))
			return -EBUSY;
	}
	if (place == q->disks)
		return -ENOSPC;
	*out = place;
	return 0;
}

static int get_buffers(struct nvme_disk *d)
{
	u64 *list;
	int rc = block_alloc(hv_owner(), &d->block);

	if (rc)
		return rc;
	if (iommu_present())
		rc = iommu_map(iommu_host(), d->block, d->block, SIZE_2M, PG_R | PG_W);
	if (rc) {
		block_free(hv_owner(), d->block);
		return rc;
	}
	list = phys_to_virt(d->block + LISTS_AT);
	for (u32 s = 0; s < VIRTIO_BLK_DEPTH; s++)
		for (u32 i = 0; i + 1 < BUF_PAGES; i++)
			list[s * BUF_PAGES + i] = d->block + s * BUF_BYTES + (i + 1) * NVME_PAGE;
	return 0;
}

static void fill_be(struct nvme_disk *d, struct virtio_blk_be *be)
{
	u32 shift = d->ns.shift - 9u;

	*be = (struct virtio_blk_be){ .ctx = d,
				      .sectors = d->ns.blocks << shift,
				      .block = VIRTIO_BLK_SECTOR << shift,
				      .piece = d->ns.transfer / VIRTIO_BLK_SECTOR,
				      .zero_piece = ZERO_BLOCKS << shift,
				      .zero = d->ns.zeroes,
				      .discard = d->ns.dsm,
				      .ro = d->ro,
				      .submit = submit };
	fmt_snprintf(be->id, sizeof(be->id), "nvme %02x:%02x.%u n%u", PCI_BUS(d->q->host.func->bdf),
		     PCI_DEV(d->q->host.func->bdf), PCI_FN(d->q->host.func->bdf), d->id);
}

int nvme_disk_open(const struct config_disk *c, struct virtio_blk *blk, struct virtio_blk_be *be,
		   struct nvme_disk **out, char *why, size_t why_size)
{
	struct nvme_disk *d = kalloc(hv_owner(), sizeof(*d));
	const char *step = "its controller";
	int rc;

	if (!d)
		return -ENOMEM;
	d->blk = blk;
	d->id = c->ns;
	d->ro = c->ro;
	rc = get_queue(c->pci, &d->q);
	if (!rc) {
		step = "the namespace";
		spin_lock(d->q->host.lock);
		rc = nvme_io_ns(d->q->host.admin, c->ns, &d->ns);
		spin_unlock(d->q->host.lock);
	}
	if (!rc)
		rc = find_place(d->q, d, &d->index);
	if (!rc)
		rc = get_buffers(d);
	if (rc) {
		fmt_snprintf(why, why_size, "%s: %s", step, err_name(rc));
		kfree(hv_owner(), d, sizeof(*d));
		return rc;
	}
	fill_be(d, be);
	spin_lock(&d->q->lock);
	d->q->disk[d->index] = d;
	spin_unlock(&d->q->lock);
	*out = d;
	return 0;
}

void nvme_disk_close(struct nvme_disk *d, bool busy)
{
	struct nvme_queue *q = d->q;
	int rc = 0;

	if (busy) {
		spin_lock(q->host.lock);
		rc = nvme_close(q->host.admin);
		spin_unlock(q->host.lock);
		log_err("nvme %02x:%02x.%u: does not answer: switched off: %s",
			PCI_BUS(q->host.func->bdf), PCI_DEV(q->host.func->bdf),
			PCI_FN(q->host.func->bdf), err_name(rc));
	}
	spin_lock(&q->lock);
	q->dead |= busy;
	q->disk[d->index] = NULL;
	spin_unlock(&q->lock);
	if (!rc && iommu_present())
		rc = iommu_unmap(iommu_host(), d->block, SIZE_2M);
	if (!rc)
		block_free(hv_owner(), d->block);
	kfree(hv_owner(), d, sizeof(*d));
}
