/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit reads entries as the CPU does (AMD APM vol. 2 §5.3) and shares no code with what
 * built them.
 */
#include "kernel/core/audit.h"

#include "arch/x86/cpu.h"
#include "arch/x86/msr.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/percpu.h"

#define PTE_P	  BIT(0)
#define PTE_W	  BIT(1)
#define PTE_U	  BIT(2)
#define PTE_PWT	  BIT(3)
#define PTE_PCD	  BIT(4)
#define PTE_LARGE BIT(7)
#define PTE_NX	  BIT(63)
#define PTE_ADDR  MASK(51, 12)

#define SHOWN_MAX  40 /* faults printed in full */
#define LINE_SIZE  128

/* Rights along the whole walk, as PTE_* bits. */
struct run {
	u64 va, len;
	u64 rights;
};

struct audit {
	void (*line)(void *ctx, const char *text);
	void *ctx;
	struct run run; /* neighbours with equal rights, not yet printed */
	u32 mappings, faults;
};

static void PRINTF_LIKE(2, 3) say(struct audit *a, const char *f, ...)
{
	char text[LINE_SIZE];
	va_list ap;

	if (!a->line)
		return;
	va_start(ap, f);
	fmt_vsnprintf(text, sizeof(text), f, ap);
	va_end(ap);
	a->line(a->ctx, text);
}

static void fault(struct audit *a, const char *what, u64 va)
{
	if (a->faults++ < SHOWN_MAX)
		say(a, "audit: fault: %s at %016lx", what, va);
}

static const char *window_of(u64 va)
{
	if (va >= STACK_BASE)
		return "stacks";
	if (va >= MMIO_BASE)
		return "device registers";
	if (va >= DMAP_BASE)
		return "direct map";
	return "image";
}

static void flush_run(struct audit *a)
{
	const struct run *r = &a->run;

	if (!r->len)
		return;
	a->mappings++;
	say(a, "audit: %016lx..%016lx %c%c%c%c%s %s", r->va, r->va + r->len - 1,
	    r->rights & PTE_U ? 'u' : '-', 'r', r->rights & PTE_W ? 'w' : '-',
	    r->rights & PTE_NX ? '-' : 'x', r->rights & PTE_PCD ? " uncached" : "",
	    window_of(r->va));
}

static bool touches(u64 pa, u64 len, const u8 *start, const u8 *end)
{
	return ranges_overlap(pa, len, IMAGE_ADDR(start), IMAGE_ADDR(end) - IMAGE_ADDR(start));
}

/* One more piece of address space with these rights: part of the run before, or a new one. */
static void note_leaf(struct audit *a, u64 va, u64 len, u64 rights)
{
	if (a->run.len && a->run.va + a->run.len == va && a->run.rights == rights &&
	    window_of(va) == window_of(a->run.va)) {
		a->run.len += len;
		return;
	}
	flush_run(a);
	a->run = (struct run){ .va = va, .len = len, .rights = rights };
}

static void check_leaf(struct audit *a, u64 va, u64 pa, u64 len, u64 rights)
{
	bool w = rights & PTE_W, x = !(rights & PTE_NX);

	if (rights & PTE_U)
		fault(a, "user-accessible page", va);
	if (w && x)
		fault(a, "writable and executable", va);
	if (va == 0)
		fault(a, "null page mapped", va);
	if (w && touches(pa, len, __text_start, __text_end))
		fault(a, "writable alias of the code", va);
	if (w && touches(pa, len, __rodata_start, __rodata_end))
		fault(a, "writable alias of the constants", va);
	if (x && !range_within(pa, len, IMAGE_ADDR(__text_start),
			       IMAGE_ADDR(__text_end) - IMAGE_ADDR(__text_start)))
		fault(a, "executable outside the code", va);
	if (va >= MMIO_BASE && va < STACK_BASE && !(rights & PTE_PCD))
		fault(a, "device registers cached", va);
	note_leaf(a, va, len, rights);
}

/* W and U must be set on every level, NX on any; the cache bits are the leaf's. */
static u64 combine(u64 above, u64 entry)
{
	return (above & entry & (PTE_W | PTE_U)) | ((above | entry) & PTE_NX) |
	       (entry & (PTE_PWT | PTE_PCD));
}

static void walk(struct audit *a, hpa_t table, u64 va, u32 level, u64 above)
{
	const u64 *entries = phys_to_virt(table);
	u64 size = 1ull << (PAGE_SHIFT + 9 * (level - 1));

	for (u32 i = 0; i < 512; i++) {
		u64 e = entries[i], at = va + i * size, rights;

		if (level == 4 && i >= 256)
			at |= MASK(63, 48);
		if (!(e & PTE_P))
			continue;
		rights = combine(above, e);
		if (level == 1 || (level < 4 && (e & PTE_LARGE)))
			check_leaf(a, at, e & PTE_ADDR & ~(size - 1), size, rights);
		else
			walk(a, e & PTE_ADDR, at, level - 1, rights & ~(PTE_PWT | PTE_PCD));
	}
}

static bool is_mapped(u64 va)
{
	hpa_t table = cr3_read() & PTE_ADDR;

	for (u32 level = 4;; level--) {
		const u64 *entries = phys_to_virt(table);
		u64 e = entries[va >> (PAGE_SHIFT + 9 * (level - 1)) & 511];

		if (!(e & PTE_P))
			return false;
		if (level == 1 || (level < 4 && (e & PTE_LARGE)))
			return true;
		table = e & PTE_ADDR;
	}
}

static void check_guard(struct audit *a, u64 va)
{
	if (is_mapped(va))
		fault(a, "guard page mapped", va);
}

static void check_guards(struct audit *a)
{
	check_guard(a, IMAGE_ADDR(boot_stack_guard));
	for (u32 slot = 0; slot < cpu_count(); slot++) {
		u64 base = STACK_BASE + slot * STACK_STRIDE;

		check_guard(a, base);
		check_guard(a, base + STACK_STRIDE - PAGE_SIZE);
		for (u64 i = 0; i < 3; i++) {
			check_guard(a, base + IST_OFFSET(i) - PAGE_SIZE);
			if (!is_mapped(base + IST_OFFSET(i)))
				fault(a, "interrupt stack missing", base + IST_OFFSET(i));
		}
	}
	for (u32 i = 0; i < cpu_count(); i++) {
		u64 low = pcpu_get(i)->stack_top - STACK_SIZE;

		check_guard(a, low - PAGE_SIZE);
		for (u64 at = 0; at < STACK_SIZE; at += PAGE_SIZE)
			if (!is_mapped(low + at))
				fault(a, "stack page missing", low + at);
	}
}

static void check_control(struct audit *a)
{
	const struct cpu_features *f = cpu_features();
	u64 cr4 = cr4_read();

	if (!(cr0_read() & CR0_WP))
		fault(a, "CR0.WP is off", cr0_read());
	if (!(msr_read(MSR_EFER) & EFER_NXE))
		fault(a, "EFER.NXE is off", msr_read(MSR_EFER));
	if ((f->smep && !(cr4 & CR4_SMEP)) || (f->smap && !(cr4 & CR4_SMAP)) ||
	    (f->umip && !(cr4 & CR4_UMIP)))
		fault(a, "SMEP, SMAP or UMIP is off", cr4);
}

int audit_run(void (*line)(void *ctx, const char *text), void *ctx)
{
	struct audit a = { .line = line, .ctx = ctx };

	say(&a, "audit: code %lx..%lx constants %lx..%lx data %lx..%lx", IMAGE_ADDR(__text_start),
	    IMAGE_ADDR(__text_end) - 1, IMAGE_ADDR(__rodata_start), IMAGE_ADDR(__rodata_end) - 1,
	    IMAGE_ADDR(__data_start), IMAGE_ADDR(__data_end) - 1);
	walk(&a, cr3_read() & PTE_ADDR, 0, 4, PTE_W | PTE_U);
	flush_run(&a);
	check_guards(&a);
	check_control(&a);
	if (a.faults) {
		say(&a, "audit: FAILED, %u mappings, %u faults", a.mappings, a.faults);
		return -EPERM;
	}
	say(&a, "audit: ok, %u mappings", a.mappings);
	return 0;
}
