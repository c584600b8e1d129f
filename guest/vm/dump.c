/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dump of a vCPU, one log line a subject.
 */
#include "guest/vm/dump.h"

#include "guest/vm/exit.h"
#include "guest/vm/vm.h"
#include "kernel/base/fmt.h"
#include "kernel/core/log.h"

#define CODE_BYTES 16

static const char *const exit_names[HVM_EXIT_CODES] = {
	[HVM_EXIT_HOST] = "host",	[HVM_EXIT_IO] = "io",
	[HVM_EXIT_MEM] = "mem",		[HVM_EXIT_CPUID] = "cpuid",
	[HVM_EXIT_RDMSR] = "rdmsr",	[HVM_EXIT_WRMSR] = "wrmsr",
	[HVM_EXIT_CR] = "cr",		[HVM_EXIT_HLT] = "hlt",
	[HVM_EXIT_PAUSE] = "pause",	[HVM_EXIT_HYPERCALL] = "hypercall",
	[HVM_EXIT_XSETBV] = "xsetbv",	[HVM_EXIT_WBINVD] = "wbinvd",
	[HVM_EXIT_RDPMC] = "rdpmc",	[HVM_EXIT_UD] = "ud",
	[HVM_EXIT_EXCEPTION] = "exception", [HVM_EXIT_IRQ_WINDOW] = "irq_window",
	[HVM_EXIT_NMI_WINDOW] = "nmi_window", [HVM_EXIT_TASK_SWITCH] = "task_switch",
	[HVM_EXIT_EOI] = "eoi",
	[HVM_EXIT_SHUTDOWN] = "shutdown", [HVM_EXIT_ENTRY_FAIL] = "entry_fail",
	[HVM_EXIT_UNKNOWN] = "unknown",
};

const char *hvm_exit_name(enum hvm_exit_code code)
{
	return code < HVM_EXIT_CODES ? exit_names[code] : "?";
}

static void dump_segment(struct vcpu *v, const char *name, enum hvm_seg seg)
{
	struct hvm_segment s;

	v->vm->ops->get_seg(v->hv, seg, &s);
	log_err("  %-4s %04x base %016lx limit %08x attr %04x", name, s.sel, s.base, s.limit,
		s.attr);
}

static void dump_code(struct vcpu *v)
{
	char line[CODE_BYTES * 3 + 1];
	struct text t = text_make(line, sizeof(line));
	struct guest_code code;

	if (!vcpu_peek_code(v, &code)) {
		log_err("  code unreadable");
		return;
	}
	for (u32 i = 0; i < code.n; i++)
		text_add(&t, "%02x ", code.byte[i]);
	log_err("  code %s", line);
}

void vcpu_dump(struct vcpu *v)
{
	const struct hvm_ops *ops = v->vm->ops;
	const struct hvm_regs *r = &v->regs;
	u64 raw[4];

	ops->exit_raw(v->hv, raw);
	log_err("vm %s: vcpu %u: exit %s raw %lx %lx %lx %lx", v->vm->name, v->id,
		hvm_exit_name(v->exit.code), raw[0], raw[1], raw[2], raw[3]);
	log_err("  rip %016lx rflags %08lx cpl %u", r->rip, r->rflags, ops->cpl(v->hv));
	for (u32 i = 0; i < 16; i += 4)
		log_err("  r%-2u %016lx %016lx %016lx %016lx", i, r->gpr[i], r->gpr[i + 1],
			r->gpr[i + 2], r->gpr[i + 3]);
	log_err("  cr0 %lx cr2 %lx cr3 %lx cr4 %lx efer %lx", ops->get_sys(v->hv, HVM_CR0),
		ops->get_sys(v->hv, HVM_CR2), ops->get_sys(v->hv, HVM_CR3),
		ops->get_sys(v->hv, HVM_CR4), ops->get_sys(v->hv, HVM_EFER));
	dump_segment(v, "cs", HVM_CS);
	dump_segment(v, "ss", HVM_SS);
	dump_segment(v, "ds", HVM_DS);
	dump_segment(v, "tr", HVM_TR);
	dump_code(v);
}
