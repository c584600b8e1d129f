/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCI configuration by ports and by ECAM, which must agree; headers and BARs of whatever is
 * there; and the ACPI tables: signatures, checksums, and what they promise.
 */
#include "guest/image/lib/apic.h"
#include "guest/image/lib/boot.h"
#include "guest/image/lib/pc.h"
#include "guest/image/lib/test.h"
#include "kernel/base/bytes.h"
#include "kernel/base/str.h"

static u64 ecam;

static u32 by_port(u32 bdf, u32 reg)
{
	outl(0xcf8, 0x80000000 | bdf << 8 | (reg & 0xfc));
	return inl(0xcfc);
}

static u32 by_ecam(u32 bdf, u32 reg)
{
	return mmio_read(ecam + ((u64)bdf << 12) + reg);
}

TEST(mcfg)
{
	const u8 *t = boot_acpi("MCFG");

	SKIP_IF(!t, "no MCFG");
	ecam = get_le64(t + 44);
	CHECK(ecam && !(ecam & 0xfffff));
	CHECK_EQ(t[54], 0); /* first bus */
	CHECK(t[55] > t[54]);
}

TEST(ports_and_ecam_agree)
{
	u32 found = 0;

	SKIP_IF(!ecam, "no MCFG");
	for (u32 bdf = 0; bdf < 0x200; bdf++) {
		u32 id = by_port(bdf, 0);

		CHECK_EQ(by_ecam(bdf, 0), id);
		if ((id & 0xffff) == 0xffff)
			continue;
		found++;
		for (u32 reg = 0; reg < 0x40; reg += 4)
			CHECK_EQ(by_ecam(bdf, reg), by_port(bdf, reg));
		CHECK_EQ(*(volatile u16 *)(ecam + ((u64)bdf << 12) + 2), id >> 16);
		CHECK_EQ(*(volatile u8 *)(ecam + ((u64)bdf << 12) + 1), id >> 8 & 0xff);
	}
	CHECK(found >= 1);
	CHECK_EQ(by_port(0, 8) >> 16, 0x0600); /* host bridge */
}

TEST(port_access_sizes)
{
	outl(0xcf8, 0x80000000);
	CHECK_EQ(inw(0xcfe) << 16 | inw(0xcfc), by_ecam(0, 0));
	outl(0xcf8, 0x80000000);
	CHECK_EQ(inb(0xcfc) | inb(0xcfd) << 8, by_ecam(0, 0) & 0xffff);
	CHECK_EQ(inb(0xcfe) | inb(0xcff) << 8, by_ecam(0, 0) >> 16);
	outl(0xcf8, 0); /* not enabled */
	CHECK_EQ(inl(0xcfc), 0xffffffff);
	outl(0xcf8, 0x80ffff00); /* nobody there */
	CHECK_EQ(inl(0xcfc), 0xffffffff);
	outl(0xcfc, 0x12345678);
}

/* Sizing each BAR as firmware and kernels do; a BAR keeps addresses of its size. */
TEST(bars_size)
{
	SKIP_IF(!ecam, "no MCFG");
	for (u32 bdf = 0; bdf < 0x100; bdf++) {
		u32 bars = (by_ecam(bdf, 0xc) >> 16 & 0x7f) == 0 ? 6 : 2;

		if ((by_ecam(bdf, 0) & 0xffff) == 0xffff)
			continue;
		for (u32 i = 0; i < bars; i++) {
			u64 at = ecam + ((u64)bdf << 12) + 0x10 + 4 * i;
			u32 old = mmio_read(at), size, command = by_ecam(bdf, 4);

			mmio_write(ecam + ((u64)bdf << 12) + 4, command & 0xfff8);
			mmio_write(at, 0xffffffff);
			size = mmio_read(at);
			mmio_write(at, old);
			mmio_write(ecam + ((u64)bdf << 12) + 4, command & 0xffff);
			CHECK_EQ(mmio_read(at), old);
			size &= size & 1 ? ~3u : ~15u;
			if (size)
				CHECK_EQ(~size & (~size + 1), 0); /* ones from the top on */
			if (!(old & 1) && (old & 6) == 4)
				i++;
		}
	}
}

/* ---- ACPI ---------------------------------------------------------------------------------- */

static bool sums(const u8 *t, u32 len)
{
	u8 sum = 0;

	for (u32 i = 0; i < len; i++)
		sum = (u8)(sum + t[i]);
	return sum == 0;
}

TEST(acpi_tables)
{
	static const char *const sig[] = { "FACP", "APIC", "MCFG" };

	for (u32 i = 0; i < ARRAY_SIZE(sig); i++) {
		const u8 *t = boot_acpi(sig[i]);

		CHECK(t != NULL);
		if (!t)
			continue;
		CHECK(get_le32(t + 4) >= 36 && get_le32(t + 4) < 0x10000);
		CHECK(sums(t, get_le32(t + 4)));
	}
}

TEST(acpi_fadt)
{
	const u8 *t = boot_acpi("FACP");
	const u8 *dsdt;

	SKIP_IF(!t, "no FADT");
	CHECK_EQ(get_le32(t + 76), 0x608); /* PM timer */
	CHECK_EQ(get_le32(t + 64), 0x604); /* PM1a control */
	CHECK_EQ(get_le32(t + 56), 0x600); /* PM1a event */
	CHECK_EQ(get_le16(t + 46), 9);	   /* SCI */
	dsdt = (const u8 *)(u64)get_le32(t + 40);
	CHECK_EQ(memcmp(dsdt, "DSDT", 4), 0);
	CHECK(sums(dsdt, get_le32(dsdt + 4)));
	if (get_le32(t + 112) >> 10 & 1) { /* reset register */
		CHECK_EQ(t[116], 1);
		CHECK_EQ(get_le64(t + 120), 0xcf9);
	}
}

TEST(acpi_madt)
{
	const u8 *t = boot_acpi("APIC");
	u32 cpus = 0, ioapics = 0, irq0 = 0;

	SKIP_IF(!t, "no MADT");
	CHECK_EQ(get_le32(t + 36), APIC_BASE);
	for (u32 at = 44; at + 2 <= get_le32(t + 4) && t[at + 1]; at += t[at + 1]) {
		const u8 *e = t + at;

		cpus += (e[0] == 0 && e[4] & 1) || (e[0] == 9 && e[8] & 1);
		if (e[0] == 1) {
			ioapics++;
			CHECK_EQ(get_le32(e + 4), IOAPIC_BASE);
			CHECK_EQ(get_le32(e + 8), 0);
		}
		if (e[0] == 2 && e[3] == 0)
			irq0 = get_le32(e + 4);
	}
	CHECK_EQ(cpus, boot_cpus());
	CHECK_EQ(ioapics, 1);
	CHECK_EQ(irq0, 2);
}
