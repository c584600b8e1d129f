/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entry from a multiboot loader (32-bit protected mode, paging off), and from the
 * application-processor trampoline; both go to long mode on a temporary map.
 */
#define COM1		0x3f8
#define MB1_MAGIC	0x1badb002
#define MB1_FLAGS	0x00000003	/* page-aligned modules, memory information */
#define MB2_MAGIC	0xe85250d6
#define MSR_EFER	0xc0000080
#define MSR_GS_BASE	0xc0000101
#define PCPU_SELF	0
#define PCPU_APIC_ID	12
#define PCPU_STACK_TOP	32
#define PCPU_CANARY	40
#define SEL_CODE32	0x18
#define SEL_CODE64	0x08
#define SEL_DATA	0x10

	.section .multiboot, "a"
	.balign 8
	.long MB1_MAGIC, MB1_FLAGS, -(MB1_MAGIC + MB1_FLAGS)
	.balign 8
mb2_header:
	.long MB2_MAGIC, 0, mb2_end - mb2_header, -(MB2_MAGIC + mb2_end - mb2_header)
	/* information request, optional: command line, modules, memory map, RSDP old and new */
	.short 1, 1
	.long 28
	.long 1, 3, 6, 14, 15
	.balign 8
	.short 0, 0		/* end of tags */
	.long 8
mb2_end:

	.section .boot, "ax"
	.code32
	.globl boot_entry
boot_entry:
	cli
	cld
	movl	%eax, %edi		/* loader's magic, kmain's first argument */
	movl	%ebx, %ebp		/* boot information */
	movl	$boot_stack_top, %esp
	call	uart_setup
	movl	$boot_banner, %esi
	call	puts
	call	long_mode_check
	movl	%ebp, %esi		/* kmain's second argument */

	/* Low 4 GiB in 2 MiB pages, seen at 0 and again at DMAP_BASE (slot 256). */
	movl	$(boot_pdpt + 3), boot_pml4
	movl	$(boot_pdpt + 3), boot_pml4 + 256 * 8
	movl	$(boot_pd + 3), %eax
	xorl	%ecx, %ecx
1:	movl	%eax, boot_pdpt(, %ecx, 8)
	addl	$4096, %eax
	incl	%ecx
	cmpl	$4, %ecx
	jb	1b
	movl	$0x83, %eax		/* present, writable, large */
	xorl	%ecx, %ecx
2:	movl	%eax, boot_pd(, %ecx, 8)
	addl	$0x200000, %eax
	incl	%ecx
	cmpl	$2048, %ecx
	jb	2b

	movl	$1f, %ebx
	jmp	long_mode_enter
1:	ljmp	$SEL_CODE64, $boot_entry64

/* Paging and long mode on; continues at EBX, in compatibility mode. Clobbers EAX, ECX, EDX. */
long_mode_enter:
	lgdt	boot_gdt_ptr
	movl	$(1 << 5), %eax		/* PAE, and nothing that firmware may have left on */
	movl	%eax, %cr4
	movl	$boot_pml4, %eax
	movl	%eax, %cr3
	movl	$MSR_EFER, %ecx
	rdmsr
	orl	$(1 << 8 | 1 << 11), %eax	/* LME, NXE */
	wrmsr
	movl	%cr0, %eax
	andl	$0x9fffffff, %eax	/* caches on: CD and NW clear */
	orl	$0x80010001, %eax	/* PG, WP, PE */
	movl	%eax, %cr0
	jmp	*%ebx

/* Ends here with a message when the CPU lacks long mode or NX. */
long_mode_check:
	pushal
	pushfl
	popl	%eax
	movl	%eax, %ecx
	xorl	$(1 << 21), %eax	/* the ID flag can be changed: there is CPUID */
	pushl	%eax
	popfl
	pushfl
	popl	%eax
	cmpl	%eax, %ecx
	je	9f
	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	9f
	movl	$0x80000001, %eax
	cpuid
	btl	$29, %edx
	jnc	9f
	btl	$20, %edx
	jnc	9f
	popal
	ret
9:	movl	$msg_no_long, %esi
	call	puts
8:	hlt
	jmp	8b

uart_setup:				/* 115200 8N1, FIFO on, interrupts off */
	movl	$uart_script, %esi
1:	movzbl	(%esi), %edx
	cmpb	$0xff, %dl
	je	2f
	movb	1(%esi), %al
	addl	$COM1, %edx
	outb	%al, %dx
	addl	$2, %esi
	jmp	1b
2:	ret

puts:					/* ESI: text, ended by zero; clobbers EAX, ECX, EDX */
	movl	$(COM1 + 5), %edx
	movl	$100000, %ecx
1:	inb	%dx, %al
	testb	$0x20, %al		/* transmit register empty */
	jnz	2f
	loop	1b
2:	movb	(%esi), %al
	testb	%al, %al
	jz	3f
	movl	$COM1, %edx
	outb	%al, %dx
	incl	%esi
	jmp	puts
3:	ret

	/* Processors other than the first: 32-bit protected mode, no stack, paging off. */
	.globl ap_entry32
ap_entry32:
	movl	$SEL_DATA, %eax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movl	$1f, %ebx
	jmp	long_mode_enter
1:	ljmp	$SEL_CODE64, $ap_entry64

	.code64
boot_entry64:
	movl	$SEL_DATA, %eax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	xorl	%eax, %eax
	movw	%ax, %fs
	movw	%ax, %gs
	movl	%edi, %edi
	movl	%esi, %esi
	movl	$boot_stack_top, %esp

	/* The per-CPU area, and a canary that differs from boot to boot, before any C. */
	movl	$boot_pcpu, %ebx
	movq	%rbx, PCPU_SELF(%rbx)
	movq	%rsp, PCPU_STACK_TOP(%rbx)
	movq	%rbx, %rax
	xorl	%edx, %edx
	movl	$MSR_GS_BASE, %ecx
	wrmsr
	rdtsc
	shlq	$32, %rdx
	orq	%rax, %rdx
	movabsq	$0x9e3779b97f4a7c15, %rax
	imulq	%rax, %rdx
	movq	%rdx, %r8
	movl	$1, %eax
	movl	$0, %ecx
	movq	%rbx, %r9
	cpuid
	movq	%r9, %rbx
	btl	$30, %ecx		/* RDRAND */
	jnc	1f
	rdrand	%rax
	jnc	1f
	xorq	%rax, %r8
1:	xorb	%r8b, %r8b		/* a zero byte stops string overruns */
	movq	%r8, PCPU_CANARY(%rbx)

	xorl	%ebp, %ebp		/* end of the frame chain */
	call	kmain
2:	hlt
	jmp	2b

/*
 * The final page tables, then the stack of this processor: its area is found by APIC id,
 * so that any number of processors may pass here at once.
 */
ap_entry64:
	movl	$SEL_DATA, %eax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	xorl	%eax, %eax
	movw	%ax, %fs
	movw	%ax, %gs
	movq	ap_cr3, %rax
	movq	%rax, %cr3

	xorl	%eax, %eax
	cpuid
	cmpl	$0xb, %eax
	jb	1f
	movl	$0xb, %eax
	xorl	%ecx, %ecx
	cpuid
	testw	%bx, %bx		/* leaf in use: EDX is the 32-bit id */
	jnz	2f
1:	movl	$1, %eax
	cpuid
	movl	%ebx, %edx
	shrl	$24, %edx
2:	movl	$ap_pcpus, %esi
	movl	ap_count, %ecx
3:	testl	%ecx, %ecx
	jz	9f
	decl	%ecx
	movq	(%rsi, %rcx, 8), %rdi
	cmpl	%edx, PCPU_APIC_ID(%rdi)
	jne	3b

	movq	PCPU_STACK_TOP(%rdi), %rsp
	movq	%rdi, %rax
	movq	%rdi, %rdx
	shrq	$32, %rdx
	movl	$MSR_GS_BASE, %ecx
	wrmsr
	xorl	%ebp, %ebp
	call	ap_main
9:	cli				/* nobody waits for this processor */
	hlt
	jmp	9b

	.section .rodata
uart_script:				/* register offset, value */
	.byte 1, 0x00, 3, 0x80, 0, 1, 1, 0, 3, 0x03, 2, 0xc7, 4, 0x03, 0xff
msg_no_long:
	.asciz "Godwit: this CPU has no 64-bit mode with no-execute pages; stopped.\r\n"
	.balign 8
	.globl boot_gdt, ap_gdt_limit
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 08: 64-bit code */
	.quad 0x00cf93000000ffff	/* 10: data */
	.quad 0x00cf9b000000ffff	/* 18: 32-bit code */
	ap_gdt_limit = . - boot_gdt - 1
boot_gdt_ptr:
	.short ap_gdt_limit
	.long boot_gdt, 0

	.section .bss.page_aligned, "aw", @nobits
	.balign 4096
	.globl boot_pml4
boot_pml4:	.skip 4096
boot_pdpt:	.skip 4096
boot_pd:	.skip 4 * 4096
	/* Unmapped in the final tables: the boot stack's guard. */
	.globl boot_stack_guard, boot_stack_top
boot_stack_guard:
	.skip 4096
	.skip 16384
boot_stack_top:
