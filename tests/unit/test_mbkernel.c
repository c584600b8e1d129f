/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot1 guest kernels: header, ELF of both classes, plan, information structure. The
 * information is read back by the parser that the hypervisor itself starts with.
 */
#include "unit.h"

#include "guest/load/elf.h"
#include "guest/load/mbkernel.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/core/multiboot.h"

#define LEN 0x2000u
#define HEADER 0x100u
#define TEXT 0x1000u
#define BASE 0x100000u

static u8 image[LEN];
static char why[160];

static void put_header(u32 flags)
{
	put_le32(image + HEADER, 0x1badb002);
	put_le32(image + HEADER + 4, flags);
	put_le32(image + HEADER + 8, 0u - 0x1badb002 - flags);
}

static void put_phdr(bool is64, u32 i, const u64 v[6]) /* type offset vaddr paddr filesz memsz */
{
	u8 *p = image + 64 + i * (is64 ? 56 : 32);

	put_le32(p, (u32)v[0]);
	for (u32 f = 1; f < 6; f++) {
		if (is64)
			put_le64(p + f * 8, v[f]);
		else
			put_le32(p + f * 4, (u32)v[f]);
	}
}

static void make(bool is64)
{
	memset(image, 0, sizeof(image));
	memcpy(image, "\177ELF", 4);
	image[4] = is64 ? 2 : 1;
	image[5] = image[6] = 1;
	put_le16(image + 16, 2);
	put_le16(image + 18, is64 ? 62 : 3);
	if (is64) {
		put_le64(image + 24, 0xffffffff80000010ull);
		put_le64(image + 32, 64);
		put_le16(image + 54, 56);
		put_le16(image + 56, 2);
	} else {
		put_le32(image + 24, 0x80000010);
		put_le32(image + 28, 64);
		put_le16(image + 42, 32);
		put_le16(image + 44, 2);
	}
	put_phdr(
		is64, 0,
		(u64[]){ 1, TEXT, is64 ? 0xffffffff80000000ull : 0x80000000, BASE, 0x800, 0x1800 });
	put_phdr(is64, 1, (u64[]){ 1, TEXT + 0x800, 0x2000, BASE + 0x2000, 0x100, 0x100 });
	put_header(3);
}

static int parse(struct elf_image *e)
{
	why[0] = '\0';
	return mbkernel_parse(image, sizeof(image), e, why, sizeof(why));
}

TEST(elf_good)
{
	for (int is64 = 0; is64 < 2; is64++) {
		struct elf_image e;

		make(is64);
		CHECK(elf_probe(image, LEN));
		CHECK(mbkernel_probe(image, LEN));
		CHECK_EQ(parse(&e), 0);
		CHECK_EQ(e.segs, 2);
		CHECK_EQ(e.entry, BASE + 0x10);
		CHECK_EQ(e.seg[0].off, TEXT);
		CHECK_EQ(e.seg[0].paddr, BASE);
		CHECK_EQ(e.seg[0].filesz, 0x800);
		CHECK_EQ(e.seg[0].memsz, 0x1800);
		CHECK_EQ(e.seg[1].paddr, BASE + 0x2000);
	}
}

struct edit {
	u32 off, width;
	u64 value;
	const char *word;
};

static void refused(const struct edit *edits, size_t n, bool is64)
{
	for (size_t i = 0; i < n; i++) {
		struct elf_image e = { .segs = 77 };

		make(is64);
		memcpy(image + edits[i].off, &edits[i].value, edits[i].width);
		CHECK_EQ(parse(&e), -ENOEXEC);
		CHECK_EQ(e.segs, 77);
		if (!strstr(why, edits[i].word)) {
			printf("edit %zu: %s\n", i, why);
			exit(1);
		}
	}
}

TEST(elf_malformed)
{
	static const struct edit both[] = {
		{ 0, 1, 0x7e, "magic" },   { 4, 1, 0, "class" }, { 4, 1, 3, "class" },
		{ 5, 1, 2, "byte order" }, { 16, 2, 3, "type" }, { 18, 2, 40, "machine" },
	};
	static const struct edit is64[] = {
		{ 54, 2, 32, "program headers of" },
		{ 56, 2, 0, "program headers at" },
		{ 56, 2, 0xffff, "program headers at" },
		{ 32, 8, LEN - 111, "program headers at" },
		{ 32, 8, ~0ull, "program headers at" },
		{ 64, 4, 3, "interpreter" },
		{ 64 + 8, 8, LEN - 0x7ff, "truncated" },
		{ 64 + 8, 8, ~0ull, "truncated" },
		{ 64 + 32, 8, ~0ull, "truncated" },
		{ 64 + 40, 8, 0x7ff, "in memory" },
		{ 64 + 40, 8, ~0ull, "wrap" },
		{ 64 + 24, 8, 0ull - 0x1000, "wrap" },
		{ 64 + 16, 8, 0ull - 0x1000, "wrap" },
		{ 24, 8, 0x1fff, "entry" },
		{ 24, 8, 0xffffffff80001800ull, "entry" },
		{ 64 + 56 + 24, 8, BASE + 0x17ff, "overlap" },
		{ 64, 4, 0, "entry" },
	};

	refused(both, sizeof(both) / sizeof(both[0]), false);
	refused(both, sizeof(both) / sizeof(both[0]), true);
	refused(is64, sizeof(is64) / sizeof(is64[0]), true);
}

/* An empty segment is nothing to load, wherever it claims to be. */
TEST(elf_empty_segment)
{
	struct elf_image e;

	make(true);
	put_phdr(true, 1, (u64[]){ 1, TEXT, 0, 0, 0, 0 });
	CHECK_EQ(parse(&e), 0);
	CHECK_EQ(e.segs, 1);
}

TEST(elf_many_segments)
{
	struct elf_image e;

	make(true);
	put_header(0);
	memmove(image + 0x1800, image + HEADER, 12);
	memset(image + HEADER, 0, 12);
	for (u32 n = ELF_SEGMENTS; n <= ELF_SEGMENTS + 1; n++) {
		put_le16(image + 56, (u16)n);
		for (u32 i = 0; i < n; i++)
			put_phdr(true, i,
				 (u64[]){ 1, TEXT, 0xffffffff80000000ull + i * 0x1000,
					  BASE + i * 0x1000, 0x100, 0x100 });
		CHECK_EQ(parse(&e), n > ELF_SEGMENTS ? -ENOEXEC : 0);
	}
}

/* In memory of exactly that length, so that a read beyond is seen. */
TEST(truncated)
{
	for (size_t n = 0; n < LEN; n += n < 0x180 ? 1 : 61) {
		struct elf_image e;
		u8 *part = malloc(n + !n);
		int rc;

		make(true);
		memcpy(part, image, n);
		CHECK_EQ(mbkernel_probe(part, n), n >= HEADER + 12);
		rc = mbkernel_parse(part, n, &e, why, sizeof(why));
		CHECK_EQ(rc, n >= TEXT + 0x900 ? 0 : -ENOEXEC);
		free(part);
	}
}

TEST(header_place)
{
	struct elf_image e;

	make(false);
	put_header(4); /* video mode */
	CHECK_EQ(parse(&e), -ENOEXEC);
	CHECK(strstr(why, "flags"));
	put_header(0x40000000); /* optional wishes may be ignored */
	CHECK_EQ(parse(&e), 0);
	image[HEADER + 8]++;
	CHECK(!mbkernel_probe(image, LEN));
	make(false);
	memmove(image + 0x1ff4, image + HEADER, 12); /* the last place there may be */
	memset(image + HEADER, 0, 12);
	CHECK(mbkernel_probe(image, LEN));
	memmove(image + 0x1ff2, image + 0x1ff4, 12);
	CHECK(!mbkernel_probe(image, LEN));
}

struct address_case {
	u32 header, load, load_end, bss_end, entry;
	int rc;
	u64 off, filesz, memsz;
};

TEST(address_fields)
{
	static const struct address_case cases[] = {
		{ BASE + HEADER, BASE, 0, 0, BASE, 0, 0, LEN, LEN },
		{ BASE + HEADER, BASE + HEADER, BASE + 0x400, BASE + 0x5000, BASE + 0x4fff, 0,
		  HEADER, 0x300, 0x4f00 },
		{ BASE + HEADER, BASE, BASE + LEN, BASE + LEN, BASE, 0, 0, LEN, LEN },
		{ BASE + HEADER, BASE - 1, 0, 0, BASE, -ENOEXEC, 0, 0, 0 },
		{ BASE, BASE + 1, 0, 0, BASE, -ENOEXEC, 0, 0, 0 },
		{ BASE + HEADER, BASE, BASE + LEN + 1, 0, BASE, -ENOEXEC, 0, 0, 0 },
		{ BASE + HEADER, BASE, BASE - 1, 0, BASE, -ENOEXEC, 0, 0, 0 },
		{ BASE + HEADER, BASE, 0, BASE + LEN - 1, BASE, -ENOEXEC, 0, 0, 0 },
		{ BASE + HEADER, BASE, 0, BASE - 1, BASE, -ENOEXEC, 0, 0, 0 },
		{ BASE + HEADER, BASE, 0, 0, BASE - 1, -ENOEXEC, 0, 0, 0 },
		{ BASE + HEADER, BASE, 0, 0, BASE + LEN, -ENOEXEC, 0, 0, 0 },
		{ HEADER - 1, 0xffffffff, 0, 0, BASE, -ENOEXEC, 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct address_case *c = &cases[i];
		struct elf_image e;

		make(false);
		memset(image, 0, 64); /* no ELF is needed */
		put_header(0x10000);
		memcpy(image + HEADER + 12, &c->header, 20);
		CHECK_EQ(parse(&e), c->rc);
		if (c->rc)
			continue;
		CHECK_EQ(e.segs, 1);
		CHECK_EQ(e.seg[0].off, c->off);
		CHECK_EQ(e.seg[0].filesz, c->filesz);
		CHECK_EQ(e.seg[0].paddr, c->load);
		CHECK_EQ(e.seg[0].memsz, c->memsz);
		CHECK_EQ(e.entry, c->entry);
	}
	make(false);
	memset(image + HEADER, 0, 12);
	put_le32(image + LEN - 16, 0x1badb002);
	put_le32(image + LEN - 12, 0x10000);
	put_le32(image + LEN - 8, 0u - 0x1badb002 - 0x10000);
	CHECK_EQ(parse(&(struct elf_image){ 0 }), -ENOEXEC);
	CHECK(strstr(why, "cut off"));
}

static struct elf_image image_of(u64 paddr, u64 memsz)
{
	return (struct elf_image){ .seg = { { 0, 0, paddr, memsz } }, .segs = 1, .entry = paddr };
}

TEST(plan)
{
	struct mbkernel_modules m = {
		.mod = { { "a", NULL, 1, 0 }, { "b", NULL, 4097, 0 }, { "c", NULL, 0, 0 } },
		.count = 3
	};
	struct e820_map map;
	struct elf_image e = image_of(BASE, 0x1001);

	CHECK_EQ(e820_build(SIZE_2M, &map), 0);
	CHECK_EQ(mbkernel_plan(&e, &map, &m, why, sizeof(why)), 0);
	CHECK_EQ(m.mod[0].at, BASE + 0x2000);
	CHECK_EQ(m.mod[1].at, BASE + 0x3000);
	CHECK_EQ(m.mod[2].at, BASE + 0x5000);
	m.mod[1].len = map.usable_end - m.mod[1].at;
	CHECK_EQ(mbkernel_plan(&e, &map, &m, why, sizeof(why)), 0);
	m.mod[1].len++;
	CHECK_EQ(mbkernel_plan(&e, &map, &m, why, sizeof(why)), -ENOMEM);
	CHECK(strstr(why, "module 'b'"));
	m.mod[1].len = ~0ull;
	CHECK_EQ(mbkernel_plan(&e, &map, &m, why, sizeof(why)), -ENOMEM);
	m.count = 0;
	e = image_of(BASE - 1, 16);
	CHECK_EQ(mbkernel_plan(&e, &map, &m, why, sizeof(why)), -ENOMEM);
	e = image_of(BASE, map.usable_end - BASE);
	CHECK_EQ(mbkernel_plan(&e, &map, &m, why, sizeof(why)), 0);
	e = image_of(BASE, map.usable_end - BASE + 1);
	CHECK_EQ(mbkernel_plan(&e, &map, &m, why, sizeof(why)), -ENOMEM);
	e = image_of(SIZE_4G, 16);
	CHECK_EQ(mbkernel_plan(&e, &map, &m, why, sizeof(why)), -ENOMEM);
}

/* ---- information --------------------------------------------------------------------------- */

static u8 *info_buf;
static size_t info_len;

static const void *phys(void *ctx, hpa_t pa, size_t len)
{
	(void)ctx;
	(void)len;
	return pa >= MBKERNEL_INFO_GPA && pa - MBKERNEL_INFO_GPA < info_len
		       ? info_buf + (pa - MBKERNEL_INFO_GPA)
		       : NULL;
}

TEST(info)
{
	const struct mbkernel_modules m = {
		.mod = { { "one", NULL, 10, 0x200000 }, { "two x", NULL, 5, 0x201000 } }, .count = 2
	};
	const struct boot_env env = { .phys = phys };
	static struct boot_info b;
	struct e820_map map;

	CHECK_EQ(e820_build(5ull << 30, &map), 0);
	info_buf = malloc(MBKERNEL_INFO_MAX);
	memset(info_buf, 0xee, MBKERNEL_INFO_MAX);
	CHECK_EQ(mbkernel_info(&map, "say hello", &m, info_buf, &info_len), 0);
	CHECK_EQ(get_le32(info_buf + 4), 639);
	CHECK_EQ(get_le32(info_buf + 8), (map.usable_end >> 10) - 1024);
	CHECK_EQ(multiboot_parse(MBKERNEL_LOADED, MBKERNEL_INFO_GPA, &env, &b, why, sizeof(why)),
		 0);
	CHECK_STR(b.cmdline, "say hello");
	CHECK_EQ(memcmp(b.loader, "Godwit", 6), 0);
	CHECK_EQ(b.modules, 2);
	CHECK_EQ(b.module[0].base, 0x200000);
	CHECK_EQ(b.module[0].len, 10);
	CHECK_STR(b.module[0].string, "one");
	CHECK_EQ(b.module[1].len, 5);
	CHECK_STR(b.module[1].string, "two x");
	CHECK_EQ(b.ranges, map.count);
	for (u32 i = 0; i < map.count; i++) {
		static const u8 type[] = { [BOOT_RAM] = E820_RAM,
					   [BOOT_RESERVED] = E820_RESERVED,
					   [BOOT_ACPI] = E820_ACPI,
					   [BOOT_NVS] = E820_NVS };

		CHECK_EQ(b.range[i].base, map.entry[i].base);
		CHECK_EQ(b.range[i].len, map.entry[i].len);
		CHECK_EQ(type[b.range[i].type], map.entry[i].type);
	}
	free(info_buf);
}

TEST(info_too_long)
{
	char *text = malloc(MBKERNEL_INFO_MAX);
	const struct mbkernel_modules none = { .count = 0 };
	struct e820_map map;
	u32 fits = 0;

	CHECK_EQ(e820_build(SIZE_2M, &map), 0);
	info_buf = malloc(MBKERNEL_INFO_MAX);
	memset(text, 'x', MBKERNEL_INFO_MAX);
	for (u32 n = MBKERNEL_INFO_MAX - 1000; n < MBKERNEL_INFO_MAX; n++) {
		text[n] = '\0';
		fits += mbkernel_info(&map, text, &none, info_buf, &info_len) == 0;
		text[n] = 'x';
	}
	CHECK(fits > 0 && fits < 1000);
	free(info_buf);
	free(text);
}

UNIT_MAIN({ "elf_good", elf_good }, { "elf_malformed", elf_malformed },
	  { "elf_empty_segment", elf_empty_segment }, { "elf_many_segments", elf_many_segments },
	  { "truncated", truncated }, { "header_place", header_place },
	  { "address_fields", address_fields }, { "plan", plan }, { "info", info },
	  { "info_too_long", info_too_long })
