/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Build and load a CPU's GDT and TSS.
 */
#include "arch/x86/desc.h"

#include "arch/x86/msr.h"
#include "kernel/base/bits.h"

#define GDT_CODE64   0x00af9b000000ffffull
#define GDT_DATA     0x00cf93000000ffffull

static void tss_descriptor(struct desc_cpu *d)
{
	u64 base = (u64)(uintptr_t)&d->tss;
	u64 limit = sizeof(d->tss) - 1;

	d->gdt[3] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	d->gdt[4] = base >> 32;
}

void desc_load(struct desc_cpu *d, const u64 ist[IST_COUNT])
{
	struct desc_ptr p = { .limit = sizeof(d->gdt) - 1, .base = (u64)(uintptr_t)d->gdt };
	u64 gs = msr_read(MSR_GS_BASE);

	d->gdt[0] = 0;
	d->gdt[1] = GDT_CODE64;
	d->gdt[2] = GDT_DATA;
	tss_descriptor(d);
	for (u32 i = 0; i < IST_COUNT; i++)
		d->tss.ist[i] = ist[i];
	d->tss.iomap = sizeof(d->tss);
	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\n\t"
			 "movw %w2, %%ds\n\t"
			 "movw %w2, %%es\n\t"
			 "movw %w2, %%ss\n\t"
			 "movw %w3, %%fs\n\t"
			 "movw %w3, %%gs\n\t"
			 "ltr %w4"
			 :
			 : "m"(p), "i"(SEL_CODE64), "r"(SEL_DATA), "r"(0), "r"(SEL_TSS)
			 : "rax", "memory");
	msr_write(MSR_GS_BASE, gs);
}
