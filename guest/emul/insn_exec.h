/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executes a decoded instruction that has a memory operand, through callbacks. Pure.
 */
#ifndef GUEST_EMUL_INSN_EXEC_H
#define GUEST_EMUL_INSN_EXEC_H

#include "guest/emul/insn.h"

/* Elements of a repeated string instruction that one call handles. */
#define INSN_REP_MAX 64u

/* insn_exec() has more elements to do: call again, or enter the guest at the same RIP. */
#define INSN_AGAIN 1

/* The registers of the CPU that executes, as they are before the instruction. */
struct insn_cpu {
	u64 *gpr;	/* [16], by their encoding */
	u64 *rflags;
	u64 rip;	/* of this instruction */
	u8 stack_size;	/* bytes of the stack pointer outside 64-bit code: 4 when SS.B, else 2 */
};

/*
 * What the instruction may touch. Each returns 0 or -E…, which insn_exec() hands on; when a
 * callback queued a fault for the guest, that is one of these. An access may cross a page:
 * splitting it is the callback's business. Segment limits were checked by the CPU.
 */
struct insn_env {
	void *ctx;
	/* Base of a segment; in 64-bit code asked for FS and GS only. */
	u64 (*seg_base)(void *ctx, enum insn_seg seg);
	int (*read)(void *ctx, u64 linear, void *buf, unsigned size) MUST_CHECK;
	int (*write)(void *ctx, u64 linear, const void *buf, unsigned size) MUST_CHECK;
	/*
	 * Would write() be allowed? Asked before a read whose side effect must not happen
	 * when the write that follows faults (read-modify-write, INS).
	 */
	int (*probe_write)(void *ctx, u64 linear, unsigned size) MUST_CHECK;
	/* For INS and OUTS: 1, 2 or 4 bytes. NULL: these return -ENOTSUP. */
	int (*port_in)(void *ctx, u16 port, u32 *value, unsigned size) MUST_CHECK;
	int (*port_out)(void *ctx, u16 port, u32 value, unsigned size) MUST_CHECK;
};

/* A memory operand: where, how wide, and what the instruction does with it. */
struct insn_access {
	u64 linear;
	u8 size; /* bytes; 0 for INVLPG and descriptor-table instructions */
	bool write;
	bool read;
};

/**
 * insn_linear() - the memory operand of any instruction that has INSN_F_MEM.
 * For MOVS it is the source; POP with an RSP base counts with the RSP after the pop.
 * Returns 0; -EINVAL: no memory operand. Context: any.
 */
int MUST_CHECK insn_linear(const struct insn *in, const struct insn_cpu *cpu,
			   const struct insn_env *env, struct insn_access *out);

/**
 * insn_exec() - execute an instruction with a memory operand (docs/decoder.md lists them).
 * General registers and RFLAGS change only after its accesses succeeded, a repeated string
 * instruction element by element; RIP is the caller's to advance by in->len.
 * LOCK adds nothing here: accesses are atomic only as far as the callbacks make them.
 * Returns 0 when done; INSN_AGAIN; -ENOTSUP: not a form this file executes;
 * else what the failing callback returned. Context: that of the callbacks.
 */
int MUST_CHECK insn_exec(const struct insn *in, struct insn_cpu *cpu, const struct insn_env *env);

#endif
