/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio over PCI, without the legacy interface (Virtio 1.2 §4.1). Registers hold what the driver
 * wrote; the queues follow them.
 */
#include "devices/virtio/virtio_pci.h"

#include "kernel/base/assert.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define VENDOR 0x1af4
#define DEVICE_BASE 0x1040
#define SUBDEVICE 0x1100
#define REVISION 1

/* Types of the vendor capability (§4.1.4). */
#define CAP_COMMON 1u
#define CAP_NOTIFY 2u
#define CAP_ISR 3u
#define CAP_DEVICE 4u
#define CAP_ACCESS 5u

#define BAR_COMMON 0x0000u
#define BAR_ISR 0x1000u
#define BAR_DEVICE 0x2000u
#define BAR_NOTIFY 0x3000u
#define BAR_TABLE 0x4000u
#define BAR_PBA 0x5000u
#define NOTIFY_STEP 4u

#define COMMON_LEN 0x3cu

#define ISR_QUEUE 0x01u
#define ISR_CONFIG 0x02u

#define STATUS_DRIVER_BITS 0x8fu /* those a driver sets: FAILED and the four steps */

#define RING_FEATURES                                                                      \
	(BIT(VIRTIO_F_INDIRECT_DESC) | BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_VERSION_1) | \
	 BIT(VIRTIO_F_RING_PACKED) | BIT(VIRTIO_F_IN_ORDER) | BIT(VIRTIO_F_RING_RESET))

/* ---- interrupts ------------------------------------------------------------------------ */

static void update_intx(struct virtio_dev *d)
{
	bool level = vcfg_set_intx(&d->cfg, d->isr != 0) && !vmsix_on(&d->msix);

	d->env.intx(d->env.ctx, level);
}

static void interrupt(struct virtio_dev *d, u16 vector, u8 isr)
{
	if (vmsix_on(&d->msix)) {
		(void)vmsix_notify(&d->msix, vector);
		return;
	}
	d->isr |= isr;
	update_intx(d);
}

void virtio_config_changed(struct virtio_dev *d)
{
	d->generation++;
	if (d->status & VIRTIO_STATUS_DRIVER_OK)
		interrupt(d, d->config_vector, ISR_CONFIG);
}

void virtio_break(struct virtio_dev *d, unsigned queue, const char *why)
{
	if (d->status & VIRTIO_STATUS_NEEDS_RESET)
		return;
	d->env.broken(d->env.ctx, queue, why);
	d->status |= VIRTIO_STATUS_NEEDS_RESET;
	virtio_config_changed(d);
}

/* ---- queues ---------------------------------------------------------------------------- */

bool virtio_live(const struct virtio_dev *d)
{
	return (d->status & (VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_NEEDS_RESET)) ==
		       VIRTIO_STATUS_DRIVER_OK &&
	       (vcfg_get16(&d->cfg, PCI_COMMAND) & PCI_COMMAND_MASTER);
}

bool virtio_pop(struct virtio_dev *d, unsigned queue, struct virtq_chain *c)
{
	int rc = virtio_live(d) ? virtq_pop(&d->vq[queue], c) : 0;

	if (rc < 0)
		virtio_break(d, queue, d->vq[queue].broken);
	return rc > 0;
}

void virtio_flush(struct virtio_dev *d, unsigned queue)
{
	if (virtq_flush(&d->vq[queue]))
		interrupt(d, d->vector[queue], ISR_QUEUE);
}

static void kick_all(struct virtio_dev *d)
{
	for (unsigned i = 0; i < d->nqueues && virtio_live(d); i++)
		if (d->vq[i].running)
			d->ops->kick(d, i);
}

static int start_queue(struct virtio_dev *d, unsigned i)
{
	struct virtq_setup s = { .size = d->size[i],
				 .packed = virtio_has(d, VIRTIO_F_RING_PACKED),
				 .event_idx = virtio_has(d, VIRTIO_F_EVENT_IDX),
				 .indirect = virtio_has(d, VIRTIO_F_INDIRECT_DESC) };

	memcpy(s.part, &d->part[i * VIRTQ_PARTS], sizeof(s.part));
	return virtq_start(&d->vq[i], d->mem, &s);
}

static void enable_queue(struct virtio_dev *d, unsigned i)
{
	if (d->enabled[i] || !(d->status & VIRTIO_STATUS_FEATURES_OK))
		return;
	if (start_queue(d, i)) {
		virtio_break(d, i, "queue cannot be where the driver says");
		return;
	}
	d->enabled[i] = 1;
	if (d->ops->started)
		d->ops->started(d, i);
	if (virtio_live(d))
		d->ops->kick(d, i);
}

static void disable_queue(struct virtio_dev *d, unsigned i)
{
	if (d->enabled[i] && d->ops->stopped)
		d->ops->stopped(d, i);
	virtq_stop(&d->vq[i]);
	d->enabled[i] = 0;
	d->size[i] = VIRTQ_MAX_SIZE;
	d->vector[i] = VIRTIO_NO_VECTOR;
	memset(&d->part[i * VIRTQ_PARTS], 0, VIRTQ_PARTS * sizeof(d->part[0]));
}

static void device_reset(struct virtio_dev *d)
{
	for (unsigned i = 0; i < d->nqueues; i++)
		disable_queue(d, i);
	d->ops->reset(d);
	d->features = 0;
	d->feature_sel = d->driver_feature_sel = 0;
	d->queue_sel = 0;
	d->config_vector = VIRTIO_NO_VECTOR;
	d->status = 0;
	d->isr = 0;
	update_intx(d);
}

/* ---- common registers (§4.1.4.3) ------------------------------------------------------- */

static bool features_good(struct virtio_dev *d)
{
	return !(d->features & ~d->offered) && virtio_has(d, VIRTIO_F_VERSION_1) &&
	       (!d->ops->features_ok || d->ops->features_ok(d, d->features));
}

static void set_status(struct virtio_dev *d, u8 v)
{
	u8 now = v & STATUS_DRIVER_BITS, fresh;

	if (!v) {
		device_reset(d);
		return;
	}
	fresh = now & (u8)~d->status;
	if ((fresh & VIRTIO_STATUS_FEATURES_OK) && !features_good(d))
		fresh &= (u8)~VIRTIO_STATUS_FEATURES_OK;
	if (!((d->status | fresh) & VIRTIO_STATUS_FEATURES_OK))
		fresh &= (u8)~VIRTIO_STATUS_DRIVER_OK;
	d->status |= fresh;
	if (fresh & VIRTIO_STATUS_DRIVER_OK)
		kick_all(d);
}

static void set_features(struct virtio_dev *d, u32 v)
{
	unsigned shift = d->driver_feature_sel * 32;

	if (d->driver_feature_sel > 1 || (d->status & VIRTIO_STATUS_FEATURES_OK))
		return;
	d->features = (d->features & ~(0xffffffffull << shift)) | (u64)v << shift;
}

static u16 checked_vector(const struct virtio_dev *d, u64 v)
{
	return v < d->msix.count ? (u16)v : VIRTIO_NO_VECTOR;
}

/* Addresses, 8 bytes each, may be written by halves. */
static void part_access(struct virtio_dev *d, u32 off, unsigned size, bool write, u64 *v)
{
	unsigned i = d->queue_sel;
	u64 *p = &d->part[i * VIRTQ_PARTS + off / 8];
	unsigned shift = off % 8 * 8;
	u64 mask = size_mask(size) << shift;

	if (!write)
		*v = (*p & mask) >> shift;
	else if (!d->enabled[i])
		*p = (*p & ~mask) | (*v << shift & mask);
}

static void queue_write(struct virtio_dev *d, u32 off, unsigned size, u64 v)
{
	unsigned i = d->queue_sel;

	if (i >= d->nqueues)
		return;
	switch (off) {
	case 0x18:
		if (!d->enabled[i] && v && v <= VIRTQ_MAX_SIZE)
			d->size[i] = (u16)v;
		break;
	case 0x1a:
		d->vector[i] = checked_vector(d, v);
		break;
	case 0x1c:
		if (v == 1)
			enable_queue(d, i);
		break;
	case 0x3a:
		if (v == 1 && virtio_has(d, VIRTIO_F_RING_RESET))
			disable_queue(d, i);
		break;
	default:
		if (off >= 0x20 && off < 0x38)
			part_access(d, off - 0x20, size, true, &v);
	}
}

static u64 queue_read(struct virtio_dev *d, u32 off, unsigned size)
{
	unsigned i = d->queue_sel;
	u64 v = 0;

	if (i >= d->nqueues)
		return 0;
	switch (off) {
	case 0x18:
		return d->size[i];
	case 0x1a:
		return d->vector[i];
	case 0x1c:
		return d->enabled[i];
	case 0x1e: /* doorbell i is the i-th */
		return i;
	default:
		if (off >= 0x20 && off < 0x38)
			part_access(d, off - 0x20, size, false, &v);
		return v;
	}
}

static void common_write(struct virtio_dev *d, u32 off, unsigned size, u64 v)
{
	switch (off) {
	case 0x00:
		d->feature_sel = (u32)v;
		break;
	case 0x08:
		d->driver_feature_sel = (u32)v;
		break;
	case 0x0c:
		set_features(d, (u32)v);
		break;
	case 0x10:
		d->config_vector = checked_vector(d, v);
		break;
	case 0x14:
		set_status(d, (u8)v);
		break;
	case 0x16:
		d->queue_sel = (u16)v;
		break;
	default:
		queue_write(d, off, size, v);
	}
}

static u64 common_read(struct virtio_dev *d, u32 off, unsigned size)
{
	switch (off) {
	case 0x00:
		return d->feature_sel;
	case 0x04:
		return d->feature_sel > 1 ? 0 : (u32)(d->offered >> d->feature_sel * 32);
	case 0x08:
		return d->driver_feature_sel;
	case 0x0c:
		return d->driver_feature_sel > 1 ? 0
						 : (u32)(d->features >> d->driver_feature_sel * 32);
	case 0x10:
		return d->config_vector;
	case 0x12:
		return d->nqueues;
	case 0x14:
		return d->status;
	case 0x15:
		return d->generation;
	case 0x16:
		return d->queue_sel;
	default:
		return queue_read(d, off, size);
	}
}

/* ---- the BAR --------------------------------------------------------------------------- */

static void msix_io(struct virtio_dev *d, u32 page, u32 in, unsigned size, bool write, u64 *value)
{
	if (page == BAR_TABLE && in + size <= d->msix.count * 16u)
		vmsix_table_io(&d->msix, in, size, write, value);
	else if (page == BAR_PBA && in + size <= sizeof(d->msix_pba))
		vmsix_pba_io(&d->msix, in, size, write, value);
}

void virtio_pci_bar(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	struct virtio_dev *d = ctx;
	u32 in = (u32)off & 0xfff, page = (u32)off & ~0xfffu;

	if (!write)
		*value = 0;
	if (page == BAR_COMMON) {
		if (write)
			common_write(d, in, size, *value);
		else
			*value = common_read(d, in, size);
	} else if (page == BAR_ISR && !write && in == 0) {
		*value = d->isr; /* reading takes it back */
		d->isr = 0;
		update_intx(d);
	} else if (page == BAR_DEVICE && in + size <= d->ops->config_len) {
		d->ops->config(d, in, size, write, value);
	} else if (page == BAR_NOTIFY && write && in / NOTIFY_STEP < d->nqueues) {
		in /= NOTIFY_STEP;
		if (virtio_live(d) && d->vq[in].running)
			d->ops->kick(d, in);
	} else {
		msix_io(d, page, in, size, write, value);
	}
}

/* The same registers through configuration space (§4.1.4.9): where and how much, then data. */
static bool access_window(struct virtio_dev *d, u32 *off, unsigned *size)
{
	const u8 *cap = d->cfg.value + d->access_cap;
	u32 len = vcfg_get32(&d->cfg, d->access_cap + 12u);

	*off = vcfg_get32(&d->cfg, d->access_cap + 8u);
	*size = (unsigned)len;
	return cap[4] == VIRTIO_BAR && (len == 1 || len == 2 || len == 4) &&
	       is_aligned(*off, len) && *off < VIRTIO_BAR_SIZE;
}

static void cfg_read(void *ctx, u32 off, unsigned size)
{
	struct virtio_dev *d = ctx;
	unsigned n;
	u32 at;
	u64 v;

	if (!ranges_overlap(off, size, d->access_cap + 16u, 4) || !access_window(d, &at, &n))
		return;
	if (d->env.enter)
		d->env.enter(d->env.ctx);
	virtio_pci_bar(d, at, n, false, &v);
	memcpy(d->cfg.value + d->access_cap + 16u, &v, n);
	if (d->env.leave)
		d->env.leave(d->env.ctx);
}

static void cfg_written(void *ctx, u32 off, unsigned size)
{
	struct virtio_dev *d = ctx;
	unsigned n;
	u32 at;
	u64 v;

	if (d->env.enter)
		d->env.enter(d->env.ctx);
	vmsix_written(&d->msix, &d->cfg, off, size);
	/* Of what may be written, all but the BARs bears on interrupts or bus mastering. */
	update_intx(d);
	if (ranges_overlap(off, size, PCI_COMMAND, 2)) {
		kick_all(d);
		if (!(vcfg_get16(&d->cfg, PCI_COMMAND) & PCI_COMMAND_MASTER) && d->ops->halted)
			d->ops->halted(d);
	}
	if (ranges_overlap(off, size, d->access_cap + 16u, 4) && access_window(d, &at, &n)) {
		v = vcfg_get32(&d->cfg, d->access_cap + 16u) & size_mask(n);
		virtio_pci_bar(d, at, n, true, &v);
	}
	if (d->env.leave)
		d->env.leave(d->env.ctx);
}

static void msix_raise(void *ctx, u16 vector, u64 address, u32 data)
{
	struct virtio_dev *d = ctx;

	(void)vector;
	d->env.msi(d->env.ctx, address, data);
}

static void bar_map(void *ctx, unsigned bar, u64 base, u64 size)
{
	struct virtio_dev *d = ctx;

	d->env.bar_map(d->env.ctx, bar, base, size);
}

static void bar_unmap(void *ctx, unsigned bar, u64 base, u64 size)
{
	struct virtio_dev *d = ctx;

	d->env.bar_unmap(d->env.ctx, bar, base, size);
}

static u8 add_cap(struct virtio_dev *d, u8 type, u32 off, u32 len)
{
	u8 n = type == CAP_NOTIFY || type == CAP_ACCESS ? 20 : 16;
	u8 cap = vcfg_add_cap(&d->cfg, PCI_CAP_VENDOR, n);

	d->cfg.value[cap + 2u] = n;
	d->cfg.value[cap + 3u] = type;
	d->cfg.value[cap + 4u] = VIRTIO_BAR;
	vcfg_set32(&d->cfg, cap + 8u, off, 0);
	vcfg_set32(&d->cfg, cap + 12u, len, 0);
	return cap;
}

void virtio_pci_init(struct virtio_dev *d, const struct virtio_ops *ops, u64 features, u16 nqueues,
		     const struct virtq_mem *mem, const struct virtio_env *env)
{
	const struct vcfg_ids ids = { .vendor = VENDOR,
				      .device = (u16)(DEVICE_BASE + ops->type),
				      .sub_vendor = VENDOR,
				      .sub_device = SUBDEVICE,
				      .class_code = ops->class_code,
				      .revision = REVISION,
				      .irq_pin = 1 };
	const struct vcfg_env cfg_env = { d, bar_map, bar_unmap, cfg_written, cfg_read };
	const struct vmsix_env msix_env = { .ctx = d, .raise = msix_raise };
	u8 cap;

	ASSERT(nqueues <= VIRTIO_MAX_QUEUES);
	*d = (struct virtio_dev){ .ops = ops, .env = *env, .mem = mem, .nqueues = nqueues };
	d->offered = features | RING_FEATURES;
	vcfg_init(&d->cfg, &ids, &cfg_env);
	vcfg_add_bar(&d->cfg, VIRTIO_BAR, VCFG_BAR_MEM32, VIRTIO_BAR_SIZE, false);
	add_cap(d, CAP_COMMON, BAR_COMMON, COMMON_LEN);
	cap = add_cap(d, CAP_NOTIFY, BAR_NOTIFY, nqueues * NOTIFY_STEP);
	vcfg_set32(&d->cfg, cap + 16u, NOTIFY_STEP, 0);
	add_cap(d, CAP_ISR, BAR_ISR, 1);
	if (ops->config_len)
		add_cap(d, CAP_DEVICE, BAR_DEVICE, ops->config_len);
	d->access_cap = add_cap(d, CAP_ACCESS, 0, 0);
	d->cfg.rw[d->access_cap + 4u] = 0xff;
	vcfg_set32(&d->cfg, d->access_cap + 8u, 0, ~0u);
	vcfg_set32(&d->cfg, d->access_cap + 12u, 0, ~0u);
	vcfg_set32(&d->cfg, d->access_cap + 16u, 0, ~0u);
	vmsix_init(&d->msix, (u16)(nqueues + 1u), d->msix_table, d->msix_pba, &msix_env);
	vmsix_add_cap(&d->msix, &d->cfg, VIRTIO_BAR, BAR_TABLE, VIRTIO_BAR, BAR_PBA);
	vcfg_seal(&d->cfg);
	device_reset(d);
}

void virtio_pci_reset(struct virtio_dev *d)
{
	device_reset(d);
	d->generation = 0;
	vmsix_reset(&d->msix);
	vcfg_reset(&d->cfg);
}

/* ---- saved state ----------------------------------------------------------------------- */

void virtio_pci_quiesce(struct virtio_dev *d)
{
	for (unsigned i = 0; i < d->nqueues; i++) {
		const struct virtq_pos *p = &d->vq[i].pos;

		d->pos_avail[i] = p->avail;
		d->pos_used[i] = p->used;
		d->pos_wrap[i] = (u8)(p->avail_wrap | p->used_wrap << 1);
	}
}

static int resume_queue(struct virtio_dev *d, unsigned i)
{
	const struct virtq_pos pos = { d->pos_avail[i], d->pos_used[i], d->pos_wrap[i] & 1,
				       (d->pos_wrap[i] & 2) != 0 };
	int rc;

	if (d->size[i] > VIRTQ_MAX_SIZE || d->enabled[i] > 1 || d->pos_wrap[i] > 3 ||
	    d->vector[i] != checked_vector(d, d->vector[i]))
		return -EINVAL;
	if (!d->enabled[i])
		return 0;
	rc = start_queue(d, i);
	if (!rc)
		rc = virtq_set_pos(&d->vq[i], &pos);
	if (!rc && d->ops->started)
		d->ops->started(d, i);
	return rc ? -EINVAL : 0;
}

int virtio_pci_resume(struct virtio_dev *d)
{
	int rc = 0;

	if ((d->status & VIRTIO_STATUS_FEATURES_OK) ? !features_good(d) : d->status & 4)
		return -EINVAL;
	if (d->config_vector != checked_vector(d, d->config_vector))
		return -EINVAL;
	for (unsigned i = 0; i < d->nqueues && !rc; i++)
		rc = resume_queue(d, i);
	if (!rc)
		rc = vcfg_resume(&d->cfg);
	if (!rc)
		rc = vmsix_resume(&d->msix, &d->cfg);
	if (rc)
		return rc;
	update_intx(d);
	/* Kicks that came while nobody listened are in the rings: look at all. */
	kick_all(d);
	return 0;
}
