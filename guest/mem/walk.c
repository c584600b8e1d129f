/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page-table walk: none, 32-bit, PAE, 4-level and 5-level paging.
 */
#include "guest/mem/walk.h"

#include "kernel/base/atomic.h"
#include "kernel/base/err.h"

#define PTE_P	BIT(0)
#define PTE_RW	BIT(1)
#define PTE_US	BIT(2)
#define PTE_A	BIT(5)
#define PTE_D	BIT(6)
#define PTE_PS	BIT(7)
#define PTE_NX	BIT(63)
#define ADDR_64 MASK(51, 12)

#define CR0_WP	BIT(16)
#define CR0_PG	BIT(31)
#define CR4_PSE	 BIT(4)
#define CR4_PAE	 BIT(5)
#define CR4_LA57 BIT(12)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)
#define RFLAGS_AC BIT(18)

#define PF_P	BIT(0)
#define PF_W	BIT(1)
#define PF_U	BIT(2)
#define PF_RSVD BIT(3)
#define PF_I	BIT(4)

struct rights {
	bool write, user, nx;
};

static int page_fault(const struct guest_paging *p, unsigned access, struct walk *w, u64 bits)
{
	if (access & WALK_WRITE)
		bits |= PF_W;
	if (p->user)
		bits |= PF_U;
	if ((access & WALK_EXEC) && ((p->efer & EFER_NXE) || (p->cr4 & CR4_SMEP)))
		bits |= PF_I;
	w->pf_error = (u32)bits;
	return -EFAULT;
}

/* APM vol. 2 §5.6: rights of the whole walk against the access. */
static bool allowed(const struct guest_paging *p, unsigned access, const struct rights *r)
{
	if (p->user && !r->user)
		return false;
	if ((access & WALK_WRITE) && !r->write && (p->user || (p->cr0 & CR0_WP)))
		return false;
	if (access & WALK_EXEC) {
		if (r->nx)
			return false;
		return p->user || !r->user || !(p->cr4 & CR4_SMEP);
	}
	if (!p->user && r->user && (p->cr4 & CR4_SMAP) && !(p->rflags & RFLAGS_AC))
		return false;
	return true;
}

/* Set accessed (and dirty) bits unless another CPU changed the entry meanwhile. */
static void mark_used(struct gmap *m, gpa_t at, u64 *pte, u64 seen, u64 bits)
{
	if ((seen & bits) == bits)
		return;
	if (atomic_cas(pte, seen, seen | bits))
		gmap_mark_dirty(m, at);
}

/* How far a walk of 8-byte entries has come. */
struct level {
	unsigned level;
	bool pae_top; /* the four entries of 32-bit PAE: no rights, no accessed bit */
	u64 table;
};

static bool reserved_set(const struct guest_paging *p, const struct level *l, u64 e)
{
	u64 reserved = MASK(51, 0) & ~MASK(p->maxphyaddr - 1, 0);

	return (e & reserved) || (!(p->efer & EFER_NXE) && (e & PTE_NX) && !l->pae_top);
}

static bool is_leaf(const struct level *l, u64 e)
{
	return l->level == 1 || ((e & PTE_PS) && l->level <= 3 && !l->pae_top);
}

static void restrict_rights(struct rights *r, u64 e)
{
	r->write = r->write && (e & PTE_RW);
	r->user = r->user && (e & PTE_US);
	r->nx = r->nx || (e & PTE_NX);
}

static int walk_64(struct gmap *m, const struct guest_paging *p, u64 linear, unsigned access,
		   struct walk *w)
{
	bool long_mode = (p->efer & EFER_LMA) != 0;
	struct level l = { .level = !long_mode ? 3 : (p->cr4 & CR4_LA57) ? 5 : 4,
			   .pae_top = !long_mode,
			   .table = p->cr3 & (long_mode ? ADDR_64 : 0xffffffe0ull) };
	struct rights r = { .write = true, .user = true, .nx = false };

	for (;; l.level--, l.pae_top = false) {
		unsigned shift = 12 + 9 * (l.level - 1);
		gpa_t at = l.table + ((linear >> shift) & 511) * 8;
		u64 *pte = (u64 *)gmap_ptr(m, at);
		u64 e;

		if (!pte)
			return -EIO;
		e = atomic_load_relaxed(pte);
		w->pte[w->levels] = pte;
		w->val[w->levels++] = e;
		if (!(e & PTE_P))
			return page_fault(p, access, w, 0);
		if (reserved_set(p, &l, e))
			return page_fault(p, access, w, PF_P | PF_RSVD);
		if (!l.pae_top)
			restrict_rights(&r, e);
		if (is_leaf(&l, e)) {
			u64 in_page = MASK(shift - 1, 0);

			if (!allowed(p, access, &r))
				return page_fault(p, access, w, PF_P);
			mark_used(m, at, pte, e, access & WALK_WRITE ? PTE_A | PTE_D : PTE_A);
			w->gpa = (e & ADDR_64 & ~in_page) | (linear & in_page);
			return 0;
		}
		if (!l.pae_top)
			mark_used(m, at, pte, e, PTE_A);
		l.table = e & ADDR_64;
	}
}

static void mark_used_32(struct gmap *m, gpa_t at, u32 *pte, u32 seen, u32 bits)
{
	if ((seen & bits) == bits)
		return;
	if (atomic_cas(pte, seen, seen | bits))
		gmap_mark_dirty(m, at);
}

static int walk_32(struct gmap *m, const struct guest_paging *p, u64 linear, unsigned access,
		   struct walk *w)
{
	struct rights r = { .write = true, .user = true, .nx = false };
	gpa_t table = p->cr3 & 0xfffff000ull;

	for (unsigned level = 2;; level--) {
		unsigned shift = level == 2 ? 22 : 12;
		gpa_t at = table + ((linear >> shift) & 1023) * 4;
		u32 *pte = (u32 *)gmap_ptr(m, at);
		u32 e;

		if (!pte)
			return -EIO;
		e = atomic_load_relaxed(pte);
		if (!(e & PTE_P))
			return page_fault(p, access, w, 0);
		r.write = r.write && (e & PTE_RW);
		r.user = r.user && (e & PTE_US);
		if (level == 1 || ((e & PTE_PS) && (p->cr4 & CR4_PSE))) {
			u64 base = e & 0xffffffffull & ~MASK(shift - 1, 0);

			if (!allowed(p, access, &r))
				return page_fault(p, access, w, PF_P);
			/* PSE-36: bits 20:13 of a 4 MiB entry are address bits 39:32. */
			if (level == 2)
				base |= field_get(e, 20, 13) << 32;
			mark_used_32(m, at, pte, e,
				     (u32)(access & WALK_WRITE ? PTE_A | PTE_D : PTE_A));
			w->gpa = base | (linear & MASK(shift - 1, 0));
			return 0;
		}
		mark_used_32(m, at, pte, e, (u32)PTE_A);
		table = e & 0xfffff000u;
	}
}

int guest_walk(struct gmap *m, const struct guest_paging *p, u64 linear, unsigned access,
	       struct walk *w)
{
	w->levels = 0;
	w->pf_error = 0;
	if (!(p->cr0 & CR0_PG)) {
		w->gpa = linear & 0xffffffffull;
		return 0;
	}
	if (!(p->efer & EFER_LMA))
		linear &= 0xffffffffull;
	if (p->cr4 & CR4_PAE)
		return walk_64(m, p, linear, access, w);
	return walk_32(m, p, linear, access, w);
}
