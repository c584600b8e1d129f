/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dumps for panics. All memory is read through checks, because what led here may have
 * left any register and any stack in any state.
 */
#include "kernel/core/dump.h"

#include "arch/x86/cpu.h"
#include "kernel/base/fmt.h"
#include "kernel/core/image.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"

#define FRAMES_MAX 24
#define CODE_BYTES 16

/* tools/ksyms.py: count, {address, name offset} sorted by address, names. */
const char *ksym_name(u64 addr, u64 *offset)
{
	const u32 *table = (const u32 *)(const void *)__ksyms_start;
	u32 count, lo = 0, hi;
	const char *names;

	if (IMAGE_ADDR(__ksyms_end) == IMAGE_ADDR(__ksyms_start) ||
	    addr < IMAGE_ADDR(__text_start) || addr >= IMAGE_ADDR(__text_end))
		return NULL;
	count = table[0];
	names = (const char *)&table[1 + 2 * (size_t)count];
	hi = count;
	while (lo < hi) {
		u32 mid = lo + (hi - lo) / 2;

		if (table[1 + 2 * (size_t)mid] <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo)
		return NULL;
	*offset = addr - table[1 + 2 * (size_t)(lo - 1)];
	return names + table[2 + 2 * (size_t)(lo - 1)];
}

static void print_place(const char *what, u64 addr)
{
	u64 off = 0;
	const char *name = ksym_name(addr, &off);

	log_err("  %s %016lx %s%s%lx", what, addr, name ? name : "?", name ? "+0x" : " 0x",
		name ? off : addr);
}

/* Whether a frame at rbp may be read: on this CPU's stack, or above us on an interrupt stack. */
static bool frame_readable(u64 rbp)
{
	u64 top = this_cpu()->stack_top;
	u64 here = (u64)(uintptr_t)__builtin_frame_address(0);

	if (!is_aligned(rbp, 8))
		return false;
	return range_within(rbp, 16, top - STACK_SIZE, STACK_SIZE) ||
	       range_within(rbp, 16, here, align_up(here, PAGE_SIZE) - here);
}

void dump_backtrace(u64 rbp, u64 rip)
{
	if (rip)
		print_place("at  ", rip);
	for (u32 i = 0; i < FRAMES_MAX && frame_readable(rbp); i++) {
		const u64 *frame = (const u64 *)(uintptr_t)rbp;

		print_place("from", frame[1]);
		if (frame[0] <= rbp)
			return;
		rbp = frame[0];
	}
}

static void dump_code(u64 rip)
{
	const u8 *p = (const u8 *)(uintptr_t)rip;
	char buf[3 * CODE_BYTES + 1];
	struct text t = text_make(buf, sizeof(buf));

	if (rip < IMAGE_ADDR(__text_start) ||
	    rip > IMAGE_ADDR(__text_end) - CODE_BYTES) {
		log_err("  code: RIP is outside the hypervisor's code");
		return;
	}
	for (u32 i = 0; i < CODE_BYTES; i++)
		text_add(&t, " %02x", p[i]);
	log_err("  code:%s", buf);
}

void dump_trap(const struct trap_frame *f)
{
	log_err("  vector %lu error %lx cr2 %016lx", f->vector, f->error, cr2_read());
	log_err("  rip %02lx:%016lx rflags %08lx rsp %02lx:%016lx", f->cs, f->rip, f->rflags, f->ss,
		f->rsp);
	log_err("  rax %016lx rbx %016lx rcx %016lx rdx %016lx", f->rax, f->rbx, f->rcx, f->rdx);
	log_err("  rsi %016lx rdi %016lx rbp %016lx r8  %016lx", f->rsi, f->rdi, f->rbp, f->r8);
	log_err("  r9  %016lx r10 %016lx r11 %016lx r12 %016lx", f->r9, f->r10, f->r11, f->r12);
	log_err("  r13 %016lx r14 %016lx r15 %016lx", f->r13, f->r14, f->r15);
	log_err("  cr0 %08lx cr3 %016lx cr4 %08lx", cr0_read(), cr3_read(), cr4_read());
	dump_code(f->rip);
	dump_backtrace(f->rbp, f->rip);
}
