/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IDT and the first C code after a trap: fix-ups, then the registered hooks.
 */
#include "arch/x86/trap.h"

#include "arch/x86/desc.h"
#include "arch/x86/lapic.h"
#include "arch/x86/msr.h"
#include "kernel/base/err.h"

/* 64-bit interrupt gate, AMD APM vol. 2 §4.8.4. */
struct idt_gate {
	u16 offset_lo;
	u16 selector;
	u8 ist;
	u8 type;
	u16 offset_mid;
	u32 offset_hi;
	u32 zero;
};

struct extable_entry {
	u64 from, to;
};

#define GATE_INTERRUPT 0x8e /* present, DPL 0, type 14: clears IF */
#define STUB_SIZE      16

extern const u8 trap_stubs[];
extern const struct extable_entry __extable_start[], __extable_end[];

void trap_dispatch(struct trap_frame *f);

static struct idt_gate idt[VECTORS] ALIGNED(16);
static const struct trap_hooks *hooks;

void trap_init(const struct trap_hooks *h)
{
	hooks = h;
	for (u32 i = 0; i < VECTORS; i++) {
		u64 stub = (u64)(uintptr_t)(trap_stubs + (size_t)i * STUB_SIZE);

		idt[i] = (struct idt_gate){
			.offset_lo = (u16)stub,
			.selector = SEL_CODE64,
			.type = GATE_INTERRUPT,
			.offset_mid = (u16)(stub >> 16),
			.offset_hi = (u32)(stub >> 32),
		};
	}
}

void trap_load(void)
{
	struct desc_ptr p = { .limit = sizeof(idt) - 1, .base = (u64)(uintptr_t)idt };

	__asm__ volatile("lidt %0" : : "m"(p));
}

/* As if the CPU had come to the stub by the IDT. */
void trap_take(u8 vector)
{
	__asm__ volatile("mov %%rsp, %%rax\n\t"
			 "and $-16, %%rsp\n\t"
			 "mov %%ss, %%edx\n\t"
			 "push %%rdx\n\t"
			 "push %%rax\n\t"
			 "pushf\n\t"
			 "push %1\n\t"
			 "call *%0"
			 :
			 : "r"(trap_stubs + (size_t)vector * STUB_SIZE), "i"(SEL_CODE64)
			 : "rax", "rdx", "memory", "cc");
}

void trap_use_ist(void)
{
	idt[VEC_NMI].ist = IST_NMI;
	idt[VEC_DF].ist = IST_DF;
	idt[VEC_MC].ist = IST_MC;
}

static bool fix_up(struct trap_frame *f)
{
	for (const struct extable_entry *e = __extable_start; e < __extable_end; e++) {
		if (e->from == f->rip) {
			f->rip = e->to;
			return true;
		}
	}
	return false;
}

void trap_dispatch(struct trap_frame *f)
{
	if (f->vector >= VEC_FIRST_IRQ || lapic_in_service((u8)f->vector))
		hooks->irq((u32)f->vector);
	else if (f->vector == VEC_NMI)
		hooks->nmi(f);
	else if (f->vector == VEC_DF || f->vector == VEC_MC || !fix_up(f))
		hooks->fatal(f);
}

const char *trap_name(u64 vector)
{
	static const char *const names[] = {
		"#DE divide error", "#DB debug", "NMI", "#BP breakpoint", "#OF overflow",
		"#BR bound", "#UD invalid opcode", "#NM no FPU", "#DF double fault", "?",
		"#TS invalid TSS", "#NP segment not present", "#SS stack", "#GP protection",
		"#PF page fault", "?", "#MF x87", "#AC alignment", "#MC machine check", "#XF SIMD",
		"#VE virtualization", "#CP control protection",
	};

	return vector < ARRAY_SIZE(names) ? names[vector] : "?";
}

int rdmsr_safe(u32 msr, u64 *out)
{
	u32 lo, hi;

	__asm__ goto volatile("1: rdmsr\n\t" EXTABLE("1b", "%l[fault]")
			      : "=a"(lo), "=d"(hi)
			      : "c"(msr)
			      :
			      : fault);
	*out = (u64)hi << 32 | lo;
	return 0;
fault:
	return -EIO;
}

int wrmsr_safe(u32 msr, u64 v)
{
	__asm__ goto volatile("1: wrmsr\n\t" EXTABLE("1b", "%l[fault]")
			      :
			      : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32))
			      : "memory"
			      : fault);
	return 0;
fault:
	return -EIO;
}
