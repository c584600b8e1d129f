/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables of the shape that the emulated q35 machine has, then damaged ones.
 */
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/core/acpi.h"
#include "unit.h"

#define LOW  0x100000u
#define HIGH 0x7ffe000u

static u8 low[LOW], high[0x2000];
static size_t used;
static struct acpi_info a;
static char why[160];

static const void *phys(void *ctx, hpa_t pa, size_t len)
{
	(void)ctx;
	if (pa < LOW && len <= LOW - pa)
		return low + pa;
	if (pa >= HIGH && pa - HIGH <= sizeof(high) && len <= sizeof(high) - (pa - HIGH))
		return high + (pa - HIGH);
	return NULL;
}

static const struct boot_env env = { .phys = phys };

static void fix(u8 *t, u32 len, u32 at)
{
	u8 s = 0;

	t[at] = 0;
	for (u32 i = 0; i < len; i++)
		s = (u8)(s + t[i]);
	t[at] = (u8)-s;
}

static u32 put(const char *name, const void *body, u32 n)
{
	u8 *t = high + used;
	u32 pa = HIGH + (u32)used;

	memcpy(t, name, 4);
	put_le32(t + 4, 36 + n);
	memcpy(t + 36, body, n);
	fix(t, 36 + n, 9);
	used += (36 + n + 15) & ~15u;
	return pa;
}

static u8 *at(u32 pa)
{
	return high + (pa - HIGH);
}

static void refix(u32 pa)
{
	fix(at(pa), get_le32(at(pa) + 4), 9);
}

static const u8 madt_body[] = {
	0, 0, 0xe0, 0xfe, 1, 0, 0, 0, /* fee00000, 8259s */
	0, 8, 0, 0, 1, 0, 0, 0,	      /* CPU 0 */
	0, 8, 1, 1, 1, 0, 0, 0,	      /* CPU 1 */
	0, 8, 2, 2, 0, 0, 0, 0,	      /* a socket that is empty */
	0, 8, 3, 3, 2, 0, 0, 0,	      /* one that may be filled */
	9, 16, 0, 0, 0x2c, 1, 0, 0, 1, 0, 0, 0, 44, 0, 0, 0, /* APIC id 300 */
	9, 16, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0,	 /* CPU 1 again */
	1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,	 /* fec00000 */
	1, 12, 1, 0, 0, 0x10, 0xc0, 0xfe, 24, 0, 0, 0,
	2, 10, 0, 0, 2, 0, 0, 0, 0, 0,	    /* IRQ 0 is GSI 2 */
	2, 10, 0, 5, 5, 0, 0, 0, 13, 0,	    /* level, high */
	2, 10, 0, 9, 9, 0, 0, 0, 15, 0,	    /* level, low */
	4, 6, 0xff, 0, 0, 1,		    /* LINT1 of all */
	10, 12, 5, 0, 44, 0, 0, 0, 0, 0, 0, 0,
	99, 4, 7, 7,
};

static const u8 mcfg_body[] = {
	0, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0,
	0, 0, 0, 0xc0, 1, 0, 0, 0, 1, 0, 2, 9, 0, 0, 0, 0,
	0, 0, 0, 0xc0, 1, 0, 0, 0, 1, 0, 9, 2, 0, 0, 0, 0, /* last before first */
};

static const u8 dsdt_body[] = { 0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0x0a, 5, 0, 0, 0 };

struct tables {
	u32 madt, mcfg, fadt, hpet, dmar, dsdt, root;
};

static void gas(u8 *b, u8 space, u8 bits, u64 addr)
{
	b[0] = space;
	b[1] = bits;
	put_le64(b + 4, addr);
}

static u32 put_fadt(u32 dsdt)
{
	u8 b[244 - 36] = { 0 };
	u8 *f = b - 36; /* offsets as in the table */

	put_le32(f + 40, dsdt);
	put_le16(f + 46, 9);
	put_le32(f + 48, 0xb2);
	f[52] = 2;
	put_le32(f + 56, 0x600);
	put_le32(f + 64, 0x604);
	put_le32(f + 76, 0x608);
	f[88] = 4;
	f[89] = 2;
	f[91] = 4;
	put_le32(f + 112, ACPI_FADT_RESET_REG_SUP | 0x80a5);
	gas(f + 116, 1, 8, 0xcf9);
	f[128] = 0x0f;
	gas(f + 172, 1, 16, 0x604);
	return put("FACP", b, sizeof(b));
}

static struct tables build(u32 rsdp_at, u32 width)
{
	struct tables t;
	u8 list[8 * 8] = { 0 }, hpet[20] = { 0 }, dmar[12] = { 47, 1 };
	u32 n = 0;
	u8 *r = low + rsdp_at;

	memset(low, 0, sizeof(low));
	memset(high, 0, sizeof(high));
	used = 0;
	t.dsdt = put("DSDT", dsdt_body, sizeof(dsdt_body));
	t.madt = put("APIC", madt_body, sizeof(madt_body));
	t.mcfg = put("MCFG", mcfg_body, sizeof(mcfg_body));
	t.fadt = put_fadt(t.dsdt);
	gas(hpet + 4, 0, 64, 0xfed00000);
	t.hpet = put("HPET", hpet, sizeof(hpet));
	t.dmar = put("DMAR", dmar, sizeof(dmar));
	put_le32(list + width * n++, t.fadt);
	put_le32(list + width * n++, put("WAET", "abcd", 4));
	put_le32(list + width * n++, t.madt);
	put_le32(list + width * n++, t.mcfg);
	put_le32(list + width * n++, t.hpet);
	put_le32(list + width * n++, t.dmar);
	t.root = put(width == 8 ? "XSDT" : "RSDT", list, n * width);
	memcpy(r, "RSD PTR ", 8);
	if (width == 8) {
		r[15] = 2;
		put_le32(r + 20, 36);
		put_le64(r + 24, t.root);
	} else {
		put_le32(r + 16, t.root);
	}
	fix(r, 20, 8);
	if (width == 8)
		fix(r, 36, 32);
	return t;
}

static int parse(void)
{
	why[0] = '\0';
	return acpi_parse(NULL, 0, &env, &a, why, sizeof(why));
}

TEST(whole)
{
	for (u32 width = 4; width <= 8; width += 4) {
		struct tables t = build(0xf5240, width);

		CHECK_EQ(parse(), 0);
		CHECK_EQ(a.rsdp, 0xf5240);
		CHECK_EQ(a.xsdt, width == 8);
		CHECK_EQ(a.tables, 6);
		CHECK_EQ(a.lapic_mmio, 0xfee00000);
		CHECK(a.has_8259);
		CHECK_EQ(a.cpus, 4);
		CHECK_EQ(a.cpu[1].apic_id, 1);
		CHECK(a.cpu[1].enabled);
		CHECK(!a.cpu[2].enabled);
		CHECK_EQ(a.cpu[3].apic_id, 300);
		CHECK_EQ(a.cpu[3].uid, 44);
		CHECK_EQ(a.ioapics, 2);
		CHECK_EQ(a.ioapic[1].mmio, 0xfec01000);
		CHECK_EQ(a.ioapic[1].gsi_base, 24);
		CHECK_EQ(a.nmis, 2);
		CHECK_EQ(a.nmi[0].uid, ACPI_UID_ALL);
		CHECK_EQ(a.nmi[0].lint, 1);
		CHECK_EQ(a.nmi[1].uid, 44);
		CHECK_EQ(a.segments, 2);
		CHECK_EQ(a.segment[0].base, 0xb0000000);
		CHECK_EQ(a.segment[0].last, 255);
		CHECK_EQ(a.segment[1].base, 0x1c0000000);
		CHECK_EQ(a.segment[1].segment, 1);
		CHECK_STR(a.notes, "MCFG: offset 76: impossible buses or base");
		CHECK_EQ(a.hpet.mmio, 0xfed00000);
		CHECK_EQ(a.dmar.pa, t.dmar);
		CHECK_EQ(a.dmar.len, 48);
		CHECK_EQ(a.ivrs.pa, 0);
		CHECK_EQ(a.dsdt.pa, t.dsdt);
	}
}

TEST(fadt)
{
	struct tables t = build(0xe0000, 8);

	CHECK_EQ(parse(), 0);
	CHECK(a.fadt.present);
	CHECK_EQ(acpi_io_port(&a.fadt.pm_timer), 0x608);
	CHECK_EQ(a.fadt.pm_timer.bits, 32);
	CHECK_EQ(acpi_io_port(&a.fadt.pm1a_control), 0x604);
	CHECK_EQ(a.fadt.pm1a_control.bits, 16);
	CHECK_EQ(acpi_io_port(&a.fadt.pm1b_control), 0);
	CHECK_EQ(acpi_io_port(&a.fadt.reset), 0xcf9);
	CHECK_EQ(a.fadt.reset_value, 0x0f);
	CHECK_EQ(a.fadt.smi_cmd, 0xb2);
	CHECK(a.fadt.has_s5);
	CHECK_EQ(a.fadt.s5.type_a, 5);
	/* A revision 1 table ends before the reset register. */
	put_le32(at(t.fadt) + 4, 116);
	refix(t.fadt);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(a.fadt.reset.addr, 0);
	CHECK(!(a.fadt.flags & ACPI_FADT_RESET_REG_SUP));
	CHECK_EQ(acpi_io_port(&a.fadt.pm1a_control), 0x604);
}

TEST(interrupts)
{
	struct acpi_override o;

	build(0xe0000, 8);
	CHECK_EQ(parse(), 0);
	o = acpi_isa_irq(&a, 0);
	CHECK(o.gsi == 2 && !o.level && !o.active_low);
	o = acpi_isa_irq(&a, 5);
	CHECK(o.gsi == 5 && o.level && !o.active_low);
	o = acpi_isa_irq(&a, 4);
	CHECK(o.gsi == 4 && !o.level && !o.active_low);
	o = acpi_sci(&a);
	CHECK(o.gsi == 9 && o.level && o.active_low);
}

TEST(rsdp)
{
	u8 copy[36];

	build(0x9fc00, 8); /* in the extended BIOS data area */
	CHECK(parse() == -ENOENT);
	put_le16(low + 0x40e, 0x9fc0);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(a.rsdp, 0x9fc00);
	/* The loader's copy is used first, and passed over when damaged. */
	memcpy(copy, low + 0x9fc00, 36);
	memset(low, 0, sizeof(low));
	CHECK_EQ(acpi_parse(copy, 36, &env, &a, why, sizeof(why)), 0);
	CHECK_EQ(a.rsdp, 0);
	CHECK(a.xsdt);
	copy[30] ^= 1;
	CHECK(acpi_parse(copy, 36, &env, &a, why, sizeof(why)) == -ENOENT);
	/* Not on a 16-byte boundary. */
	build(0xf0008, 8);
	CHECK(parse() == -ENOENT);
	build(0xffff0 - 4 - 16 + 4, 4);
	CHECK_EQ(parse(), 0);
}

TEST(damaged)
{
	struct tables t = build(0xf0000, 8);

	at(t.madt)[50] ^= 0x40;
	CHECK(parse() == -EPROTO);
	CHECK(strstr(why, "APIC") && strstr(why, "checksum"));
	t = build(0xf0000, 8);
	at(t.madt)[44 + 9] = 1; /* length of the second entry */
	refix(t.madt);
	CHECK(parse() == -EPROTO);
	CHECK(strstr(why, "APIC: offset 52"));
	t = build(0xf0000, 8);
	at(t.madt)[44 + 8 * 4 + 1] = 12; /* an x2APIC entry cut short */
	refix(t.madt);
	CHECK(parse() == -EPROTO);
	t = build(0xf0000, 8);
	put_le32(at(t.madt) + 4, 40);
	CHECK(parse() == -EPROTO);
	t = build(0xf0000, 8);
	put_le32(at(t.madt) + 4, 0x7fffffff);
	CHECK(parse() == -EPROTO);
	t = build(0xf0000, 8);
	put_le32(at(t.madt) + 4, 0x100000);
	CHECK(parse() == -EFAULT);
	t = build(0xf0000, 8);
	memcpy(at(t.madt), "BOOT", 4);
	CHECK(parse() == -ENOENT);
	t = build(0xf0000, 8);
	memcpy(at(t.root), "RSDT", 4);
	refix(t.root);
	CHECK(parse() == -EPROTO);
	/* Those one can do without. */
	t = build(0xf0000, 8);
	at(t.dmar)[40] ^= 1;
	at(t.hpet)[40] ^= 1;
	at(t.dsdt)[40] ^= 1;
	CHECK_EQ(parse(), 0);
	CHECK(a.dmar_bad);
	CHECK_EQ(a.dmar.pa, 0);
	CHECK_EQ(a.hpet.mmio, 0);
	CHECK(!a.fadt.has_s5);
	CHECK(strstr(a.notes, "DMAR") && strstr(a.notes, "HPET") && strstr(a.notes, "DSDT"));
}

TEST(limits)
{
	static u8 body[8 + 12 * 300];
	struct tables t = build(0xf0000, 8);

	for (u32 i = 0; i < 300; i++) {
		u8 *e = body + 8 + 12 * i;

		e[0] = 1;
		e[1] = 12;
	}
	put_le32(at(t.root) + 36 + 8 * 2, put("APIC", body, sizeof(body)));
	refix(t.root);
	CHECK_EQ(parse(), 0);
	CHECK_EQ(a.ioapics, ACPI_IOAPICS);
	CHECK_EQ(a.ioapics_dropped, 300 - ACPI_IOAPICS);
	CHECK_EQ(a.cpus, 0);
}

UNIT_MAIN({ "whole", whole }, { "fadt", fadt }, { "interrupts", interrupts }, { "rsdp", rsdp },
	  { "damaged", damaged }, { "limits", limits })
