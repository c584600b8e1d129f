/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual CPU: state machine, registers, pending requests.
 */
#ifndef GUEST_VM_VCPU_H
#define GUEST_VM_VCPU_H

#include "arch/hvm.h"
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

/* Cached walk of the guest's page tables for the page that holds RIP, verified on each use. */
struct fetch_cache {
	u64 cr3;
	u64 page;	    /* linear page number, ~0 = empty */
	const u8 *code;	    /* host address of the code page */
	const u64 *pte[5];  /* entries the walk read */
	u64 val[5];	    /* and what they held, accessed and dirty bits masked */
	u32 levels;
};

#define FETCH_CACHE_SLOTS 16

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
	u64 kvmclock_msr;	/* guest's MSR_KVM_SYSTEM_TIME_NEW */
	u32 kvmclock_version;
	u64 msr_misc[8];	/* MSRs that only store: guest/vm/exit_msr.c names them */
	u64 exits[HVM_EXIT_CODES];
	struct fetch_cache fetch[FETCH_CACHE_SLOTS];
};

/**
 * vcpu_request() - post VCPU_REQ_* bits and make the vCPU notice: wakes it from HLT,
 * or kicks the CPU it runs on. Context: any, no lock needed.
 */
void vcpu_request(struct vcpu *v, u32 bits);

/** vcpu_sipi() - post a startup IPI; ignored unless the vCPU waits for one. */
void vcpu_sipi(struct vcpu *v, u8 vector);

#endif
