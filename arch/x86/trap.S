/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One stub per vector: all registers onto the stack in the order of struct trap_frame.
 */
	.text
	.globl trap_stubs
	.balign 16
trap_stubs:
	vector = 0
	.rept 256
	.balign 16
	/* 8, 10-14, 17, 21, 29, 30: the CPU pushed an error code; not so for an interrupt of that
	   vector. The frame begins at a multiple of 16, so the stack pointer tells. */
	.if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || \
	      vector == 21 || vector == 29 || vector == 30
	testb	$8, %spl
	jz	1f
	.endif
	pushq	$0
1:	pushq	$vector
	jmp	trap_entry
	vector = vector + 1
	.endr

	.globl trap_entry
trap_entry:
	cld
	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rbx
	pushq	%rbp
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, %rdi
	call	trap_dispatch
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rbp
	popq	%rbx
	popq	%rdx
	popq	%rcx
	popq	%rax
	addq	$16, %rsp
	iretq
