/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest state in the VMCS, and what is switched only when another vCPU comes: FPU, debug
 * registers, CR2, XCR0 and the MSRs that the VMCS does not hold.
 */
#include "arch/vmx/ept_fmt.h"
#include "arch/vmx/vmx_priv.h"
#include "arch/x86/cpu.h"
#include "arch/x86/desc.h"
#include "arch/x86/fpu.h"
#include "arch/x86/msr.h"
#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"

#define PAT_RESET     0x0007040600070406ull
#define RFLAGS_RESET  BIT(1)
#define DR6_RESET     0xffff0ff0ull
#define DR7_RESET     0x400ull
#define CPUID_SIGNATURE 1u

#define ATTR_P	  BIT(7)
#define ATTR_CODE 0x9bu
#define ATTR_DATA 0x93u
#define ATTR_LDT  0x82u
#define ATTR_TSS  0x8bu

/* The guest's own is TS alone; the rest of what it reads is the shadow. */
#define CR0_GUEST_OWNED CR0_TS
/*
 * VMX operation fixes NE; CD and NW are the CPU's, not the guest's (SDM vol. 3 §24.8, §27.3.2.1).
 */
#define CR0_FORCED_ON  (CR0_NE | CR0_ET)
#define CR0_FORCED_OFF (CR0_CD | CR0_NW)
/* Machine checks must come to the hypervisor even when the guest would shut down. */
#define CR4_FORCED_ON (CR4_VMXE | CR4_MCE)

#define PDPTES	       4
#define PDPTE_P	       BIT(0)
#define PDPTE_RESERVED (MASK(8, 5) | MASK(2, 1))
#define CR3_PAE_TABLE  MASK(31, 5)

static const u32 msr_number[VMX_MSRS] = { MSR_STAR,   MSR_LSTAR,	  MSR_CSTAR,
					  MSR_SFMASK, MSR_KERNEL_GS_BASE, MSR_TSC_AUX };

void vmx_vmcs_borrow(struct hvm_vcpu *v)
{
	ASSERT(!v->loaded);
	vmx_vmcs_load(v->vmcs);
}

void vmx_vmcs_return(struct hvm_vcpu *v)
{
	struct vmx_cpu *c = vmx_this_cpu();

	vmx_vmcs_clear(v->vmcs);
	if (c->current)
		vmx_vmcs_load(c->current->vmcs);
}

static u64 read_field(struct hvm_vcpu *v, u32 field)
{
	bool borrowed = vmx_borrow(v);
	u64 value = vmread(field);

	vmx_return(v, borrowed);
	return value;
}

static void write_field(struct hvm_vcpu *v, u32 field, u64 value)
{
	bool borrowed = vmx_borrow(v);

	vmwrite(field, value);
	vmx_return(v, borrowed);
}

static bool has_msr(enum vmx_msr m)
{
	return m != VMX_TSC_AUX || cpu_features()->rdtscp;
}

static void reset_segments(struct hvm_vcpu *v)
{
	const struct hvm_segment data = { 0, 0xffff, 0, ATTR_DATA };
	const struct hvm_segment code = { 0xffff0000, 0xffff, 0xf000, ATTR_CODE };
	const struct hvm_segment ldt = { 0, 0xffff, 0, ATTR_LDT };
	const struct hvm_segment tss = { 0, 0xffff, 0, ATTR_TSS };
	const struct hvm_dtable table = { 0, 0xffff };

	for (u32 seg = HVM_ES; seg <= HVM_GS; seg++)
		vmx_set_seg(v, (enum hvm_seg)seg, &data);
	vmx_set_seg(v, HVM_CS, &code);
	vmx_set_seg(v, HVM_LDTR, &ldt);
	vmx_set_seg(v, HVM_TR, &tss);
	vmx_set_dtable(v, false, &table);
	vmx_set_dtable(v, true, &table);
}

static void debug_registers_load(const struct hvm_vcpu *v)
{
	__asm__ volatile("mov %0, %%dr0; mov %1, %%dr1; mov %2, %%dr2; mov %3, %%dr3; mov %4, %%dr6"
			 :
			 : "r"(v->dr[0]), "r"(v->dr[1]), "r"(v->dr[2]), "r"(v->dr[3]), "r"(v->dr6));
}

static void debug_registers_save(struct hvm_vcpu *v)
{
	__asm__ volatile("mov %%dr0, %0; mov %%dr1, %1; mov %%dr2, %2; mov %%dr3, %3; mov %%dr6, %4"
			 : "=r"(v->dr[0]), "=r"(v->dr[1]), "=r"(v->dr[2]), "=r"(v->dr[3]),
			   "=r"(v->dr6));
}

static void registers_load(struct hvm_vcpu *v)
{
	fpu_load(v->fpu, v->xcr0);
	debug_registers_load(v);
	cr2_write(v->cr2);
	for (u32 i = 0; i < VMX_MSRS; i++)
		if (has_msr((enum vmx_msr)i))
			msr_write(msr_number[i], v->msr[i]);
}

static void registers_save(struct hvm_vcpu *v)
{
	fpu_save(v->fpu);
	debug_registers_save(v);
	v->cr2 = cr2_read();
	for (u32 i = 0; i < VMX_MSRS; i++)
		if (has_msr((enum vmx_msr)i))
			v->msr[i] = msr_read(msr_number[i]);
}

/* SDM vol. 3 §10.1.1. */
void vmx_vcpu_reset(struct hvm_vcpu *v, struct hvm_regs *regs)
{
	static const u32 zero[] = { VMCS_GUEST_CR3, VMCS_GUEST_DEBUGCTL, VMCS_GUEST_BLOCKING,
				    VMCS_GUEST_ACTIVITY, VMCS_GUEST_PENDING_DB,
				    VMCS_GUEST_SYSENTER_CS, VMCS_GUEST_SYSENTER_ESP,
				    VMCS_GUEST_SYSENTER_EIP, VMCS_ENTRY_EVENT };
	bool borrowed = vmx_borrow(v);

	for (u32 i = 0; i < ARRAY_SIZE(zero); i++)
		vmwrite(zero[i], 0);
	vmwrite(VMCS_LINK, ~0ull);
	vmwrite(VMCS_GUEST_DR7, DR7_RESET);
	vmwrite(VMCS_GUEST_PAT, PAT_RESET);
	v->windows = 0;
	vmx_windows_apply(v);
	vmx_return(v, borrowed);
	reset_segments(v);
	vmx_set_sys(v, HVM_EFER, 0);
	vmx_set_sys(v, HVM_CR4, 0);
	vmx_set_sys(v, HVM_CR0, CR0_CD | CR0_NW | CR0_ET);
	v->event = 0;
	v->blocking = 0;
	v->cr2 = v->cr8 = 0;
	v->dr6 = DR6_RESET;
	v->xcr0 = 1;
	memset(v->dr, 0, sizeof(v->dr));
	memset(v->msr, 0, sizeof(v->msr));
	fpu_area_init(v->fpu);
	if (v->loaded)
		registers_load(v);
	memset(regs, 0, sizeof(*regs));
	regs->gpr[HVM_RDX] = cpuid(CPUID_SIGNATURE, 0).eax;
	regs->rip = 0xfff0;
	regs->rflags = RFLAGS_RESET;
}

/* What the CPU is to have after an exit: this CPU's own. SDM vol. 3 §25.5. */
static void host_state(void)
{
	struct desc_ptr gdt, idt;
	const u64 *tss;
	u64 lo;

	__asm__ volatile("sgdt %0; sidt %1" : "=m"(gdt), "=m"(idt));
	tss = (const u64 *)(uintptr_t)(gdt.base + SEL_TSS);
	lo = tss[0];
	vmwrite(VMCS_HOST_CR0, cr0_read());
	vmwrite(VMCS_HOST_CR3, cr3_read());
	vmwrite(VMCS_HOST_CR4, cr4_read());
	vmwrite(VMCS_HOST_EFER, msr_read(MSR_EFER));
	vmwrite(VMCS_HOST_PAT, msr_read(MSR_PAT));
	vmwrite(VMCS_HOST_CS_SEL, SEL_CODE64);
	vmwrite(VMCS_HOST_SS_SEL, SEL_DATA);
	vmwrite(VMCS_HOST_DS_SEL, SEL_DATA);
	vmwrite(VMCS_HOST_ES_SEL, SEL_DATA);
	vmwrite(VMCS_HOST_FS_SEL, 0);
	vmwrite(VMCS_HOST_GS_SEL, 0);
	vmwrite(VMCS_HOST_TR_SEL, SEL_TSS);
	vmwrite(VMCS_HOST_FS_BASE, msr_read(MSR_FS_BASE));
	vmwrite(VMCS_HOST_GS_BASE, msr_read(MSR_GS_BASE));
	vmwrite(VMCS_HOST_TR_BASE, field_get(lo, 39, 16) | field_get(lo, 63, 56) << 24 |
					   tss[1] << 32);
	vmwrite(VMCS_HOST_GDTR_BASE, gdt.base);
	vmwrite(VMCS_HOST_IDTR_BASE, idt.base);
	vmwrite(VMCS_HOST_SYSENTER_CS, 0);
	vmwrite(VMCS_HOST_SYSENTER_ESP, 0);
	vmwrite(VMCS_HOST_SYSENTER_EIP, 0);
	vmwrite(VMCS_HOST_RIP, (u64)(uintptr_t)vmx_exit_point);
}

void vmx_vcpu_load(struct hvm_vcpu *v)
{
	u32 cpu = this_cpu()->id + 1;

	vmx_vmcs_load(v->vmcs);
	vmx_this_cpu()->current = v;
	v->loaded = true;
	host_state();
	/* What this CPU still knows of an earlier stay was not flushed while v was elsewhere. */
	if (v->last_cpu != cpu)
		v->flush = true;
	v->last_cpu = cpu;
	registers_load(v);
}

void vmx_vcpu_put(struct hvm_vcpu *v)
{
	registers_save(v);
	vmx_vmcs_clear(v->vmcs);
	vmx_this_cpu()->current = NULL;
	v->loaded = false;
	v->launched = false;
}

void vmx_get_seg(struct hvm_vcpu *v, enum hvm_seg seg, struct hvm_segment *out)
{
	bool borrowed = vmx_borrow(v);
	u32 n = 2 * (u32)seg;
	u64 ar = vmread(VMCS_GUEST_AR + n);

	out->base = vmread(VMCS_GUEST_BASE + n);
	out->limit = (u32)vmread(VMCS_GUEST_LIMIT + n);
	out->sel = (u16)vmread(VMCS_GUEST_SEL + n);
	out->attr = (u16)((ar & 0xff) | (ar >> 4 & 0xf00));
	if (ar & VMX_AR_UNUSABLE)
		out->attr &= (u16)~ATTR_P;
	vmx_return(v, borrowed);
}

void vmx_set_seg(struct hvm_vcpu *v, enum hvm_seg seg, const struct hvm_segment *in)
{
	bool borrowed = vmx_borrow(v);
	u32 n = 2 * (u32)seg;

	vmwrite(VMCS_GUEST_BASE + n, in->base);
	vmwrite(VMCS_GUEST_LIMIT + n, in->limit);
	vmwrite(VMCS_GUEST_SEL + n, in->sel);
	vmwrite(VMCS_GUEST_AR + n, (in->attr & 0xffu) | (in->attr & 0xf00u) << 4 |
					   (in->attr & ATTR_P ? 0 : VMX_AR_UNUSABLE));
	vmx_return(v, borrowed);
}

void vmx_get_dtable(struct hvm_vcpu *v, bool idt, struct hvm_dtable *out)
{
	out->base = read_field(v, idt ? VMCS_GUEST_IDTR_BASE : VMCS_GUEST_GDTR_BASE);
	out->limit = (u32)read_field(v, idt ? VMCS_GUEST_IDTR_LIMIT : VMCS_GUEST_GDTR_LIMIT);
}

void vmx_set_dtable(struct hvm_vcpu *v, bool idt, const struct hvm_dtable *in)
{
	write_field(v, idt ? VMCS_GUEST_IDTR_BASE : VMCS_GUEST_GDTR_BASE, in->base);
	write_field(v, idt ? VMCS_GUEST_IDTR_LIMIT : VMCS_GUEST_GDTR_LIMIT, in->limit);
}

/* Where the VMCS keeps a register as it is; 0 for the others. */
static const u16 field_of[HVM_SYSREGS] = {
	[HVM_CR3] = VMCS_GUEST_CR3,
	[HVM_CR4] = VMCS_CR4_SHADOW,
	[HVM_DR7] = VMCS_GUEST_DR7,
	[HVM_EFER] = VMCS_GUEST_EFER,
	[HVM_PAT] = VMCS_GUEST_PAT,
	[HVM_SYSENTER_CS] = VMCS_GUEST_SYSENTER_CS,
	[HVM_SYSENTER_ESP] = VMCS_GUEST_SYSENTER_ESP,
	[HVM_SYSENTER_EIP] = VMCS_GUEST_SYSENTER_EIP,
	[HVM_TSC_OFFSET] = VMCS_TSC_OFFSET,
};

/* Which of the switched MSRs a register is; VMX_MSRS: none. */
static enum vmx_msr msr_of(enum hvm_sysreg reg)
{
	switch ((u32)reg) {
	case HVM_STAR:
		return VMX_STAR;
	case HVM_LSTAR:
		return VMX_LSTAR;
	case HVM_CSTAR:
		return VMX_CSTAR;
	case HVM_SFMASK:
		return VMX_SFMASK;
	case HVM_KERNEL_GS_BASE:
		return VMX_KERNEL_GS;
	case HVM_TSC_AUX:
		return VMX_TSC_AUX;
	default:
		return VMX_MSRS;
	}
}

static u64 get_cr0(struct hvm_vcpu *v)
{
	return (read_field(v, VMCS_GUEST_CR0) & CR0_GUEST_OWNED) |
	       (read_field(v, VMCS_CR0_SHADOW) & ~CR0_GUEST_OWNED);
}

/* Registers that live in the CPU while v is loaded, in *v otherwise. */
static u64 get_switched(struct hvm_vcpu *v, enum hvm_sysreg reg)
{
	enum vmx_msr m = msr_of(reg);

	if (m != VMX_MSRS)
		return v->loaded && has_msr(m) ? msr_read(msr_number[m]) : v->msr[m];
	if (reg == HVM_CR2)
		return v->loaded ? cr2_read() : v->cr2;
	if (reg == HVM_DR6) {
		if (v->loaded)
			__asm__ volatile("mov %%dr6, %0" : "=r"(v->dr6));
		return v->dr6;
	}
	return reg == HVM_XCR0 ? v->xcr0 : v->cr8;
}

u64 vmx_get_sys(struct hvm_vcpu *v, enum hvm_sysreg reg)
{
	if (reg == HVM_CR0)
		return get_cr0(v);
	return field_of[reg] ? read_field(v, field_of[reg]) : get_switched(v, reg);
}

static void set_switched(struct hvm_vcpu *v, enum hvm_sysreg reg, u64 value)
{
	enum vmx_msr m = msr_of(reg);

	if (m != VMX_MSRS) {
		v->msr[m] = value;
		if (v->loaded && has_msr(m))
			msr_write(msr_number[m], value);
	} else if (reg == HVM_CR2) {
		v->cr2 = value;
		if (v->loaded)
			cr2_write(value);
	} else if (reg == HVM_DR6) {
		v->dr6 = value;
		if (v->loaded)
			__asm__ volatile("mov %0, %%dr6" : : "r"(value));
	} else if (reg == HVM_XCR0) {
		v->xcr0 = value;
		if (v->loaded)
			fpu_set_xcr0(value);
	} else {
		v->cr8 = value;
	}
}

void vmx_set_sys(struct hvm_vcpu *v, enum hvm_sysreg reg, u64 value)
{
	bool borrowed;

	if (reg != HVM_CR0 && !field_of[reg]) {
		set_switched(v, reg, value);
		return;
	}
	borrowed = vmx_borrow(v);
	if (reg == HVM_CR0) {
		vmwrite(VMCS_CR0_SHADOW, value);
		vmwrite(VMCS_GUEST_CR0, (value | CR0_FORCED_ON) & ~CR0_FORCED_OFF);
	} else {
		vmwrite(field_of[reg], value);
	}
	if (reg == HVM_CR4)
		vmwrite(VMCS_GUEST_CR4, value | CR4_FORCED_ON);
	if (reg == HVM_EFER)
		vmwrite(VMCS_ENTRY_CTL,
			vmx_ctls.entry | (value & EFER_LMA ? VMX_ENTRY_IA32E : 0));
	vmx_return(v, borrowed);
	if (reg == HVM_CR0 || reg == HVM_CR3 || reg == HVM_CR4 || reg == HVM_EFER)
		v->flush = v->pdptes = true;
}

u8 vmx_cpl(struct hvm_vcpu *v)
{
	return (u8)field_get(read_field(v, VMCS_GUEST_AR + 2 * HVM_SS), 6, 5);
}

struct hvm_code vmx_code(struct hvm_vcpu *v)
{
	bool borrowed = vmx_borrow(v);
	u64 ar = vmread(VMCS_GUEST_AR + 2 * HVM_CS);
	struct hvm_code c = { .cr3 = vmread(VMCS_GUEST_CR3), .bits = 64 };

	if (!(ar & VMX_AR_L) || !(vmread(VMCS_GUEST_EFER) & EFER_LMA)) {
		c.base = (u32)vmread(VMCS_GUEST_BASE + 2 * HVM_CS);
		c.bits = ar & VMX_AR_D ? 32 : 16;
	}
	vmx_return(v, borrowed);
	return c;
}

void vmx_exit_raw(struct hvm_vcpu *v, u64 raw[4])
{
	u32 needs = vmx_exit_needs(v->exit.reason);

	raw[0] = v->entry_refused ? ~0ull : v->exit.reason;
	raw[1] = needs & VMX_NEEDS_QUAL ? v->exit.qual : 0;
	raw[2] = needs & VMX_NEEDS_GPA ? v->exit.gpa : 0;
	raw[3] = v->exit.vectoring;
}

/* The guest page-directory pointers are in RAM or count as not present. */
static const u64 *guest_table(const struct hvm_vm *vm, gpa_t gpa)
{
	hpa_t table = vm->root;

	for (u32 level = ept_fmt.levels; level; level--) {
		const u64 *t = phys_to_virt(table);
		u64 e = atomic_load_relaxed(&t[pgfmt_index(&ept_fmt, gpa, level)]);

		if (!ept_fmt.present(e))
			return NULL;
		table = ept_fmt.addr(e, level);
		if (ept_fmt.is_leaf(e, level)) {
			table += gpa & (pgfmt_size(&ept_fmt, level) - 1);
			return phys_to_virt(table);
		}
	}
	return NULL;
}

/*
 * PAE paging takes its four page-directory pointers from the VMCS; a CPU fills them in when the
 * guest loads CR3, and we when a change of CR0, CR4 or EFER was emulated. SDM vol. 3 §27.3.2.4.
 */
void vmx_pdptes_load(struct hvm_vcpu *v)
{
	u64 reserved = PDPTE_RESERVED | MASK(63, cpu_features()->phys_bits);
	u64 cr0 = vmread(VMCS_GUEST_CR0), cr4 = vmread(VMCS_GUEST_CR4);
	const u64 *table;

	v->pdptes = false;
	if (!(cr0 & CR0_PG) || !(cr4 & CR4_PAE) || (vmread(VMCS_GUEST_EFER) & EFER_LMA))
		return;
	table = guest_table(v->vm, vmread(VMCS_GUEST_CR3) & CR3_PAE_TABLE);
	for (u32 i = 0; i < PDPTES; i++) {
		u64 e = table ? atomic_load_relaxed(&table[i]) : 0;

		vmwrite(VMCS_GUEST_PDPTE0 + 2 * i, (e & PDPTE_P) && !(e & reserved) ? e : 0);
	}
}
