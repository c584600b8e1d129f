/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start code of the other CPUs: copied to SMP_TRAMPOLINE, real mode to 32-bit mode, then the
 * way the first CPU went.
 */
#include "guest/image/lib/layout.h"

	.text
	.globl smp_code_start, smp_code_end
	.code16
smp_code_start:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	/* The pointer has a 32-bit base: the table lies above 1 MiB. */
	lgdtl SMP_TRAMPOLINE + (smp_gdt_pointer - smp_code_start)
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $SEL_CODE32, $smp_start32
	.balign 8
smp_gdt_pointer:
	.word SEL_TSS - 1
	.long gdt
smp_code_end:

	.code32
smp_start32:
	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	movl smp_stack, %esp
	call long_mode_32
	.code64
	xorl %ebp, %ebp
	movl smp_cpu, %edi
	call smp_main
