/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port accesses: IN and OUT at once, INS and OUTS through the executor.
 */
#include "guest/emul/insn.h"
#include "guest/vm/exec.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"

/* A narrow result leaves the rest of RAX, a 32-bit one clears it, as in every register. */
static void set_rax(u64 *rax, u64 value, unsigned size)
{
	if (size == 4)
		*rax = value;
	else if (size == 1)
		*rax = (*rax & ~0xffull) | value;
	else
		*rax = (*rax & ~0xffffull) | value;
}

HOT enum exit_result exit_io(struct vcpu *v)
{
	struct hvm_exit *x = &v->exit;
	struct vm *vm = v->vm;

	if (unlikely(x->u.io.flags & HVM_IO_STRING))
		return exec_current(v);
	x->data = v->regs.gpr[HVM_RAX];
	spin_lock(&vm->lock);
	(void)io_bus_access(&vm->ports, x->u.io.port, x->u.io.size, !(x->u.io.flags & HVM_IO_IN),
			    &x->data); /* holes read all-ones */
	spin_unlock(&vm->lock);
	if (x->u.io.flags & HVM_IO_IN)
		set_rax(&v->regs.gpr[HVM_RAX], x->data, x->u.io.size);
	vcpu_advance(v, x->insn_len);
	return EXIT_RETRY;
}
