/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment descriptors and the TSS: one set per CPU, because the TSS names that CPU's
 * stacks for NMI, double fault and machine check.
 */
#ifndef ARCH_X86_DESC_H
#define ARCH_X86_DESC_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define SEL_CODE64 0x08
#define SEL_DATA   0x10
#define SEL_TSS	   0x18

#define IST_NMI	  1
#define IST_DF	  2
#define IST_MC	  3
#define IST_COUNT 3

struct PACKED desc_ptr {
	u16 limit;
	u64 base;
};

/* AMD APM vol. 2 §12.2.5. */
struct PACKED tss64 {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3;
	u16 iomap;
};

struct desc_cpu {
	u64 gdt[5]; /* null, code, data, TSS (two) */
	struct tss64 tss;
};

/**
 * desc_load() - build and load GDT and TSS of the calling CPU. ist[i] is the top of the
 * stack for IST number i + 1. GS base is kept. d stays in use.
 */
void desc_load(struct desc_cpu *d, const u64 ist[IST_COUNT]);

#endif
