/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSDP, XSDT, FADT, FACS, MADT and MCFG.
 */
#include "guest/load/acpi_build.h"

#include "guest/load/acpi_dsdt.h"
#include "guest/vm/machine.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define HEADER_LEN 36u
#define TABLE_ALIGN 64u

#define OEM_ID "GODWIT"
#define OEM_TABLE_ID "GODWITVM"
#define CREATOR_ID "GDWT"
#define REVISION 1u /* of tables and creator */

/* FADT: offsets, flags (ACPI 6.4 §5.2.9); the PM timer has 24 bits (bit 8 clear). */
#define FADT_LEN 276u
#define FADT_REVISION 6
#define FADT_MINOR 4
#define FADT_SYSTEM_BLOCK 148 /* first of the extended addresses */
#define FADT_WBINVD BIT(0)
#define FADT_PROC_C1 BIT(2)
#define FADT_NO_SLP_BUTTON BIT(5)
#define FADT_NO_FIX_RTC BIT(6) /* no alarm status in the fixed registers */
#define FADT_RESET_REG BIT(10)
/* No 8042 (bit 1 clear); RTC, MSI and the like are there (bits that deny them clear). */
#define BOOT_LEGACY_DEVICES BIT(0)
#define BOOT_NO_VGA BIT(2)
#define RTC_CENTURY 0x32
#define LATENCY_NONE 0xffff /* there is no C2, no C3 */

#define SPACE_IO 1
#define ACCESS_8 1
#define ACCESS_16 2
#define ACCESS_32 3

/* MADT: structures, flags (ACPI 6.4 §5.2.12). */
#define MADT_LAPIC 0
#define MADT_IOAPIC 1
#define MADT_OVERRIDE 2
#define MADT_LAPIC_NMI 4
#define MADT_X2APIC 9
#define MADT_X2APIC_NMI 10
#define MADT_ENABLED 1
#define MADT_PCAT 1 /* there are 8259s too */
#define XAPIC_IDS 255u
#define INTI_CONFORMS 0
#define INTI_HIGH_LEVEL (1 | 3 << 2)
#define NMI_LINT 1

static u8 sum(const u8 *p, size_t n)
{
	u8 s = 0;

	while (n--)
		s = (u8)(s + *p++);
	return s;
}

/* A table under construction at the end of the buffer; aml's writer serves for all of them. */
struct table {
	struct aml *a;
	size_t at;
};

static struct table table_begin(struct aml *a, const char *signature, u8 revision)
{
	u8 h[HEADER_LEN] = { 0 };
	struct table t = { .a = a };

	while (!is_aligned(a->len, TABLE_ALIGN) && !a->full)
		aml_byte(a, 0);
	t.at = a->len;
	memcpy(h, signature, 4);
	h[8] = revision;
	memcpy(h + 10, OEM_ID, 6);
	memcpy(h + 16, OEM_TABLE_ID, 8);
	put_le32(h + 24, REVISION);
	memcpy(h + 28, CREATOR_ID, 4);
	put_le32(h + 32, REVISION);
	aml_bytes(a, h, sizeof(h));
	return t;
}

/* Length and checksum. */
static void table_end(const struct table *t)
{
	u8 *p = t->a->buf + t->at;
	size_t len = t->a->len - t->at;

	if (t->a->full)
		return;
	put_le32(p + 4, (u32)len);
	p[9] = 0;
	p[9] = (u8)-sum(p, len);
}

/* Generic Address Structure (ACPI 6.4 §5.2.3.2). */
static void put_gas(u8 *p, u32 port, u8 bits, u8 access)
{
	p[0] = SPACE_IO;
	p[1] = bits;
	p[3] = access;
	put_le64(p + 4, port);
}

static void fadt_blocks(u8 *f)
{
	u8 *x = f + FADT_SYSTEM_BLOCK;

	put_le32(f + 56, MACHINE_PM1_EVT);
	put_le32(f + 64, MACHINE_PM1_CNT);
	put_le32(f + 76, MACHINE_PM_TMR);
	f[88] = 4; /* lengths in bytes: events, control, timer */
	f[89] = 2;
	f[91] = 4;
	put_gas(x, MACHINE_PM1_EVT, 32, ACCESS_16);
	put_gas(x + 24, MACHINE_PM1_CNT, 16, ACCESS_16);
	put_gas(x + 60, MACHINE_PM_TMR, 32, ACCESS_32);
}

static void build_fadt(struct aml *a, u64 dsdt, u64 facs)
{
	struct table t = table_begin(a, "FACP", FADT_REVISION);
	u8 f[FADT_LEN] = { 0 };

	put_le32(f + 36, (u32)facs);
	put_le32(f + 40, (u32)dsdt);
	put_le16(f + 46, MACHINE_SCI_IRQ);
	fadt_blocks(f);
	put_le16(f + 96, LATENCY_NONE);
	put_le16(f + 98, LATENCY_NONE);
	f[108] = RTC_CENTURY;
	put_le16(f + 109, BOOT_LEGACY_DEVICES | BOOT_NO_VGA);
	put_le32(f + 112, FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLP_BUTTON | FADT_NO_FIX_RTC |
				  FADT_RESET_REG);
	put_gas(f + 116, MACHINE_RESET_PORT, 8, ACCESS_8);
	f[128] = MACHINE_RESET_VALUE;
	f[131] = FADT_MINOR;
	put_le64(f + 140, dsdt);
	memcpy(f + 268, OEM_TABLE_ID, 8); /* hypervisor vendor identity */
	aml_bytes(a, f + HEADER_LEN, sizeof(f) - HEADER_LEN);
	table_end(&t);
}

static void madt_cpu(struct aml *a, u32 uid, u32 apic_id)
{
	u8 e[16] = { 0 };

	if (apic_id < XAPIC_IDS) {
		e[0] = MADT_LAPIC;
		e[1] = 8;
		e[2] = (u8)uid;
		e[3] = (u8)apic_id;
		put_le32(e + 4, MADT_ENABLED);
	} else {
		e[0] = MADT_X2APIC;
		e[1] = 16;
		put_le32(e + 4, apic_id);
		put_le32(e + 8, MADT_ENABLED);
		put_le32(e + 12, uid);
	}
	aml_bytes(a, e, e[1]);
}

static void madt_override(struct aml *a, u8 irq, u32 gsi, u16 flags)
{
	u8 e[10] = { MADT_OVERRIDE, sizeof(e), 0, irq };

	put_le32(e + 4, gsi);
	put_le16(e + 8, flags);
	aml_bytes(a, e, sizeof(e));
}

static void madt_lines(struct aml *a, bool x2apic)
{
	u8 ioapic[12] = { MADT_IOAPIC, sizeof(ioapic), MACHINE_IOAPIC_ID };
	static const u8 nmi[6] = { MADT_LAPIC_NMI, sizeof(nmi), 0xff, INTI_CONFORMS, 0, NMI_LINT };
	static const u8 nmi_x2[12] = {
		MADT_X2APIC_NMI, sizeof(nmi_x2), INTI_CONFORMS, 0, 0xff, 0xff, 0xff, 0xff, NMI_LINT
	};

	put_le32(ioapic + 4, (u32)MACHINE_IOAPIC_BASE);
	aml_bytes(a, ioapic, sizeof(ioapic));
	madt_override(a, MACHINE_PIT_IRQ, MACHINE_PIT_GSI, INTI_CONFORMS);
	madt_override(a, MACHINE_SCI_IRQ, MACHINE_SCI_IRQ, INTI_HIGH_LEVEL);
	aml_bytes(a, nmi, sizeof(nmi));
	if (x2apic)
		aml_bytes(a, nmi_x2, sizeof(nmi_x2));
}

static void build_madt(struct aml *a, const struct acpi_build *b)
{
	struct table t = table_begin(a, "APIC", 5);
	bool x2apic = false;
	u8 head[8];

	put_le32(head, (u32)MACHINE_LAPIC_BASE);
	put_le32(head + 4, MADT_PCAT);
	aml_bytes(a, head, sizeof(head));
	for (u32 i = 0; i < b->cpus; i++) {
		madt_cpu(a, i, b->apic_id[i]);
		x2apic |= b->apic_id[i] >= XAPIC_IDS;
	}
	madt_lines(a, x2apic);
	table_end(&t);
}

static void build_mcfg(struct aml *a)
{
	struct table t = table_begin(a, "MCFG", 1);
	u8 e[24] = { 0 };

	put_le64(e + 8, MACHINE_ECAM_BASE);
	e[19] = MACHINE_ECAM_BUSES - 1; /* segment 0, buses 0 to this */
	aml_bytes(a, e, sizeof(e));
	table_end(&t);
}

static void build_facs(u8 *f)
{
	memset(f, 0, ACPI_FACS_LEN);
	memcpy(f, "FACS", 4);
	put_le32(f + 4, ACPI_FACS_LEN);
	f[32] = 2; /* version */
}

/* Two checksums: of the first 20 bytes, as in ACPI 1.0, and of all. */
static void build_rsdp(u8 *r, u64 xsdt)
{
	memset(r, 0, ACPI_RSDP_LEN);
	memcpy(r, "RSD PTR ", 8);
	memcpy(r + 9, OEM_ID, 6);
	r[15] = 2; /* revision */
	put_le32(r + 20, ACPI_RSDP_LEN);
	put_le64(r + 24, xsdt);
	r[8] = (u8)-sum(r, 20);
	r[32] = (u8)-sum(r, ACPI_RSDP_LEN);
}

int acpi_build(const struct acpi_build *b, struct acpi_blob *out)
{
	struct aml a = { .buf = out->tables, .size = sizeof(out->tables) };
	struct table t;
	u64 at[3], dsdt;
	u8 xsdt[sizeof(at)];

	if (b->cpus == 0 || b->cpus > ACPI_CPUS_MAX ||
	    !is_aligned(b->tables | b->facs, TABLE_ALIGN) ||
	    b->tables > SIZE_4G - ACPI_TABLES_MAX || b->facs >= SIZE_4G)
		return -EINVAL;
	t = table_begin(&a, "DSDT", 2);
	acpi_dsdt_write(&a);
	table_end(&t);
	dsdt = b->tables + t.at;
	at[0] = b->tables + align_up(a.len, TABLE_ALIGN);
	build_fadt(&a, dsdt, b->facs);
	at[1] = b->tables + align_up(a.len, TABLE_ALIGN);
	build_madt(&a, b);
	at[2] = b->tables + align_up(a.len, TABLE_ALIGN);
	build_mcfg(&a);
	t = table_begin(&a, "XSDT", 1);
	for (u32 i = 0; i < ARRAY_SIZE(at); i++)
		put_le64(xsdt + 8 * i, at[i]);
	aml_bytes(&a, xsdt, sizeof(xsdt));
	table_end(&t);
	if (a.full)
		return -ENOSPC;
	out->tables_len = a.len;
	build_facs(out->facs);
	build_rsdp(out->rsdp, b->tables + t.at);
	return 0;
}
