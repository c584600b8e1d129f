/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio-net driver for guest kernels, split rings, one pair of queues, by polling; of other
 * devices, the registers and first queues. Ring words are open to the kernel, which may do with
 * them what no driver would.
 */
#ifndef TESTS_GUEST_VIRTIO_H
#define TESTS_GUEST_VIRTIO_H

#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/test.h"
#include "kernel/base/atomic.h"
#include "kernel/base/str.h"

#define VN_BAR	 0xd0000000u
#define VN_SIZE	 32u /* entries of a ring */
#define VN_RX	 0u
#define VN_TX	 1u
#define VN_HDR	 12u
#define VN_BUF	 2048u
#define VN_FILL	 0xa5u
#define VN_TYPE	 0xb588u /* local experiments, as it lies in memory */

#define VN_NEXT	    1u
#define VN_WRITE    2u
#define VN_INDIRECT 4u

#define VN_F_INDIRECT (1ull << 28)
#define VN_F_VERSION  (1ull << 32)
#define VN_F_PACKED   (1ull << 34)
#define VN_F_RESET    (1ull << 40)

#define VN_NEEDS_RESET 0x40u
#define VN_VEC_CONFIG  0x51u /* and the next two: queues */

struct vn_desc {
	u64 addr;
	u32 len;
	u16 flags, next;
};

struct vn_queue {
	struct vn_desc *desc;
	u16 *avail; /* flags, index, ring */
	u16 *used;  /* flags, index, ring of two u32 */
	u16 seen;
};

static struct vn_queue vn_q[2];
static u8 *vn_rx_buf, *vn_tx_buf;
static u32 vn_common, vn_device, vn_notify, vn_step, vn_table, vn_msix;
static u8 vn_mac[6];
static u32 vn_devfn = 0x20; /* 00:04.0, the first NIC */

static inline u32 vn_cfg(u32 reg)
{
	outl(0xcf8, 0x80000000 | vn_devfn << 8 | (reg & 0xfc));
	return inl(0xcfc);
}

static inline void vn_cfg_write(u32 reg, u32 v)
{
	outl(0xcf8, 0x80000000 | vn_devfn << 8 | (reg & 0xfc));
	outl(0xcfc, v);
}

static inline u8 vn_r8(u32 off)
{
	return *(volatile u8 *)(u64)(VN_BAR + off);
}

static inline void vn_w8(u32 off, u8 v)
{
	*(volatile u8 *)(u64)(VN_BAR + off) = v;
}

static inline void vn_w16(u32 off, u16 v)
{
	*(volatile u16 *)(u64)(VN_BAR + off) = v;
}

static inline void vn_w32(u32 off, u32 v)
{
	mmio_write(VN_BAR + off, v);
}

static inline u8 vn_status(void)
{
	return vn_r8(vn_common + 0x14);
}

static inline void vn_msix_on(bool on)
{
	vn_cfg_write(vn_msix, on ? 0x80000000 : 0);
}

static inline void vn_kick(u32 queue)
{
	vn_w16(vn_notify + queue * vn_step, (u16)queue);
}

/* Registers by their capabilities; false: no such device. */
static inline bool vn_probe(void)
{
	if ((vn_cfg(0) & 0xffff) != 0x1af4)
		return false;
	vn_cfg_write(0x10, VN_BAR);
	vn_cfg_write(4, 6);
	for (u32 at = vn_cfg(0x34) & 0xff; at; at = vn_cfg(at) >> 8 & 0xff) {
		u32 head = vn_cfg(at), off = vn_cfg(at + 8);

		if ((head & 0xff) == 0x11) {
			vn_msix = at;
			vn_table = vn_cfg(at + 4) & ~7u;
		} else if ((head & 0xff) == 9 && head >> 24 == 1) {
			vn_common = off;
		} else if ((head & 0xff) == 9 && head >> 24 == 2) {
			vn_notify = off;
			vn_step = vn_cfg(at + 16);
		} else if ((head & 0xff) == 9 && head >> 24 == 4) {
			vn_device = off;
		}
	}
	for (u32 i = 0; i < 6; i++)
		vn_mac[i] = vn_r8(vn_device + i);
	for (u32 i = 0; i < 2; i++) {
		vn_q[i].desc = page_alloc(1);
		vn_q[i].avail = page_alloc(1);
		vn_q[i].used = page_alloc(1);
	}
	vn_rx_buf = page_alloc(VN_SIZE * VN_BUF / 4096);
	vn_tx_buf = page_alloc(1);
	for (u32 i = 0; i < 3; i++)
		trap_set((u8)(VN_VEC_CONFIG + i), trap_count_apic);
	return true;
}

static inline void vn_queue_set(u32 queue, u64 desc, u64 avail, u64 used)
{
	const u64 part[3] = { desc, avail, used };

	vn_w16(vn_common + 0x16, (u16)queue);
	vn_w16(vn_common + 0x18, VN_SIZE);
	vn_w16(vn_common + 0x1a, (u16)(queue + 1));
	for (u32 k = 0; k < 3; k++) {
		vn_w32(vn_common + 0x20 + 8 * k, (u32)part[k]);
		vn_w32(vn_common + 0x24 + 8 * k, (u32)(part[k] >> 32));
	}
	vn_w16(vn_common + 0x1c, 1);
}

static inline void vn_queue_init(u32 queue)
{
	struct vn_queue *q = &vn_q[queue];

	memset(q->desc, 0, 4096);
	memset(q->avail, 0, 4096);
	memset(q->used, 0, 4096);
	q->avail[0] = 1; /* no interrupts: polled */
	q->seen = 0;
	vn_queue_set(queue, (u64)q->desc, (u64)q->avail, (u64)q->used);
}

/* To the point where queues may be set up; false: the features are refused. */
static inline bool vn_negotiate(u64 features)
{
	vn_w8(vn_common + 0x14, 0);
	vn_w8(vn_common + 0x14, 3);
	for (u32 half = 0; half < 2; half++) {
		vn_w32(vn_common + 8, half);
		vn_w32(vn_common + 0xc, (u32)((features | VN_F_VERSION) >> 32 * half));
	}
	vn_w8(vn_common + 0x14, 0xb);
	return (vn_status() & 8) != 0;
}

static inline void vn_offer(u32 queue, u16 head)
{
	u16 *a = vn_q[queue].avail;

	a[2 + a[1] % VN_SIZE] = head;
	atomic_store_release(&a[1], (u16)(a[1] + 1));
}

static inline void vn_give_rx(u32 i)
{
	memset(vn_rx_buf + i * VN_BUF, VN_FILL, VN_BUF);
	vn_q[VN_RX].desc[i] =
		(struct vn_desc){ (u64)(vn_rx_buf + i * VN_BUF), VN_BUF, VN_WRITE, 0 };
	vn_offer(VN_RX, (u16)i);
	atomic_fence();
	if (!(atomic_load_acquire(vn_q[VN_RX].used) & 1))
		vn_kick(VN_RX);
}

/* The whole way from reset to a driver that receives. */
static inline bool vn_up(u64 features)
{
	vn_msix_on(true);
	vn_cfg_write(4, 6);
	for (u32 i = 0; i < 3; i++) {
		vn_w32(vn_table + 16 * i, APIC_BASE | apic_id() << 12);
		vn_w32(vn_table + 16 * i + 4, 0);
		vn_w32(vn_table + 16 * i + 8, VN_VEC_CONFIG + i);
		vn_w32(vn_table + 16 * i + 12, 0);
	}
	if (!vn_negotiate(features))
		return false;
	vn_w16(vn_common + 0x10, 0);
	vn_queue_init(VN_RX);
	vn_queue_init(VN_TX);
	vn_w8(vn_common + 0x14, 0xf);
	for (u32 i = 0; i < VN_SIZE; i++)
		vn_give_rx(i);
	return vn_status() == 0xf;
}

/* Has the device given something back? *id, *len of it. */
static inline bool vn_used(u32 queue, u32 *id, u32 *len)
{
	struct vn_queue *q = &vn_q[queue];
	const volatile u32 *e = (const volatile u32 *)(q->used + 2) + q->seen % VN_SIZE * 2;

	if (atomic_load_acquire(&q->used[1]) == q->seen)
		return false;
	*id = e[0];
	*len = e[1];
	q->seen++;
	return true;
}

/* Send the frame in vn_tx_buf, behind its header; false: it does not come back. */
static inline bool vn_send(u32 len)
{
	u32 id, got;

	memset(vn_tx_buf, 0, VN_HDR);
	vn_q[VN_TX].desc[0] = (struct vn_desc){ (u64)vn_tx_buf, VN_HDR + len, 0, 0 };
	vn_offer(VN_TX, 0);
	vn_kick(VN_TX);
	for (u32 n = 0; n < 20000; n++) {
		if (vn_used(VN_TX, &id, &got))
			return id == 0;
		if (n % 1024 == 1023) /* QEMU's emulation may have lost the host's timer */
			vn_kick(VN_TX);
		wait_us(100);
	}
	return false;
}

static inline u8 vn_byte(u32 seq, u32 i)
{
	return (u8)(seq * 7 + i);
}

/* A frame for mac: length and contents follow from seq. Returns its length. */
static inline u32 vn_make(const u8 *mac, u32 seq)
{
	u8 *f = vn_tx_buf + VN_HDR;
	u32 len = 60 + seq * 37 % 1400;

	memcpy(f, mac, 6);
	memcpy(f + 6, vn_mac, 6);
	*(u16 *)(f + 12) = VN_TYPE;
	*(u32 *)(f + 14) = seq;
	for (u32 i = 18; i < len; i++)
		f[i] = vn_byte(seq, i);
	return len;
}

#endif
