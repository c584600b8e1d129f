/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Port accesses: IN and OUT at once, INS and OUTS through the executor.
 */
#include "guest/emul/insn.h"
#include "guest/vm/access.h"
#include "guest/vm/exec.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"

enum exit_result exit_io(struct vcpu *v)
{
	const struct hvm_exit *x = &v->exit;
	u64 *rax = &v->regs.gpr[HVM_RAX];
	u64 value;

	if (unlikely(x->u.io.string))
		return exec_current(v);
	if (x->u.io.in) {
		access_port(v, x->u.io.port, x->u.io.size, false, &value);
		/* A 32-bit result clears the upper half, as every 32-bit write does. */
		*rax = x->u.io.size == 4 ? (u32)value
					 : (*rax & ~size_mask(x->u.io.size)) | value;
	} else {
		value = *rax & size_mask(x->u.io.size);
		access_port(v, x->u.io.port, x->u.io.size, true, &value);
	}
	vcpu_advance(v, x->insn_len);
	return EXIT_RETRY;
}
