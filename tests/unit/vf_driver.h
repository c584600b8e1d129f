/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver of an 82576 VF as igbvf is: rings of advanced descriptors in guest memory, tails as
 * doorbells, completion by memory alone. It drives whatever answers its register accesses.
 */
#ifndef TESTS_UNIT_VF_DRIVER_H
#define TESTS_UNIT_VF_DRIVER_H

#include <string.h>

#include "kernel/base/types.h"
#include "vring_driver.h"

#define VFD_SLOTS  16u
#define VFD_RX	   0x1000u /* guest addresses: rings, then buffers of a page each */
#define VFD_TX	   0x2000u
#define VFD_RX_BUF 0x10000u
#define VFD_TX_BUF 0x40000u

struct vf_driver {
	struct vd_ram *ram;
	void *dev;
	void (*io)(void *dev, u32 off, bool write, u64 *value);
	u32 rx_next, rx_tail, tx_tail, tx_clean;
};

static inline u32 vfd_rd(struct vf_driver *d, u32 off)
{
	u64 v = 0;

	d->io(d->dev, off, false, &v);
	return (u32)v;
}

static inline void vfd_wr(struct vf_driver *d, u32 off, u32 value)
{
	u64 v = value;

	d->io(d->dev, off, true, &v);
}

static inline void *vfd_ptr(struct vf_driver *d, u64 gpa)
{
	u32 n = 1;

	return vd_map(d->ram, gpa, &n);
}

static inline u32 *vfd_desc(struct vf_driver *d, u32 ring, u32 i)
{
	return vfd_ptr(d, ring + i * 16);
}

static inline void vfd_refill(struct vf_driver *d, u32 i)
{
	u64 w[2] = { VFD_RX_BUF + i * 8192ull, VFD_RX_BUF + i * 8192ull + 4096 };

	memcpy(vfd_desc(d, VFD_RX, i), w, 16);
}

/* The order of igbvf's open. */
static inline void vfd_open(struct vf_driver *d, u32 srrctl)
{
	d->rx_next = d->tx_tail = d->tx_clean = 0;
	vfd_wr(d, 0x3828, 0);
	vfd_wr(d, 0x3808, VFD_SLOTS * 16);
	vfd_wr(d, 0x3800, VFD_TX);
	vfd_wr(d, 0x3804, 0);
	vfd_wr(d, 0x3810, 0);
	vfd_wr(d, 0x3818, 0);
	vfd_wr(d, 0x3828, 0x02000000);
	vfd_wr(d, 0x280c, srrctl);
	vfd_wr(d, 0x2828, 0);
	vfd_wr(d, 0x2800, VFD_RX);
	vfd_wr(d, 0x2804, 0);
	vfd_wr(d, 0x2808, VFD_SLOTS * 16);
	vfd_wr(d, 0x2810, 0);
	vfd_wr(d, 0x2818, 0);
	vfd_wr(d, 0x2828, 0x02010810);
	for (u32 i = 0; i < VFD_SLOTS; i++)
		vfd_refill(d, i);
	d->rx_tail = VFD_SLOTS - 1;
	vfd_wr(d, 0x2818, d->rx_tail);
	vfd_wr(d, 0x1700, 0x8081); /* receive vector 1, send vector 0 */
	vfd_wr(d, 0x1740, 0x82);
	vfd_wr(d, 0x152c, 7);
	vfd_wr(d, 0x1530, 7);
	vfd_wr(d, 0x1524, 7);
}

static inline void vfd_put(struct vf_driver *d, const u32 w[4])
{
	memcpy(vfd_desc(d, VFD_TX, d->tx_tail), w, 16);
	d->tx_tail = (d->tx_tail + 1) % VFD_SLOTS;
}

/* A frame of n bytes at guest address gpa, cut after 'cut' bytes into two descriptors (0: one). */
static inline void vfd_put_frame(struct vf_driver *d, u64 gpa, u32 n, u32 cut, u32 more_cmd,
				 u32 options)
{
	u32 cmd = 0x20300000u | more_cmd, olinfo = n << 14 | options;
	const u32 first[4] = { (u32)gpa, (u32)(gpa >> 32), cmd | cut, olinfo };
	const u32 last[4] = { (u32)(gpa + cut), (u32)((gpa + cut) >> 32),
			      cmd | 0x09000000u | (n - cut), olinfo };

	if (cut)
		vfd_put(d, first);
	vfd_put(d, last);
}

static inline void vfd_kick(struct vf_driver *d)
{
	vfd_wr(d, 0x3818, d->tx_tail);
}

/* Sent descriptors with DD since the last call. */
static inline u32 vfd_clean(struct vf_driver *d)
{
	u32 n = 0;

	while (d->tx_clean != d->tx_tail && (vfd_desc(d, VFD_TX, d->tx_clean)[3] & 1)) {
		d->tx_clean = (d->tx_clean + 1) % VFD_SLOTS;
		n++;
	}
	return n;
}

/* The next received frame: its bytes, 0: none. Buffers go back one by one. */
static inline u32 vfd_receive(struct vf_driver *d, u8 *out)
{
	u32 n = 0;

	for (;;) {
		u32 w[4], i = d->rx_next, hdr;

		memcpy(w, vfd_desc(d, VFD_RX, i), 16);
		if (!(w[2] & 1))
			return 0;
		hdr = w[0] >> 31 ? w[0] >> 21 & 0x3ff : 0;
		memcpy(out + n, vfd_ptr(d, VFD_RX_BUF + i * 8192 + 4096), hdr);
		memcpy(out + n + hdr, vfd_ptr(d, VFD_RX_BUF + i * 8192), w[3] & 0xffff);
		n += hdr + (w[3] & 0xffff);
		vfd_refill(d, i);
		d->rx_next = (i + 1) % VFD_SLOTS;
		d->rx_tail = (d->rx_tail + 1) % VFD_SLOTS;
		vfd_wr(d, 0x2818, d->rx_tail);
		if (w[2] & 2)
			return n;
	}
}

#endif
