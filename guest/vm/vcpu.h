/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual CPU: state machine, registers, pending requests.
 */
#ifndef GUEST_VM_VCPU_H
#define GUEST_VM_VCPU_H

#include "arch/hvm.h"
#include "guest/emul/insn.h"
#include "guest/vm/cpu_state.h"
#include "guest/vm/irqchip.h"
#include "kernel/core/sched.h"

struct vm;

/*
 *   WAIT_SIPI --SIPI--> RUN <--> HALTED        INIT: any of these -> WAIT_SIPI (BSP: RUN at reset)
 *   any --vm_pause--> the same state, entity parked in the scheduler
 *   any --guest did what stops a VM--> STOPPED
 */
enum vcpu_state { VCPU_WAIT_SIPI, VCPU_RUN, VCPU_HALTED, VCPU_STOPPED };

/* Requests, set by anyone (atomically), served by the vCPU's own loop before entry. */
#define VCPU_REQ_IRQ   BIT(0) /* the interrupt controller may have something new */
#define VCPU_REQ_NMI   BIT(1)
#define VCPU_REQ_INIT  BIT(2)
#define VCPU_REQ_SIPI  BIT(3)
#define VCPU_REQ_FLUSH BIT(4) /* second-stage table changed: flush guest TLB */

#define FETCH_CACHE_LEVELS 4

/* Cached walk of the guest's page tables for the page that holds RIP, verified on each use. */
struct fetch_cache {
	u64 cr3;
	u64 page;	    /* linear page number, ~0 = empty */
	const u8 *code;	    /* host address of the code page */
	const u64 *pte[FETCH_CACHE_LEVELS]; /* entries the walk read */
	u64 val[FETCH_CACHE_LEVELS];	    /* and what they held */
};

/* Decoded instructions, by the bytes and the mode they were made of, so never stale. */
struct decode_cache {
	u64 byte[2];
	u64 mask[2]; /* the bytes that belong to the instruction */
	struct insn insn;
	u32 bits; /* as in struct hvm_code; 0 = empty */
};

#define FETCH_CACHE_SLOTS  16
#define DECODE_CACHE_SLOTS 16

struct vcpu {
	struct hvm_regs regs;
	struct hvm_exit exit;
	struct sched_entity sched;
	struct vm *vm;
	struct hvm_vcpu *hv;
	const struct irqchip_ops *irq_ops;
	void *lapic;
	u32 id;			/* index in the VM, also the initial APIC ID */
	u32 state;		/* enum vcpu_state; written by its own loop, or when parked */
	u32 requests;		/* VCPU_REQ_*, atomic */
	u32 sipi_vector;
	bool irq_window;	/* requested from the backend */
	bool nmi_window;
	bool nmi_pending;
	bool eoi_offered;	/* the guest may end its interrupt in memory */
	u32 kvmclock_version;
	struct vcpu_msrs msr;
	u64 exits[HVM_EXIT_CODES];
	u64 halts;
	u64 odd_exit; /* exits[] of its code at the latest instruction that was not emulated */
	u32 odd_exits; /* and how many came one after the other */
	struct fetch_cache fetch[FETCH_CACHE_SLOTS];
	struct decode_cache decode[DECODE_CACHE_SLOTS];
};

/**
 * vcpu_request() - post VCPU_REQ_* bits and make the vCPU notice: wakes it from HLT,
 * or kicks the CPU it runs on. Context: any, no lock needed.
 */
void vcpu_request(struct vcpu *v, u32 bits);

/**
 * vcpu_notify() - vectors were posted where the CPU itself looks (hvm_ops.apic_posted): as
 * vcpu_request(), but one that runs the guest goes on. Context: any, no lock needed.
 */
void vcpu_notify(struct vcpu *v);

/** vcpu_tsc() - what RDTSC gives the guest now. */
u64 vcpu_tsc(const struct vcpu *v);

/** vcpu_tsc_to_host() - host TSC at which the guest's TSC will read 'guest'. */
u64 vcpu_tsc_to_host(const struct vcpu *v, u64 guest);

/**
 * vcpu_create() - vCPU 'id' of vm, parked, in reset state; vm->hvm exists. 0 or -ENOMEM, -EINVAL
 * (no CPU its pin allows). vcpu_destroy() - parked; NULL is allowed.
 */
int MUST_CHECK vcpu_create(struct vm *vm, u32 id);
void vcpu_destroy(struct vcpu *v);

/** vcpu_reset() - RESET: the boot CPU will run from vcpu_start_at(), the others wait for SIPI. */
void vcpu_reset(struct vcpu *v);

/** vcpu_run(), vcpu_leave() - the scheduler's callbacks (guest/vm/run.c). */
enum sched_result vcpu_run(struct sched_entity *e);
void vcpu_leave(struct sched_entity *e);

/** vcpu_tpr_changed() - on its own CPU: the local APIC's task priority may have been written. */
void vcpu_tpr_changed(struct vcpu *v);

/** vcpu_init() - post an INIT: what came before it and is not served yet is lost, as in a CPU. */
void vcpu_init(struct vcpu *v);

/** vcpu_sipi() - post a startup IPI; ignored unless the vCPU waits for one. */
void vcpu_sipi(struct vcpu *v, u8 vector);

#endif
