/* SPDX-License-Identifier: Apache-2.0 */
/*
 * void svm_enter(hpa_t guest_vmcb, struct hvm_regs *regs, hpa_t host_vmcb)
 *
 * One VMRUN: guest registers in, guest registers out. RAX, RSP, RIP and RFLAGS travel in the
 * VMCB. GIF is 0 on entry and on return (APM vol. 2 §15.17), interrupts are enabled so
 * that a pending one ends the guest's run. VMRUN does not switch FS, GS, TR, LDTR and
 * the system-call MSRs; VMLOAD and VMSAVE do (§15.5.2), and GS must be the host's before
 * any C code runs.
 */
	.section .text.hot, "ax", @progbits
	.globl svm_enter
	.type svm_enter, @function
svm_enter:
	push	%rbp
	push	%rbx
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdx
	push	%rsi

	mov	%rdi, %rax
	mov	1*8(%rsi), %rcx
	mov	2*8(%rsi), %rdx
	mov	3*8(%rsi), %rbx
	mov	5*8(%rsi), %rbp
	mov	7*8(%rsi), %rdi
	mov	8*8(%rsi), %r8
	mov	9*8(%rsi), %r9
	mov	10*8(%rsi), %r10
	mov	11*8(%rsi), %r11
	mov	12*8(%rsi), %r12
	mov	13*8(%rsi), %r13
	mov	14*8(%rsi), %r14
	mov	15*8(%rsi), %r15
	mov	6*8(%rsi), %rsi

	vmload
	vmrun
	vmsave

	/* RAX and RSP are the host's again. */
	xchg	(%rsp), %rsi
	mov	%rcx, 1*8(%rsi)
	mov	%rdx, 2*8(%rsi)
	mov	%rbx, 3*8(%rsi)
	mov	%rbp, 5*8(%rsi)
	mov	%rdi, 7*8(%rsi)
	mov	%r8, 8*8(%rsi)
	mov	%r9, 9*8(%rsi)
	mov	%r10, 10*8(%rsi)
	mov	%r11, 11*8(%rsi)
	mov	%r12, 12*8(%rsi)
	mov	%r13, 13*8(%rsi)
	mov	%r14, 14*8(%rsi)
	mov	%r15, 15*8(%rsi)
	popq	6*8(%rsi)

	pop	%rax
	vmload
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbx
	pop	%rbp
	ret
	.size svm_enter, . - svm_enter
	.section .note.GNU-stack, "", @progbits
