/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only ordered list of initialisation in the tree.
 */
#include "arch/x86/cpu.h"
#include "arch/x86/earlycon.h"
#include "arch/x86/trap.h"
#include "kernel/base/compiler.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/core/dump.h"
#include "kernel/core/image.h"
#include "kernel/core/log.h"
#include "kernel/core/panic.h"
#include "kernel/core/percpu.h"

const char boot_banner[] = "\r\nGodwit " GODWIT_VERSION "\r\n";

struct boot_step {
	const char *name;
	int (*fn)(void);
};

static struct {
	u32 magic;
	u32 info;
	u32 step;
} boot;

static int step_cpu(void);

static const struct boot_step steps[] = {
	{ "processor", step_cpu },
};

/* One line of the running step: "[ 3/14] memory: ...". */
static void PRINTF_LIKE(1, 2) say(const char *f, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, f);
	fmt_vsnprintf(text, sizeof(text), f, ap);
	va_end(ap);
	log_info("[%2u/%zu] %s: %s", boot.step, ARRAY_SIZE(steps), steps[boot.step - 1].name, text);
}

static int step_cpu(void)
{
	const struct cpu_features *f = cpu_features();

	say("%s family %xh model %xh, %u-bit physical, %s", f->brand[0] ? f->brand : f->vendor,
	    f->family, f->model, f->phys_bits, f->x2apic ? "x2APIC" : "xAPIC");
	return 0;
}

static void irq_unexpected(u32 vector)
{
	panic("interrupt %u before there are handlers", vector);
}

static void nmi_early(struct trap_frame *f)
{
	panic_trap(f);
}

static const struct trap_hooks early_hooks = {
	.fatal = panic_trap,
	.nmi = nmi_early,
	.irq = irq_unexpected,
};

NORETURN void kmain(u32 magic, u32 info);

void kmain(u32 magic, u32 info)
{
	boot.magic = magic;
	boot.info = info;
	trap_init(&early_hooks);
	trap_load();
	cpu_identify();
	earlycon_init();
	log_info("Godwit %s, image %p..%p", GODWIT_VERSION, __image_start, __image_end);
	for (boot.step = 1; boot.step <= ARRAY_SIZE(steps); boot.step++) {
		int err = steps[boot.step - 1].fn();

		if (err)
			panic("boot step %s: %s", steps[boot.step - 1].name, err_name(err));
	}
	log_info("idle");
	for (;;)
		cpu_stop();
}
