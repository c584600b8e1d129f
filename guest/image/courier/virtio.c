/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split rings of fixed slots (Virtio 1.2 §2.7) and their registers (§4.1). Firmware has not placed
 * the BARs: this does.
 */
#include "guest/image/courier/virtio.h"

#include "guest/image/courier/courier.h"
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/vm/machine.h"

#define CAP_VENDOR 0x09
#define CAP_MSIX   0x11
#define BAR_SIZE   0x10000u

#define DESC_WRITE 2u
#define NO_NOTIFY 1u

static u32 pci(u32 dev, u32 reg)
{
	outl(0xcf8, 0x80000000u | dev << 11 | (reg & 0xfc));
	return inl(0xcfc);
}

static void pci_set(u32 dev, u32 reg, u32 v)
{
	outl(0xcf8, 0x80000000u | dev << 11 | (reg & 0xfc));
	outl(0xcfc, v);
}

static void common8(const struct virtio *d, u32 off, u8 v)
{
	*(volatile u8 *)(d->common + off) = v;
}

static void common16(const struct virtio *d, u32 off, u16 v)
{
	*(volatile u16 *)(d->common + off) = v;
}

static void common64(const struct virtio *d, u32 off, u64 v)
{
	mmio_write(d->common + off, (u32)v);
	mmio_write(d->common + off + 4, (u32)(v >> 32));
}

static void capability(struct virtio *d, u32 dev, u32 at, u64 bar)
{
	u32 head = pci(dev, at);
	u64 table;

	if ((head & 0xff) == CAP_MSIX) {
		table = bar + (pci(dev, at + 4) & ~7u);
		mmio_write(table, 0xfee00000u | apic_id() << 12);
		mmio_write(table + 4, 0);
		mmio_write(table + 8, VIRTIO_VECTOR);
		mmio_write(table + 12, 0);
		pci_set(dev, at, 1u << 31);
	}
	if ((head & 0xff) != CAP_VENDOR)
		return;
	switch (head >> 24) {
	case 1:
		d->common = bar + pci(dev, at + 8);
		break;
	case 2:
		d->notify = bar + pci(dev, at + 8);
		d->notify_step = pci(dev, at + 16);
		break;
	case 4:
		d->device = bar + pci(dev, at + 8);
		break;
	default:
		break;
	}
}

bool virtio_probe(struct virtio *d, u16 id, u64 features)
{
	u32 dev = 0;
	u64 bar;

	while (dev < 32 && pci(dev, 0) != (0x1af4u | (u32)id << 16))
		dev++;
	if (dev == 32)
		return false;
	bar = MACHINE_PCI_MEM_BASE + dev * BAR_SIZE;
	pci_set(dev, 0x10, (u32)bar);
	pci_set(dev, 0x04, 0x0406); /* memory, bus master, no INTx */
	for (u32 at = pci(dev, 0x34) & 0xff; at; at = pci(dev, at) >> 8 & 0xff)
		capability(d, dev, at, bar);
	common8(d, 0x14, 0);
	common8(d, 0x14, 1);
	common8(d, 0x14, 3);
	features |= 1ull << 32;
	mmio_write(d->common + 8, 0);
	mmio_write(d->common + 12, (u32)features);
	mmio_write(d->common + 8, 1);
	mmio_write(d->common + 12, (u32)(features >> 32));
	common8(d, 0x14, 0x0b);
	return *(volatile u8 *)(d->common + 0x14) & 8;
}

void virtio_queue(struct virtio *d, struct queue *q, u16 index, u16 size, u32 slot_len,
		  bool to_device)
{
	u8 *rings = page_alloc(3);

	*q = (struct queue){ .doorbell = d->notify + index * d->notify_step,
			     .index = index,
			     .size = size,
			     .to_device = to_device,
			     .slot_len = slot_len,
			     .buf = page_alloc((size * slot_len + 4095) / 4096) };
	q->desc = (void *)rings;
	q->avail = (void *)(rings + 4096);
	q->used = (void *)(rings + 8192);
	for (u16 i = 0; i < size; i++) {
		q->desc[i].addr = (u64)queue_buf(q, i);
		q->desc[i].flags = to_device ? 0 : DESC_WRITE;
		if (to_device)
			q->vacant[q->vacancies++] = i;
		else
			queue_give(q, i, slot_len);
	}
	common16(d, 0x16, index);
	common16(d, 0x18, size);
	common16(d, 0x1a, 0);
	common64(d, 0x20, (u64)q->desc);
	common64(d, 0x28, (u64)q->avail);
	common64(d, 0x30, (u64)q->used);
	common16(d, 0x1c, 1);
}

void virtio_ready(struct virtio *d)
{
	common16(d, 0x10, 0);
	common8(d, 0x14, 0x0f);
}

u32 queue_vacancies(struct queue *q)
{
	u32 len;

	for (int slot; q->vacancies < q->size && (slot = queue_take(q, &len)) >= 0;)
		q->vacant[q->vacancies++] = (u16)slot;
	return q->vacancies;
}

int queue_slot(struct queue *q)
{
	return queue_vacancies(q) ? q->vacant[--q->vacancies] : -1;
}

void queue_give(struct queue *q, int slot, u32 len)
{
	q->desc[slot].len = len;
	q->avail[2 + q->added++ % q->size] = (u16)slot;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	q->avail[1] = q->added;
	q->dirty = true;
}

void queue_flush(struct queue *q)
{
	if (!q->dirty)
		return;
	q->dirty = false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(q->used[0] & NO_NOTIFY))
		*(volatile u16 *)q->doorbell = q->index;
}

int queue_take(struct queue *q, u32 *len)
{
	const volatile u32 *e;

	if (q->seen == q->used[1])
		return -1;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	e = (const volatile u32 *)(q->used + 2) + q->seen++ % q->size * 2;
	*len = e[1];
	return (int)e[0];
}
