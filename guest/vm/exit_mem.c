/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Second-stage faults: what is not RAM is a device or a hole. Plain MOVs, nearly all of what
 * drivers use, are done here with the address that the CPU reported; the rest is executed.
 */
#include "guest/emul/insn.h"
#include "guest/mem/stage2.h"
#include "guest/vm/access.h"
#include "guest/vm/exec.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

static u64 reg_read(const struct vcpu *v, const struct insn *in)
{
	if (in->flags & INSN_F_IMM)
		return in->imm;
	if (in->reg >= INSN_REG_AH)
		return v->regs.gpr[in->reg - INSN_REG_AH] >> 8;
	return v->regs.gpr[in->reg];
}

static void reg_write(struct vcpu *v, const struct insn *in, u64 value)
{
	u64 *r;

	if (in->reg >= INSN_REG_AH) {
		r = &v->regs.gpr[in->reg - INSN_REG_AH];
		*r = (*r & ~0xff00ull) | (value & 0xff) << 8;
		return;
	}
	r = &v->regs.gpr[in->reg];
	if (in->size == 4)
		*r = (u32)value;
	else
		*r = (*r & ~size_mask(in->size)) | (value & size_mask(in->size));
}

/*
 * Does the operand start at the beginning of a page? An access that starts in the page before
 * faults at that address as well. False when it is not plain to see.
 */
static NOINLINE bool starts_page(const struct vcpu *v, const struct insn *in)
{
	u64 ea = in->disp;

	if (in->mode != INSN_MODE_64 || in->seg >= INSN_SEG_FS)
		return false;
	if (in->base < 16)
		ea += v->regs.gpr[in->base];
	else if (in->base == INSN_REG_RIP)
		ea += v->regs.rip + in->len;
	if (in->index < 16)
		ea += v->regs.gpr[in->index] << in->scale;
	return ea % PAGE_SIZE == 0;
}

/*
 * MOV between a register (or immediate) and memory that lies in one page, as the CPU saw it: had
 * another vCPU made a load a store, the page's rights would not have been checked for that.
 */
static bool is_plain_mov(const struct vcpu *v, const struct insn *in, gpa_t gpa)
{
	bool store = v->exit.u.mem.access == HVM_ACCESS_WRITE;

	return in->op == INSN_MOV && (in->flags & INSN_F_MEM) && in->mem_size == in->size &&
	       store == !(in->flags & INSN_F_TO_REG) &&
	       gpa % PAGE_SIZE + in->size <= PAGE_SIZE &&
	       (gpa % PAGE_SIZE || in->size == 1 || starts_page(v, in));
}

/* A guest that writes faster than it can be moved is held up, until its CPU has other work. */
static void hold_up(struct vcpu *v)
{
	u64 end = tsc_read() + ns_to_tsc(v->vm->page_ns);

	while (tsc_read() < end && !atomic_load_relaxed(&this_cpu()->kick))
		__builtin_ia32_pause();
}

void vcpu_take_written(struct vcpu *v)
{
	const u64 *gpa;
	u32 n;

	if (!(v->vm->stage2.fmt->attrs & PG_LOG))
		return;
	gpa = v->vm->ops->written(v->hv, &n);
	for (u32 i = 0; i < n; i++)
		gmap_mark_dirty(&v->vm->mem, gpa[i]);
}

/* RAM that the guest has not used so far, or that it may write only when the log knows. */
static NOINLINE enum exit_result touch(struct vcpu *v, gpa_t gpa, bool write)
{
	int rc = stage2_touch(v, gpa, write);

	if (!rc) {
		if (write && unlikely(v->vm->page_ns))
			hold_up(v);
		return EXIT_RETRY;
	}
	vm_fail(v->vm, v, "RAM at %#lx cannot be mapped: %s", gpa, err_name(rc));
	return EXIT_LEAVE;
}

HOT enum exit_result exit_mem(struct vcpu *v)
{
	struct hvm_exit *x = &v->exit;
	gpa_t gpa = x->u.mem.gpa;
	const struct insn *in;

	if (unlikely(gmap_ram_offset(&v->vm->mem, gpa) != ~0ull))
		return touch(v, gpa, x->u.mem.mapped || (x->u.mem.access & HVM_ACCESS_WRITE));
	if (unlikely(x->u.mem.walk || x->u.mem.access == HVM_ACCESS_EXEC || x->u.mem.mapped ||
		     v->vm->ops->event_queued(v->hv))) {
		vm_fail(v->vm, v, "%s at guest-physical %#lx, which is not RAM",
			x->u.mem.walk			       ? "page table"
			: x->u.mem.access == HVM_ACCESS_EXEC   ? "code"
			: v->vm->ops->event_queued(v->hv)      ? "stack or descriptor table"
							       : "unexpected fault",
			gpa);
		return EXIT_LEAVE;
	}
	in = vcpu_decode(v);
	if (!in)
		return EXIT_RETRY;
	if (!is_plain_mov(v, in, gpa))
		return exec_insn(v, in);
	if (in->flags & INSN_F_TO_REG) {
		access_mmio(v, gpa, in->size, false, &x->data);
		reg_write(v, in, x->data);
	} else {
		x->data = reg_read(v, in) & size_mask(in->size);
		access_mmio(v, gpa, in->size, true, &x->data);
	}
	vcpu_advance(v, in->len);
	return EXIT_RETRY;
}
