/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings the virtualisation backend up on every CPU, reads godwit.conf and makes its VMs.
 */
#include "kernel/init/vms.h"

#include "arch/hvm.h"
#include "arch/x86/cpu.h"
#include "devices/net/net.h"
#include "devices/pci/assign.h"
#include "devices/pci/assign_pci.h"
#include "devices/pci/slots.h"
#include "devices/platform/pc.h"
#include "devices/platform/pc_virtio.h"
#include "devices/sriov/igb/igb_guest.h"
#include "devices/sriov/nics.h"
#include "devices/sriov/nvme/nvme_pf.h"
#include "devices/sriov/uplink.h"
#include "guest/vm/vm.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/bootmod.h"
#include "kernel/core/cmdline.h"
#include "kernel/core/config.h"
#include "kernel/core/ctl_host.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/percpu.h"
#include "kernel/core/sched.h"
#include "kernel/core/timer.h"
#include "kernel/init/control.h"
#include "kernel/init/platform.h"
#include "kernel/init/smp.h"

#define CONFIG_MODULE "godwit.conf"
#define CPU_ON_LIMIT_MS 10000 /* emulated processors of a busy machine take their time */

static const struct hvm_ops *const backends[] = { &svm_ops, &vmx_ops };
static const struct hvm_ops *backend; /* NULL: this machine runs no guests */
static struct hvm_caps caps;
static struct bootmods modules;
static struct config config;
static u32 cpus_on, cpus_failed; /* atomic */

static void add_modules(const struct boot_info *b)
{
	for (u32 i = 0; i < b->modules; i++) {
		const struct boot_module *m = &b->module[i];
		int err = bootmod_add(&modules, m->string, phys_to_virt(m->base), m->len);

		if (err)
			log_warn("boot module %u \"%s\" is not used: %s", i, m->string,
				 err == -EEXIST ? "its name is taken" :
				 err == -EINVAL ? "it has no usable name" : err_name(err));
	}
	for (u32 i = 0; i < modules.count; i++)
		log_info("module %s: %lu KiB", modules.mod[i].name, modules.mod[i].len >> 10);
}

static void log_absent(void)
{
	for (u32 i = 0; i < caps.features; i++)
		if (caps.absent & BIT(i))
			log_info("%s: no %s: %s", caps.name, caps.feature[i].name,
				 caps.feature[i].without);
}

static void choose_backend(void)
{
	char why[ARRAY_SIZE(backends)][96];

	for (u32 i = 0; i < ARRAY_SIZE(backends); i++) {
		if (backends[i]->probe(&caps, why[i], sizeof(why[i])) == 0) {
			backend = backends[i];
			log_absent();
			return;
		}
	}
	for (u32 i = 0; i < ARRAY_SIZE(backends); i++)
		log_warn("%s: %s", backends[i]->name, why[i]);
	log_err("this machine can run no guests; control stays up");
}

static const struct ctl_column feature_columns[] = {
	{ "name", "virtualisation feature", 32 },
	{ "need", "need", 9 },
	{ "state", "state", 7 },
	{ "instead", "instead", 0 },
};

/* For 'host': what of the CPU the backend needs, uses, and does without. */
static void show_features(struct ctl_out *out)
{
	ctl_table(out, "feature", feature_columns, ARRAY_SIZE(feature_columns));
	for (u32 i = 0; backend && i < caps.features; i++) {
		const struct hvm_feature *f = &caps.feature[i];
		bool absent = caps.absent & BIT(i);

		ctl_cell(out, "%s", f->name);
		ctl_cell(out, "%s", f->without ? "optional" : "required");
		ctl_cell(out, "%s", absent ? "absent" : "used");
		ctl_cell(out, "%s", absent ? f->without : "");
	}
}

static void config_line(void *ctx, const char *line)
{
	(void)ctx;
	log_err("%s", line);
}

static void check_config(void)
{
	const char *names[BOOTMOD_MAX];
	struct pool_stats s;
	bool bad;

	for (u32 i = 0; i < modules.count; i++)
		names[i] = modules.mod[i].name;
	frames_stats(&s);
	/* What is wrong is logged line by line and marked at the VM. */
	bad = config_check_modules(&config, names, modules.count, config_line, NULL) != 0;
	if (config_check_host(&config, cpu_count(), s.free, config_line, NULL) || bad)
		log_err("%s: VMs with errors will not start; the others do", CONFIG_MODULE);
}

static void read_config(void)
{
	const struct bootmod *m = bootmod_find(&modules, CONFIG_MODULE);
	const char *text = m ? (const char *)m->data : "";

	if (!m)
		log_warn("no boot module named %s: default settings, no guests", CONFIG_MODULE);
	if (config_parse(CONFIG_MODULE, text, m ? m->len : 0, &config, config_line, NULL))
		log_err("%s: %u errors", CONFIG_MODULE, config.errors);
	check_config();
}

int vms_init(const struct boot_info *b, char *text, size_t size)
{
	int err = sched_init();

	if (err)
		return err;
	add_modules(b);
	choose_backend();
	read_config();
	if (backend)
		vm_init(backend, caps.vendor_amd, &modules);
	err = net_init();
	if (err)
		return err;
	pc_init();
	uplink_memory_init();
	pc_net_init();
	pc_disk_init();
	pc_courier_init();
	slots_init();
	assign_init();
	assign_pci_init();
	(void)nics_init(&config); /* what does not start is said, and its guests will say so */
	igb_guest_init();
	nvme_pfs_init(&config);
	uplink_init(&config);
	err = control_init(&config, platform_tables());
	if (err)
		return err;
	ctl_host_more(show_features);
	fmt_snprintf(text, size, "host %s, %s, %u VMs configured", config.host.name,
		     backend ? caps.name : "no backend", config.vms);
	return 0;
}

/* Every CPU comes here once, interrupts on. */
static int cpu_on(void)
{
	int err = backend ? backend->cpu_on() : 0;

	if (err)
		log_err("CPU %u cannot run guests: %s", this_cpu()->id, err_name(err));
	atomic_add(err ? &cpus_failed : &cpus_on, 1);
	return err;
}

static NORETURN void ap_go(void)
{
	if (cpu_on())
		cpu_stop();
	sched_loop();
}

static bool all_cpus_on(void)
{
	u64 end = time_ns() + CPU_ON_LIMIT_MS * 1000000ull;

	while (atomic_load_acquire(&cpus_on) + atomic_load_acquire(&cpus_failed) < cpu_count())
		if (time_ns() > end)
			return false;
	return atomic_load_acquire(&cpus_failed) == 0;
}

static void make_vm(const struct config_vm *c)
{
	char why[160] = "";
	int err;

	if (!c->valid) {
		log_err("vm %s: not created: its configuration has errors", c->name);
		return;
	}
	err = vm_create(c, why, sizeof(why));
	if (err) {
		log_err("vm %s: not created: %s (%s)", c->name, why, err_name(err));
		return;
	}
	if (!c->autostart)
		return;
	err = vm_start(vm_find(c->name), why, sizeof(why));
	if (err)
		log_err("vm %s: not started: %s (%s)", c->name, why, err_name(err));
}

void vms_go(void)
{
	smp_go(ap_go);
	irq_enable();
	if (cpu_on() || !all_cpus_on()) {
		log_err("not all CPUs can run guests: none will start");
		backend = NULL;
	}
	for (u32 i = 0; backend && i < config.vms; i++)
		make_vm(&config.vm[i]);
	log_info("ready");
	sched_loop();
}
