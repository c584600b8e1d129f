/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Glue between the pure executor and a live vCPU.
 */
#include "guest/vm/exec.h"

#include "guest/emul/insn.h"
#include "guest/emul/insn_exec.h"
#include "guest/vm/access.h"
#include "guest/vm/vm.h"
#include "kernel/base/err.h"

#define ATTR_D BIT(10)

#define ODD_EXITS_MAX 32u

static u64 seg_base(void *ctx, enum insn_seg seg)
{
	static const u8 map[] = { [INSN_SEG_ES] = HVM_ES, [INSN_SEG_CS] = HVM_CS,
				  [INSN_SEG_SS] = HVM_SS, [INSN_SEG_DS] = HVM_DS,
				  [INSN_SEG_FS] = HVM_FS, [INSN_SEG_GS] = HVM_GS };
	struct vcpu *v = ctx;
	struct hvm_segment s;

	v->vm->ops->get_seg(v->hv, (enum hvm_seg)map[seg], &s);
	return s.base;
}

static int mem_read(void *ctx, u64 linear, void *buf, unsigned size)
{
	return access_linear(ctx, linear, buf, size, false);
}

static int mem_write(void *ctx, u64 linear, const void *buf, unsigned size)
{
	u64 copy = 0;

	__builtin_memcpy(&copy, buf, size <= sizeof(copy) ? size : sizeof(copy));
	return access_linear(ctx, linear, &copy, size, true);
}

static int mem_probe(void *ctx, u64 linear, unsigned size)
{
	return access_probe_write(ctx, linear, size);
}

static int port_in(void *ctx, u16 port, u32 *value, unsigned size)
{
	u64 v;

	access_port(ctx, port, size, false, &v);
	*value = (u32)v;
	return 0;
}

static int port_out(void *ctx, u16 port, u32 value, unsigned size)
{
	u64 v = value;

	access_port(ctx, port, size, true, &v);
	return 0;
}

/*
 * Either the guest reaches a device with an instruction that is not emulated, or another vCPU
 * has put it where the one was that did: then the CPU executes the new one. Which of the two
 * shows when it happens time and again.
 */
static NOINLINE enum exit_result odd_instruction(struct vcpu *v)
{
	u64 n = v->exits[v->exit.code];

	if (n - v->odd_exit != 1)
		v->odd_exits = 0;
	v->odd_exit = n;
	if (++v->odd_exits < ODD_EXITS_MAX)
		return EXIT_RETRY;
	vm_fail(v->vm, v, "an instruction that Godwit does not emulate reached a device");
	return EXIT_LEAVE;
}

enum exit_result exec_insn(struct vcpu *v, const struct insn *in)
{
	const struct insn_env env = { .ctx = v, .seg_base = seg_base, .read = mem_read,
				      .write = mem_write, .probe_write = mem_probe,
				      .port_in = port_in, .port_out = port_out };
	struct insn_cpu cpu = { .gpr = v->regs.gpr, .rflags = &v->regs.rflags, .rip = v->regs.rip };
	struct hvm_segment ss;
	int rc;

	v->vm->ops->get_seg(v->hv, HVM_SS, &ss);
	cpu.stack_size = ss.attr & ATTR_D ? 4 : 2;
	rc = insn_exec(in, &cpu, &env);
	if (rc == 0)
		vcpu_advance(v, in->len);
	else if (rc == -ENOTSUP)
		return odd_instruction(v);
	else if (rc == INSN_AGAIN)
		v->vm->ops->shadow_clear(v->hv); /* interrupts come between repetitions */
	/* INSN_AGAIN: the guest enters at the same RIP, so that requests are served between;
	 * any other code: a fault was queued, or the VM failed. */
	return EXIT_RETRY;
}

enum exit_result exec_current(struct vcpu *v)
{
	const struct insn *in = vcpu_decode(v);

	return in ? exec_insn(v, in) : EXIT_RETRY;
}
