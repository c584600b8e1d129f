/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the instruction at RIP. The CPU may give no length and no bytes, so the guest's
 * page tables are walked; walks are cached and each use compares the cached entries with
 * memory, so that a stale one is never used.
 */
#include "guest/emul/insn.h"
#include "guest/mem/walk.h"
#include "guest/vm/cpu_state.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define PTE_AD (BIT(5) | BIT(6))

void vcpu_paging(struct vcpu *v, struct guest_paging *p)
{
	const struct hvm_ops *ops = v->vm->ops;

	p->cr0 = ops->get_sys(v->hv, HVM_CR0);
	p->cr3 = ops->get_sys(v->hv, HVM_CR3);
	p->cr4 = ops->get_sys(v->hv, HVM_CR4);
	p->efer = ops->get_sys(v->hv, HVM_EFER);
	p->rflags = v->regs.rflags;
	p->user = ops->cpl(v->hv) == 3;
	p->maxphyaddr = v->vm->policy->maxphyaddr;
}

void vcpu_fetch_flush(struct vcpu *v)
{
	for (u32 i = 0; i < FETCH_CACHE_SLOTS; i++)
		v->fetch[i].page = ~0ull;
	for (u32 i = 0; i < DECODE_CACHE_SLOTS; i++)
		v->decode[i].bits = 0;
}

/* Linear address of RIP + off, wrapped as the mode says. */
static u64 code_linear(const struct vcpu *v, const struct hvm_code *c, u64 off)
{
	u64 ip = v->regs.rip + off;

	return c->bits == 64 ? ip : (u32)(c->base + ip);
}

static struct fetch_cache *fetch_slot(struct vcpu *v, u64 linear)
{
	return &v->fetch[(linear >> PAGE_SHIFT) % FETCH_CACHE_SLOTS];
}

static ALWAYS_INLINE bool still_valid(const struct fetch_cache *f, u64 cr3, u64 page)
{
	u64 diff;

	if (unlikely(f->page != page || f->cr3 != cr3))
		return false;
	diff = (atomic_load_relaxed(f->pte[0]) ^ f->val[0]) |
	       (atomic_load_relaxed(f->pte[1]) ^ f->val[1]) |
	       (atomic_load_relaxed(f->pte[2]) ^ f->val[2]) |
	       (atomic_load_relaxed(f->pte[3]) ^ f->val[3]);
	return !(diff & ~PTE_AD);
}

/* Four levels of 64-bit entries, or the identity of an unpaged guest; no other mode. */
static void remember(struct fetch_cache *f, const struct guest_paging *p, const struct walk *w,
		     u64 page, const u8 *code)
{
	if (w->levels > FETCH_CACHE_LEVELS || (!w->levels && (p->cr0 & CR0_PG)))
		return;
	f->cr3 = p->cr3;
	f->page = page;
	f->code = code;
	for (u32 i = 0; i < FETCH_CACHE_LEVELS; i++) {
		f->val[i] = i < w->levels ? w->val[i] : 0;
		f->pte[i] = i < w->levels ? w->pte[i] : &f->val[i]; /* never differs */
	}
}

/* Host address of the code page at linear, walking the guest's tables; NULL with *rc set. */
static const u8 *walk_code(struct vcpu *v, struct fetch_cache *f, u64 linear, int *rc)
{
	struct guest_paging p;
	struct walk w;
	const u8 *ptr;

	vcpu_paging(v, &p);
	*rc = guest_walk(&v->vm->mem, &p, linear, WALK_EXEC, &w);
	if (*rc == -EFAULT)
		(void)vcpu_page_fault(v, linear, w.pf_error); /* it failed the VM if it could not */
	if (*rc)
		return NULL;
	ptr = gmap_ptr(&v->vm->mem, align_down(w.gpa, PAGE_SIZE));
	if (!ptr) {
		*rc = -EIO;
		return NULL;
	}
	remember(f, &p, &w, linear >> PAGE_SHIFT, ptr);
	return ptr;
}

static const u8 *code_page(struct vcpu *v, const struct hvm_code *c, u64 linear, int *rc)
{
	struct fetch_cache *f = fetch_slot(v, linear);

	if (likely(still_valid(f, c->cr3, linear >> PAGE_SHIFT)))
		return f->code;
	return walk_code(v, f, linear, rc);
}

/*
 * Code bytes behind RIP + *n, as far as the page and INSN_MAX_LEN go, to buf + *n.
 * 0; -EFAULT: a #PF was queued; -EIO: code outside RAM.
 */
static int fetch_more(struct vcpu *v, const struct hvm_code *c, u8 *buf, unsigned *n)
{
	u64 linear = code_linear(v, c, *n);
	unsigned more = (unsigned)min_u64(INSN_MAX_LEN - *n, PAGE_SIZE - linear % PAGE_SIZE);
	int rc = 0;
	const u8 *page = code_page(v, c, linear, &rc);

	if (!page)
		return rc;
	memcpy(buf + *n, page + linear % PAGE_SIZE, more);
	*n += more;
	return 0;
}

bool vcpu_peek_code(struct vcpu *v, struct guest_code *out)
{
	const struct hvm_code c = v->vm->ops->code(v->hv);
	u64 linear = code_linear(v, &c, 0);
	struct guest_paging p;
	struct walk w;
	const u8 *ptr;

	vcpu_paging(v, &p);
	if (guest_walk(&v->vm->mem, &p, linear, WALK_EXEC, &w))
		return false;
	ptr = gmap_ptr(&v->vm->mem, w.gpa);
	if (!ptr)
		return false;
	out->n = (u32)min_u64(sizeof(out->byte), PAGE_SIZE - w.gpa % PAGE_SIZE);
	memcpy(out->byte, ptr, out->n);
	return true;
}

/* The first bytes of an instruction that the cache knows, and which of them count. */
static void decode_key(struct decode_cache *d, const u8 *buf, u32 bits)
{
	u8 all[16] = { 0 }, mask[16] = { 0 };

	memcpy(all, buf, d->insn.len);
	memset(mask, 0xff, d->insn.len);
	memcpy(d->byte, all, sizeof(all));
	memcpy(d->mask, mask, sizeof(mask));
	d->bits = bits;
}

static NOINLINE const struct insn *decode_slow(struct vcpu *v, const struct hvm_code *c,
					       struct decode_cache *d)
{
	u8 buf[INSN_MAX_LEN];
	enum insn_mode mode = (enum insn_mode)(c->bits / 32); /* 16, 32, 64: 0, 1, 2 */
	unsigned n = 0;
	int rc = fetch_more(v, c, buf, &n);

	d->bits = 0;
	if (!rc) {
		rc = insn_decode(buf, n, mode, &d->insn);
		if (rc == -EFAULT && n < INSN_MAX_LEN) {
			rc = fetch_more(v, c, buf, &n);
			if (!rc)
				rc = insn_decode(buf, n, mode, &d->insn);
		}
		if (rc == -EINVAL) {
			/* The CPU executed something else a moment ago: another vCPU wrote
			 * the code. What stands there now is not an instruction. */
			(void)vcpu_ud(v); /* it failed the VM if it could not */
			return NULL;
		}
	}
	if (rc) {
		if (rc != -EFAULT)
			vm_fail(v->vm, v, "instruction at RIP cannot be read: %s", err_name(rc));
		return NULL;
	}
	decode_key(d, buf, c->bits);
	return &d->insn;
}

/* Is d the decode of the 16 bytes at p? They are read once, whoever may be writing them. */
static bool decode_matches(const struct decode_cache *d, const u8 *p, u32 bits)
{
	u64 low, high;

	__builtin_memcpy(&low, p, 8);
	__builtin_memcpy(&high, p + 8, 8);
	return !(((low ^ d->byte[0]) & d->mask[0]) | ((high ^ d->byte[1]) & d->mask[1])) &&
	       d->bits == bits;
}

HOT const struct insn *vcpu_decode(struct vcpu *v)
{
	const struct hvm_code c = v->vm->ops->code(v->hv);
	u64 linear = code_linear(v, &c, 0);
	const struct fetch_cache *f = fetch_slot(v, linear);
	struct decode_cache *d = &v->decode[linear % DECODE_CACHE_SLOTS];

	if (likely(still_valid(f, c.cr3, linear >> PAGE_SHIFT) &&
		   linear % PAGE_SIZE <= PAGE_SIZE - 16 &&
		   decode_matches(d, f->code + linear % PAGE_SIZE, c.bits)))
		return &d->insn;
	return decode_slow(v, &c, d);
}

static NOINLINE bool skip_slow(struct vcpu *v)
{
	const struct insn *in = vcpu_decode(v);

	if (!in)
		return false;
	vcpu_advance(v, in->len);
	return true;
}

HOT bool vcpu_skip_op(struct vcpu *v, u32 op, u32 mask, unsigned n)
{
	const struct fetch_cache *f;
	struct hvm_code c;
	u64 linear;
	u32 seen;

	if (v->exit.insn_len) {
		vcpu_advance(v, v->exit.insn_len);
		return true;
	}
	c = v->vm->ops->code(v->hv);
	linear = code_linear(v, &c, 0);
	f = fetch_slot(v, linear);
	if (unlikely(!still_valid(f, c.cr3, linear >> PAGE_SHIFT) ||
		     linear % PAGE_SIZE > PAGE_SIZE - sizeof(seen)))
		return skip_slow(v);
	__builtin_memcpy(&seen, f->code + linear % PAGE_SIZE, sizeof(seen));
	if (unlikely((seen ^ op) & mask))
		return skip_slow(v);
	vcpu_advance(v, n);
	return true;
}
