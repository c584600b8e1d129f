/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs of pages: written from RAM as a bitmap says, and read back into RAM.
 */
#include "guest/migrate/pages.h"

#include "guest/mem/gmem.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

struct fill {
	u8 *buf;
	u32 size, len;
	u32 head; /* where the header of the last run is */
	struct mig_run run;
};

/* data NULL: a zero page. False: it does not fit. */
static bool put(struct fill *f, gpa_t gpa, const u8 *data)
{
	u32 kind = data ? MIG_RUN_DATA : MIG_RUN_ZERO, bytes = data ? PAGE_SIZE : 0;
	bool joins = f->run.pages && f->run.kind == kind &&
		     f->run.gpa + f->run.pages * PAGE_SIZE == gpa;

	if (f->size - f->len < bytes + (joins ? 0 : sizeof(f->run)))
		return false;
	if (!joins) {
		f->head = f->len;
		f->run = (struct mig_run){ .gpa = gpa, .kind = kind };
		f->len += sizeof(f->run);
	}
	if (data)
		memcpy(f->buf + f->len, data, bytes);
	f->len += bytes;
	f->run.pages++;
	memcpy(f->buf + f->head, &f->run, sizeof(f->run));
	return true;
}

/* The guest may write meanwhile: then the page is in the next pass, whatever is seen here. */
static bool is_zero(const u8 *page)
{
	const u64 *w = (const u64 *)(const void *)page;

	for (size_t i = 0; i < PAGE_SIZE / sizeof(u64); i++)
		if (atomic_load_relaxed(&w[i]))
			return false;
	return true;
}

/* The page's bytes; NULL: it is zero. Blocks that nobody has touched stay untouched. */
static const u8 *page_data(const struct gmap *m, u64 off)
{
	const u8 *data;

	if (gmap_is_raw(m, off / SIZE_2M))
		return NULL;
	data = m->block[off / SIZE_2M] + off % SIZE_2M;
	return is_zero(data) ? NULL : data;
}

u32 mig_pages_fill(struct mig_pages *p, void *buf, u32 size)
{
	struct fill f = { .buf = buf, .size = size };

	for (u32 looked = 0; looked < MIG_PAGES_MAX && p->at < p->words;) {
		u64 word = p->todo[p->at], off;
		const u8 *data;

		if (!word) {
			p->at++;
			continue;
		}
		off = (p->at * 64 + (u64)__builtin_ctzll(word)) * PAGE_SIZE;
		data = page_data(p->mem, off);
		if (!put(&f, gmap_gpa(p->mem, off), data))
			break;
		p->todo[p->at] = word & (word - 1);
		p->left--;
		*(data ? &p->stats.data : &p->stats.zero) += 1;
		looked++;
	}
	p->stats.bytes += f.len;
	return f.len;
}

static int load_page(struct gmap *m, gpa_t gpa, const u8 *data)
{
	u64 off = gmap_ram_offset(m, gpa);

	if (off == ~0ull)
		return -EFAULT;
	if (data)
		return gmem_write(m, gpa, data, PAGE_SIZE);
	return gmap_is_raw(m, off / SIZE_2M) ? 0 : gmem_fill(m, gpa, 0, PAGE_SIZE);
}

int mig_pages_load(struct gmap *m, const void *payload, u32 len)
{
	const u8 *at = payload, *end = at + len;
	u32 room = MIG_PAGES_MAX;

	while (at < end) {
		struct mig_run r;
		u64 bytes;

		if ((size_t)(end - at) < sizeof(r))
			return -EPROTO;
		memcpy(&r, at, sizeof(r));
		at += sizeof(r);
		if (r.kind > MIG_RUN_DATA || !r.pages || r.pages > room ||
		    !is_aligned(r.gpa, PAGE_SIZE))
			return -EPROTO;
		bytes = r.kind == MIG_RUN_DATA ? PAGE_SIZE : 0;
		if (bytes * r.pages > (size_t)(end - at))
			return -EPROTO;
		room -= r.pages;
		for (; r.pages; r.pages--, r.gpa += PAGE_SIZE, at += bytes) {
			int rc = load_page(m, r.gpa, bytes ? at : NULL);

			if (rc)
				return rc;
		}
	}
	return 0;
}
