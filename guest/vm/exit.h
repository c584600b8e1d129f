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

enum exit_result exit_io(struct vcpu *v);
enum exit_result exit_mem(struct vcpu *v);
enum exit_result exit_cpuid(struct vcpu *v);
enum exit_result exit_rdmsr(struct vcpu *v);
enum exit_result exit_wrmsr(struct vcpu *v);
enum exit_result exit_cr(struct vcpu *v);
enum exit_result exit_xsetbv(struct vcpu *v);
enum exit_result exit_hypercall(struct vcpu *v);

/** vcpu_gp() - the guest owes itself #GP(0) at the present instruction. */
enum exit_result vcpu_gp(struct vcpu *v);
/** vcpu_ud() - #UD at the present instruction. */
enum exit_result vcpu_ud(struct vcpu *v);
/** vcpu_exception() - any exception; one that comes on top of a queued one becomes #DF. */
enum exit_result vcpu_exception(struct vcpu *v, u8 vector, bool has_error, u32 error);
/** vcpu_page_fault() - #PF at linear address. */
enum exit_result vcpu_page_fault(struct vcpu *v, u64 linear, u32 error);

/** vcpu_advance() - the instruction of len bytes at RIP is done: next RIP, shadow, single step. */
void vcpu_advance(struct vcpu *v, unsigned len);

/** vcpu_paging() - the state that guest_walk() needs, for data accesses at the present CPL. */
struct guest_paging;
void vcpu_paging(struct vcpu *v, struct guest_paging *p);

/** vcpu_code() - bytes of code at RIP that lie in one page; *n of them, at least 1. NULL: see fetch.
 * The bytes are guest memory: copy before judging them twice. */
const u8 *vcpu_code(struct vcpu *v, unsigned *n);

/**
 * vcpu_fetch() - copy up to 15 code bytes at RIP. *n = how many could be read.
 * Returns 0, -EFAULT (a #PF was queued for the guest), -EIO (code outside RAM).
 */
int MUST_CHECK vcpu_fetch(struct vcpu *v, u8 *buf, unsigned *n);

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

struct insn;
/**
 * vcpu_decode() - fetch and decode the instruction at RIP. 0; -EFAULT: a fault was queued for
 * the guest, enter it again; -EIO: the VM was failed.
 */
int MUST_CHECK vcpu_decode(struct vcpu *v, struct insn *in);

/**
 * vcpu_skip() - advance over the instruction that exited; its usual encoding, without prefixes,
 * is the n (1 to 3) bytes of op, lowest byte first. False: could not, a fault is queued or the
 * VM was failed.
 */
bool vcpu_skip(struct vcpu *v, u32 op, unsigned n);

/** kvmclock_write() - the guest set MSR_KVM_SYSTEM_TIME(_NEW): fill its page. */
void kvmclock_write(struct vcpu *v);
/** kvmclock_wall_write() - the guest set MSR_KVM_WALL_CLOCK(_NEW). */
void kvmclock_wall_write(struct vcpu *v, gpa_t gpa);

#endif
