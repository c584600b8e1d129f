/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The platform devices as the VM sees them: reset, resume, saved fields. All vCPUs are
 * parked, but timers and console input are not: VM-wide devices are touched under the lock.
 */
#include "devices/platform/pc_priv.h"

#include "kernel/base/err.h"
#include "kernel/core/lock.h"

/* ---- local APICs --------------------------------------------------------------------------------- */

static void lapic_reset(void *state)
{
	vlapic_irqchip.reset(state, false);
}

static int lapic_resume(void *state)
{
	return vlapic_resume(state);
}

static const struct vdev_ops lapic_ops = { .reset = lapic_reset, .resume = lapic_resume };

/* ---- VM-wide devices ------------------------------------------------------------------------------- */

static void pic_reset(void *state)
{
	struct pc *pc = container_of(state, struct pc, pic);
	u8 level = 1 << (MACHINE_SCI_IRQ - 8);

	spin_lock(&pc->vm->lock);
	vpic_reset(&pc->pic);
	/* As firmware leaves it: the SCI is level triggered. */
	vpic_io(&pc->pic, VPIC_PORT_ELCR + 1, true, &level);
	spin_unlock(&pc->vm->lock);
}

static int pic_resume(void *state)
{
	struct pc *pc = container_of(state, struct pc, pic);
	int rc;

	spin_lock(&pc->vm->lock);
	rc = vpic_resume(&pc->pic);
	spin_unlock(&pc->vm->lock);
	return rc;
}

static void ioapic_reset(void *state)
{
	struct pc *pc = container_of(state, struct pc, ioapic);

	spin_lock(&pc->vm->lock);
	vioapic_reset(&pc->ioapic);
	spin_unlock(&pc->vm->lock);
}

static int ioapic_resume(void *state)
{
	struct pc *pc = container_of(state, struct pc, ioapic);
	int rc;

	spin_lock(&pc->vm->lock);
	rc = vioapic_resume(&pc->ioapic);
	spin_unlock(&pc->vm->lock);
	return rc;
}

static void pit_reset(void *state)
{
	struct pc *pc = container_of(state, struct pc, pit);

	spin_lock(&pc->vm->lock);
	vpit_reset(&pc->pit);
	spin_unlock(&pc->vm->lock);
}

static int pit_resume(void *state)
{
	struct pc *pc = container_of(state, struct pc, pit);
	int rc;

	spin_lock(&pc->vm->lock);
	rc = vpit_resume(&pc->pit);
	spin_unlock(&pc->vm->lock);
	return rc;
}

static void uart_reset(void *state)
{
	struct pc *pc = container_of(state, struct pc, uart);

	spin_lock(&pc->vm->lock);
	vuart_reset(&pc->uart);
	pc->rx_count = 0;
	spin_unlock(&pc->vm->lock);
}

static int uart_resume(void *state)
{
	struct pc *pc = container_of(state, struct pc, uart);
	int rc;

	spin_lock(&pc->vm->lock);
	rc = vuart_resume(&pc->uart);
	spin_unlock(&pc->vm->lock);
	return rc;
}

static void pm_reset(void *state)
{
	struct pc *pc = container_of(state, struct pc, pm);

	spin_lock(&pc->vm->lock);
	vpm_reset(&pc->pm);
	spin_unlock(&pc->vm->lock);
}

static int pm_resume(void *state)
{
	struct pc *pc = container_of(state, struct pc, pm);
	int rc;

	spin_lock(&pc->vm->lock);
	rc = vpm_resume(&pc->pm);
	spin_unlock(&pc->vm->lock);
	return rc;
}

static void rtc_reset(void *state)
{
	struct pc *pc = container_of(state, struct pc, rtc);

	spin_lock(&pc->vm->lock);
	vrtc_reset(&pc->rtc);
	spin_unlock(&pc->vm->lock);
}

static int rtc_resume(void *state)
{
	struct pc *pc = container_of(state, struct pc, rtc);
	int rc;

	spin_lock(&pc->vm->lock);
	rc = vrtc_resume(&pc->rtc);
	spin_unlock(&pc->vm->lock);
	return rc;
}

static void pci_reset(void *state)
{
	struct pc *pc = container_of(state, struct pc, pci);

	spin_lock(&pc->vm->lock);
	vpci_reset(&pc->pci);
	spin_unlock(&pc->vm->lock);
}

static int pci_resume(void *state)
{
	struct pc *pc = container_of(state, struct pc, pci);
	int rc;

	spin_lock(&pc->vm->lock);
	rc = vcfg_resume(&pc->pci.host);
	spin_unlock(&pc->vm->lock);
	return rc;
}

static const struct vdev_ops ops[PC_DEVS] = {
	[PC_PIC] = { .reset = pic_reset, .resume = pic_resume },
	[PC_IOAPIC] = { .reset = ioapic_reset, .resume = ioapic_resume },
	[PC_PIT] = { .reset = pit_reset, .resume = pit_resume },
	[PC_UART] = { .reset = uart_reset, .resume = uart_resume },
	[PC_PM] = { .reset = pm_reset, .resume = pm_resume },
	[PC_RTC] = { .reset = rtc_reset, .resume = rtc_resume },
	[PC_PCI] = { .reset = pci_reset, .resume = pci_resume },
};

int pc_add_vdev(struct vm *vm, struct vdev *d)
{
	if (vm->vdevs == VM_MAX_VDEVS)
		return -ENOSPC;
	vm->vdev[vm->vdevs++] = d;
	return 0;
}

/* Local APICs come first: resuming them must not undo what a resumed line posts. */
int pc_vdev_register(struct pc *pc)
{
	const struct vdev devs[PC_DEVS] = {
		[PC_PIC] = { "pic", 0, 1, &pc->pic, NULL, vpic_fields, vpic_nfields },
		[PC_IOAPIC] = { "ioapic", 0, 1, &pc->ioapic, NULL, vioapic_fields,
				vioapic_nfields },
		[PC_PIT] = { "pit", 0, 1, &pc->pit, NULL, vpit_fields, vpit_nfields },
		[PC_UART] = { "uart", 0, 1, &pc->uart, NULL, vuart_fields, vuart_nfields },
		[PC_PM] = { "pm", 0, 1, &pc->pm, NULL, vpm_fields, vpm_nfields },
		[PC_RTC] = { "rtc", 0, 1, &pc->rtc, NULL, vrtc_fields, vrtc_nfields },
		[PC_PCI] = { "pci", 0, 1, &pc->pci, NULL, vpci_fields, vpci_nfields },
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
		pc->vdev[i].ops = &ops[i];
		rc = pc_add_vdev(pc->vm, &pc->vdev[i]);
	}
	return rc;
}
