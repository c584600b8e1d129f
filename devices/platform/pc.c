/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine of a VM: creation, destruction, reset, console input.
 */
#include "devices/platform/pc.h"

#include "devices/platform/pc_priv.h"
#include "guest/vm/cpu_policy.h"
#include "kernel/base/assert.h"
#include "kernel/base/err.h"
#include "kernel/core/frames.h"
#include "kernel/core/lock.h"

#define CPUID1_ECX_X2APIC	BIT(21)
#define CPUID1_ECX_TSC_DEADLINE BIT(24)

static const struct pc_part *parts[PC_PARTS];
static u32 nparts;

static int build_lapic(struct pc *pc, u32 i)
{
	struct vm *vm = pc->vm;
	const struct cpu_policy_dynamic d = { .apic_id = i };
	struct pc_lapic *l = kalloc(&vm->owner, sizeof(*l));
	struct vlapic_config cfg;
	struct vlapic_env env;
	struct cpuid_regs r;

	if (!l)
		return -ENOMEM;
	cpu_policy_cpuid(vm->policy, 1, 0, &d, &r);
	cfg = (struct vlapic_config){ .id = i,
				      .bsp = i == 0,
				      .x2apic = (r.ecx & CPUID1_ECX_X2APIC) != 0,
				      .tsc_deadline = (r.ecx & CPUID1_ECX_TSC_DEADLINE) != 0,
				      .maxphyaddr = vm->policy->maxphyaddr,
				      .tsc_khz = tsc_khz(),
				      .apic_khz = MACHINE_APIC_KHZ,
				      .page = vm->ops->apic_page(vm->vcpu[i]->hv) };
	if (vm->ops->apic_posted)
		cfg.posted = vm->ops->apic_posted(vm->vcpu[i]->hv);
	l->pc = pc;
	l->vcpu = vm->vcpu[i];
	timer_init(&l->timer, pc_lapic_timer, l);
	pc_lapic_env(l, &env);
	vlapic_init(&l->lapic, &cfg, &env);
	l->vcpu->irq_ops = &vlapic_irqchip;
	l->vcpu->lapic = &l->lapic;
	pc->lapic[i] = l;
	return 0;
}

static void pc_destroy(struct vm *vm)
{
	struct pc *pc = vm->machine;

	if (!pc)
		return;
	for (u32 i = nparts; i > 0; i--)
		parts[i - 1]->destroy(vm);
	timer_cancel(&pc->pit_timer);
	timer_cancel(&pc->pm_timer);
	timer_cancel(&pc->rtc_timer);
	for (u32 i = 0; i < vm->vcpus; i++) {
		struct pc_lapic *l = pc->lapic[i];

		if (!l)
			continue;
		timer_cancel(&l->timer);
		vm->vcpu[i]->irq_ops = NULL;
		vm->vcpu[i]->lapic = NULL;
		kfree(&vm->owner, l, sizeof(*l));
	}
	pc_io_unregister(pc);
	vm->machine = NULL;
	vm->vdevs = 0;
	kfree(&vm->owner, pc, sizeof(*pc));
}

static int build_parts(struct vm *vm, char *why, size_t why_size)
{
	int rc = 0;

	for (u32 i = 0; i < nparts && !rc; i++)
		rc = parts[i]->build(vm, why, why_size);
	return rc;
}

static int pc_build(struct vm *vm, char *why, size_t why_size)
{
	struct pc *pc = kalloc(&vm->owner, sizeof(*pc));
	int rc = 0;

	if (!pc)
		return -ENOMEM;
	pc->vm = vm;
	vm->machine = pc;
	for (u32 i = 0; i < vm->vcpus && !rc; i++)
		rc = build_lapic(pc, i);
	if (rc)
		goto out_destroy;
	pc_devices_init(pc);
	rc = pc_io_register(pc);
	if (!rc)
		rc = pc_vdev_register(pc);
	if (!rc)
		rc = build_parts(vm, why, why_size);
	if (rc)
		goto out_destroy;
	return 0;
out_destroy:
	pc_destroy(vm);
	return rc;
}

static void pc_reset(struct vm *vm)
{
	spin_lock(&vm->lock);
	for (u32 i = 0; i < vm->vdevs; i++)
		vm->vdev[i]->ops->reset(vm->vdev[i]->state);
	spin_unlock(&vm->lock);
}

static size_t pc_console_input(struct vm *vm, const u8 *data, size_t len)
{
	struct pc *pc;
	size_t n = 0;

	spin_lock(&vm->lock);
	pc = vm->machine;
	while (pc && n < len && pc->rx_count < PC_CONSOLE_RING) {
		pc->rx[(pc->rx_head + pc->rx_count) % PC_CONSOLE_RING] = data[n++];
		pc->rx_count++;
	}
	if (pc)
		pc_console_refill(pc);
	spin_unlock(&vm->lock);
	return n;
}

struct vpci *pc_pci(struct vm *vm)
{
	return &((struct pc *)vm->machine)->pci;
}

bool pc_power_button(struct vm *vm)
{
	struct pc *pc;
	bool heard;

	spin_lock(&vm->lock);
	pc = vm->machine;
	heard = pc && vpm_power_button(&pc->pm);
	spin_unlock(&vm->lock);
	return heard;
}

void pc_register_part(const struct pc_part *p)
{
	ASSERT(nparts < PC_PARTS);
	parts[nparts++] = p;
}

void pc_init(void)
{
	static const struct vm_machine_ops ops = { .build = pc_build,
						   .destroy = pc_destroy,
						   .reset = pc_reset,
						   .console_input = pc_console_input };

	vm_register_machine(&ops);
}
