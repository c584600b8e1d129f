/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the vCPU loop and the exit handlers: one handler an exit code, each says how to go on.
 */
#ifndef GUEST_VM_EXIT_H
#define GUEST_VM_EXIT_H

#include "guest/vm/vcpu.h"

enum exit_result {
	EXIT_RETRY, /* enter again at the same RIP, or RIP is already set */
	EXIT_BLOCK, /* nothing to do until a request comes */
	EXIT_LEAVE, /* the vCPU is stopped, or its VM wants something of control */
};

typedef enum exit_result (*exit_handler)(struct vcpu *v);

/* Handlers, one for each kind of exit: v->exit says what the guest did. */
enum exit_result exit_io(struct vcpu *v);
enum exit_result exit_mem(struct vcpu *v);
enum exit_result exit_cpuid(struct vcpu *v);
enum exit_result exit_rdmsr(struct vcpu *v);
enum exit_result exit_wrmsr(struct vcpu *v);
enum exit_result exit_cr(struct vcpu *v);
enum exit_result exit_xsetbv(struct vcpu *v);
enum exit_result exit_hypercall(struct vcpu *v);

/** vcpu_take_written() - after an exit, while writes are logged: what the CPU itself logged. */
void vcpu_take_written(struct vcpu *v);
/** vcpu_gp() - the guest owes itself #GP(0) at the present instruction. */
enum exit_result vcpu_gp(struct vcpu *v);
/** vcpu_ud() - #UD at the present instruction. */
enum exit_result vcpu_ud(struct vcpu *v);
/** vcpu_exception() - any exception; one that comes on top of a queued one becomes #DF. */
enum exit_result vcpu_exception(struct vcpu *v, u8 vector, bool has_error, u32 error);
/** vcpu_page_fault() - #PF at linear address. */
enum exit_result vcpu_page_fault(struct vcpu *v, u64 linear, u32 error);

/* What vcpu_advance() leaves to do: shadow, flags, single step, 32-bit wrap. */
void vcpu_advance_slow(struct vcpu *v, u64 old_rip);

#define VCPU_RFLAGS_TF_RF (BIT(8) | BIT(16))

/** vcpu_advance() - the instruction of len bytes at RIP is done: next RIP, shadow, single step. */
static inline void vcpu_advance(struct vcpu *v, unsigned len)
{
	u64 old = v->regs.rip, rip = old + len;

	v->regs.rip = rip;
	if (unlikely((v->regs.rflags & VCPU_RFLAGS_TF_RF) || v->exit.shadow || (rip ^ old) >> 32))
		vcpu_advance_slow(v, old);
}

/** vcpu_paging() - the state that guest_walk() needs, for data accesses at the present CPL. */
struct guest_paging;
void vcpu_paging(struct vcpu *v, struct guest_paging *p);

/* Up to 16 code bytes at RIP, read without any effect on the guest. */
struct guest_code {
	u32 n;
	u8 byte[16];
};

/** vcpu_peek_code() - for dumps: false when RIP cannot be translated or is not RAM. */
bool vcpu_peek_code(struct vcpu *v, struct guest_code *out);

/** vcpu_fetch_flush() - forget cached walks: paging mode or memory map changed. */
void vcpu_fetch_flush(struct vcpu *v);

/** vcpu_is_64bit() - executing 64-bit code (long mode and CS.L)? */
bool vcpu_is_64bit(struct vcpu *v);

/**
 * vcpu_decode() - fetch and decode the instruction at RIP. The record is good until the next
 * vcpu_decode() or vcpu_skip() of this vCPU. NULL: a fault was queued for the guest, or the
 * VM was failed: enter again, or leave.
 */
const struct insn *vcpu_decode(struct vcpu *v);

/** vcpu_skip_op() - vcpu_skip() where only the bits of mask say which instruction it was. */
bool vcpu_skip_op(struct vcpu *v, u32 op, u32 mask, unsigned n);

/**
 * vcpu_skip() - advance over the instruction that exited; its usual encoding, without prefixes,
 * is the n (1 to 3) bytes of op, lowest byte first. False: could not, a fault is queued or the
 * VM was failed.
 */
static inline bool vcpu_skip(struct vcpu *v, u32 op, unsigned n)
{
	return vcpu_skip_op(v, op, (u32)size_mask(n), n);
}

/** kvmclock_write() - the guest set MSR_KVM_SYSTEM_TIME(_NEW): fill its page. */
void kvmclock_write(struct vcpu *v);
/** kvmclock_read() - what the page of v tells the guest, in ns, when the VM's clock is at
 * vm_ticks; without a page the VM's clock. Control context. */
u64 kvmclock_read(struct vcpu *v, u64 vm_ticks);
/** kvmclock_wall_write() - the guest set MSR_KVM_WALL_CLOCK(_NEW). */
void kvmclock_wall_write(struct vcpu *v, gpa_t gpa);

#endif
