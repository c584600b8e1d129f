/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vCPU loop: serve requests, deliver interrupts, enter the guest, dispatch the exit.
 * Runs on one CPU at a time with interrupts on and no lock held between exits.
 */
#include "guest/mem/gmem.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/core/percpu.h"
#include "kernel/core/trace.h"

#define RFLAGS_IF BIT(9)

#define VECTOR_NMI 2
#define VECTOR_DB  1
#define VECTOR_AC  17

static enum exit_result exit_host(struct vcpu *v)
{
	(void)v; /* the kick is seen at the top of the loop */
	return EXIT_RETRY;
}

static enum exit_result exit_hlt(struct vcpu *v)
{
	if (vcpu_skip(v, 0xf4, 1)) {
		v->state = VCPU_HALTED;
		v->halts++;
	}
	return EXIT_RETRY;
}

static enum exit_result exit_pause(struct vcpu *v)
{
	(void)vcpu_skip(v, 0x90f3, 2); /* a failure queued its fault already */
	return EXIT_RETRY;
}

/* Memory is write-back and coherent, so there is nothing to write back. */
static enum exit_result exit_wbinvd(struct vcpu *v)
{
	(void)vcpu_skip(v, 0x090f, 2); /* a failure queued its fault already */
	return EXIT_RETRY;
}

static enum exit_result exit_ud(struct vcpu *v)
{
	return vcpu_ud(v);
}

static enum exit_result exit_rdpmc(struct vcpu *v)
{
	return vcpu_gp(v); /* the policy offers no counters */
}

/* Windows are one-shot: the loop asks again while it still has something to deliver. */
static enum exit_result exit_irq_window(struct vcpu *v)
{
	v->vm->ops->irq_window(v->hv, false);
	v->irq_window = false;
	return EXIT_RETRY;
}

static enum exit_result exit_nmi_window(struct vcpu *v)
{
	v->vm->ops->nmi_window(v->hv, false);
	v->nmi_window = false;
	return EXIT_RETRY;
}

/* #AC and #DB are intercepted so that their endless delivery stays interruptible: hand on. */
static enum exit_result exit_exception(struct vcpu *v)
{
	const struct hvm_exit *x = &v->exit;

	if (x->u.exception.vector != VECTOR_DB && x->u.exception.vector != VECTOR_AC) {
		vm_fail(v->vm, v, "unexpected intercepted exception %u", x->u.exception.vector);
		return EXIT_LEAVE;
	}
	if (x->u.exception.vector == VECTOR_DB)
		v->vm->ops->set_sys(v->hv, HVM_DR6,
				    v->vm->ops->get_sys(v->hv, HVM_DR6) | x->u.exception.address);
	return vcpu_exception(v, x->u.exception.vector, x->u.exception.has_error,
			      x->u.exception.error);
}

static enum exit_result exit_eoi(struct vcpu *v)
{
	v->irq_ops->eoi(v->lapic, v->exit.u.eoi);
	return EXIT_RETRY;
}

static enum exit_result exit_task_switch(struct vcpu *v)
{
	vm_fail(v->vm, v, "hardware task switch, which no supported guest uses");
	return EXIT_LEAVE;
}

static enum exit_result exit_shutdown(struct vcpu *v)
{
	vm_fail(v->vm, v, "triple fault");
	return EXIT_LEAVE;
}

static enum exit_result exit_entry_fail(struct vcpu *v)
{
	vm_fail(v->vm, v, "the CPU refused the guest state");
	return EXIT_LEAVE;
}

static enum exit_result exit_unknown(struct vcpu *v)
{
	vm_fail(v->vm, v, "unknown exit");
	return EXIT_LEAVE;
}

static const exit_handler handlers[HVM_EXIT_CODES] = {
	[HVM_EXIT_HOST] = exit_host,
	[HVM_EXIT_IO] = exit_io,
	[HVM_EXIT_MEM] = exit_mem,
	[HVM_EXIT_CPUID] = exit_cpuid,
	[HVM_EXIT_RDMSR] = exit_rdmsr,
	[HVM_EXIT_WRMSR] = exit_wrmsr,
	[HVM_EXIT_CR] = exit_cr,
	[HVM_EXIT_HLT] = exit_hlt,
	[HVM_EXIT_PAUSE] = exit_pause,
	[HVM_EXIT_HYPERCALL] = exit_hypercall,
	[HVM_EXIT_XSETBV] = exit_xsetbv,
	[HVM_EXIT_WBINVD] = exit_wbinvd,
	[HVM_EXIT_RDPMC] = exit_rdpmc,
	[HVM_EXIT_UD] = exit_ud,
	[HVM_EXIT_EXCEPTION] = exit_exception,
	[HVM_EXIT_IRQ_WINDOW] = exit_irq_window,
	[HVM_EXIT_NMI_WINDOW] = exit_nmi_window,
	[HVM_EXIT_EOI] = exit_eoi,
	[HVM_EXIT_TASK_SWITCH] = exit_task_switch,
	[HVM_EXIT_SHUTDOWN] = exit_shutdown,
	[HVM_EXIT_ENTRY_FAIL] = exit_entry_fail,
	[HVM_EXIT_UNKNOWN] = exit_unknown,
};

static void init_request(struct vcpu *v)
{
	/* INIT takes the boot CPU to the reset vector, where a machine without firmware has
	 * nothing to run: the machine starts anew. */
	if (v->id == 0) {
		vm_request_reset(v->vm, "INIT to the boot CPU");
		return;
	}
	v->vm->ops->vcpu_reset(v->hv, &v->regs);
	v->irq_ops->reset(v->lapic, true);
	v->msr.kvm_pv_eoi = 0;
	v->state = VCPU_WAIT_SIPI;
	v->nmi_pending = false;
	vcpu_fetch_flush(v);
}

/* SDM vol. 3 §9.4.4.2: a startup IPI outside wait-for-SIPI is ignored. */
static void sipi_request(struct vcpu *v)
{
	u32 vector = atomic_load_relaxed(&v->sipi_vector);
	struct hvm_segment cs;

	if (v->state != VCPU_WAIT_SIPI)
		return;
	v->vm->ops->get_seg(v->hv, HVM_CS, &cs);
	cs.sel = (u16)(vector << 8);
	cs.base = vector << 12;
	v->vm->ops->set_seg(v->hv, HVM_CS, &cs);
	v->regs.rip = 0;
	v->state = VCPU_RUN;
}

/* Who an event of the trace is about. */
static u32 vcpu_trace_id(const struct vcpu *v)
{
	return v->vm->index << 8 | v->id;
}

static void serve_requests(struct vcpu *v)
{
	u32 req = atomic_swap(&v->requests, 0);

	if (req & VCPU_REQ_INIT)
		init_request(v);
	if (req & VCPU_REQ_SIPI)
		sipi_request(v);
	if (req & VCPU_REQ_NMI)
		v->nmi_pending = true;
	if (req & VCPU_REQ_FLUSH)
		v->vm->ops->tlb_flush(v->hv);
}

/* Halted: does anything end the halt? APM vol. 3 HLT. */
static bool wakes_up(struct vcpu *v)
{
	if (v->state == VCPU_HALTED && (v->nmi_pending || ((v->regs.rflags & RFLAGS_IF) &&
							   v->irq_ops->wakes(v->lapic))))
		v->state = VCPU_RUN;
	return v->state == VCPU_RUN;
}

static void deliver_nmi(struct vcpu *v, const struct hvm_ops *ops)
{
	const struct hvm_event nmi = { .vector = VECTOR_NMI, .type = HVM_EVENT_NMI };

	if (!ops->event_queued(v->hv) && ops->nmi_ready(v->hv) && ops->inject(v->hv, &nmi) == 0) {
		v->nmi_pending = false;
	} else if (!v->nmi_window) {
		ops->nmi_window(v->hv, true);
		v->nmi_window = true;
	}
}

/*
 * KVM's paravirtual EOI: while a word in the guest's memory is 1 the guest ends its interrupt by
 * writing 0 there. Not when anything waits for that end: then it has to tell us.
 */
#define PV_EOI_ENABLE BIT(0)

static void offer_eoi(struct vcpu *v, u8 vector)
{
	const u32 word = 1;

	if ((v->msr.kvm_pv_eoi & PV_EOI_ENABLE) && v->irq_ops->eoi_silent(v->lapic, vector))
		v->eoi_offered = gmem_write(&v->vm->mem, v->msr.kvm_pv_eoi & ~PV_EOI_ENABLE, &word,
					    sizeof(word)) == 0;
}

static void take_eoi(struct vcpu *v)
{
	gpa_t gpa = v->msr.kvm_pv_eoi & ~PV_EOI_ENABLE;
	const u32 none = 0;
	u32 word = 1;

	v->eoi_offered = false;
	if (!gmem_read(&v->vm->mem, gpa, &word, sizeof(word)) && !(word & 1))
		v->irq_ops->end(v->lapic);
	else if (gmem_write(&v->vm->mem, gpa, &none, sizeof(none)))
		v->msr.kvm_pv_eoi = 0; /* the word was there: RAM does not go away */
}

static void deliver_interrupt(struct vcpu *v, const struct hvm_ops *ops, int vector)
{
	struct hvm_event ev = { .type = HVM_EVENT_INTR };

	while (unlikely(vector == IRQCHIP_UPDATE)) {
		ops->apic_update(v->hv, v->irq_ops->direct(v->lapic));
		vector = v->irq_ops->pending(v->lapic);
	}
	if (vector < 0)
		return;
	if (ops->irq_ready(v->hv, &v->regs)) {
		ev.vector = v->irq_ops->ack(v->lapic);
		trace(TRACE_INJECT, vcpu_trace_id(v), ev.vector, v->regs.rip);
		if (ops->inject(v->hv, &ev))
			vm_fail(v->vm, v, "interrupt %u could not be queued", ev.vector);
		offer_eoi(v, ev.vector);
	} else if (!v->irq_window) {
		ops->irq_window(v->hv, true);
		v->irq_window = true;
	}
}

/* Make v this CPU's loaded vCPU. */
static void load(struct pcpu *cpu, struct vcpu *v)
{
	if (cpu->loaded_vcpu == v->hv)
		return;
	v->vm->ops->vcpu_load(v->hv);
	cpu->loaded_vcpu = v->hv;
}

/* Another CPU may run the vCPU next: its state must not stay in this CPU's registers. */
void vcpu_leave(struct sched_entity *e)
{
	struct vcpu *v = container_of(e, struct vcpu, sched);
	struct pcpu *cpu = this_cpu();

	if (cpu->loaded_vcpu == v->hv) {
		v->vm->ops->vcpu_put(v->hv);
		cpu->loaded_vcpu = NULL;
	}
}

HOT enum sched_result vcpu_run(struct sched_entity *e)
{
	struct vcpu *v = container_of(e, struct vcpu, sched);
	const struct hvm_ops *ops = v->vm->ops;
	struct pcpu *cpu = this_cpu();
	int vector;

	load(cpu, v);
	for (;;) {
		if (unlikely(atomic_load_relaxed(&v->requests)))
			serve_requests(v);
		if (unlikely(atomic_load_relaxed(&cpu->kick)))
			return SCHED_YIELD;
		if (unlikely(v->state != VCPU_RUN) && !wakes_up(v))
			return SCHED_BLOCK;
		if (unlikely(v->nmi_pending))
			deliver_nmi(v, ops);
		vector = v->irq_ops->pending(v->lapic);
		if (unlikely(vector != -1))
			deliver_interrupt(v, ops, vector);
		ops->run(v->hv, &v->regs, &cpu->kick, &v->exit);
		v->exits[v->exit.code]++;
		if (unlikely(atomic_load_relaxed(&v->vm->mem.dirty)))
			vcpu_take_written(v);
		if (v->eoi_offered)
			take_eoi(v);
		trace(TRACE_EXIT, vcpu_trace_id(v), v->exit.code, v->regs.rip);
		if (unlikely(handlers[v->exit.code](v) != EXIT_RETRY))
			return SCHED_BLOCK;
	}
}
