/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest memory map: RAM of a VM in 2 MiB blocks, so that GPA to host address is one
 * table look-up. A block is cleared when it is first touched, by whomever. Pure: host
 * addresses are handed in, nothing is dereferenced but RAM.
 */
#ifndef GUEST_MEM_GMAP_H
#define GUEST_MEM_GMAP_H

#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* RAM below the PCI hole, then from 4 GiB on (guest/vm/machine.h). */
struct gmap {
	u8 **block;	   /* host address of each 2 MiB block of RAM, by index */
	u64 blocks;	   /* RAM size / 2 MiB */
	u64 low_blocks;	   /* how many of them lie below the hole, from GPA 0 */
	gpa_t vga_base;	   /* hole inside the first block: no RAM is visible here */
	u64 vga_len;
	u64 *dirty;	   /* atomic, a bit each 4 KiB page by RAM offset; NULL: no log */
	u64 *raw;	   /* atomic, one bit a block: not yet cleared; NULL: all are */
	void (*clear)(void *ctx, u64 block); /* clear it, and the bit after that */
	void *ctx;
	bool dma;	   /* a device writes RAM by itself: no log can be kept */
};

#define GMAP_DIRTY_WORDS (SIZE_2M / PAGE_SIZE / 64) /* of the log, for each block */

/* Offset into RAM (0 .. blocks * 2 MiB - 1) of a GPA, or ~0 when it is not RAM. */
static inline u64 gmap_ram_offset(const struct gmap *m, gpa_t gpa)
{
	u64 low = m->low_blocks * SIZE_2M;

	if (gpa < low)
		return gpa - m->vga_base < m->vga_len ? ~0ull : gpa;
	if (gpa >= SIZE_4G && gpa - SIZE_4G < m->blocks * SIZE_2M - low)
		return gpa - SIZE_4G + low;
	return ~0ull;
}

/* GPA of an offset into RAM; that of the hole's bytes is not RAM. */
static inline gpa_t gmap_gpa(const struct gmap *m, u64 off)
{
	u64 low = m->low_blocks * SIZE_2M;

	return off < low ? off : SIZE_4G + (off - low);
}

/** gmap_is_raw() - has the block never been touched, so that it holds what its last owner left? */
static inline bool gmap_is_raw(const struct gmap *m, u64 block)
{
	return m->raw && (atomic_load_acquire(&m->raw[block / 64]) & BIT(block % 64));
}

/** gmap_ptr() - host address of a RAM byte, valid to the end of its 4 KiB page; NULL: not RAM. */
static inline u8 *gmap_ptr(const struct gmap *m, gpa_t gpa)
{
	u64 off = gmap_ram_offset(m, gpa);

	if (off == ~0ull)
		return NULL;
	if (unlikely(gmap_is_raw(m, off / SIZE_2M)))
		m->clear(m->ctx, off / SIZE_2M);
	return m->block[off / SIZE_2M] + off % SIZE_2M;
}

/** gmap_mark_dirty() - the hypervisor has written this page of RAM: after the write, never before,
 * so that whoever takes the mark reads what was written. */
void gmap_mark_dirty(struct gmap *m, gpa_t gpa);

#endif
