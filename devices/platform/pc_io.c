/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports and MMIO of the PC: from bus regions to the device models. The VM's lock is held.
 */
#include "devices/platform/pc_priv.h"

#include "kernel/base/assert.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"

typedef void (*byte_fn)(struct pc *pc, u16 port, bool write, u8 *value);

/* Byte-wide devices see a wider access as one byte after the other, as ISA does it. */
static NOINLINE void each_byte(struct pc *pc, byte_fn fn, u16 port, unsigned size, bool write,
			       u64 *value)
{
	for (unsigned i = 0; i < size; i++)
		fn(pc, (u16)(port + i), write, (u8 *)value + i); /* little-endian, as the guest */
}

static ALWAYS_INLINE void by_bytes(struct pc *pc, byte_fn fn, u16 port, unsigned size, bool write,
				   u64 *value)
{
	if (likely(size == 1))
		fn(pc, port, write, (u8 *)value);
	else
		each_byte(pc, fn, port, size, write, value);
}

static void pic_byte(struct pc *pc, u16 port, bool write, u8 *value)
{
	vpic_io(&pc->pic, port, write, value);
}

static HOT void pic_master(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	by_bytes(ctx, pic_byte, (u16)(VPIC_PORT_MASTER + off), size, write, value);
}

static void pic_slave(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	by_bytes(ctx, pic_byte, (u16)(VPIC_PORT_SLAVE + off), size, write, value);
}

static void pic_elcr(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	by_bytes(ctx, pic_byte, (u16)(VPIC_PORT_ELCR + off), size, write, value);
}

static void pit_byte(struct pc *pc, u16 port, bool write, u8 *value)
{
	vpit_io(&pc->pit, port, write, value);
}

static void pit(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	by_bytes(ctx, pit_byte, (u16)(VPIT_PORT + off), size, write, value);
}

static void port61(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	by_bytes(ctx, pit_byte, (u16)(VPIT_PORT_61H + off), size, write, value);
}

static void rtc_byte(struct pc *pc, u16 port, bool write, u8 *value)
{
	vrtc_io(&pc->rtc, port - MACHINE_RTC_PORT, write, value);
}

static void rtc(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	by_bytes(ctx, rtc_byte, (u16)(MACHINE_RTC_PORT + off), size, write, value);
}

static void uart_byte(struct pc *pc, u16 port, bool write, u8 *value)
{
	vuart_io(&pc->uart, port - MACHINE_COM1_PORT, write, value);
}

static HOT void uart(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	by_bytes(ctx, uart_byte, (u16)(MACHINE_COM1_PORT + off), size, write, value);
}

static void port92_byte(struct pc *pc, u16 port, bool write, u8 *value)
{
	(void)port;
	vpm_port92(&pc->pm, write, value);
}

static void port92(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	by_bytes(ctx, port92_byte, (u16)(0x92 + off), size, write, value);
}

/* Progress codes, and the port kernels write for a short delay. */
static void post_code_byte(struct pc *pc, u16 port, bool write, u8 *value)
{
	(void)port;
	if (write)
		pc->post_code = *value;
	else
		*value = pc->post_code;
}

static void post_code(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	by_bytes(ctx, post_code_byte, (u16)(0x80 + off), size, write, value);
}

static HOT void pm(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	vpm_io(&((struct pc *)ctx)->pm, off, size, write, value);
}

/* CF8h..CFFh: the reset register lies inside, as a byte. */
static void pci_ports(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	struct pc *pc = ctx;
	u8 b = (u8)*value;

	if (off != MACHINE_RESET_PORT - VPCI_PORT_ADDRESS || size != 1) {
		vpci_ports(&pc->pci, off, size, write, value);
		return;
	}
	vpm_cf9(&pc->pm, write, &b);
	*value = b;
}

static void ecam(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	vpci_ecam(&((struct pc *)ctx)->pci, off, size, write, value);
}

static void ioapic(void *ctx, u64 off, unsigned size, bool write, u64 *value)
{
	vioapic_mmio(&((struct pc *)ctx)->ioapic, off, size, write, value);
}

struct region {
	u64 base, len;
	const char *name;
	io_fn fn;
};

static const struct region ports[] = {
	{ VPIC_PORT_MASTER, 2, "pic", pic_master },
	{ VPIC_PORT_SLAVE, 2, "pic2", pic_slave },
	{ VPIC_PORT_ELCR, 2, "elcr", pic_elcr },
	{ VPIT_PORT, 4, "pit", pit },
	{ VPIT_PORT_61H, 1, "port61", port61 },
	{ MACHINE_RTC_PORT, 2, "rtc", rtc },
	{ 0x80, 1, "post", post_code },
	{ 0x92, 1, "port92", port92 },
	{ MACHINE_COM1_PORT, 8, "uart", uart },
	{ MACHINE_PM1_EVT, VPM_LEN, "pm", pm },
	{ VPCI_PORT_ADDRESS, 8, "pci", pci_ports },
};

static const struct region mmio[] = {
	{ MACHINE_ECAM_BASE, MACHINE_ECAM_SIZE, "ecam", ecam },
	{ MACHINE_IOAPIC_BASE, PAGE_SIZE, "ioapic", ioapic },
};

static int add(struct pc *pc, struct io_bus *bus, const struct region *r, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		struct io_region region = { .base = r[i].base, .len = r[i].len,
					    .name = r[i].name, .fn = r[i].fn, .ctx = pc };

		rc = io_bus_add(bus, &region);
	}
	return rc;
}

static void remove(struct io_bus *bus, const struct region *r, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc = io_bus_remove(bus, r[i].base);

		ASSERT(!rc || rc == -ENOENT); /* not there: add() had stopped before it */
	}
}

int pc_io_register(struct pc *pc)
{
	int rc = add(pc, &pc->vm->ports, ports, ARRAY_SIZE(ports));

	if (!rc)
		rc = add(pc, &pc->vm->mmio, mmio, ARRAY_SIZE(mmio));
	if (rc)
		pc_io_unregister(pc);
	return rc;
}

void pc_io_unregister(struct pc *pc)
{
	remove(&pc->vm->ports, ports, ARRAY_SIZE(ports));
	remove(&pc->vm->mmio, mmio, ARRAY_SIZE(mmio));
}
