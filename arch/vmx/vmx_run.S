# SPDX-License-Identifier: Apache-2.0
/*
 * int vmx_enter(struct hvm_regs *regs, bool launched)
 *
 * One VMLAUNCH or VMRESUME: guest registers in, guest registers out. RSP, RIP and RFLAGS travel
 * in the VMCS. Interrupts are off on entry and on return. An exit comes to vmx_exit_point
 * with segments, control registers and RSP of the host (SDM vol. 3 §28.5); an entry that
 * fails falls through. Returns 0 after an exit, 1 for VMfailInvalid, 2 for VMfailValid.
 */
	.text
	.globl vmx_enter, vmx_exit_point
	.type vmx_enter, @function
vmx_enter:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	mov	$0x6c14, %eax		/* VMCS_HOST_RSP */
	vmwrite	%rsp, %rax
	test	%sil, %sil		/* kept by the moves */

	mov	0*8(%rdi), %rax
	mov	1*8(%rdi), %rcx
	mov	2*8(%rdi), %rdx
	mov	3*8(%rdi), %rbx
	mov	5*8(%rdi), %rbp
	mov	6*8(%rdi), %rsi
	mov	8*8(%rdi), %r8
	mov	9*8(%rdi), %r9
	mov	10*8(%rdi), %r10
	mov	11*8(%rdi), %r11
	mov	12*8(%rdi), %r12
	mov	13*8(%rdi), %r13
	mov	14*8(%rdi), %r14
	mov	15*8(%rdi), %r15
	mov	7*8(%rdi), %rdi

	jnz	1f
	vmlaunch
	jmp	2f
1:	vmresume
2:	mov	$1, %eax
	mov	$2, %ecx
	cmovz	%ecx, %eax
	pop	%rdi
	jmp	3f

vmx_exit_point:
	xchg	(%rsp), %rdi
	mov	%rax, 0*8(%rdi)
	mov	%rcx, 1*8(%rdi)
	mov	%rdx, 2*8(%rdi)
	mov	%rbx, 3*8(%rdi)
	mov	%rbp, 5*8(%rdi)
	mov	%rsi, 6*8(%rdi)
	mov	%r8, 8*8(%rdi)
	mov	%r9, 9*8(%rdi)
	mov	%r10, 10*8(%rdi)
	mov	%r11, 11*8(%rdi)
	mov	%r12, 12*8(%rdi)
	mov	%r13, 13*8(%rdi)
	mov	%r14, 14*8(%rdi)
	mov	%r15, 15*8(%rdi)
	popq	7*8(%rdi)
	xor	%eax, %eax

3:	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.size vmx_enter, . - vmx_enter
	.section .note.GNU-stack, "", @progbits
