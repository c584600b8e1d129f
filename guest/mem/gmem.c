/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded copies: the whole range is checked first, so that a failure copies nothing.
 */
#include "guest/mem/gmem.h"

#include "kernel/base/err.h"
#include "kernel/base/str.h"

static bool range_is_ram(const struct gmap *m, gpa_t gpa, size_t n)
{
	u64 end, page;

	if (n == 0)
		return true;
	if (!checked_add(gpa, n - 1, &end))
		return false;
	for (page = align_down(gpa, PAGE_SIZE);; page += PAGE_SIZE) {
		if (!gmap_ptr(m, page))
			return false;
		if (end - page < PAGE_SIZE)
			return true;
	}
}

int gmem_read(const struct gmap *m, gpa_t gpa, void *dst, size_t n)
{
	u8 *d = dst;

	if (!range_is_ram(m, gpa, n))
		return -EFAULT;
	while (n) {
		size_t part = min_u64(n, PAGE_SIZE - gpa % PAGE_SIZE);

		memcpy(d, gmap_ptr(m, gpa), part);
		d += part;
		gpa += part;
		n -= part;
	}
	return 0;
}

int gmem_write(struct gmap *m, gpa_t gpa, const void *src, size_t n)
{
	const u8 *s = src;

	if (!range_is_ram(m, gpa, n))
		return -EFAULT;
	while (n) {
		size_t part = min_u64(n, PAGE_SIZE - gpa % PAGE_SIZE);

		memcpy(gmap_ptr(m, gpa), s, part);
		gmap_mark_dirty(m, gpa);
		s += part;
		gpa += part;
		n -= part;
	}
	return 0;
}

int gmem_fill(struct gmap *m, gpa_t gpa, u8 c, size_t n)
{
	if (!range_is_ram(m, gpa, n))
		return -EFAULT;
	while (n) {
		size_t part = min_u64(n, PAGE_SIZE - gpa % PAGE_SIZE);

		memset(gmap_ptr(m, gpa), c, part);
		gmap_mark_dirty(m, gpa);
		gpa += part;
		n -= part;
	}
	return 0;
}

u8 *gmem_piece(const struct gmap *m, gpa_t gpa, u32 *len)
{
	u8 *p = gmap_ptr(m, gpa);
	u64 n = SIZE_2M - gpa % SIZE_2M;

	if (!p)
		return NULL;
	if (gpa < m->vga_base)
		n = min_u64(n, m->vga_base - gpa);
	*len = (u32)min_u64(*len, n);
	return p;
}

void gmem_dirty(struct gmap *m, gpa_t gpa, u32 len)
{
	if (!m->dirty)
		return;
	for (gpa_t page = align_down(gpa, PAGE_SIZE); page < gpa + len; page += PAGE_SIZE)
		gmap_mark_dirty(m, page);
}
