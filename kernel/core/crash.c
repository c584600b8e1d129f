/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function per way to die; the machine has to notice each.
 */
#include "kernel/core/crash.h"

#include "arch/x86/cpu.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/image.h"
#include "kernel/core/lock.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"

static void crash_panic(void)
{
	panic("asked for");
}

static void crash_null(void)
{
	volatile u32 *p = NULL;

	__asm__("" : "+r"(p)); /* hides from the compiler that this is a null pointer */
	*p = 1;
}

static NOINLINE u64 recurse(u64 depth)
{
	volatile u8 waste[512];

	waste[depth % sizeof(waste)] = (u8)depth;
	return depth == ~0ull ? 0 : recurse(depth + 1) + waste[0];
}

static void crash_stack(void)
{
	log_info("%lu", recurse(0));
}

static void crash_text(void)
{
	*(volatile u8 *)IMAGE_ADDR(__text_start) = 0x90;
}

static void crash_text_alias(void)
{
	*(volatile u8 *)phys_to_virt(IMAGE_ADDR(__text_start)) = 0x90;
}

static void crash_exec_data(void)
{
	static u8 code[16] = { 0xc3 };

	((void (*)(void))(uintptr_t)code)();
}

static NOINLINE void overrun(volatile u8 *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = 0x55;
}

static NOINLINE void crash_canary(void)
{
	u8 small[16];

	overrun(small, sizeof(small) + 16);
}

static void crash_lock_order(void)
{
	static struct spinlock inner = SPINLOCK_INIT(LOCK_POOL, "inner");
	static struct spinlock outer = SPINLOCK_INIT(LOCK_VM, "outer");

	spin_lock(&inner);
	spin_lock(&outer);
}

static void crash_assert(void)
{
	ASSERT(cr0_read() == 0);
}

static const struct {
	const char *name;
	void (*fn)(void);
} crashes[] = {
	{ "panic", crash_panic },
	{ "null", crash_null },
	{ "stack", crash_stack },
	{ "text", crash_text },
	{ "text-alias", crash_text_alias },
	{ "exec-data", crash_exec_data },
	{ "canary", crash_canary },
	{ "lock-order", crash_lock_order },
	{ "assert", crash_assert },
};

void crash_run(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(crashes); i++) {
		if (strcmp(crashes[i].name, name) == 0) {
			log_warn("crash=%s: on purpose", name);
			crashes[i].fn();
			panic("crash=%s went unnoticed", name);
		}
	}
	log_err("crash=%s: no such fault", name);
}
