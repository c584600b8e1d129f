/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs single instructions with chosen registers. A form is run on RAM, where the CPU executes
 * it, and on a device register, where the hypervisor does: both must leave the same.
 */
#ifndef TESTS_GUEST_FORMS_H
#define TESTS_GUEST_FORMS_H

#include "kernel/base/types.h"

struct form {
	const void *code; /* one instruction and RET */
	const char *text;
};

struct form_regs {
	u64 rax, rbx, rcx, rdx, rsi, rdi, r8, r9, rflags;
};

/* Arithmetic flags: CF PF AF ZF SF OF. */
#define FORM_FLAGS 0x8d5ull

/* Add an instruction to a list; the list's bounds are __start_LIST and __stop_LIST. */
#define FORM_ADD(list, text)                                                         \
	__asm__(".pushsection .text.forms, \"ax\"\n771: " text "\n ret\n.popsection\n" \
		".pushsection .rodata.forms, \"a\"\n772: .asciz \"" text "\"\n.popsection\n" \
		".pushsection " #list ", \"aw\"\n .balign 8\n .quad 771b, 772b\n.popsection\n")

#define FORM_LIST(list) extern const struct form __start_##list[], __stop_##list[]

/** form_run() - load r, run the code, store r. */
void form_run(const void *code, struct form_regs *r);

__asm__(".pushsection .text\n"
	"form_run:\n"
	"	push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"	push %rsi\n"
	"	mov %rdi, %rbp\n"
	"	mov %rsi, %r15\n"
	"	mov 0(%r15), %rax\n mov 8(%r15), %rbx\n mov 16(%r15), %rcx\n"
	"	mov 24(%r15), %rdx\n mov 32(%r15), %rsi\n mov 40(%r15), %rdi\n"
	"	mov 48(%r15), %r8\n mov 56(%r15), %r9\n"
	"	push 64(%r15)\n popfq\n"
	"	call *%rbp\n"
	"	pushfq\n"
	"	pop %rbp\n" /* the form may use anything but RBP and RSP unbalanced */
	"	cld\n"
	"	pop %r15\n"
	"	mov %rax, 0(%r15)\n mov %rbx, 8(%r15)\n mov %rcx, 16(%r15)\n"
	"	mov %rdx, 24(%r15)\n mov %rsi, 32(%r15)\n mov %rdi, 40(%r15)\n"
	"	mov %r8, 48(%r15)\n mov %r9, 56(%r15)\n mov %rbp, 64(%r15)\n"
	"	pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n"
	"	ret\n"
	".popsection\n");

#endif
