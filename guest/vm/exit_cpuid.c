/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID, hypercalls, XSETBV.
 */
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"

#define OP_CPUID 0xa20f
#define OP_XSETBV 0xd1010f
#define OP_0F01     0x010fu /* VMMCALL, VMCALL */

#define CR4_OSXSAVE BIT(18)
#define KVM_ENOSYS  1000ull
#define KVM_EPERM   1ull

HOT enum exit_result exit_cpuid(struct vcpu *v)
{
	const struct hvm_ops *ops = v->vm->ops;
	struct cpu_policy_dynamic d = { .apic_id = v->id };
	struct cpuid_regs out;
	u32 leaf = (u32)v->regs.gpr[HVM_RAX];

	if (leaf == 1 || leaf == 0xd) {
		d.cr4 = ops->get_sys(v->hv, HVM_CR4);
		d.xcr0 = leaf == 0xd ? ops->get_sys(v->hv, HVM_XCR0) : 0;
	}
	cpu_policy_cpuid(v->vm->policy, leaf, (u32)v->regs.gpr[HVM_RCX], &d, &out);
	if (!vcpu_skip(v, OP_CPUID, 2))
		return EXIT_RETRY;
	v->regs.gpr[HVM_RAX] = out.eax;
	v->regs.gpr[HVM_RBX] = out.ebx;
	v->regs.gpr[HVM_RCX] = out.ecx;
	v->regs.gpr[HVM_RDX] = out.edx;
	return EXIT_RETRY;
}

/*
 * The KVM-compatible leaves promise no hypercall: each number is unknown, which KVM's
 * convention answers with -ENOSYS in RAX (-EPERM outside ring 0).
 */
HOT enum exit_result exit_hypercall(struct vcpu *v)
{
	u64 answer = v->vm->ops->cpl(v->hv) ? 0 - KVM_EPERM : 0 - KVM_ENOSYS;

	/* Whatever the third byte, it was an instruction of three. */
	if (vcpu_skip_op(v, OP_0F01, 0xffff, 3))
		v->regs.gpr[HVM_RAX] = answer;
	return EXIT_RETRY;
}

enum exit_result exit_xsetbv(struct vcpu *v)
{
	const struct hvm_ops *ops = v->vm->ops;
	u64 value = (u64)(u32)v->regs.gpr[HVM_RDX] << 32 | (u32)v->regs.gpr[HVM_RAX];

	if (!(ops->get_sys(v->hv, HVM_CR4) & CR4_OSXSAVE))
		return vcpu_ud(v);
	if (ops->cpl(v->hv) != 0 || (u32)v->regs.gpr[HVM_RCX] != 0 ||
	    !cpu_state_xcr0_valid(value, v->vm->policy->xcr0_valid))
		return vcpu_gp(v);
	if (vcpu_skip(v, OP_XSETBV, 3))
		ops->set_sys(v->hv, HVM_XCR0, value);
	return EXIT_RETRY;
}
