/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables of a guest: found by the path an operating system takes, checked by its rules,
 * and read by ACPICA's compiler where it is installed.
 */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "guest/load/acpi_build.h"
#include "guest/load/aml.h"
#include "guest/vm/machine.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/core/acpi_s5.h"

#define TABLES 0xbfff0000ull
#define FACS 0xbffff000ull

static struct acpi_blob blob;

static u8 sum(const u8 *p, size_t n)
{
	u8 s = 0;

	while (n--)
		s = (u8)(s + *p++);
	return s;
}

static void make(u32 cpus, u32 first_id)
{
	u32 ids[ACPI_CPUS_MAX];
	struct acpi_build b = { .apic_id = ids, .cpus = cpus, .tables = TABLES, .facs = FACS };

	for (u32 i = 0; i < cpus; i++)
		ids[i] = first_id + i;
	CHECK_EQ(acpi_build(&b, &blob), 0);
}

/* The table at a guest-physical address: inside the blob, length and checksum right. */
static const u8 *table_at(u64 gpa, const char *signature)
{
	const u8 *t = blob.tables + (gpa - TABLES);

	CHECK(gpa >= TABLES && gpa - TABLES + 36 <= blob.tables_len);
	CHECK_EQ(gpa % 16, 0);
	CHECK_EQ(memcmp(t, signature, 4), 0);
	CHECK(get_le32(t + 4) <= blob.tables_len - (gpa - TABLES));
	CHECK_EQ(sum(t, get_le32(t + 4)), 0);
	return t;
}

static const u8 *find(const char *signature)
{
	const u8 *xsdt = table_at(get_le64(blob.rsdp + 24), "XSDT");
	u32 n = (get_le32(xsdt + 4) - 36) / 8;

	for (u32 i = 0; i < n; i++) {
		u64 at = get_le64(xsdt + 36 + 8 * i);

		if (memcmp(blob.tables + (at - TABLES), signature, 4) == 0)
			return table_at(at, signature);
	}
	return NULL;
}

TEST(root_tables)
{
	make(2, 0);
	CHECK_EQ(memcmp(blob.rsdp, "RSD PTR ", 8), 0);
	CHECK_EQ(sum(blob.rsdp, 20), 0);
	CHECK_EQ(sum(blob.rsdp, 36), 0);
	CHECK_EQ(blob.rsdp[15], 2);
	CHECK(find("FACP"));
	CHECK(find("APIC"));
	CHECK(find("MCFG"));
	CHECK_EQ(memcmp(blob.facs, "FACS", 4), 0);
	CHECK_EQ(get_le32(blob.facs + 4), 64);
}

TEST(fadt)
{
	const u8 *f;

	make(1, 0);
	f = find("FACP");
	CHECK_EQ(get_le32(f + 4), 276);
	CHECK_EQ(get_le32(f + 36), FACS);
	CHECK_EQ(get_le32(f + 40), get_le64(f + 140));
	table_at(get_le64(f + 140), "DSDT");
	CHECK_EQ(get_le16(f + 46), MACHINE_SCI_IRQ);
	CHECK_EQ(get_le32(f + 48), 0); /* SMI command: always in ACPI mode */
	CHECK_EQ(get_le64(f + 152), MACHINE_PM1_EVT);
	CHECK_EQ(get_le64(f + 176), MACHINE_PM1_CNT);
	CHECK_EQ(get_le64(f + 212), MACHINE_PM_TMR);
	CHECK_EQ(get_le32(f + 76), MACHINE_PM_TMR);
	CHECK_EQ(f[88], 4); /* lengths of the blocks */
	CHECK_EQ(f[89], 2);
	CHECK_EQ(f[91], 4);
	CHECK_EQ(get_le64(f + 120), MACHINE_RESET_PORT);
	CHECK_EQ(f[128], MACHINE_RESET_VALUE);
	CHECK_EQ(get_le16(f + 109) & 2, 0);         /* no 8042 */
	CHECK_EQ(get_le32(f + 112) & 0x10, 0);      /* the power button is a fixed feature */
	CHECK_EQ(get_le32(f + 112) & 0x500, 0x400); /* reset register; PM timer of 24 bits */
}

static u32 madt_count(u8 type)
{
	const u8 *m = find("APIC");
	u32 len = get_le32(m + 4), n = 0;

	for (u32 at = 44; at < len; at += m[at + 1]) {
		CHECK(m[at + 1] >= 6 && at + m[at + 1] <= len);
		n += m[at] == type;
	}
	return n;
}

TEST(madt)
{
	make(16, 0);
	CHECK_EQ(madt_count(0), 16);
	CHECK_EQ(madt_count(9), 0);
	CHECK_EQ(madt_count(1), 1);
	CHECK_EQ(madt_count(2), 2);
	CHECK_EQ(madt_count(4), 1);
	make(ACPI_CPUS_MAX, 250);
	CHECK_EQ(madt_count(0), 5);
	CHECK_EQ(madt_count(9), ACPI_CPUS_MAX - 5);
	CHECK_EQ(madt_count(10), 1);
}

TEST(mcfg)
{
	const u8 *m;

	make(1, 0);
	m = find("MCFG");
	CHECK_EQ(get_le32(m + 4), 60);
	CHECK_EQ(get_le64(m + 44), MACHINE_ECAM_BASE);
	CHECK_EQ(m[54], 0);
	CHECK_EQ(m[55], MACHINE_ECAM_BUSES - 1);
}

TEST(sleep_type)
{
	const u8 *d;
	struct acpi_s5 s5;

	make(1, 0);
	d = table_at(get_le64(find("FACP") + 140), "DSDT");
	CHECK_EQ(acpi_s5_find(d + 36, get_le32(d + 4) - 36, &s5), 0);
	CHECK_EQ(s5.type_a, MACHINE_PM_SLP_TYP_S5);
}

TEST(refused)
{
	static const u32 ids[ACPI_CPUS_MAX + 1];
	const struct acpi_build bad[] = {
		{ ids, 0, TABLES, FACS },           { ids, ACPI_CPUS_MAX + 1, TABLES, FACS },
		{ ids, 1, TABLES + 4, FACS },       { ids, 1, TABLES, FACS + 16 },
		{ ids, 1, 0x100000000ull, FACS },   { ids, 1, 0xfffff000ull, FACS },
		{ ids, 1, TABLES, 0x100000000ull },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(acpi_build(&bad[i], &blob), -EINVAL);
}

/* Each length of a package up to beyond both borders of PkgLength, in a buffer that just fits. */
TEST(aml_lengths)
{
	static u8 buf[6000];

	for (u32 body = 1; body < 5000; body += body < 100 ? 1 : 61) {
		u32 width = body + 1 <= 63 ? 1 : body + 2 <= 4095 ? 2 : 3;
		struct aml a = { .buf = buf, .size = 1 + width + body };
		u32 len;

		aml_package(&a, 0);
		for (u32 i = 1; i < body; i++)
			aml_byte(&a, 0xcc);
		aml_end(&a);
		CHECK(!a.full);
		CHECK_EQ(a.len, a.size);
		len = width == 1 ? buf[1] : (buf[1] & 15u) | (u32)buf[2] << 4;
		if (width == 3)
			len |= (u32)buf[3] << 12;
		CHECK_EQ(buf[1] >> 6, width - 1);
		CHECK_EQ(len, width + body);
		CHECK_EQ(buf[1 + width], 0);
		CHECK_EQ(buf[a.len - 1], body > 1 ? 0xcc : 0);
	}
}

TEST(aml_full)
{
	u8 buf[8];
	struct aml a = { .buf = buf, .size = sizeof(buf) };

	aml_device(&a, "ABCD");
	aml_byte(&a, 1);
	aml_byte(&a, 2);
	CHECK(!a.full);
	aml_end(&a); /* no room for the length */
	CHECK(a.full);
	a = (struct aml){ .buf = buf, .size = sizeof(buf) };
	aml_end(&a); /* nothing is open */
	CHECK(a.full);
	a = (struct aml){ .buf = buf, .size = sizeof(buf) };
	for (u32 i = 0; i <= AML_DEPTH; i++)
		aml_if(&a);
	CHECK(a.full);
}

/* ---- what ACPICA says -------------------------------------------------------------------- */

static void run(const char *dir, const char *format, const char *name)
{
	char command[256], out[4096];
	size_t n;
	FILE *p;
	int rc;

	snprintf(command, sizeof(command), format, dir, name, name);
	p = popen(command, "r");
	CHECK(p);
	n = fread(out, 1, sizeof(out) - 1, p);
	out[n] = '\0';
	rc = pclose(p);
	if (rc || strstr(out, "ACPI Warning") || strstr(out, "ACPI Error") ||
	    strstr(out, "ACPI BIOS") || strstr(out, ".dsl:")) {
		printf("%s\n%s\n", command, out);
		exit(1);
	}
}

static void oracle(const char *dir, const u8 *table, u32 len, const char *name)
{
	static u8 again[ACPI_TABLES_MAX];
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.aml", dir, name);
	f = fopen(path, "w");
	CHECK(f);
	CHECK_EQ(fwrite(table, 1, len, f), len);
	CHECK_EQ(fclose(f), 0);
	run(dir,
	    "cd %s && iasl -d %s.aml 2>&1; grep -i -n -H -E 'warning|invalid|unknown' %s.dsl; "
	    "true",
	    name);
	/* Compiled again, quiet but for problems: -we makes warnings errors. */
	run(dir, "cd %s && iasl -we -vs -p again-%s %s.dsl 2>&1", name);
	snprintf(path, sizeof(path), "%s/again-%s.aml", dir, name);
	f = fopen(path, "r");
	CHECK(f);
	CHECK_EQ(fread(again, 1, sizeof(again), f), len);
	fclose(f);
	/* All but the header, where the compiler puts its own name. */
	CHECK_EQ(memcmp(again + 36, table + 36, len - 36), 0);
}

TEST(read_by_acpica)
{
	char dir[] = "/tmp/godwit-acpi-XXXXXX", command[64];
	const u8 *d;

	if (system("command -v iasl >/dev/null")) {
		printf("no iasl here: not read by ACPICA\n");
		return;
	}
	make(4, 253);
	CHECK(mkdtemp(dir));
	d = table_at(get_le64(find("FACP") + 140), "DSDT");
	oracle(dir, d, get_le32(d + 4), "dsdt");
	oracle(dir, find("FACP"), get_le32(find("FACP") + 4), "facp");
	oracle(dir, find("APIC"), get_le32(find("APIC") + 4), "apic");
	oracle(dir, find("MCFG"), get_le32(find("MCFG") + 4), "mcfg");
	oracle(dir, blob.facs, sizeof(blob.facs), "facs");
	if (getenv("GODWIT_KEEP")) {
		printf("kept: %s\n", dir);
		return;
	}
	snprintf(command, sizeof(command), "rm -r %s", dir);
	CHECK_EQ(system(command), 0);
}

/* Shell commands in the directory of dsdt.aml, and what their output must contain. */
static const char *const questions[][2] = {
	{ "iasl -d dsdt.aml 2>&1; grep -o 'EisaId (\"PNP[0-9A-F]*\")' dsdt.dsl | tr -d '\\n'",
	  "EisaId (\"PNP0A08\")EisaId (\"PNP0A03\")EisaId (\"PNP0C02\")EisaId (\"PNP0501\")"
	  "EisaId (\"PNP0B00\")" },
	/* _OSC with everything asked for, what is offered, an unknown revision, another UUID. */
	{ "acpiexec -b 'evaluate \\_SB.PCI0._OSC (5B 4D DB 33 F7 1F 1C 40 96 57 74 41 C0 3D D7 66) "
	  "1 3 (00 00 00 00 1F 00 00 00 1F 00 00 00)' dsdt.aml 2>&1",
	  "10 00 00 00 1F 00 00 00 15 00 00 00" },
	{ "acpiexec -b 'evaluate \\_SB.PCI0._OSC (5B 4D DB 33 F7 1F 1C 40 96 57 74 41 C0 3D D7 66) "
	  "1 3 (00 00 00 00 1F 00 00 00 05 00 00 00)' dsdt.aml 2>&1",
	  "00 00 00 00 1F 00 00 00 05 00 00 00" },
	{ "acpiexec -b 'evaluate \\_SB.PCI0._OSC (5B 4D DB 33 F7 1F 1C 40 96 57 74 41 C0 3D D7 66) "
	  "2 3 (00 00 00 00 1F 00 00 00 15 00 00 00)' dsdt.aml 2>&1",
	  "08 00 00 00 1F 00 00 00 15 00 00 00" },
	{ "acpiexec -b 'evaluate \\_SB.PCI0._OSC (5B 4D DB 33 F7 1F 1C 40 96 57 74 41 C0 3D D7 67) "
	  "1 3 (00 00 00 00 1F 00 00 00 1F 00 00 00)' dsdt.aml 2>&1",
	  "04 00 00 00 1F 00 00 00 1F 00 00 00" },
	{ "acpiexec -b 'evaluate \\_SB.PCI0._PRT' dsdt.aml 2>&1 | grep -c 'Contains 4 Elements'",
	  "128\n" },
	/* Device 31, INTD: GSI 16 + (31 + 3) % 4. */
	{ "acpiexec -b 'evaluate \\_SB.PCI0._PRT' dsdt.aml 2>&1 | grep -A3 1FFFFF | tail -1",
	  "= 0000000000000012\n" },
	{ "acpiexec -b 'evaluate \\_S5' dsdt.aml 2>&1", "[Integer] = 0000000000000005" },
};

TEST(run_by_acpica)
{
	char dir[] = "/tmp/godwit-acpi-XXXXXX", path[64], command[512], out[8192];
	const u8 *d;
	FILE *f;

	if (system("command -v iasl >/dev/null && command -v acpiexec >/dev/null")) {
		printf("no acpiexec here: not run by ACPICA\n");
		return;
	}
	make(1, 0);
	CHECK(mkdtemp(dir));
	d = table_at(get_le64(find("FACP") + 140), "DSDT");
	snprintf(path, sizeof(path), "%s/dsdt.aml", dir);
	f = fopen(path, "w");
	CHECK(f);
	CHECK_EQ(fwrite(d, 1, get_le32(d + 4), f), get_le32(d + 4));
	CHECK_EQ(fclose(f), 0);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		snprintf(command, sizeof(command), "cd %s; %s", dir, questions[i][0]);
		f = popen(command, "r");
		CHECK(f);
		out[fread(out, 1, sizeof(out) - 1, f)] = '\0';
		pclose(f);
		if (!strstr(out, questions[i][1])) {
			printf("%s\n%s\nnot there: %s\n", command, out, questions[i][1]);
			exit(1);
		}
	}
	snprintf(command, sizeof(command), "rm -r %s", dir);
	CHECK_EQ(system(command), 0);
}

UNIT_MAIN({ "root_tables", root_tables }, { "fadt", fadt }, { "madt", madt }, { "mcfg", mcfg },
	  { "sleep_type", sleep_type }, { "refused", refused }, { "aml_lengths", aml_lengths },
	  { "aml_full", aml_full }, { "read_by_acpica", read_by_acpica },
	  { "run_by_acpica", run_by_acpica })
