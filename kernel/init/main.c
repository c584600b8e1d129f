/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only ordered list of initialisation in the tree.
 */
#include "arch/x86/cpu.h"
#include "arch/x86/earlycon.h"
#include "arch/x86/trap.h"
#include "kernel/base/bits.h"
#include "kernel/base/compiler.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/audit.h"
#include "kernel/core/cmdline.h"
#include "kernel/core/crash.h"
#include "kernel/core/dump.h"
#include "kernel/core/frames.h"
#include "kernel/core/image.h"
#include "kernel/core/log.h"
#include "kernel/core/multiboot.h"
#include "kernel/core/panic.h"
#include "kernel/core/pci.h"
#include "kernel/core/percpu.h"
#include "kernel/core/power.h"
#include "kernel/core/sched.h"
#include "kernel/init/memory.h"
#include "kernel/init/platform.h"
#include "kernel/init/selftest_iommu.h"
#include "kernel/init/smp.h"
#include "kernel/init/vms.h"

const char boot_banner[] = "\r\nGodwit " GODWIT_VERSION "\r\n";

struct boot_step {
	const char *name;
	/* fn() - 0, or an error that ends the boot; text gets the step's line or the reason. */
	int (*fn)(char *text, size_t size);
};

static struct {
	u32 magic;
	u32 info_pa;
	struct boot_info info;
} boot;

static int step_processor(char *text, size_t size)
{
	const struct cpu_features *f = cpu_features();

	fmt_snprintf(text, size, "%s family %xh model %xh, %u-bit physical, %s",
		     f->brand[0] ? f->brand : f->vendor, f->family, f->model, f->phys_bits,
		     f->x2apic ? "x2APIC" : "xAPIC");
	return 0;
}

/* The boot map reaches the low 4 GiB. */
static const void *boot_phys(void *ctx, hpa_t pa, size_t len)
{
	(void)ctx;
	return range_within(pa, len, 0, SIZE_4G) ? phys_to_virt(pa) : NULL;
}

static void debug_exit_option(const char *cmdline)
{
	u64 port;

	if (cmdline_find_u64(cmdline, "debug-exit", &port) == 0 && port <= 0xffff)
		host_set_debug_exit((u16)port);
}

static int step_loader(char *text, size_t size)
{
	static const struct boot_env env = { .phys = boot_phys };
	const struct boot_info *b = &boot.info;
	int err = multiboot_parse(boot.magic, boot.info_pa, &env, &boot.info, text, size);

	if (err)
		return err;
	if (b->ranges_dropped || b->modules_dropped || b->text_cut)
		log_warn("loader: left out: %u memory ranges, %u modules; strings cut: %s",
			 b->ranges_dropped, b->modules_dropped, b->text_cut ? "yes" : "no");
	debug_exit_option(b->cmdline);
	fmt_snprintf(text, size, "multiboot%u by %s%s, %u modules, options \"%s\"", b->protocol,
		     b->loader[0] ? b->loader : "an unnamed loader",
		     b->efi_system_table ? " (EFI)" : "", b->modules, b->cmdline);
	return 0;
}

static int step_memory(char *text, size_t size)
{
	struct pool_stats s;
	int err = memory_init(&boot.info, text, size);

	if (err)
		return err;
	frames_stats(&s);
	fmt_snprintf(text, size, "%lu MiB RAM, %lu MiB for guests, %u ranges from %s",
		     s.total >> 20, s.free >> 20, boot.info.ranges,
		     boot.info.efi_map ? "EFI" : "the loader");
	return 0;
}

static int step_acpi(char *text, size_t size)
{
	return platform_acpi(&boot.info, text, size);
}

static int step_cpus(char *text, size_t size)
{
	return platform_cpus(memory_trampoline(), text, size);
}

static int step_pci(char *text, size_t size)
{
	return platform_pci(text, size);
}

static void audit_line(void *ctx, const char *line)
{
	(void)ctx;
	log_info("%s", line);
}

static int step_audit(char *text, size_t size)
{
	int err = audit_run(audit_line, NULL);

	str_copy(text, size, err ? "memory rights are not what they should be" :
				   "memory rights as designed");
	return err;
}

static int step_guests(char *text, size_t size)
{
	return vms_init(&boot.info, text, size);
}

static const struct boot_step steps[] = {
	{ "processor", step_processor },
	{ "loader", step_loader },
	{ "memory", step_memory },
	{ "acpi", step_acpi },
	{ "clock", platform_clock },
	{ "interrupts", platform_interrupts },
	{ "cpus", step_cpus },
	{ "pci", step_pci },
	{ "iommu", platform_iommu },
	{ "audit", step_audit },
	{ "guests", step_guests },
};

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

static void run_steps(void)
{
	char text[200];

	for (u32 i = 0; i < ARRAY_SIZE(steps); i++) {
		const struct boot_step *s = &steps[i];
		int err;

		text[0] = '\0';
		err = s->fn(text, sizeof(text));
		if (err)
			panic("boot step %u, %s: %s (%s)", i + 1, s->name, text, err_name(err));
		log_info("[%2u/%zu] %-10s %s", i + 1, ARRAY_SIZE(steps), s->name, text);
	}
}

static void test_options(void)
{
	char name[32];

	if (cmdline_find(boot.info.cmdline, "crash", name, sizeof(name)))
		crash_run(name);
	if (!cmdline_find(boot.info.cmdline, "selftest", name, sizeof(name)))
		return;
	if (strcmp(name, "iommu") == 0)
		selftest_iommu();
	else if (strcmp(name, "iommu-cost") == 0)
		selftest_iommu_cost();
	else
		log_err("selftest=%s: no such test", name);
}

NORETURN void kmain(u32 magic, u32 info);

void kmain(u32 magic, u32 info)
{
	boot.magic = magic;
	boot.info_pa = info;
	trap_init(&early_hooks);
	trap_load();
	cpu_identify();
	earlycon_init();
	log_info("Godwit %s, image %p..%p", GODWIT_VERSION, __image_start, __image_end);
	run_steps();
	test_options();
	vms_go();
}
