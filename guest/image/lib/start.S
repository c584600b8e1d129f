/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry of a bare guest kernel: from the multiboot1 state (32-bit protected mode, no paging)
 * to 64-bit mode with the first 4 GiB mapped one to one, and on into C.
 */
#include "guest/image/lib/layout.h"

#define MB_MAGIC 0x1badb002
#define MB_FLAGS 3 /* modules on page boundaries, memory information */

	.section .multiboot, "ax"
	.balign 4
	.long MB_MAGIC, MB_FLAGS, -(MB_MAGIC + MB_FLAGS)

	.text
	.code32
	.globl guest_start
guest_start:
	cli
	cld
	movl %eax, boot_magic
	movl %ebx, boot_info_addr
	movl $(cpu_stacks + STACK_SIZE), %esp

	/* Four page directories of 2 MiB pages; from 3 GiB on uncached. */
	movl $boot_pd, %edi
	movl $0x83, %eax		/* present, writable, large */
	movl $2048, %ecx
1:	cmpl $0xc0000000, %eax
	jb 2f
	orl $0x10, %eax			/* PCD */
2:	movl %eax, (%edi)
	movl $0, 4(%edi)
	addl $0x200000, %eax
	addl $8, %edi
	decl %ecx
	jnz 1b
	movl $(boot_pd + 3), boot_pdpt
	movl $(boot_pd + 0x1003), boot_pdpt + 8
	movl $(boot_pd + 0x2003), boot_pdpt + 16
	movl $(boot_pd + 0x3003), boot_pdpt + 24
	movl $(boot_pdpt + 3), boot_pml4

	call long_mode_32
	.code64
	xorl %ebp, %ebp
	call boot_main
1:	cli
	hlt
	jmp 1b

/* From unpaged 32-bit mode to 64-bit mode; returns to 64-bit code behind the call. */
	.code32
	.globl long_mode_32
long_mode_32:
	movl %cr4, %eax
	orl $0x620, %eax		/* PAE, OSFXSR, OSXMMEXCPT */
	movl %eax, %cr4
	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx
	rdmsr
	orl $0x900, %eax		/* LME, NXE */
	wrmsr
	movl %cr0, %eax
	andl $0x1ffffff3, %eax		/* no CD, NW, EM, TS */
	orl $0x80010022, %eax		/* PG, WP, NE, MP */
	movl %eax, %cr0
	lgdt gdt_pointer
	ljmp $SEL_CODE64, $1f
	.code64
1:	movl $SEL_DATA, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl (%rsp), %eax		/* the 32-bit return address */
	addq $4, %rsp
	jmpq *%rax

	.data
	.balign 16
	.globl gdt_pointer
gdt_pointer:
	.word SEL_TSS + 16 * MAX_CPUS - 1
	.quad gdt

	.bss
	.balign 4096
	.globl boot_pml4, boot_pdpt, boot_pd
boot_pml4:	.skip 4096
boot_pdpt:	.skip 4096
boot_pd:	.skip 4 * 4096
	.globl cpu_stacks
cpu_stacks:	.skip STACK_SIZE * MAX_CPUS
