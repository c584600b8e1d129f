/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executes a decoded instruction that has a memory operand. Each handler reads, computes,
 * writes, and only then changes registers, so that a fault leaves nothing half done.
 */
#include "guest/emul/insn_exec.h"

#include "guest/emul/insn_alu.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"

#define RAX 0u
#define RCX 1u
#define RDX 2u
#define RSP 4u
#define RSI 6u
#define RDI 7u

static u64 reg_get(const struct insn_cpu *cpu, unsigned r, unsigned size)
{
	if (r >= INSN_REG_AH)
		return cpu->gpr[r & 3] >> 8 & 0xff;
	return cpu->gpr[r] & size_mask(size);
}

/* A 32-bit result clears the upper half; narrower ones leave the rest of the register. */
static void reg_set(struct insn_cpu *cpu, unsigned r, unsigned size, u64 v)
{
	u64 *reg;

	if (r >= INSN_REG_AH) {
		reg = &cpu->gpr[r & 3];
		*reg = (*reg & ~0xff00ull) | (v & 0xff) << 8;
		return;
	}
	reg = &cpu->gpr[r];
	if (size >= 4)
		*reg = v & size_mask(size);
	else
		*reg = (*reg & ~size_mask(size)) | (v & size_mask(size));
}

static u64 seg_linear(const struct insn *in, const struct insn_env *env, unsigned seg, u64 offset)
{
	if (in->mode != INSN_MODE_64)
		return (env->seg_base(env->ctx, (enum insn_seg)seg) + offset) & 0xffffffff;
	return seg < INSN_SEG_FS ? offset : env->seg_base(env->ctx, (enum insn_seg)seg) + offset;
}

static u64 mem_linear(const struct insn *in, const struct insn_cpu *cpu, const struct insn_env *env)
{
	u64 ea = in->disp;

	if (in->base < 16)
		ea += cpu->gpr[in->base];
	else if (in->base == INSN_REG_RIP)
		ea += cpu->rip + in->len;
	if (in->index < 16)
		ea += cpu->gpr[in->index] << in->scale;
	/* A register bit offset reaches beyond the operand, by whole operands. */
	if (unlikely(in->op >= INSN_BT && in->op <= INSN_BTC) && !(in->flags & INSN_F_IMM)) {
		unsigned bits = in->size * 8u;
		u64 sign = BIT(bits - 1);
		s64 offset = (s64)((reg_get(cpu, in->reg, in->size) ^ sign) - sign);

		ea += (u64)(offset >> (in->size == 2 ? 4 : in->size == 4 ? 5 : 6)) * in->size;
	}
	return seg_linear(in, env, in->seg, ea & size_mask(in->addr_size));
}

/* ---- one memory operand ------------------------------------------------------------- */

static u64 source(const struct insn *in, const struct insn_cpu *cpu)
{
	if (in->flags & INSN_F_IMM)
		return in->imm & size_mask(in->size);
	return in->reg < INSN_REG_NONE ? reg_get(cpu, in->reg, in->size) : 0;
}

static int exec_mov(const struct insn *in, struct insn_cpu *cpu, const struct insn_env *env)
{
	u64 v, linear = mem_linear(in, cpu, env);
	int rc;

	if (!(in->flags & INSN_F_TO_REG)) {
		v = source(in, cpu);
		return env->write(env->ctx, linear, &v, in->size);
	}
	v = 0;
	rc = env->read(env->ctx, linear, &v, in->mem_size);
	if (rc)
		return rc;
	if (in->op == INSN_MOVSX) {
		u64 sign = BIT(in->mem_size * 8u - 1);

		v = (v ^ sign) - sign;
	}
	reg_set(cpu, in->reg, in->size, v);
	return 0;
}

static bool alu_stores(unsigned op)
{
	return op != INSN_CMP && op != INSN_TEST && op != INSN_BT;
}

static int exec_alu(const struct insn *in, struct insn_cpu *cpu, const struct insn_env *env)
{
	u64 linear = mem_linear(in, cpu, env), flags = *cpu->rflags, m = 0, r;
	bool to_reg = in->flags & INSN_F_TO_REG;
	bool store = !to_reg && alu_stores(in->op);
	int rc = store ? env->probe_write(env->ctx, linear, in->size) : 0;

	if (!rc)
		rc = env->read(env->ctx, linear, &m, in->size);
	if (rc)
		return rc;
	if (to_reg)
		r = insn_alu((enum insn_op)in->op, in->size, source(in, cpu), m, &flags);
	else
		r = insn_alu((enum insn_op)in->op, in->size, m, source(in, cpu), &flags);
	if (store) {
		rc = env->write(env->ctx, linear, &r, in->size);
		if (rc)
			return rc;
	} else if (to_reg && alu_stores(in->op)) {
		reg_set(cpu, in->reg, in->size, r);
	}
	*cpu->rflags = flags;
	return 0;
}

/* XCHG, XADD, CMPXCHG: memory is always read and written. */
static int exec_exchange(const struct insn *in, struct insn_cpu *cpu, const struct insn_env *env)
{
	u64 linear = mem_linear(in, cpu, env), flags = *cpu->rflags;
	u64 src = source(in, cpu), old = 0, new = src;
	int rc = env->probe_write(env->ctx, linear, in->size);

	if (!rc)
		rc = env->read(env->ctx, linear, &old, in->size);
	if (rc)
		return rc;
	if (in->op == INSN_XADD) {
		new = insn_alu(INSN_ADD, in->size, old, src, &flags);
	} else if (in->op == INSN_CMPXCHG) {
		(void)insn_alu(INSN_CMP, in->size, cpu->gpr[RAX], old, &flags); /* flags only */
		if (!(flags & RFLAGS_ZF))
			new = old;
	}
	rc = env->write(env->ctx, linear, &new, in->size);
	if (rc)
		return rc;
	if (in->op != INSN_CMPXCHG)
		reg_set(cpu, in->reg, in->size, old);
	else if (!(flags & RFLAGS_ZF))
		reg_set(cpu, RAX, in->size, old);
	*cpu->rflags = flags;
	return 0;
}

/* ---- stack ----------------------------------------------------------------------------- */

static unsigned stack_size(const struct insn *in, const struct insn_cpu *cpu)
{
	return in->mode == INSN_MODE_64 ? 8 : cpu->stack_size;
}

static int exec_push(const struct insn *in, struct insn_cpu *cpu, const struct insn_env *env)
{
	unsigned width = stack_size(in, cpu);
	u64 sp = (cpu->gpr[RSP] - in->size) & size_mask(width), v = 0;
	int rc = env->read(env->ctx, mem_linear(in, cpu, env), &v, in->size);

	if (!rc)
		rc = env->write(env->ctx, seg_linear(in, env, INSN_SEG_SS, sp), &v, in->size);
	if (!rc)
		reg_set(cpu, RSP, width, sp);
	return rc;
}

static int exec_pop(const struct insn *in, struct insn_cpu *cpu, const struct insn_env *env)
{
	unsigned width = stack_size(in, cpu);
	u64 rsp = cpu->gpr[RSP], sp = rsp & size_mask(width), v = 0;
	int rc = env->read(env->ctx, seg_linear(in, env, INSN_SEG_SS, sp), &v, in->size);

	if (rc)
		return rc;
	/* An address based on RSP uses the incremented one. */
	reg_set(cpu, RSP, width, sp + in->size);
	rc = env->write(env->ctx, mem_linear(in, cpu, env), &v, in->size);
	if (rc)
		cpu->gpr[RSP] = rsp;
	return rc;
}

/* ---- strings ----------------------------------------------------------------------------- */

/* Linear address of the element at RSI or RDI. */
static u64 element(const struct insn *in, const struct insn_cpu *cpu, const struct insn_env *env,
		   unsigned reg)
{
	return seg_linear(in, env, reg == RDI ? INSN_SEG_ES : in->seg,
	                  reg_get(cpu, reg, in->addr_size));
}

static int step_ins(const struct insn *in, struct insn_cpu *cpu, const struct insn_env *env)
{
	u64 linear = element(in, cpu, env, RDI);
	u32 v = 0;
	int rc = env->probe_write(env->ctx, linear, in->size);

	if (!rc)
		rc = env->port_in(env->ctx, (u16)cpu->gpr[RDX], &v, in->size);
	return rc ? rc : env->write(env->ctx, linear, &v, in->size);
}

static int step(const struct insn *in, struct insn_cpu *cpu, const struct insn_env *env)
{
	u64 v = 0;
	int rc;

	if (in->op == INSN_INS)
		return step_ins(in, cpu, env);
	if (in->op == INSN_STOS) {
		v = cpu->gpr[RAX];
	} else {
		rc = env->read(env->ctx, element(in, cpu, env, RSI), &v, in->size);
		if (rc)
			return rc;
	}
	if (in->op == INSN_OUTS)
		return env->port_out(env->ctx, (u16)cpu->gpr[RDX], (u32)v, in->size);
	if (in->op == INSN_LODS) {
		reg_set(cpu, RAX, in->size, v);
		return 0;
	}
	return env->write(env->ctx, element(in, cpu, env, RDI), &v, in->size);
}

/* The index registers go to the next element. */
static void next_element(const struct insn *in, struct insn_cpu *cpu)
{
	u64 delta = *cpu->rflags & RFLAGS_DF ? 0ull - in->size : in->size;

	if (in->op != INSN_STOS && in->op != INSN_INS)
		reg_set(cpu, RSI, in->addr_size, cpu->gpr[RSI] + delta);
	if (in->op != INSN_LODS && in->op != INSN_OUTS)
		reg_set(cpu, RDI, in->addr_size, cpu->gpr[RDI] + delta);
}

static int exec_string(const struct insn *in, struct insn_cpu *cpu, const struct insn_env *env)
{
	bool rep = in->flags & (INSN_F_REP | INSN_F_REPNE);
	u64 count = rep ? reg_get(cpu, RCX, in->addr_size) : 1;

	if ((in->op == INSN_INS && !env->port_in) || (in->op == INSN_OUTS && !env->port_out))
		return -ENOTSUP;
	for (unsigned i = 0; count && i < INSN_REP_MAX; i++) {
		int rc = step(in, cpu, env);

		if (rc)
			return rc;
		count--;
		next_element(in, cpu);
		if (rep)
			reg_set(cpu, RCX, in->addr_size, count);
	}
	return count ? INSN_AGAIN : 0;
}

/* ---- public ------------------------------------------------------------------------------ */

static bool reads_operand(const struct insn *in)
{
	if (in->op == INSN_MOV)
		return in->flags & INSN_F_TO_REG;
	return in->op != INSN_STOS && in->op != INSN_INS && in->op != INSN_POP &&
	       in->op != INSN_SMSW && in->mem_size != 0;
}

static bool writes_operand(const struct insn *in)
{
	if (in->op == INSN_POP || in->op == INSN_STOS || in->op == INSN_INS || in->op == INSN_SMSW)
		return true;
	if (in->op > INSN_MOV || in->op == INSN_OTHER || (in->flags & INSN_F_TO_REG))
		return false;
	return alu_stores(in->op);
}

int insn_linear(const struct insn *in, const struct insn_cpu *cpu, const struct insn_env *env,
		struct insn_access *out)
{
	struct insn_cpu view = *cpu;
	u64 popped[16];

	if (!(in->flags & INSN_F_MEM))
		return -EINVAL;
	if (in->op == INSN_POP && (in->base == RSP)) {
		unsigned width = stack_size(in, cpu);

		__builtin_memcpy(popped, cpu->gpr, sizeof(popped));
		view.gpr = popped;
		reg_set(&view, RSP, width, popped[RSP] + in->size);
	}
	out->linear = mem_linear(in, &view, env);
	out->size = in->mem_size;
	out->read = reads_operand(in);
	out->write = writes_operand(in);
	return 0;
}

int insn_exec(const struct insn *in, struct insn_cpu *cpu, const struct insn_env *env)
{
	if (unlikely(!(in->flags & INSN_F_MEM)))
		return -ENOTSUP;
	if (likely(in->op >= INSN_MOV && in->op <= INSN_MOVSX))
		return exec_mov(in, cpu, env);
	if (in->op >= INSN_ADD && in->op <= INSN_BTC)
		return exec_alu(in, cpu, env);
	if (in->op >= INSN_XCHG && in->op <= INSN_CMPXCHG)
		return exec_exchange(in, cpu, env);
	if (in->op >= INSN_MOVS && in->op <= INSN_OUTS)
		return exec_string(in, cpu, env);
	if (in->op == INSN_PUSH)
		return exec_push(in, cpu, env);
	if (in->op == INSN_POP)
		return exec_pop(in, cpu, env);
	return -ENOTSUP;
}
