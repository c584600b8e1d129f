/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU identification and the control-register values the hypervisor runs with.
 */
#include "arch/x86/cpu.h"

#include "arch/x86/msr.h"
#include "kernel/base/str.h"

static struct cpu_features features;

const struct cpu_features *cpu_features(void)
{
	return &features;
}

static void identify_names(struct cpu_features *f)
{
	struct cpuid_regs r = cpuid(0, 0);

	f->max_leaf = r.eax;
	memcpy(f->vendor, &r.ebx, 4);
	memcpy(f->vendor + 4, &r.edx, 4);
	memcpy(f->vendor + 8, &r.ecx, 4);
	f->max_ext_leaf = cpuid(0x80000000, 0).eax;
	if (f->max_ext_leaf < 0x80000004)
		return;
	for (u32 i = 0; i < 3; i++) {
		r = cpuid(0x80000002 + i, 0);
		memcpy(f->brand + 16 * i, &r, 16);
	}
}

void cpu_identify(void)
{
	struct cpu_features *f = &features;
	struct cpuid_regs r;

	identify_names(f);
	r = cpuid(1, 0);
	f->stepping = r.eax & 0xf;
	f->family = (r.eax >> 8 & 0xf) + ((r.eax >> 8 & 0xf) == 0xf ? r.eax >> 20 & 0xff : 0);
	f->model = (r.eax >> 4 & 0xf) | (r.eax >> 12 & 0xf0);
	f->x2apic = r.ecx & BIT(21);
	f->tsc_deadline = r.ecx & BIT(24);
	f->xsave = r.ecx & BIT(26);
	f->hypervisor = r.ecx & BIT(31);
	f->pge = r.edx & BIT(13);
	if (f->max_leaf >= 7) {
		r = cpuid(7, 0);
		f->smep = r.ebx & BIT(7);
		f->smap = r.ebx & BIT(20);
		f->umip = r.ecx & BIT(2);
	}
	r = cpuid(0x80000001, 0);
	f->page_1g = r.edx & BIT(26);
	f->rdtscp = r.edx & BIT(27);
	if (f->max_ext_leaf >= 0x80000007)
		f->tsc_invariant = cpuid(0x80000007, 0).edx & BIT(8);
	f->phys_bits = 36;
	f->virt_bits = 48;
	if (f->max_ext_leaf >= 0x80000008) {
		r = cpuid(0x80000008, 0);
		f->phys_bits = r.eax & 0xff;
		f->virt_bits = r.eax >> 8 & 0xff;
	}
}

void cpu_protect(void)
{
	const struct cpu_features *f = &features;
	u64 cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_MCE | CR4_DE;

	cr4 |= f->pge ? CR4_PGE : 0;
	cr4 |= f->smep ? CR4_SMEP : 0;
	cr4 |= f->smap ? CR4_SMAP : 0;
	cr4 |= f->umip ? CR4_UMIP : 0;
	cr4 |= f->xsave ? CR4_OSXSAVE : 0;
	msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NXE);
	cr0_write(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE);
	cr4_write(cr4);
}
