/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VMX backend: enabling, VM and vCPU objects, flushes, one run. Intel SDM vol. 3 chapters 24
 * to 31.
 */
#include "arch/vmx/ept_fmt.h"
#include "arch/vmx/vmx_perm.h"
#include "arch/vmx/vmx_priv.h"
#include "arch/x86/cpu.h"
#include "arch/x86/fpu.h"
#include "arch/x86/msr.h"
#include "arch/x86/trap.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/posted.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/timer.h"

#define CPUID_1_ECX_VMX	     BIT(5)
#define MSR_FEATURE_CONTROL  0x3au
#define FEATURE_LOCKED	     BIT(0)
#define FEATURE_VMXON	     BIT(2) /* outside SMX */
#define MSR_VMX_BASIC	     0x480u
#define MSR_VMX_PIN	     0x481u
#define MSR_VMX_PROC	     0x482u
#define MSR_VMX_EXIT	     0x483u
#define MSR_VMX_ENTRY	     0x484u
#define MSR_VMX_MISC	     0x485u
#define MSR_VMX_PROC2	     0x48bu
#define MSR_VMX_EPT_VPID     0x48cu
#define MSR_VMX_TRUE_OFFSET  12u /* 0x48d to 0x490 stand for 0x481 to 0x484 */
#define REVISION	     MASK(30, 0)

#define EPTP_WB	   6ull
#define EPTP_WALK4 (3ull << 3)
#define EPTP_AD	   BIT(6)

#define INV_ONE 1ull
#define INV_ALL 2ull

#define LOOP_GAP     128u  /* TSC ticks between two PAUSEs of one loop */
#define LOOP_WINDOW  4096u /* TSC ticks that a loop may last */
#define TIMER_MS     5u	   /* longest stay in the guest without an exit */
#define VECTOR_DB    1
#define VECTOR_NMI   2
#define VECTOR_AC    17
#define VECTOR_MC    18

struct vmx_ctls vmx_ctls;

/* ept_fmt, less what this CPU lacks. */
static struct pgfmt stage2_fmt;

static int read_msrs(struct vmx_msrs *m)
{
	u32 shift = 0;
	int rc = rdmsr_safe(MSR_VMX_BASIC, &m->basic);

	if (rc)
		return rc;
	if (m->basic & VMX_BASIC_TRUE)
		shift = MSR_VMX_TRUE_OFFSET;
	rc = rdmsr_safe(MSR_VMX_PIN + shift, &m->pin);
	rc = rc ? rc : rdmsr_safe(MSR_VMX_PROC + shift, &m->proc);
	rc = rc ? rc : rdmsr_safe(MSR_VMX_EXIT + shift, &m->exit);
	rc = rc ? rc : rdmsr_safe(MSR_VMX_ENTRY + shift, &m->entry);
	rc = rc ? rc : rdmsr_safe(MSR_VMX_MISC, &m->misc);
	if (!rc && (m->proc >> 32 & VMX_PROC_SECONDARY))
		rc = rdmsr_safe(MSR_VMX_PROC2, &m->proc2);
	if (!rc && (m->proc2 >> 32 & (VMX_PROC2_EPT | VMX_PROC2_VPID)))
		rc = rdmsr_safe(MSR_VMX_EPT_VPID, &m->ept_vpid);
	return rc;
}

static void make_format(void)
{
	stage2_fmt = ept_fmt;
	stage2_fmt.leaf_levels = (u8)(BIT(1) | (vmx_ctls.ept_2m ? BIT(2) : 0) |
				      (vmx_ctls.ept_1g ? BIT(3) : 0));
	if (!vmx_ctls.ept_ad)
		stage2_fmt.accessed = stage2_fmt.dirty = 0;
	if (!vmx_ctls.pml)
		stage2_fmt.attrs &= ~PG_LOG;
}

static int vmx_probe(struct hvm_caps *caps, char *why, size_t why_size)
{
	struct vmx_msrs m = { 0 };
	u64 control = 0;
	int rc;

	if (!(cpuid(1, 0).ecx & CPUID_1_ECX_VMX)) {
		str_copy(why, why_size, "the CPU has no VMX");
		return -ENOTSUP;
	}
	if (rdmsr_safe(MSR_FEATURE_CONTROL, &control) == 0 &&
	    (control & (FEATURE_LOCKED | FEATURE_VMXON)) == FEATURE_LOCKED) {
		str_copy(why, why_size, "VMX is disabled by firmware (IA32_FEATURE_CONTROL)");
		return -ENOTSUP;
	}
	if (read_msrs(&m)) {
		str_copy(why, why_size, "VMX without its capability MSRs");
		return -ENOTSUP;
	}
	rc = vmx_ctls_compute(&m, &vmx_ctls, why, why_size);
	if (rc)
		return rc;
	make_format();
	*caps = (struct hvm_caps){ .name = "vmx", .feature = vmx_features,
				   .features = VMX_FEATURES, .absent = vmx_ctls.absent };
	return 0;
}

/* The firmware should have, but need not. */
static int enable_feature(void)
{
	u64 control = 0;

	if (rdmsr_safe(MSR_FEATURE_CONTROL, &control))
		return -EIO;
	if (!(control & FEATURE_LOCKED)) {
		control |= FEATURE_LOCKED | FEATURE_VMXON;
		if (wrmsr_safe(MSR_FEATURE_CONTROL, control))
			return -EIO;
	}
	return control & FEATURE_VMXON ? 0 : -EIO;
}

static int vmxon(hpa_t region)
{
	__asm__ goto volatile("vmxon %0; jbe %l[fail]" : : "m"(region) : "cc", "memory" : fail);
	return 0;
fail:
	return -EIO;
}

static void revision_set(hpa_t region)
{
	*(u32 *)phys_to_virt(region) = (u32)(msr_read(MSR_VMX_BASIC) & REVISION);
}

static int vmx_cpu_on(void)
{
	struct vmx_cpu *c;
	int rc = enable_feature();

	if (rc)
		return rc;
	c = kalloc(hv_owner(), sizeof(*c));
	if (!c)
		return -ENOMEM;
	rc = frame_alloc(hv_owner(), &c->vmxon);
	if (rc)
		goto out_cpu;
	fpu_cpu_init();
	revision_set(c->vmxon);
	cr4_write(cr4_read() | CR4_VMXE);
	rc = vmxon(c->vmxon);
	if (rc)
		goto out_vmxe;
	this_cpu()->hvm = c;
	return 0;
out_vmxe:
	cr4_write(cr4_read() & ~CR4_VMXE);
	frame_free(hv_owner(), c->vmxon);
out_cpu:
	kfree(hv_owner(), c, sizeof(*c));
	return rc;
}

static void vmx_cpu_off(void)
{
	struct vmx_cpu *c = vmx_this_cpu();

	__asm__ volatile("vmxoff" : : : "cc", "memory");
	cr4_write(cr4_read() & ~CR4_VMXE);
	frame_free(hv_owner(), c->vmxon);
	kfree(hv_owner(), c, sizeof(*c));
	this_cpu()->hvm = NULL;
}

void vmx_vmcs_clear(hpa_t vmcs)
{
	__asm__ goto volatile("vmclear %0; jbe %l[fail]" : : "m"(vmcs) : "cc", "memory" : fail);
	return;
fail:
	panic("VMCLEAR of %#lx failed", vmcs);
}

void vmx_vmcs_load(hpa_t vmcs)
{
	__asm__ goto volatile("vmptrld %0; jbe %l[fail]" : : "m"(vmcs) : "cc", "memory" : fail);
	return;
fail:
	panic("VMPTRLD of %#lx failed", vmcs);
}

/* MSRs that the VMCS or vmx_vcpu_load() switches: the guest may have them directly. */
static const u32 direct_msrs[] = {
	MSR_FS_BASE, MSR_GS_BASE, MSR_KERNEL_GS_BASE, MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SFMASK,
	0x174, 0x175, 0x176, /* SYSENTER_CS, _ESP, _EIP */
};

/* x2APIC registers that the CPU keeps in the page: TPR, PPR, ISR, IRR; TPR and EOI. */
static const struct {
	u32 first, last;
	bool read, write;
} page_msrs[] = {
	{ 0x808, 0x808, true, true },  { 0x80a, 0x80a, true, false }, { 0x80b, 0x80b, false, true },
	{ 0x810, 0x817, true, false }, { 0x820, 0x827, true, false },
};

static int vmx_msr_intercept(struct hvm_vm *hvm, u32 msr, bool read, bool write)
{
	int rc = vmx_bitmap_set(hvm->msr_bitmap[0], msr, read, write);

	return rc ? rc : vmx_bitmap_set(hvm->msr_bitmap[1], msr, read, write);
}

static void vmx_vm_destroy(struct hvm_vm *hvm)
{
	struct pool_owner *owner = hvm->owner;

	for (u32 i = 0; i < 2; i++)
		if (hvm->msr_bitmap[i])
			kfree(owner, hvm->msr_bitmap[i], VMX_MSR_BITMAP_SIZE);
	kfree(owner, hvm, sizeof(*hvm));
}

static int fill_bitmaps(struct hvm_vm *hvm)
{
	int rc = 0;

	for (u32 i = 0; i < 2; i++) {
		hvm->msr_bitmap[i] = kalloc(hvm->owner, VMX_MSR_BITMAP_SIZE);
		if (!hvm->msr_bitmap[i])
			return -ENOMEM;
		memset(hvm->msr_bitmap[i], 0xff, VMX_MSR_BITMAP_SIZE);
	}
	for (u32 i = 0; i < ARRAY_SIZE(direct_msrs) && !rc; i++)
		rc = vmx_msr_intercept(hvm, direct_msrs[i], false, false);
	for (u32 i = 0; i < ARRAY_SIZE(page_msrs); i++)
		for (u32 m = page_msrs[i].first; m <= page_msrs[i].last && !rc; m++)
			rc = vmx_bitmap_set(hvm->msr_bitmap[1], m, !page_msrs[i].read,
					    !page_msrs[i].write);
	return rc;
}

static int vmx_vm_create(struct hvm_vm **out, const struct hvm_vm_config *cfg)
{
	struct hvm_vm *hvm = kalloc(cfg->owner, sizeof(*hvm));
	int rc;

	if (!hvm)
		return -ENOMEM;
	hvm->owner = cfg->owner;
	hvm->root = cfg->stage2_root;
	hvm->eptp = hvm->root | EPTP_WB | EPTP_WALK4 | (vmx_ctls.ept_ad ? EPTP_AD : 0);
	rc = fill_bitmaps(hvm);
	if (rc) {
		vmx_vm_destroy(hvm);
		return rc;
	}
	*out = hvm;
	return 0;
}

/* VPIDs need to differ within a VM only: combined mappings bear the EPT pointer too (§29.4.1). */
static u64 vpid(const struct hvm_vcpu *v)
{
	return v->id + 1;
}

/* v's VMCS is borrowed. Every control field is written: its first content is undefined. */
static void init_controls(struct hvm_vcpu *v)
{
	static const u32 zero[] = { VMCS_PF_MASK, VMCS_PF_MATCH, VMCS_CR3_TARGETS,
				    VMCS_EXIT_MSR_STORES, VMCS_EXIT_MSR_LOADS,
				    VMCS_ENTRY_MSR_LOADS, VMCS_ENTRY_EVENT, VMCS_TSC_OFFSET };

	for (u32 i = 0; i < ARRAY_SIZE(zero); i++)
		vmwrite(zero[i], 0);
	vmwrite(VMCS_PIN_CTL, vmx_ctls.pin);
	vmwrite(VMCS_PROC_CTL, vmx_ctls.proc);
	vmwrite(VMCS_PROC2_CTL, vmx_ctls.proc2);
	vmwrite(VMCS_EXIT_CTL, vmx_ctls.exit);
	vmwrite(VMCS_ENTRY_CTL, vmx_ctls.entry);
	vmwrite(VMCS_EXCEPTIONS, BIT(VECTOR_DB) | BIT(VECTOR_AC) | BIT(VECTOR_MC));
	vmwrite(VMCS_CR0_MASK, ~CR0_TS);
	vmwrite(VMCS_CR4_MASK, ~0ull);
	vmwrite(VMCS_MSR_BITMAP, virt_to_phys(v->vm->msr_bitmap[0]));
	vmwrite(VMCS_EPTP, v->vm->eptp);
	if (vmx_ctls.vpid)
		vmwrite(VMCS_VPID, vpid(v));
	if (v->page) {
		vmwrite(VMCS_VIRTUAL_APIC, virt_to_phys(v->page));
		vmwrite(VMCS_TPR_THRESHOLD, 0);
		for (u32 i = 0; i < ARRAY_SIZE(v->eoi_exits); i++)
			vmwrite(VMCS_EOI_EXIT + 2 * i, 0);
	}
	if (v->posted) {
		vmwrite(VMCS_POSTED_VECTOR, IRQ_VECTOR_NOTIFY);
		vmwrite(VMCS_POSTED, virt_to_phys(v->posted));
	}
	if (v->pml) {
		vmwrite(VMCS_PML_ADDRESS, virt_to_phys(v->pml));
		vmwrite(VMCS_PML_INDEX, VMX_PML_ENTRIES - 1);
	}
	if (vmx_ctls.preemption_timer)
		vmwrite(VMCS_PREEMPTION_TIMER, tsc_khz() * TIMER_MS >> vmx_ctls.timer_shift);
	if (vmx_ctls.pause_loop) {
		vmwrite(VMCS_PLE_GAP, LOOP_GAP);
		vmwrite(VMCS_PLE_WINDOW, LOOP_WINDOW);
	}
}

static void vmx_vcpu_destroy(struct hvm_vcpu *v)
{
	struct pool_owner *owner = v->vm->owner;

	if (v->pml)
		frame_free(owner, virt_to_phys(v->pml));
	kfree(owner, v->posted, POSTED_WORDS * sizeof(*v->posted));
	if (v->page)
		frame_free(owner, virt_to_phys(v->page));
	if (v->vmcs)
		frame_free(owner, v->vmcs);
	if (v->fpu)
		kfree(owner, v->fpu, fpu_area_size());
	kfree(owner, v, sizeof(*v));
}

static int vmx_vcpu_create(struct hvm_vcpu **out, struct hvm_vm *hvm, u32 id)
{
	struct hvm_vcpu *v = kalloc(hvm->owner, sizeof(*v));
	bool borrowed;
	hpa_t page;

	if (!v)
		return -ENOMEM;
	v->vm = hvm;
	v->id = id;
	v->fpu = kalloc(hvm->owner, fpu_area_size());
	if (!v->fpu)
		goto out;
	if (frame_alloc(hvm->owner, &v->vmcs))
		goto out;
	if (vmx_ctls.direct) {
		if (frame_alloc(hvm->owner, &page))
			goto out;
		v->page = phys_to_virt(page);
	}
	if (vmx_ctls.posted) {
		v->posted = kalloc(hvm->owner, POSTED_WORDS * sizeof(*v->posted));
		if (!v->posted)
			goto out;
	}
	if (vmx_ctls.pml) {
		if (frame_alloc(hvm->owner, &page))
			goto out;
		v->pml = phys_to_virt(page);
	}
	revision_set(v->vmcs);
	vmx_vmcs_clear(v->vmcs);
	borrowed = vmx_borrow(v);
	init_controls(v);
	vmx_return(v, borrowed);
	*out = v;
	return 0;
out:
	vmx_vcpu_destroy(v);
	return -ENOMEM;
}

/* Most of the time the guest wrote nothing that is logged. */
static const u64 *vmx_written(struct hvm_vcpu *v, u32 *n)
{
	u32 first = vmx_pml_first(vmread(VMCS_PML_INDEX));

	*n = VMX_PML_ENTRIES - first;
	if (*n)
		vmwrite(VMCS_PML_INDEX, VMX_PML_ENTRIES - 1);
	return v->pml + first;
}

static void vmx_tlb_flush(struct hvm_vcpu *v)
{
	v->flush = true;
}

struct inv_descriptor {
	u64 context; /* EPT pointer or VPID */
	u64 address;
};

/* §29.4.3: linear mappings by VPID, guest-physical ones by EPT pointer, combined ones by both. */
static NOINLINE void flush(struct hvm_vcpu *v)
{
	struct inv_descriptor ept = { v->vm->eptp, 0 }, tag = { vpid(v), 0 };

	v->flush = false;
	/* What is still in it was logged for a log that is no more. */
	if (v->pml)
		vmwrite(VMCS_PML_INDEX, VMX_PML_ENTRIES - 1);
	__asm__ volatile("invept %0, %1"
			 :
			 : "m"(ept), "r"(vmx_ctls.invept_one ? INV_ONE : INV_ALL)
			 : "cc", "memory");
	if (vmx_ctls.vpid)
		__asm__ volatile("invvpid %0, %1"
				 :
				 : "m"(tag), "r"(vmx_ctls.invvpid_one ? INV_ONE : INV_ALL)
				 : "cc", "memory");
}

/* The host's own handlers take its NMIs and machine checks; traps leave the instruction behind. */
static NOINLINE void exception_exit(const struct vmx_exit_info *i, struct hvm_exit *x,
				    struct hvm_regs *regs)
{
	if (field_get(i->event, 10, 8) == HVM_EVENT_NMI) {
		__asm__ volatile("int %0" : : "i"(VECTOR_NMI));
	} else if (x->u.exception.vector == VECTOR_MC) {
		__asm__ volatile("int %0" : : "i"(VECTOR_MC));
		x->code = HVM_EXIT_HOST;
	} else {
		regs->rip += x->insn_len;
		x->insn_len = 0;
	}
}

/* Logged here: the failure is no exit, so nothing of it reaches exit_raw(). */
static NOINLINE void entry_refused(struct hvm_vcpu *v, int how, struct hvm_exit *x)
{
	u32 error = how == 2 ? (u32)vmread(VMCS_INSN_ERROR) : 0;

	log_err("vmx: the entry failed: %s", vmx_insn_error_text(error));
	v->entry_refused = true;
	x->code = HVM_EXIT_ENTRY_FAIL;
	x->insn_len = 0;
}

static ALWAYS_INLINE void read_exit(struct hvm_vcpu *v)
{
	struct vmx_exit_info *i = &v->exit;
	u32 needs;

	i->reason = (u32)vmread(VMCS_EXIT_REASON);
	i->blocking = v->blocking = (u32)vmread(VMCS_GUEST_BLOCKING);
	i->vectoring = (u32)vmread(VMCS_VECTORING);
	needs = vmx_exit_needs(i->reason);
	if (needs & VMX_NEEDS_LEN)
		i->insn_len = (u32)vmread(VMCS_EXIT_INSN_LEN);
	if (needs & VMX_NEEDS_QUAL)
		i->qual = vmread(VMCS_QUALIFICATION);
	if (needs & VMX_NEEDS_GPA)
		i->gpa = vmread(VMCS_GUEST_PHYSICAL);
	if (needs & VMX_NEEDS_EVENT) {
		i->event = (u32)vmread(VMCS_EXIT_EVENT);
		i->error = (u32)vmread(VMCS_EXIT_ERROR);
	}
}

static ALWAYS_INLINE void before_entry(struct hvm_vcpu *v, const struct hvm_regs *regs)
{
	if (unlikely(v->flush))
		flush(v);
	if (unlikely(v->pdptes))
		vmx_pdptes_load(v);
	if (unlikely(v->event))
		vmx_event_entry(v);
	vmwrite(VMCS_GUEST_RSP, regs->gpr[HVM_RSP]);
	vmwrite(VMCS_GUEST_RIP, regs->rip);
	vmwrite(VMCS_GUEST_RFLAGS, regs->rflags);
}

/* What was posted before the entry was told to a CPU that did not run the guest. */
static ALWAYS_INLINE bool outstanding(const struct hvm_vcpu *v)
{
	return v->posted && v->direct &&
	       (atomic_load_relaxed(&v->posted[POSTED_CONTROL]) & POSTED_ON);
}

static void vmx_run(struct hvm_vcpu *v, struct hvm_regs *regs, const u32 *kick, struct hvm_exit *x)
{
	int failed;

	irq_disable();
	if (unlikely(atomic_load_relaxed(kick) || outstanding(v))) {
		irq_enable();
		x->code = HVM_EXIT_HOST;
		return;
	}
	before_entry(v, regs);
	failed = vmx_enter(regs, v->launched);
	if (unlikely(failed)) {
		irq_enable();
		entry_refused(v, failed, x);
		return;
	}
	v->launched = true;
	regs->gpr[HVM_RSP] = vmread(VMCS_GUEST_RSP);
	regs->rip = vmread(VMCS_GUEST_RIP);
	regs->rflags = vmread(VMCS_GUEST_RFLAGS);
	read_exit(v);
	if (v->exit.reason == VMX_X_INTR && vmx_ctls.posted)
		trap_take((u8)vmread(VMCS_EXIT_EVENT));
	irq_enable();
	vmx_translate(&v->exit, x);
	if (unlikely(vmx_event_matters(v)))
		vmx_event_exit(v, x);
	if (unlikely(v->exit.reason == VMX_X_EXCEPTION))
		exception_exit(&v->exit, x, regs);
	if (unlikely(x->code == HVM_EXIT_ENTRY_FAIL))
		log_err("vmx: the entry failed: %s",
			vmx_entry_fail_text(v->exit.reason, v->exit.qual));
}

const struct hvm_ops vmx_ops = {
	.name = "vmx",
	.stage2_fmt = &stage2_fmt,
	.probe = vmx_probe,
	.cpu_on = vmx_cpu_on,
	.cpu_off = vmx_cpu_off,
	.vm_create = vmx_vm_create,
	.vm_destroy = vmx_vm_destroy,
	.msr_intercept = vmx_msr_intercept,
	.vcpu_create = vmx_vcpu_create,
	.vcpu_destroy = vmx_vcpu_destroy,
	.vcpu_reset = vmx_vcpu_reset,
	.vcpu_load = vmx_vcpu_load,
	.vcpu_put = vmx_vcpu_put,
	.run = vmx_run,
	.get_seg = vmx_get_seg,
	.set_seg = vmx_set_seg,
	.get_dtable = vmx_get_dtable,
	.set_dtable = vmx_set_dtable,
	.get_sys = vmx_get_sys,
	.set_sys = vmx_set_sys,
	.cpl = vmx_cpl,
	.code = vmx_code,
	.exit_raw = vmx_exit_raw,
	.written = vmx_written,
	.inject = vmx_inject,
	.event_queued = vmx_event_queued,
	.irq_ready = vmx_irq_ready,
	.irq_window = vmx_irq_window,
	.nmi_ready = vmx_nmi_ready,
	.nmi_window = vmx_nmi_window,
	.apic_page = vmx_apic_page,
	.apic_posted = vmx_apic_posted,
	.apic_update = vmx_apic_update,
	.shadow_clear = vmx_shadow_clear,
	.get_state = vmx_get_state,
	.set_state = vmx_set_state,
	.tlb_flush = vmx_tlb_flush,
};
