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

#define ATTR_D	 BIT(10)
#define ATTR_L	 BIT(9)
#define PTE_AD	 (BIT(5) | BIT(6))

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
}

/* Linear address of RIP + off, wrapped as the mode says. */
static u64 code_linear(struct vcpu *v, u64 off)
{
	struct hvm_segment cs;

	v->vm->ops->get_seg(v->hv, HVM_CS, &cs);
	if ((cs.attr & ATTR_L) && (v->vm->ops->get_sys(v->hv, HVM_EFER) & EFER_LMA))
		return v->regs.rip + off;
	return (cs.base + ((v->regs.rip + off) & 0xffffffff)) & 0xffffffff;
}

static bool still_valid(const struct fetch_cache *f, u64 cr3, u64 page)
{
	if (f->page != page || f->cr3 != cr3)
		return false;
	for (u32 i = 0; i < f->levels; i++)
		if ((atomic_load_relaxed(f->pte[i]) & ~PTE_AD) != f->val[i])
			return false;
	return true;
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
	/* Cache 64-bit entries and the identity of an unpaged guest; not 32-bit paging. */
	if (w.levels || !(p.cr0 & CR0_PG)) {
		f->cr3 = p.cr3;
		f->page = linear >> PAGE_SHIFT;
		f->code = ptr;
		f->levels = w.levels;
		for (u32 i = 0; i < w.levels; i++) {
			f->pte[i] = w.pte[i];
			f->val[i] = w.val[i] & ~PTE_AD;
		}
	}
	return ptr;
}

static const u8 *code_page(struct vcpu *v, u64 linear, int *rc)
{
	struct fetch_cache *f = &v->fetch[(linear >> PAGE_SHIFT) % FETCH_CACHE_SLOTS];

	if (likely(still_valid(f, v->vm->ops->get_sys(v->hv, HVM_CR3), linear >> PAGE_SHIFT)))
		return f->code;
	return walk_code(v, f, linear, rc);
}

const u8 *vcpu_code(struct vcpu *v, unsigned *n)
{
	u64 linear = code_linear(v, 0);
	int rc = 0;
	const u8 *page = code_page(v, linear, &rc);

	*n = (unsigned)(PAGE_SIZE - linear % PAGE_SIZE);
	return page ? page + linear % PAGE_SIZE : NULL;
}

int vcpu_fetch(struct vcpu *v, u8 *buf, unsigned *n)
{
	u64 linear = code_linear(v, 0);
	unsigned first = (unsigned)min_u64(INSN_MAX_LEN, PAGE_SIZE - linear % PAGE_SIZE);
	int rc = 0;
	const u8 *page = code_page(v, linear, &rc);

	if (!page)
		return rc;
	memcpy(buf, page + linear % PAGE_SIZE, first);
	*n = first;
	return 0;
}

bool vcpu_peek_code(struct vcpu *v, struct guest_code *out)
{
	u64 linear = code_linear(v, 0);
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

/* The instruction runs over the end of its page: fetch the rest from the next one. */
static int fetch_rest(struct vcpu *v, u8 *buf, unsigned *n)
{
	u64 linear = code_linear(v, *n);
	int rc = 0;
	const u8 *page = code_page(v, linear, &rc);

	if (!page)
		return rc;
	memcpy(buf + *n, page, INSN_MAX_LEN - *n);
	*n = INSN_MAX_LEN;
	return 0;
}

static enum insn_mode code_mode(struct vcpu *v)
{
	struct hvm_segment cs;

	v->vm->ops->get_seg(v->hv, HVM_CS, &cs);
	if ((cs.attr & ATTR_L) && (v->vm->ops->get_sys(v->hv, HVM_EFER) & EFER_LMA))
		return INSN_MODE_64;
	return cs.attr & ATTR_D ? INSN_MODE_32 : INSN_MODE_16;
}

int vcpu_decode(struct vcpu *v, struct insn *in)
{
	u8 buf[INSN_MAX_LEN];
	unsigned n = 0;
	int rc = vcpu_fetch(v, buf, &n);

	if (!rc) {
		rc = insn_decode(buf, n, code_mode(v), in);
		if (rc == -EFAULT && n < INSN_MAX_LEN) {
			rc = fetch_rest(v, buf, &n);
			if (!rc)
				rc = insn_decode(buf, n, code_mode(v), in);
		}
		if (rc == -EINVAL) {
			/* The CPU executed something else a moment ago: another vCPU wrote
			 * the code. What stands there now is not an instruction. */
			(void)vcpu_ud(v); /* it failed the VM if it could not */
			rc = -EFAULT;
		}
	}
	if (rc && rc != -EFAULT) {
		vm_fail(v->vm, v, "instruction at RIP cannot be read: %s", err_name(rc));
		return -EIO;
	}
	return rc;
}

static NOINLINE bool skip_slow(struct vcpu *v)
{
	struct insn in;

	if (vcpu_decode(v, &in))
		return false;
	vcpu_advance(v, in.len);
	return true;
}

bool vcpu_skip(struct vcpu *v, u32 op, unsigned n)
{
	const u8 *code;
	unsigned left;
	u32 seen;

	if (v->exit.insn_len) {
		vcpu_advance(v, v->exit.insn_len);
		return true;
	}
	code = vcpu_code(v, &left);
	if (!code)
		return v->vm->ops->event_queued(v->hv) ? false : skip_slow(v);
	if (left < 4)
		return skip_slow(v);
	__builtin_memcpy(&seen, code, sizeof(seen));
	if ((seen & (u32)size_mask(n)) != op)
		return skip_slow(v);
	vcpu_advance(v, n);
	return true;
}
