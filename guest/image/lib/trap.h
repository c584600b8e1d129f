/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptor tables, exceptions and interrupts of guest kernels. A fault inside TRAP_OF()
 * is caught and reported; every other exception ends the kernel with a register dump.
 */
#ifndef GUEST_IMAGE_LIB_TRAP_H
#define GUEST_IMAGE_LIB_TRAP_H

#include "guest/image/lib/cpu.h"
#include "guest/image/lib/layout.h"

#define TRAP_NONE (-1)

struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

/* What trap_catch() saved, and the fault that came. One a CPU. */
struct trap_catch {
	u64 rip, rsp, rbx, rbp, r12, r13, r14, r15, rflags;
	u64 active;
	s64 vector; /* TRAP_NONE: none came */
	u64 error, cr2, fault_rip, fault_rflags;
};

/** trap_catch() - returns 0 at once, and 1 when a fault came later. Use TRAP_OF(). */
int trap_catch(struct trap_catch *c) __attribute__((returns_twice));

/** trap_this() - this CPU's record: details of its latest TRAP_OF(). */
struct trap_catch *trap_this(void);

/** trap_end() - end of TRAP_OF(): the vector, or TRAP_NONE. */
int trap_end(void);

/*
 * Run statements; the value is the vector of the exception that ended them, or TRAP_NONE.
 * Variables they change are lost on a fault unless volatile.
 */
#define TRAP_OF(...)                              \
	({                                        \
		if (!trap_catch(trap_this())) {   \
			__VA_ARGS__;              \
		}                                 \
		trap_end();                       \
	})

typedef void (*trap_handler)(struct trap_frame *f);

/** trap_set() - handler of a vector on all CPUs; NULL: default. Comes before TRAP_OF(). */
void trap_set(u8 vector, trap_handler fn);

/** trap_count_apic() - handler: counts the vector and sends EOI to the local APIC. */
void trap_count_apic(struct trap_frame *f);

/** trap_count_pic() - handler: counts the vector and sends EOI to the 8259s. */
void trap_count_pic(struct trap_frame *f);

/** trap_count_only() - handler: counts the vector. */
void trap_count_only(struct trap_frame *f);

/** trap_counted() - how often the counting handlers saw vector, on all CPUs. */
u32 trap_counted(u8 vector);

/** trap_clear() - forget the counts. */
void trap_clear(void);

/**
 * trap_wait() - with interrupts on, until vector was counted n times; false after ms milliseconds.
 */
bool trap_wait(u8 vector, u32 n, u32 ms);

/** trap_init_cpu() - load GDT, TSS and IDT on this CPU. cpu: index. */
void trap_init_cpu(u32 cpu);

/** cpu_index() - of this CPU, from its stack; 0 when that is elsewhere. */
u32 cpu_index(void);

/* A pointer as LGDT and LIDT take it. */
struct PACKED desc_ptr {
	u16 limit;
	u64 base;
};

/** trap_idt_ptr(), trap_gdt_ptr() - the tables in use, to come back to after an experiment. */
struct desc_ptr trap_idt_ptr(void);
struct desc_ptr trap_gdt_ptr(void);

/** trap_gdt_set() - store a descriptor at SEL_SPARE or SEL_SPARE + 8. */
void trap_gdt_set(u16 sel, u64 desc);

/* An interrupt gate, for tests that make an IDT of their own. */
struct idt_gate {
	u16 off0, sel;
	u8 ist, type;
	u16 off1;
	u32 off2, zero;
};

struct idt_gate trap_gate(u64 target, u16 sel, u8 type);

#endif
