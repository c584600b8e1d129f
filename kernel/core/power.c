/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power-off, reset and the emulator's exit port.
 */
#include "kernel/core/power.h"

#include "arch/x86/cpu.h"
#include "arch/x86/io.h"
#include "kernel/core/acpi.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"
#include "kernel/core/timer.h"

#define PM1_SCI_EN     BIT(0)
#define PM1_SLP_TYP(t) ((u16)((t) & 7) << 10)
#define PM1_SLP_TYP_MASK PM1_SLP_TYP(7)
#define PM1_SLP_EN     BIT(13)
#define ENABLE_POLLS   3000
#define SETTLE_US      100000 /* how long a register may take to act before the next is tried */

static struct acpi_fadt fadt;
static u16 debug_exit_port;

void host_set_debug_exit(u16 port)
{
	debug_exit_port = port;
}

void host_debug_exit(u8 value)
{
	if (debug_exit_port)
		io_out8(debug_exit_port, value);
}

void power_init(const struct acpi_fadt *f)
{
	fadt = *f;
}

/* Leave legacy mode, so that the sleep register works (ACPI 6.4 §16.3). */
static void acpi_enable(u16 control)
{
	if (!fadt.smi_cmd || !fadt.acpi_enable || (io_in16(control) & PM1_SCI_EN))
		return;
	io_out8(fadt.smi_cmd, fadt.acpi_enable);
	for (u32 i = 0; i < ENABLE_POLLS && !(io_in16(control) & PM1_SCI_EN); i++)
		delay_us(1000);
}

static void sleep_write(u16 port, u8 type)
{
	u16 v;

	if (!port)
		return;
	v = (u16)(io_in16(port) & ~(PM1_SLP_TYP_MASK | PM1_SLP_EN));
	io_out16(port, (u16)(v | PM1_SLP_TYP(type) | PM1_SLP_EN));
}

void host_poweroff(void)
{
	u16 a = acpi_io_port(&fadt.pm1a_control), b = acpi_io_port(&fadt.pm1b_control);

	log_info("power off");
	if (a && fadt.has_s5) {
		acpi_enable(a);
		sleep_write(a, fadt.s5.type_a);
		sleep_write(b, fadt.s5.type_b);
		delay_us(SETTLE_US);
		log_warn("power off: ACPI soft-off did nothing");
	} else {
		log_warn("power off: ACPI describes no soft-off");
	}
	host_debug_exit(DEBUG_EXIT_OK);
	log_info("power off: halted; switch the machine off by hand");
	cpu_stop();
}

static void acpi_reset(void)
{
	const struct acpi_gas *r = &fadt.reset;
	volatile u8 *mmio;

	if (!(fadt.flags & ACPI_FADT_RESET_REG_SUP) || !r->addr)
		return;
	switch (r->space) {
	case ACPI_SPACE_IO:
		io_out8((u16)r->addr, fadt.reset_value);
		break;
	case ACPI_SPACE_MEMORY:
		mmio = hostmap_mmio(r->addr, 1);
		if (mmio)
			mmio_write8(mmio, fadt.reset_value);
		break;
	case ACPI_SPACE_PCI: /* bus 0: device 47:32, function 31:16, offset 15:0 */
		pci_write((u16)((r->addr >> 32 & 31) << 3 | (r->addr >> 16 & 7)),
			  (u16)(r->addr & 0xfff), 1, fadt.reset_value);
		break;
	default:
		break;
	}
	delay_us(SETTLE_US);
}

void host_reboot(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} PACKED no_idt = { 0, 0 };

	log_info("reboot");
	irq_disable();
	acpi_reset();
	io_out8(0xcf9, 0x02);
	io_out8(0xcf9, 0x06);
	delay_us(SETTLE_US);
	io_out8(0x64, 0xfe);
	delay_us(SETTLE_US);
	__asm__ volatile("lidt %0; int3" : : "m"(no_idt));
	cpu_stop();
}
