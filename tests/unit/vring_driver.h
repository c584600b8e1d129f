/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest's memory and a driver that uses a virtqueue in it, split or packed, written from the
 * specification alone. Unit tests and fuzz targets run devices against it.
 */
#ifndef TESTS_UNIT_VRING_DRIVER_H
#define TESTS_UNIT_VRING_DRIVER_H

#include <stdlib.h>
#include <string.h>

#include "devices/virtio/virtq.h"

#define VD_PAGES 512u
#define VD_MAX	 256u

/* RAM at GPA 0 on; pages marked as holes are not RAM; host pages lie in no order. */
struct vd_ram {
	u8 (*page)[4096];
	u16 place[VD_PAGES];
	bool hole[VD_PAGES];
	bool dirty[VD_PAGES];
	u32 pages;
	bool scattered;
	/* Called before each map(): lets a test change memory meanwhile. */
	void (*meddle)(struct vd_ram *r);
	struct virtq_mem mem;
};

static u8 *vd_map(void *ctx, gpa_t gpa, u32 *len)
{
	struct vd_ram *r = ctx;
	u64 page = gpa >> 12;
	u32 n = 4096 - (gpa & 4095);

	if (r->meddle)
		r->meddle(r);
	if (page >= r->pages || r->hole[page])
		return NULL;
	while (!r->scattered && n < *len && (gpa + n) >> 12 < r->pages && !r->hole[(gpa + n) >> 12])
		n += 4096;
	if (n < *len)
		*len = n;
	return r->page[r->place[page]] + (gpa & 4095);
}

static void vd_dirty(void *ctx, gpa_t gpa, u32 len)
{
	struct vd_ram *r = ctx;

	for (u64 p = gpa >> 12; p <= (gpa + len - 1) >> 12; p++)
		r->dirty[p] = true;
}

static inline void vd_ram_init(struct vd_ram *r, u32 pages, bool scattered)
{
	memset(r, 0, sizeof(*r));
	r->pages = pages;
	r->scattered = scattered;
	r->page = calloc(pages, 4096);
	for (u32 i = 0; i < pages; i++)
		r->place[i] = (u16)(scattered ? pages - 1 - i : i);
	r->mem = (struct virtq_mem){ r, vd_map, vd_dirty };
}

static inline void vd_ram_free(struct vd_ram *r)
{
	free(r->page);
}

static inline void *vd_at(struct vd_ram *r, gpa_t gpa)
{
	return r->page[r->place[gpa >> 12]] + (gpa & 4095);
}

/* Byte by byte: may cross pages. */
static inline void vd_poke(struct vd_ram *r, gpa_t gpa, const void *src, u32 n)
{
	for (u32 i = 0; i < n; i++)
		*(u8 *)vd_at(r, gpa + i) = ((const u8 *)src)[i];
}

static inline void vd_peek(struct vd_ram *r, gpa_t gpa, void *dst, u32 n)
{
	for (u32 i = 0; i < n; i++)
		((u8 *)dst)[i] = *(u8 *)vd_at(r, gpa + i);
}

static inline void vd_w16(struct vd_ram *r, gpa_t gpa, u16 v)
{
	vd_poke(r, gpa, &v, 2);
}

static inline u16 vd_r16(struct vd_ram *r, gpa_t gpa)
{
	u16 v;

	vd_peek(r, gpa, &v, 2);
	return v;
}

struct vd_buf {
	gpa_t gpa;
	u32 len;
	bool in;
};

struct vd {
	struct vd_ram *ram;
	struct virtq_setup s;
	u16 avail, used; /* split: free-running; packed: slots */
	bool avail_wrap, used_wrap;
	u16 kicked;	 /* avail when the driver last looked whether to kick */
	u32 free;	 /* descriptors left */
	bool taken[VD_MAX];
	u16 slots[VD_MAX];	/* packed: by ID */
	u16 next_free[VD_MAX];	/* split: descriptors of a chain, to free them */
	bool irq_on;
};

static inline void vd_init(struct vd *d, struct vd_ram *ram, const struct virtq_setup *s)
{
	memset(d, 0, sizeof(*d));
	d->ram = ram;
	d->s = *s;
	d->free = s->size;
	d->avail_wrap = d->used_wrap = true;
	d->irq_on = true;
}

static inline void vd_desc(struct vd *d, gpa_t table, u32 i, u64 addr, u32 len, u16 flags, u16 x)
{
	gpa_t p = table + i * 16;

	vd_poke(d->ram, p, &addr, 8);
	vd_poke(d->ram, p + 8, &len, 4);
	vd_w16(d->ram, p + (d->s.packed ? 14 : 12), flags);
	vd_w16(d->ram, p + (d->s.packed ? 12 : 14), x);
}

static inline u16 vd_take(struct vd *d)
{
	for (u16 i = 0; i < d->s.size; i++)
		if (!d->taken[i]) {
			d->taken[i] = true;
			return i;
		}
	abort();
}

/* Add a chain; table: where an indirect table may be put, 0: none. Returns its ID, -1: no room. */
static inline int vd_add(struct vd *d, const struct vd_buf *b, u32 n, gpa_t table)
{
	u32 need = table ? 1 : n;
	u16 id, at;

	if (d->free < need)
		return -1;
	for (u32 i = 0; table && i < n; i++)
		vd_desc(d, table, i, b[i].gpa, b[i].len,
			(u16)((b[i].in ? 2 : 0) | (i + 1 < n && !d->s.packed ? 1 : 0)),
			(u16)(i + 1));
	d->free -= need;
	if (!d->s.packed) {
		u16 prev = 0;

		id = at = vd_take(d);
		d->slots[id] = (u16)need;
		for (u32 i = 0; i < need; i++) {
			u16 next = i + 1 < need ? vd_take(d) : 0;

			if (table)
				vd_desc(d, d->s.part[0], at, table, n * 16, 4, 0);
			else
				vd_desc(d, d->s.part[0], at, b[i].gpa, b[i].len,
					(u16)((b[i].in ? 2 : 0) | (i + 1 < need ? 1 : 0)), next);
			if (i)
				d->next_free[prev] = at;
			prev = at;
			at = next;
		}
		vd_w16(d->ram, d->s.part[1] + 4 + 2u * (d->avail & (d->s.size - 1)), id);
		d->avail++;
		vd_w16(d->ram, d->s.part[1] + 2, d->avail);
		return id;
	}
	id = vd_take(d);
	d->slots[id] = (u16)need;
	{
		u16 first = d->avail, first_flags = 0;

		for (u32 i = 0; i < need; i++) {
			u16 flags = d->avail_wrap ? 0x0080 : 0x8000;

			flags |= table ? 4 : (u16)((b[i].in ? 2 : 0) | (i + 1 < need ? 1 : 0));
			if (i == 0)
				first_flags = flags;
			vd_desc(d, d->s.part[0], d->avail, table ? table : b[i].gpa,
				table ? n * 16 : b[i].len,
				i ? flags : vd_r16(d->ram, d->s.part[0] + d->avail * 16u + 14), id);
			if (++d->avail == d->s.size) {
				d->avail = 0;
				d->avail_wrap = !d->avail_wrap;
			}
		}
		vd_w16(d->ram, d->s.part[0] + first * 16u + 14, first_flags);
	}
	return id;
}

static inline bool vd_passed(u16 event, u16 now, u16 old)
{
	return (u16)(now - event - 1) < (u16)(now - old);
}

/* Must the driver notify the device of what it added since it last asked? */
static inline bool vd_should_kick(struct vd *d)
{
	u16 old = d->kicked, now = d->avail, event, flags;
	struct vd_ram *r = d->ram;

	d->kicked = now;
	if (!d->s.packed) {
		if (d->s.event_idx)
			return vd_passed(vd_r16(r, d->s.part[2] + 4 + 8u * d->s.size), now, old);
		return !(vd_r16(r, d->s.part[2]) & 1);
	}
	flags = vd_r16(r, d->s.part[2] + 2);
	if (flags != 2 || !d->s.event_idx)
		return flags != 1;
	event = vd_r16(r, d->s.part[2]);
	/* Slots counted from where the current lap of 'now' began. */
	{
		int e = event & 0x7fff, o = old;

		if ((event >> 15) != d->avail_wrap)
			e -= d->s.size;
		if (o > now || (o == now))
			o -= d->s.size;
		return vd_passed((u16)e, now, (u16)o);
	}
}

/* Take a used chain: its ID, -1: none. */
static inline int vd_get(struct vd *d, u32 *len)
{
	struct vd_ram *r = d->ram;
	u32 id32;
	u16 id;

	if (!d->s.packed) {
		gpa_t e = d->s.part[2] + 4 + 8u * (d->used & (d->s.size - 1));

		if (vd_r16(r, d->s.part[2] + 2) == d->used)
			return -1;
		vd_peek(r, e, &id32, 4);
		vd_peek(r, e + 4, len, 4);
		if (id32 >= d->s.size || !d->slots[id32])
			abort();
		d->used++;
		id = (u16)id32;
		for (u16 i = 0, at = id; i < d->slots[id]; i++) {
			d->taken[at] = false;
			at = d->next_free[at];
		}
	} else {
		gpa_t e = d->s.part[0] + d->used * 16u;
		u16 flags = vd_r16(r, e + 14);

		if (!(flags & 0x80) != !(flags & 0x8000) || !(flags & 0x80) != !d->used_wrap)
			return -1;
		vd_peek(r, e + 8, len, 4);
		id = vd_r16(r, e + 12);
		if (id >= d->s.size || !d->taken[id])
			abort();
		d->used = (u16)(d->used + d->slots[id]);
		if (d->used >= d->s.size) {
			d->used = (u16)(d->used - d->s.size);
			d->used_wrap = !d->used_wrap;
		}
		d->taken[id] = false;
	}
	d->free += d->slots[id];
	d->slots[id] = 0;
	return id;
}

/* Interrupts on: true when something came meanwhile. */
static inline bool vd_irq(struct vd *d, bool on)
{
	struct vd_ram *r = d->ram;

	d->irq_on = on;
	if (!d->s.packed) {
		if (!d->s.event_idx)
			vd_w16(r, d->s.part[1], on ? 0 : 1);
		else if (on)
			vd_w16(r, d->s.part[1] + 4 + 2u * d->s.size, d->used);
		return on && vd_r16(r, d->s.part[2] + 2) != d->used;
	}
	vd_w16(r, d->s.part[1], (u16)(d->used | (d->used_wrap ? 0x8000 : 0)));
	vd_w16(r, d->s.part[1] + 2, on ? (d->s.event_idx ? 2 : 0) : 1);
	{
		u16 flags = vd_r16(r, d->s.part[0] + d->used * 16u + 14);

		return on && !(flags & 0x80) == !(flags & 0x8000) &&
		       !(flags & 0x80) == !d->used_wrap;
	}
}

#endif
