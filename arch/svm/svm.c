/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SVM backend: enabling, VM and vCPU objects, ASIDs, one run. AMD APM vol. 2 chapter 15.
 */
#include "arch/svm/npt_fmt.h"
#include "arch/svm/svm_perm.h"
#include "arch/svm/svm_priv.h"
#include "arch/x86/cpu.h"
#include "arch/x86/fpu.h"
#include "arch/x86/lapic.h"
#include "arch/x86/msr.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"

#define CPUID_SVM	 0x8000000au
#define CPUID_EXT	 0x80000001u
#define CPUID_HYPERVISOR 0x40000000u
#define EBX_TCG		 0x54474354u /* "TCGT", of TCGTCGTCGTCG */
#define EXT_ECX_SVM	 BIT(2)
#define EXT_EDX_1G	 BIT(26)
#define EXT_EDX_RDTSCP	 BIT(27)
#define SVM_EDX_NP	 BIT(0)
#define SVM_EDX_NRIPS	 BIT(3)
#define SVM_EDX_DECODE	 BIT(7)
#define SVM_EDX_PAUSE	 BIT(10)
#define MSR_VM_CR	 0xc0010114u
#define MSR_VM_HSAVE_PA	 0xc0010117u
#define VM_CR_SVMDIS	 BIT(4)
#define TLB_FLUSH_ALL	 1u
#define PAUSE_COUNT	 3000
#define PAUSE_THRESHOLD	 128
#define VECTOR_DB	 1
#define VECTOR_AC	 17
#define VECTOR_MC	 18

struct svm_features svm_features;

/* All ports exit, for every VM: §15.10.1. */
static u8 iopm[SVM_IOPM_SIZE] ALIGNED(4096);

/* npt_fmt, less what this CPU lacks. */
static struct pgfmt stage2_fmt;

/* word: 0 EDX of CPUID_SVM, 1 EDX of CPUID_EXT */
static const struct hvm_feature features[] = {
	{ "nested paging", NULL, SVM_EDX_NP, 0 },
	{ "next RIP", "instructions are decoded for their length", SVM_EDX_NRIPS, 0 },
	{ "decode assists", "instructions are fetched from guest memory", SVM_EDX_DECODE, 0 },
	{ "pause filter", "the time slice ends spinning", SVM_EDX_PAUSE, 0 },
	{ "1 GiB pages", "smaller pages", EXT_EDX_1G, 1 },
	{ "RDTSCP in guests", "#UD", EXT_EDX_RDTSCP, 1 },
};

static int svm_probe(struct hvm_caps *caps, char *why, size_t why_size)
{
	struct cpuid_regs r = cpuid(0x80000000u, 0), ext;
	u64 vm_cr = 0;

	ext = cpuid(CPUID_EXT, 0);
	if (r.eax < CPUID_SVM || !(ext.ecx & EXT_ECX_SVM)) {
		str_copy(why, why_size, "the CPU has no SVM");
		return -ENOTSUP;
	}
	r = cpuid(CPUID_SVM, 0);
	if (!(r.edx & SVM_EDX_NP)) {
		str_copy(why, why_size, "SVM without nested paging");
		return -ENOTSUP;
	}
	if (rdmsr_safe(MSR_VM_CR, &vm_cr) == 0 && (vm_cr & VM_CR_SVMDIS)) {
		str_copy(why, why_size, "SVM is disabled by firmware (VM_CR.SVMDIS)");
		return -ENOTSUP;
	}
	svm_features = (struct svm_features){ .next_rip = (r.edx & SVM_EDX_NRIPS) != 0,
					      .decode_assist = (r.edx & SVM_EDX_DECODE) != 0,
					      .pause_filter = (r.edx & SVM_EDX_PAUSE) != 0,
					      .tcg = cpuid(CPUID_HYPERVISOR, 0).ebx == EBX_TCG,
					      .asids = r.ebx };
	*caps = (struct hvm_caps){ .name = "svm", .vendor_amd = true, .feature = features,
				   .features = ARRAY_SIZE(features) };
	for (u32 i = 0; i < ARRAY_SIZE(features); i++)
		if (!((features[i].word ? ext.edx : r.edx) & features[i].mask))
			caps->absent |= BIT(i);
	stage2_fmt = npt_fmt;
	if (!(ext.edx & EXT_EDX_1G))
		stage2_fmt.leaf_levels &= (u8)~BIT(3);
	memset(iopm, 0xff, sizeof(iopm));
	return 0;
}

static int svm_cpu_on(void)
{
	struct pcpu *cpu = this_cpu();
	struct svm_cpu *s = kalloc(hv_owner(), sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	rc = frame_alloc(hv_owner(), &s->hsave);
	if (!rc)
		rc = frame_alloc(hv_owner(), &s->host_vmcb);
	if (rc)
		return rc;
	fpu_cpu_init();
	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_SVME);
	msr_write(MSR_VM_HSAVE_PA, s->hsave);
	__asm__ volatile("vmsave %%rax" : : "a"(s->host_vmcb) : "memory");
	s->generation = (u64)(cpu->id + 1) << 48;
	s->next_asid = 1;
	cpu->hvm = s;
	return 0;
}

static void svm_cpu_off(void)
{
	struct svm_cpu *s = svm_this_cpu();

	msr_write(MSR_VM_HSAVE_PA, 0);
	msr_write(MSR_EFER, msr_read(MSR_EFER) & ~EFER_SVME);
	frame_free(hv_owner(), s->hsave);
	frame_free(hv_owner(), s->host_vmcb);
	kfree(hv_owner(), s, sizeof(*s));
	this_cpu()->hvm = NULL;
}

/* MSRs that VMLOAD, VMSAVE and VMRUN switch: the guest may have them directly. */
static const u32 direct_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK,
	0x174, 0x175, 0x176, /* SYSENTER_CS, _ESP, _EIP */
};

static int svm_msr_intercept(struct hvm_vm *hvm, u32 msr, bool read, bool write)
{
	return svm_msrpm_set(hvm->msrpm, msr, read, write);
}

static void svm_vm_destroy(struct hvm_vm *hvm)
{
	struct pool_owner *owner = hvm->owner;

	kfree(owner, hvm->msrpm, SVM_MSRPM_SIZE);
	kfree(owner, hvm, sizeof(*hvm));
}

static int svm_vm_create(struct hvm_vm **out, const struct hvm_vm_config *cfg)
{
	struct hvm_vm *hvm = kalloc(cfg->owner, sizeof(*hvm));
	int rc = 0;

	if (!hvm)
		return -ENOMEM;
	hvm->owner = cfg->owner;
	hvm->ncr3 = cfg->stage2_root;
	hvm->msrpm = kalloc(cfg->owner, SVM_MSRPM_SIZE);
	if (!hvm->msrpm) {
		kfree(cfg->owner, hvm, sizeof(*hvm));
		return -ENOMEM;
	}
	memset(hvm->msrpm, 0xff, SVM_MSRPM_SIZE);
	for (u32 i = 0; i < ARRAY_SIZE(direct_msrs) && !rc; i++)
		rc = svm_msrpm_set(hvm->msrpm, direct_msrs[i], false, false);
	if (rc) {
		svm_vm_destroy(hvm);
		return rc;
	}
	*out = hvm;
	return 0;
}

static void init_controls(struct hvm_vcpu *v)
{
	struct vmcb *c = v->vmcb;

	/* CR8 both ways: the local APIC model holds the TPR. CR0 only where more than TS and
	 * MP changes; CR3 is the guest's own business under nested paging. */
	c->cr_read = (u16)BIT(8);
	c->cr_write = (u16)(BIT(4) | BIT(8));
	c->exceptions = (u32)(BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC));
	c->misc1 = (u32)(SVM_I1_INTR | SVM_I1_NMI | SVM_I1_INIT | SVM_I1_CR0_SEL | SVM_I1_RDPMC |
			 SVM_I1_CPUID | SVM_I1_RSM | SVM_I1_INVD | SVM_I1_HLT | SVM_I1_INVLPGA |
			 SVM_I1_IOIO | SVM_I1_MSR | SVM_I1_TASK_SWITCH | SVM_I1_FERR_FREEZE |
			 SVM_I1_SHUTDOWN);
	c->misc2 = (u32)SVM_I2_ALL;
	if (svm_features.pause_filter) {
		c->misc1 |= (u32)SVM_I1_PAUSE;
		c->pause_count = PAUSE_COUNT;
		c->pause_threshold = PAUSE_THRESHOLD;
	}
	c->iopm = virt_to_phys(iopm);
	c->msrpm = virt_to_phys(v->vm->msrpm);
	c->np_control = SVM_NP;
	c->ncr3 = v->vm->ncr3;
}

static int svm_vcpu_create(struct hvm_vcpu **out, struct hvm_vm *hvm, u32 id)
{
	struct hvm_vcpu *v = kalloc(hvm->owner, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->vm = hvm;
	v->id = id;
	v->fpu = kalloc(hvm->owner, fpu_area_size());
	if (!v->fpu)
		goto out_vcpu;
	if (frame_alloc(hvm->owner, &v->vmcb_pa))
		goto out_fpu;
	v->vmcb = phys_to_virt(v->vmcb_pa);
	init_controls(v);
	*out = v;
	return 0;
out_fpu:
	kfree(hvm->owner, v->fpu, fpu_area_size());
out_vcpu:
	kfree(hvm->owner, v, sizeof(*v));
	return -ENOMEM;
}

static void svm_vcpu_destroy(struct hvm_vcpu *v)
{
	struct pool_owner *owner = v->vm->owner;

	frame_free(owner, v->vmcb_pa);
	kfree(owner, v->fpu, fpu_area_size());
	kfree(owner, v, sizeof(*v));
}

/* §15.16: when the ASIDs of a CPU are used up, all are invalidated and given out anew. */
static NOINLINE void new_asid(struct hvm_vcpu *v, struct svm_cpu *s)
{
	if (s->next_asid >= svm_features.asids) {
		s->generation++;
		s->next_asid = 1;
		v->vmcb->tlb_control = TLB_FLUSH_ALL;
	}
	v->vmcb->asid = s->next_asid++;
	v->generation = s->generation;
	v->vmcb->clean = 0;
}

/* A machine check hit while the guest ran: the host's handler takes it. */
static NOINLINE void machine_check(void)
{
	__asm__ volatile("int %0" : : "i"(VECTOR_MC));
}

static HOT void svm_run(struct hvm_vcpu *v, struct hvm_regs *regs, const u32 *kick,
			struct hvm_exit *x)
{
	struct svm_cpu *s = svm_this_cpu();
	struct vmcb *c = v->vmcb;

	if (unlikely(v->generation != s->generation))
		new_asid(v, s);
	c->rax = regs->gpr[HVM_RAX];
	c->rsp = regs->gpr[HVM_RSP];
	c->rip = regs->rip;
	c->rflags = regs->rflags;
	__asm__ volatile("clgi" : : : "memory");
	if (unlikely(atomic_load_relaxed(kick))) {
		__asm__ volatile("stgi" : : : "memory");
		x->code = HVM_EXIT_HOST;
		return;
	}
	c->event_inj = 0;
	v->soft = 0;
	if (unlikely(v->event))
		svm_event_entry(v);
	if (unlikely(v->nmi))
		svm_nmi_entry(v);
	svm_enter(v->vmcb_pa, regs, s->host_vmcb);
	/* QEMU's VMRUN notes a V_IRQ in the word in which other threads note this CPU's interrupts,
	 * without their lock: theirs may be lost, and a timer's would be for good. */
	if (unlikely(c->misc1 & SVM_I1_VINTR) && svm_features.tcg)
		lapic_recheck();
	__asm__ volatile("stgi" : : : "memory");
	c->tlb_control = 0;
	regs->gpr[HVM_RAX] = c->rax;
	regs->gpr[HVM_RSP] = c->rsp;
	regs->rip = c->rip;
	regs->rflags = c->rflags;
	svm_translate(c, &svm_features, x);
	/* What was being delivered when the exit came, or was to be and did not begin. */
	if (unlikely(((c->exit_int_info | c->event_inj) & SVM_EV_VALID) || v->nmi))
		svm_event_exit(v, x, regs);
	if (unlikely(x->code == HVM_EXIT_EXCEPTION && x->u.exception.vector == VECTOR_MC)) {
		machine_check();
		x->code = HVM_EXIT_HOST;
	}
}

const struct hvm_ops svm_ops = {
	.name = "svm",
	.stage2_fmt = &stage2_fmt,
	.probe = svm_probe,
	.cpu_on = svm_cpu_on,
	.cpu_off = svm_cpu_off,
	.vm_create = svm_vm_create,
	.vm_destroy = svm_vm_destroy,
	.msr_intercept = svm_msr_intercept,
	.vcpu_create = svm_vcpu_create,
	.vcpu_destroy = svm_vcpu_destroy,
	.vcpu_reset = svm_vcpu_reset,
	.vcpu_load = svm_vcpu_load,
	.vcpu_put = svm_vcpu_put,
	.run = svm_run,
	.get_seg = svm_get_seg,
	.set_seg = svm_set_seg,
	.get_dtable = svm_get_dtable,
	.set_dtable = svm_set_dtable,
	.get_sys = svm_get_sys,
	.set_sys = svm_set_sys,
	.cpl = svm_cpl,
	.code = svm_code,
	.exit_raw = svm_exit_raw,
	.inject = svm_inject,
	.event_queued = svm_event_queued,
	.irq_ready = svm_irq_ready,
	.irq_window = svm_irq_window,
	.nmi_ready = svm_nmi_ready,
	.nmi_window = svm_nmi_window,
	.apic_page = svm_apic_page,
	.shadow_clear = svm_shadow_clear,
	.get_state = svm_get_state,
	.set_state = svm_set_state,
	.tlb_flush = svm_tlb_flush,
};
