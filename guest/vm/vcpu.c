/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPU creation, reset and requests; exceptions and the end of an emulated instruction.
 */
#include "guest/vm/vcpu.h"

#include "guest/vm/cpu_state.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

#define RFLAGS_TF BIT(8)
#define RFLAGS_RF BIT(16)
#define DR6_BS	  BIT(14)

#define VECTOR_DB 1
#define VECTOR_UD 6
#define VECTOR_DF 8
#define VECTOR_GP 13
#define VECTOR_PF 14

#define MISC_ENABLE_FAST_STRING BIT(0)
#define MTRR_DEF_ON		(BIT(11) | BIT(10) | 6) /* enabled, fixed enabled, write-back */

int vcpu_create(struct vm *vm, u32 id)
{
	struct vcpu *v = kalloc(&vm->owner, sizeof(*v));
	int rc;

	if (!v)
		return -ENOMEM;
	v->vm = vm;
	v->id = id;
	rc = vm->ops->vcpu_create(&v->hv, vm->hvm, id);
	if (rc)
		goto out_free;
	v->sched.run = vcpu_run;
	v->sched.leave = vcpu_leave;
	v->sched.weight = vm->config->weight;
	v->sched.pin = vm->config->pin;
	rc = sched_add(&v->sched);
	if (rc)
		goto out_hv;
	vm->vcpu[id] = v;
	return 0;
out_hv:
	vm->ops->vcpu_destroy(v->hv);
out_free:
	kfree(&vm->owner, v, sizeof(*v));
	return rc;
}

/* A parked vCPU has left every CPU's registers: the scheduler called vcpu_leave(). */
void vcpu_destroy(struct vcpu *v)
{
	struct vm *vm;

	if (!v)
		return;
	vm = v->vm;
	sched_remove(&v->sched);
	vm->ops->vcpu_destroy(v->hv);
	vm->vcpu[v->id] = NULL;
	kfree(&vm->owner, v, sizeof(*v));
}

void vcpu_reset(struct vcpu *v)
{
	v->vm->ops->vcpu_reset(v->hv, &v->regs);
	v->state = v->id == 0 ? VCPU_RUN : VCPU_WAIT_SIPI;
	atomic_store_relaxed(&v->requests, 0);
	v->nmi_pending = v->irq_window = v->nmi_window = false;
	memset(&v->msr, 0, sizeof(v->msr));
	v->msr.misc_enable = MISC_ENABLE_FAST_STRING;
	/* As firmware would leave them: all write-back; the PCI hole uncached. */
	v->msr.mtrr_def = MTRR_DEF_ON;
	for (u32 i = 0; i < ARRAY_SIZE(v->msr.mtrr_fixed); i++)
		v->msr.mtrr_fixed[i] = 0x0606060606060606ull;
	v->msr.mtrr_var[0] = 0xc0000000ull;
	v->msr.mtrr_var[1] = MASK(v->vm->policy->maxphyaddr - 1, 30) | BIT(11);
	v->vm->ops->set_sys(v->hv, HVM_TSC_OFFSET, v->vm->tsc_offset);
	vcpu_fetch_flush(v);
}

u64 vcpu_tsc(const struct vcpu *v)
{
	return tsc_read() + v->vm->tsc_offset + v->msr.tsc_adjust;
}

u64 vcpu_tsc_to_host(const struct vcpu *v, u64 guest)
{
	return guest - v->vm->tsc_offset - v->msr.tsc_adjust;
}

/* What is wanted of v was posted before. */
static void reach(struct vcpu *v, void (*tell)(u32 cpu))
{
	u32 cpu = atomic_load_relaxed(&v->sched.cpu);

	/* On its own CPU a running vCPU is between two entries and looks by itself. */
	if (cpu == this_cpu()->id && atomic_load_relaxed(&v->sched.state) == SCHED_RUNNING)
		return;
	sched_wake(&v->sched);
	if (cpu != this_cpu()->id)
		tell(cpu);
}

void vcpu_request(struct vcpu *v, u32 bits)
{
	atomic_or(&v->requests, bits);
	reach(v, cpu_kick);
}

void vcpu_notify(struct vcpu *v)
{
	reach(v, cpu_notify);
}

void vcpu_tpr_changed(struct vcpu *v)
{
	v->vm->ops->set_sys(v->hv, HVM_CR8, v->irq_ops->tpr(v->lapic));
}

void vcpu_init(struct vcpu *v)
{
	atomic_and(&v->requests, ~(u32)(VCPU_REQ_NMI | VCPU_REQ_SIPI));
	vcpu_request(v, VCPU_REQ_INIT);
}

void vcpu_sipi(struct vcpu *v, u8 vector)
{
	atomic_store_relaxed(&v->sipi_vector, vector);
	vcpu_request(v, VCPU_REQ_SIPI);
}

bool vcpu_is_64bit(struct vcpu *v)
{
	return v->vm->ops->code(v->hv).bits == 64;
}

enum exit_result vcpu_exception(struct vcpu *v, u8 vector, bool has_error, u32 error)
{
	struct hvm_event ev = { .vector = vector, .type = HVM_EVENT_EXCEPTION,
				.has_error = has_error, .error = error };

	/* Faults of emulated instructions find the slot free; what does not is a guest that
	 * faults while an event is delivered (APM vol. 2 §8.2.9). */
	if (v->vm->ops->inject(v->hv, &ev)) {
		vm_fail(v->vm, v, "exception %u while another event is being delivered", vector);
		return EXIT_LEAVE;
	}
	v->regs.rflags |= RFLAGS_RF;
	return EXIT_RETRY;
}

enum exit_result vcpu_gp(struct vcpu *v)
{
	return vcpu_exception(v, VECTOR_GP, true, 0);
}

enum exit_result vcpu_ud(struct vcpu *v)
{
	return vcpu_exception(v, VECTOR_UD, false, 0);
}

enum exit_result vcpu_page_fault(struct vcpu *v, u64 linear, u32 error)
{
	v->vm->ops->set_sys(v->hv, HVM_CR2, linear);
	return vcpu_exception(v, VECTOR_PF, true, error);
}

void vcpu_advance_slow(struct vcpu *v, u64 old_rip)
{
	const struct hvm_ops *ops = v->vm->ops;

	v->regs.rflags &= ~RFLAGS_RF;
	ops->shadow_clear(v->hv);
	if ((v->regs.rip ^ old_rip) >> 32 && !vcpu_is_64bit(v))
		v->regs.rip &= 0xffffffff;
	if (v->regs.rflags & RFLAGS_TF) {
		ops->set_sys(v->hv, HVM_DR6, ops->get_sys(v->hv, HVM_DR6) | DR6_BS);
		(void)vcpu_exception(v, VECTOR_DB, false, 0); /* it failed the VM if it could not */
	}
}
