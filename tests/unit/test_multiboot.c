/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What boot loaders leave in memory, both protocols, well-formed and not. Memory is the
 * pages from BASE on; the rest is out of reach.
 */
#include "unit.h"

#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/core/multiboot.h"

#define BASE 0x9000u
#define SIZE 0x5000u

static u8 mem[SIZE];
static struct boot_info b;
static char why[160];

static const void *phys(void *ctx, hpa_t pa, size_t len)
{
	(void)ctx;
	return range_within(pa, len, BASE, SIZE) ? mem + (pa - BASE) : NULL;
}

static int parse(u32 magic)
{
	const struct boot_env env = { .phys = phys };

	why[0] = '\0';
	return multiboot_parse(magic, BASE, &env, &b, why, sizeof(why));
}

/* ---- multiboot1 ---------------------------------------------------------------------------- */

#define MB1_TEXT 0x80
#define MB1_MODS 0x100
#define MB1_MMAP 0x200

static u32 mb1_range(u32 at, u64 base, u64 len, u32 type, u32 size)
{
	put_le32(mem + at, size);
	put_le64(mem + at + 4, base);
	put_le64(mem + at + 12, len);
	put_le32(mem + at + 20, type);
	return at + size + 4;
}

static void make1(void)
{
	u32 at = MB1_MMAP;

	memset(mem, 0, sizeof(mem));
	put_le32(mem, 0x24c); /* command line, modules, map, loader */
	put_le32(mem + 16, BASE + MB1_TEXT);
	strcpy((char *)mem + MB1_TEXT, "log=debug");
	put_le32(mem + 20, 2);
	put_le32(mem + 24, BASE + MB1_MODS);
	put_le32(mem + MB1_MODS, 0x200000);
	put_le32(mem + MB1_MODS + 4, 0x201234);
	put_le32(mem + MB1_MODS + 8, BASE + MB1_TEXT + 32);
	strcpy((char *)mem + MB1_TEXT + 32, "/boot/godwit.conf extra");
	put_le32(mem + MB1_MODS + 16, 0x300000);
	put_le32(mem + MB1_MODS + 20, 0x300000);
	at = mb1_range(at, 0, 0x9fc00, 1, 20);
	at = mb1_range(at, 0x9fc00, 0x400, 2, 20);
	at = mb1_range(at, 0x100000, 0x700000, 1, 24); /* entries may be longer */
	at = mb1_range(at, 0x800000, 0x100000, 1, 20); /* goes on where the last ends */
	at = mb1_range(at, 0x900000, 0x1000, 3, 20);
	at = mb1_range(at, 0x901000, 0x1000, 4, 20);
	at = mb1_range(at, 0x902000, 0x1000, 5, 20);
	at = mb1_range(at, 0x903000, 0x1000, 77, 20);
	at = mb1_range(at, 0xa00000, 0, 1, 20);
	at = mb1_range(at, 0xfffffffffffff000ull, 0x1000, 1, 20);
	put_le32(mem + 44, at - MB1_MMAP);
	put_le32(mem + 48, BASE + MB1_MMAP);
	put_le32(mem + 64, BASE + MB1_TEXT + 64);
	strcpy((char *)mem + MB1_TEXT + 64, "loader 1.0");
}

TEST(mb1)
{
	static const u32 types[] = { BOOT_RAM, BOOT_RESERVED, BOOT_RAM,     BOOT_ACPI,
				     BOOT_NVS, BOOT_BAD,      BOOT_RESERVED };
	char name[BOOT_STRING_LEN];

	make1();
	CHECK_EQ(parse(MULTIBOOT1_LOADED), 0);
	CHECK_EQ(b.protocol, 1);
	CHECK_STR(b.cmdline, "log=debug");
	CHECK_STR(b.loader, "loader 1.0");
	CHECK_EQ(b.modules, 2);
	CHECK_EQ(b.module[0].base, 0x200000);
	CHECK_EQ(b.module[0].len, 0x1234);
	CHECK_STR(b.module[0].string, "/boot/godwit.conf extra");
	CHECK_EQ(b.module[1].len, 0);
	CHECK_STR(b.module[1].string, "");
	boot_module_name(&b.module[0], name, sizeof(name));
	CHECK_STR(name, "godwit.conf");
	CHECK(boot_module_find(&b, "godwit.conf") == &b.module[0]);
	CHECK(!boot_module_find(&b, "godwit"));
	CHECK_EQ(b.ranges, sizeof(types) / sizeof(types[0]));
	for (u32 i = 0; i < b.ranges; i++)
		CHECK_EQ(b.range[i].type, types[i]);
	CHECK_EQ(b.range[2].base, 0x100000);
	CHECK_EQ(b.range[2].len, 0x800000);
	CHECK_EQ(b.ranges_dropped, 1);
	CHECK_EQ(b.rsdp_len, 0);
	CHECK(!b.efi_map && !b.text_cut);
}

TEST(mb1_text)
{
	make1();
	memset(mem + 0x1000, 'x', 0x2000);
	put_le32(mem + 16, BASE + 0x1000);
	CHECK_EQ(parse(MULTIBOOT1_LOADED), 0);
	CHECK(b.text_cut);
	CHECK_EQ(strlen(b.cmdline), BOOT_CMDLINE_LEN - 1);
	/* Text that goes on beyond what can be reached. */
	memset(mem + SIZE - 10, 'x', 10);
	put_le32(mem + 16, BASE + SIZE - 10);
	CHECK_EQ(parse(MULTIBOOT1_LOADED), -EFAULT);
	mem[SIZE - 1] = 0;
	CHECK_EQ(parse(MULTIBOOT1_LOADED), 0);
	CHECK_EQ(strlen(b.cmdline), 9);
}

struct edit {
	u32 off;
	u32 value;
	int rc;
	const char *word;
};

static void refused(const struct edit *e, size_t n, void (*make)(void), u32 magic)
{
	for (size_t i = 0; i < n; i++) {
		make();
		put_le32(mem + e[i].off, e[i].value);
		CHECK_EQ(parse(magic), e[i].rc);
		if (!strstr(why, e[i].word)) {
			printf("edit %zu: %s\n", i, why);
			exit(1);
		}
	}
}

TEST(mb1_malformed)
{
	static const struct edit edits[] = {
		{ 0, 0, -EPROTO, "no memory map" },
		{ 0, 0x20c, -EPROTO, "no memory map" },
		{ 16, BASE - 1, -EFAULT, "text" },
		{ 16, 0xffffffff, -EFAULT, "text" },
		{ 64, 0, -EFAULT, "text" },
		{ 20, 1025, -EPROTO, "modules" },
		{ 20, 0xffffffff, -EPROTO, "modules" },
		{ 24, BASE + SIZE - 31, -EFAULT, "modules" },
		{ MB1_MODS + 8, BASE + SIZE, -EFAULT, "text" },
		{ 44, 65537, -EPROTO, "memory map" },
		{ 44, 0, -EPROTO, "no memory map" },
		{ 44, 23, -EPROTO, "entry" },
		{ 44, 25, -EPROTO, "entry" },
		{ 48, BASE - 1, -EFAULT, "memory map" },
		{ MB1_MMAP, 19, -EPROTO, "entry" },
		{ MB1_MMAP, 0xffffffff, -EPROTO, "entry" },
	};

	refused(edits, sizeof(edits) / sizeof(edits[0]), make1, MULTIBOOT1_LOADED);
	make1();
	CHECK_EQ(parse(0x12345678), -EPROTO);
	put_le32(mem + 20, 0); /* no module is no error, wherever the list is */
	put_le32(mem + 24, 0);
	CHECK_EQ(parse(MULTIBOOT1_LOADED), 0);
	CHECK_EQ(b.modules, 0);
	make1();
	put_le32(mem + MB1_MODS + 4, 0x1fffff); /* ends before its start */
	CHECK_EQ(parse(MULTIBOOT1_LOADED), 0);
	CHECK_EQ(b.modules, 1);
	CHECK_EQ(b.modules_dropped, 1);
}

TEST(limits)
{
	u32 at = 0x1000;

	make1();
	for (u32 i = 0; i < BOOT_RANGES + 3; i++) /* apart, so that none are joined */
		at = mb1_range(at, 0x100000 + i * 0x2000ull, 0x1000, 1, 20);
	put_le32(mem + 44, at - 0x1000);
	put_le32(mem + 48, BASE + 0x1000);
	put_le32(mem + 20, BOOT_MODULES + 2);
	CHECK(at <= SIZE);
	for (u32 i = 0; i < (BOOT_MODULES + 2) * 16; i += 4)
		put_le32(mem + MB1_MODS + i, 0);
	CHECK_EQ(parse(MULTIBOOT1_LOADED), 0);
	CHECK_EQ(b.ranges, BOOT_RANGES);
	CHECK_EQ(b.ranges_dropped, 3);
	CHECK_EQ(b.modules, BOOT_MODULES);
	CHECK_EQ(b.modules_dropped, 2);
}

/* ---- multiboot2 ------------------------------------------------------------------------------ */

static u32 end2;

static u8 *tag(u32 type, u32 body)
{
	u8 *p = mem + end2;

	put_le32(p, type);
	put_le32(p + 4, 8 + body);
	end2 = (u32)align_up(end2 + 8 + body, 8);
	put_le32(mem, end2);
	return p + 8;
}

static void map_tag(u64 base, u64 len, u32 type)
{
	u8 *p = tag(6, 8 + 24);

	put_le32(p, 24);
	put_le64(p + 8, base);
	put_le64(p + 16, len);
	put_le32(p + 24, type);
}

static void efi_tag(u32 first_type, u32 n)
{
	u8 *p = tag(17, 8 + n * 48);

	put_le32(p, 48); /* as firmware has them: longer than the specification's 40 */
	for (u32 i = 0; i < n; i++) {
		put_le32(p + 8 + i * 48, first_type + i);
		put_le64(p + 8 + i * 48 + 8, i * 0x100000);
		put_le64(p + 8 + i * 48 + 24, 0x10);
	}
}

static void begin2(void)
{
	memset(mem, 0, sizeof(mem));
	end2 = 8;
	memcpy(tag(2, 5), "GRUB", 5);
	memcpy(tag(1, 4), "a=b", 4);
	put_le32(tag(3, 8 + 4), 0x200000);
	put_le32(mem + end2 - 16 + 4, 0x200800);
	memcpy(mem + end2 - 16 + 8, "mod", 4);
}

static void make2(void)
{
	begin2();
	map_tag(0x100000, 0x700000, 1);
	tag(0, 0);
}

TEST(mb2)
{
	begin2();
	CHECK_EQ(mem[8 + 16 + 16], 3); /* the module's tag is where begin2() believes it */
	map_tag(0x100000, 0x700000, 1);
	put_le64(tag(12, 8), 0x123456789aull);
	memcpy(tag(14, 20), "RSD PTR old", 11);
	memcpy(tag(15, 36), "RSD PTR new", 11);
	tag(99, 3);
	efi_tag(7, 1); /* not needed beside the loader's own map */
	tag(0, 0);
	CHECK_EQ(parse(MULTIBOOT2_LOADED), 0);
	CHECK_EQ(b.protocol, 2);
	CHECK_STR(b.loader, "GRUB");
	CHECK_STR(b.cmdline, "a=b");
	CHECK_EQ(b.modules, 1);
	CHECK_EQ(b.module[0].base, 0x200000);
	CHECK_EQ(b.module[0].len, 0x800);
	CHECK_STR(b.module[0].string, "mod");
	CHECK_EQ(b.ranges, 1);
	CHECK_EQ(b.range[0].len, 0x700000);
	CHECK(!b.efi_map);
	CHECK_EQ(b.efi_system_table, 0x123456789aull);
	CHECK_EQ(b.rsdp_len, 36);
	CHECK_EQ(memcmp(b.rsdp, "RSD PTR new", 11), 0);
}

TEST(mb2_rsdp_order)
{
	make2();
	end2 -= 8;
	memcpy(tag(15, 36), "RSD PTR new", 11);
	memcpy(tag(14, 20), "RSD PTR old", 11);
	tag(14, 19); /* too short to be one */
	tag(0, 0);
	CHECK_EQ(parse(MULTIBOOT2_LOADED), 0);
	CHECK_EQ(b.rsdp_len, 36);
	CHECK_EQ(memcmp(b.rsdp, "RSD PTR new", 11), 0);
}

TEST(mb2_efi_map)
{
	static const u32 want[16] = {
		BOOT_RESERVED, BOOT_RAM,      BOOT_RAM,      BOOT_RAM,      BOOT_RAM, BOOT_RESERVED,
		BOOT_RESERVED, BOOT_RAM,      BOOT_BAD,      BOOT_ACPI,     BOOT_NVS, BOOT_RESERVED,
		BOOT_RESERVED, BOOT_RESERVED, BOOT_RESERVED, BOOT_RESERVED,
	};

	begin2();
	efi_tag(0, 16);
	tag(0, 0);
	CHECK_EQ(parse(MULTIBOOT2_LOADED), 0);
	CHECK(b.efi_map);
	CHECK_EQ(b.ranges, 16);
	for (u32 i = 0; i < 16; i++) {
		CHECK_EQ(b.range[i].base, i * 0x100000);
		CHECK_EQ(b.range[i].len, 0x10000);
		CHECK_EQ(b.range[i].type, want[i]);
	}
}

TEST(mb2_malformed)
{
	/* Tags: loader at 8, command line at 24, module at 40, map at 64, end at 104. */
	static const struct edit edits[] = {
		{ 0, 15, -EPROTO, "information of" },
		{ 0, (4 << 20) + 1, -EPROTO, "information of" },
		{ 0, SIZE + 1, -EFAULT, "out of reach" },
		{ 0, 104, -EPROTO, "tag" }, /* no end */
		{ 12, 7, -EPROTO, "tag 2 at byte 0" },
		{ 12, 0, -EPROTO, "tag 2" },
		{ 12, 0xffffffff, -EPROTO, "tag 2" },
		{ 44, 15, -EPROTO, "module tag" },
		{ 64, 5, -EPROTO, "no memory map" },
		{ 68, 15, -EPROTO, "entries" },
		{ 68, 16, -EPROTO, "tag 1048576" },
		{ 72, 19, -EPROTO, "entries" },
		{ 72, 0, -EPROTO, "entries" },
	};

	make2();
	CHECK_EQ(parse(MULTIBOOT2_LOADED), 0);
	CHECK_EQ(end2, 112);
	refused(edits, sizeof(edits) / sizeof(edits[0]), make2, MULTIBOOT2_LOADED);
	begin2();
	efi_tag(7, 1);
	put_le64(mem + end2 - 48 + 24, ~0ull); /* number of pages */
	map_tag(0x100000, 0x1000, 1);
	tag(0, 0);
	CHECK_EQ(parse(MULTIBOOT2_LOADED), 0);
	begin2();
	efi_tag(7, 2);
	put_le64(mem + end2 - 48 + 24, ~0ull);
	tag(0, 0);
	CHECK_EQ(parse(MULTIBOOT2_LOADED), 0);
	CHECK_EQ(b.ranges, 1);
	CHECK_EQ(b.ranges_dropped, 1);
}

TEST(names)
{
	static const char *const cases[][2] = {
		{ "", "" },     { "a", "a" },        { "/x/y/z arg/with/slash", "z" },
		{ "dir/", "" }, { "tab\tx", "tab" }, { " lead", "" },
	};
	struct boot_module m;
	char name[8];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(m.string, cases[i][0]);
		boot_module_name(&m, name, sizeof(name));
		CHECK_STR(name, cases[i][1]);
	}
	strcpy(m.string, "longer-than-that");
	boot_module_name(&m, name, sizeof(name));
	CHECK_STR(name, "longer-");
}

UNIT_MAIN({ "mb1", mb1 }, { "mb1_text", mb1_text }, { "mb1_malformed", mb1_malformed },
	  { "limits", limits }, { "mb2", mb2 }, { "mb2_rsdp_order", mb2_rsdp_order },
	  { "mb2_efi_map", mb2_efi_map }, { "mb2_malformed", mb2_malformed }, { "names", names })
