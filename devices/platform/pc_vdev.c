/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform devices as the VM sees them: reset, resume, saved fields.
 */
#include "devices/platform/pc_priv.h"

#include "kernel/base/err.h"

static void lapic_reset(void *state)
{
	vlapic_irqchip.reset(state, false);
}

/* As firmware leaves it: the SCI is level triggered. */
static void pic_reset(void *state)
{
	u8 level = 1 << (MACHINE_SCI_IRQ - 8);

	vpic_reset(state);
	vpic_io(state, VPIC_PORT_ELCR + 1, true, &level);
}

/* Forgets what was typed ahead, too. */
static void uart_reset(void *state)
{
	struct pc *pc = container_of(state, struct pc, uart);

	vuart_reset(state);
	pc->rx_count = 0;
}

static const struct vdev_ops lapic_ops = { lapic_reset, vlapic_quiesce, vlapic_resume };
static const struct vdev_ops pic_ops = { .reset = pic_reset, .resume = vpic_resume };
static const struct vdev_ops ioapic_ops = { .reset = vioapic_reset, .resume = vioapic_resume };
static const struct vdev_ops pit_ops = { .reset = vpit_reset, .resume = vpit_resume };
static const struct vdev_ops uart_ops = { .reset = uart_reset, .resume = vuart_resume };
static const struct vdev_ops pm_ops = { .reset = vpm_reset, .resume = vpm_resume };
static const struct vdev_ops rtc_ops = { .reset = vrtc_reset, .resume = vrtc_resume };
static const struct vdev_ops pci_ops = { .reset = vpci_reset, .resume = vpci_resume };

int pc_add_vdev(struct vm *vm, struct vdev *d)
{
	if (vm->vdevs == VM_MAX_VDEVS)
		return -ENOSPC;
	vm->vdev[vm->vdevs++] = d;
	return 0;
}

void pc_remove_vdev(struct vm *vm, const struct vdev *d)
{
	u32 i = 0;

	while (i < vm->vdevs && vm->vdev[i] != d)
		i++;
	if (i == vm->vdevs)
		return;
	vm->vdevs--;
	for (; i < vm->vdevs; i++)
		vm->vdev[i] = vm->vdev[i + 1];
}

/* Local APICs come first: resuming them must not undo what a resumed line posts. */
int pc_vdev_register(struct pc *pc)
{
	const struct vdev devs[PC_DEVS] = {
		{ "pic", 0, 1, &pc->pic, &pic_ops, vpic_fields, vpic_nfields },
		{ "ioapic", 0, 1, &pc->ioapic, &ioapic_ops, vioapic_fields, vioapic_nfields },
		{ "pit", 0, 1, &pc->pit, &pit_ops, vpit_fields, vpit_nfields },
		{ "uart", 0, 1, &pc->uart, &uart_ops, vuart_fields, vuart_nfields },
		{ "pm", 0, 1, &pc->pm, &pm_ops, vpm_fields, vpm_nfields },
		{ "rtc", 0, 1, &pc->rtc, &rtc_ops, vrtc_fields, vrtc_nfields },
		{ "pci", 0, 1, &pc->pci, &pci_ops, vpci_fields, vpci_nfields },
	};
	int rc = 0;

	for (u32 i = 0; i < pc->vm->vcpus && !rc; i++) {
		struct pc_lapic *l = pc->lapic[i];

		l->vdev = (struct vdev){ "lapic", i, 1, &l->lapic, &lapic_ops, vlapic_fields,
					 vlapic_nfields };
		rc = pc_add_vdev(pc->vm, &l->vdev);
	}
	for (u32 i = 0; i < PC_DEVS && !rc; i++) {
		pc->vdev[i] = devs[i];
		rc = pc_add_vdev(pc->vm, &pc->vdev[i]);
	}
	return rc;
}
