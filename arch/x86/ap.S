/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First instructions of an application processor: copied to a page below 1 MiB, entered in
 * real mode with CS:IP = page:0, no data of its own, so any number may run it at once.
 */
#define SEL_CODE32 0x18

	.section .rodata
	.code16
	.globl ap_trampoline, ap_trampoline_end
	.balign 16
ap_trampoline:
	cli
	cld
	movw	%cs, %ax
	movw	%ax, %ds
	lgdtl	ap_gdt_ptr - ap_trampoline
	movl	%cr0, %eax
	andl	$0x9fffffff, %eax	/* caches on */
	orl	$1, %eax		/* PE */
	movl	%eax, %cr0
	ljmpl	$SEL_CODE32, $ap_entry32
	.balign 8
ap_gdt_ptr:
	.short	ap_gdt_limit
	.long	boot_gdt
ap_trampoline_end:
