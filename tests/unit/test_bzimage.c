/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzImage header, plan and boot structures; the memory map they go by.
 */
#include "unit.h"

#include "guest/load/bzimage.h"
#include "guest/vm/machine.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"

#define SECTORS 3u
#define KERNEL 0x3000u
#define LEN ((SECTORS + 1) * 512 + KERNEL)
#define MIB(n) ((u64)(n) << 20)

static u8 image[LEN];
static char why[160];

/* As a kernel of today says it: 16 MiB preferred, 2 MiB aligned. */
static void make(void)
{
	memset(image, 0, sizeof(image));
	image[0x1f1] = SECTORS;
	put_le32(image + 0x1f4, KERNEL / 16);
	put_le16(image + 0x1fe, 0xaa55);
	image[0x200] = 0xeb;
	image[0x201] = 0x6a;
	memcpy(image + 0x202, "HdrS", 4);
	put_le16(image + 0x206, 0x20f);
	image[0x211] = 1;
	put_le32(image + 0x22c, 0x7fffffff);
	put_le32(image + 0x230, 0x200000);
	image[0x234] = 1;
	put_le16(image + 0x236, 0x3f);
	put_le32(image + 0x238, 2047);
	put_le64(image + 0x250, 0x1234);
	put_le64(image + 0x258, MIB(16));
	put_le32(image + 0x260, MIB(40));
}

static int parse(struct bzimage *k)
{
	why[0] = '\0';
	return bzimage_parse(image, sizeof(image), k, why, sizeof(why));
}

TEST(parse_good)
{
	struct bzimage k;

	make();
	CHECK(bzimage_probe(image, sizeof(image)));
	CHECK_EQ(parse(&k), 0);
	CHECK_EQ(k.version, 0x20f);
	CHECK_EQ(k.header_end, 0x26c);
	CHECK_EQ(k.kernel_off, 2048);
	CHECK_EQ(k.kernel_len, KERNEL);
	CHECK_EQ(k.pref_address, MIB(16));
	CHECK_EQ(k.init_size, MIB(40));
	CHECK_EQ(k.alignment, 0x200000);
	CHECK(k.relocatable);
	CHECK_EQ(k.initrd_max, 0x7fffffff);
	CHECK_EQ(k.cmdline_max, 2047);
	image[0x1f1] = 0; /* means 4 */
	put_le32(image + 0x1f4, (LEN - 5 * 512) / 16);
	CHECK_EQ(parse(&k), 0);
	CHECK_EQ(k.kernel_off, 5 * 512);
}

struct edit {
	u32 off, width;
	u64 value;
	const char *word; /* that the reason must have */
};

TEST(parse_malformed)
{
	static const struct edit edits[] = {
		{ 0x1fe, 2, 0x55aa, "boot_flag" },
		{ 0x202, 4, 0x46464646, "magic" },
		{ 0x206, 2, 0x20b, "protocol" },
		{ 0x211, 1, 0, "loadflags" },
		{ 0x236, 2, 2, "xloadflags" },
		{ 0x201, 1, 0x61, "setup header" },
		{ 0x201, 1, 0x8f, "setup header" },
		{ 0x201, 1, 0xff, "setup header" },
		{ 0x1f1, 1, SECTORS + 1, "truncated" },
		{ 0x1f1, 1, 255, "truncated" },
		{ 0x1f4, 4, KERNEL / 16 + 1, "truncated" },
		{ 0x1f4, 4, 0xffffffff, "truncated" },
		{ 0x1f4, 4, 0, "truncated" },
		{ 0x1f4, 4, 0x20, "truncated" },
		{ 0x230, 4, 0, "kernel_alignment" },
		{ 0x230, 4, 0x800, "kernel_alignment" },
		{ 0x230, 4, 0x300000, "kernel_alignment" },
		{ 0x260, 4, KERNEL - 1, "init_size" },
	};

	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct bzimage k = { .version = 77 };

		make();
		memcpy(image + edits[i].off, &edits[i].value, edits[i].width);
		CHECK_EQ(parse(&k), -ENOEXEC);
		CHECK_EQ(k.version, 77);
		if (!strstr(why, edits[i].word)) {
			printf("edit %zu: %s\n", i, why);
			exit(1);
		}
	}
}

/* In memory of exactly that length, so that a read beyond is seen. */
TEST(parse_truncated)
{
	struct bzimage k;

	make();
	for (size_t n = 0; n < LEN; n += n < 0x280 ? 1 : 97) {
		u8 *part = malloc(n + !n);

		memcpy(part, image, n);
		bzimage_probe(part, n);
		CHECK_EQ(bzimage_parse(part, n, &k, why, sizeof(why)), -ENOEXEC);
		free(part);
	}
}

static struct e820_map map_of(u64 ram)
{
	struct e820_map m;

	CHECK_EQ(e820_build(ram, &m), 0);
	return m;
}

TEST(memory_map)
{
	static const u64 sizes[] = { MIB(2), MIB(64), MIB(3070), MIB(3072), MIB(3074), MIB(8192) };
	struct e820_map m;

	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		u64 usable = 0, above = 0;

		m = map_of(sizes[s]);
		CHECK(m.count <= E820_MAX);
		for (u32 i = 0; i < m.count; i++) {
			const struct e820_entry *e = &m.entry[i];

			CHECK(e->len > 0);
			CHECK(i == 0 || e[-1].base + e[-1].len <= e->base);
			if (e->type != E820_RESERVED)
				usable += e->len;
			if (e->base >= SIZE_4G)
				above += e->len;
			/* Nothing that is called RAM lies in a hole. */
			CHECK(e->type == E820_RESERVED || e->base >= SIZE_4G ||
			      e->base + e->len <= MACHINE_PCI_HOLE_BASE);
		}
		CHECK_EQ(usable, sizes[s] - (MIB(1) - E820_LOW_END));
		CHECK_EQ(above, sizes[s] > MIB(3072) ? sizes[s] - MIB(3072) : 0);
		CHECK_EQ(m.acpi % 4096, 0);
		CHECK_EQ(m.facs, m.acpi + E820_ACPI_LEN);
		CHECK_EQ(m.usable_end, m.acpi);
	}
	CHECK_EQ(e820_build(0, &m), -EINVAL);
	CHECK_EQ(e820_build(MIB(3), &m), -EINVAL);
	CHECK_EQ(e820_build(0ull - MIB(2), &m), -EINVAL);
}

struct plan_case {
	u64 ram, initrd, initrd_max, pref;
	u32 cmdline;
	bool relocatable;
	int rc;
	u64 kernel, initrd_at;
};

TEST(plan)
{
	static const struct plan_case cases[] = {
		{ MIB(256), 0, 0x7fffffff, MIB(16), 10, true, 0, MIB(16), 0 },
		{ MIB(256), 5000, 0x7fffffff, MIB(16), 10, true, 0, MIB(16),
		  MIB(256) - 0x10000 - 0x2000 },
		/* Below the kernel's limit, which is the address of the last byte. */
		{ MIB(4096), 4096, 0x37ffffff, MIB(16), 10, true, 0, MIB(16), 0x38000000 - 4096 },
		{ MIB(4096), 1, 0xffffffff, MIB(16), 10, true, 0, MIB(16), MIB(3072) - 0x11000 },
		/* The preferred place is beyond RAM. */
		{ MIB(64), 0, 0x7fffffff, MIB(512), 0, true, 0, MIB(2), 0 },
		{ MIB(64), 0, 0x7fffffff, MIB(512), 0, false, -ENOMEM, 0, 0 },
		{ MIB(64), 0, 0x7fffffff, ~0ull, 0, false, -ENOMEM, 0, 0 },
		{ MIB(64), 0, 0x7fffffff, 0x10000, 0, false, -ENOMEM, 0, 0 },
		{ MIB(42), 0, 0x7fffffff, MIB(16), 0, true, -ENOMEM, 0, 0 },
		{ MIB(44), 0, 0x7fffffff, MIB(16), 0, true, 0, MIB(2), 0 },
		/* Exactly the room between kernel and tables, and one byte more. */
		{ MIB(58), MIB(2) - 0x10000, 0x7fffffff, MIB(16), 0, true, 0, MIB(16), MIB(56) },
		{ MIB(58), MIB(2) - 0xffff, 0x7fffffff, MIB(16), 0, true, -ENOMEM, 0, 0 },
		{ MIB(64), ~0ull, 0x7fffffff, MIB(16), 0, true, -ENOMEM, 0, 0 },
		{ MIB(64), 1, MIB(16), MIB(16), 0, true, -ENOMEM, 0, 0 },
		{ MIB(64), 1, 0, MIB(16), 0, true, -ENOMEM, 0, 0 },
		{ MIB(64), ~0ull - MIB(100), 0, MIB(16), 0, true, -ENOMEM, 0, 0 },
		{ MIB(256), 0, 0x7fffffff, MIB(16), 2047, true, 0, MIB(16), 0 },
		{ MIB(256), 0, 0x7fffffff, MIB(16), 2048, true, -ENOMEM, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct plan_case *c = &cases[i];
		struct e820_map m = map_of(c->ram);
		struct bzimage_plan p = { c->initrd, c->cmdline, 77, 77 };
		struct bzimage k;
		int rc;

		make();
		put_le64(image + 0x258, c->pref);
		put_le32(image + 0x22c, (u32)c->initrd_max);
		image[0x234] = c->relocatable;
		CHECK_EQ(parse(&k), 0);
		rc = bzimage_plan(&k, &m, &p, why, sizeof(why));
		if (rc != c->rc)
			printf("case %zu: %d %s\n", i, rc, why);
		CHECK_EQ(rc, c->rc);
		CHECK_EQ(p.kernel, rc ? 77 : c->kernel);
		if (!rc)
			CHECK_EQ(p.initrd, c->initrd_at);
	}
}

/* A kernel that would take more gets what there is room for. */
TEST(cmdline_room)
{
	struct e820_map m = map_of(MIB(256));
	struct bzimage_plan p = { .cmdline_len = BZIMAGE_CMDLINE_MAX - 1 };
	struct bzimage k;

	make();
	put_le32(image + 0x238, 0xffffffff);
	CHECK_EQ(parse(&k), 0);
	CHECK_EQ(bzimage_plan(&k, &m, &p, why, sizeof(why)), 0);
	p.cmdline_len++;
	CHECK_EQ(bzimage_plan(&k, &m, &p, why, sizeof(why)), -ENOMEM);
}

TEST(boot_params)
{
	struct e820_map m = map_of(MIB(4096));
	struct bzimage_plan p = { .initrd_len = 12345, .cmdline_len = 100 };
	struct bzimage k;
	u8 page[4096];

	make();
	CHECK_EQ(parse(&k), 0);
	CHECK_EQ(bzimage_plan(&k, &m, &p, why, sizeof(why)), 0);
	memset(page, 0xee, sizeof(page));
	bzimage_params(&k, &p, &m, page);
	CHECK_EQ(get_le32(page + 0x202), 0x53726448);
	CHECK_EQ(page[0x1ef], 0); /* the sentinel of a clean zero page */
	CHECK_EQ(page[0x210], 0xff);
	CHECK_EQ(get_le32(page + 0x218), p.initrd);
	CHECK_EQ(get_le32(page + 0x21c), 12345);
	CHECK_EQ(get_le32(page + 0x228), BZIMAGE_CMDLINE_GPA);
	CHECK_EQ(get_le32(page + 0xc0), 0);
	CHECK_EQ(get_le32(page + 0xc8), 0);
	CHECK_EQ(get_le64(page + 0x250), 0);
	CHECK_EQ(get_le64(page + 0x070), E820_RSDP);
	CHECK_EQ(page[0x1e8], m.count);
	for (u32 i = 0; i < m.count; i++) {
		CHECK_EQ(get_le64(page + 0x2d0 + 20 * i), m.entry[i].base);
		CHECK_EQ(get_le64(page + 0x2d8 + 20 * i), m.entry[i].len);
		CHECK_EQ(get_le32(page + 0x2e0 + 20 * i), m.entry[i].type);
	}
	CHECK_EQ(page[0x2d0 + 20 * m.count], 0);
}

/* Walk the tables as the CPU does. */
TEST(identity_tables)
{
	static u8 pages[BZIMAGE_TABLES][4096];
	u8 gdt[BZIMAGE_GDT_LEN];

	for (u32 n = 0; n < BZIMAGE_TABLES; n++)
		bzimage_table(n, pages[n]);
	for (u64 va = 0; va < SIZE_4G; va += SIZE_2M) {
		u64 at = BZIMAGE_TABLES_GPA, e;

		for (int level = 3; level > 0; level--) {
			u64 index = va >> (12 + 9 * level) & 511;

			CHECK(at >= BZIMAGE_TABLES_GPA);
			CHECK((at - BZIMAGE_TABLES_GPA) / 4096 < BZIMAGE_TABLES);
			e = get_le64(pages[(at - BZIMAGE_TABLES_GPA) / 4096] + index * 8);
			CHECK_EQ(e & 0x83, level == 1 ? 0x83 : 0x03);
			at = e & ~0xfffull;
		}
		CHECK_EQ(at, va);
	}
	CHECK_EQ(get_le64(pages[0] + 8), 0);
	CHECK_EQ(get_le64(pages[1] + 32), 0);
	CHECK(BZIMAGE_TABLES_GPA + sizeof(pages) <= BZIMAGE_CMDLINE_GPA);
	CHECK(BZIMAGE_CMDLINE_GPA + BZIMAGE_CMDLINE_MAX <= E820_LOW_END);
	bzimage_gdt(gdt);
	CHECK_EQ(get_le64(gdt), 0);
	CHECK_EQ(get_le64(gdt + BZIMAGE_CS) >> 53 & 1, 1); /* L */
}

UNIT_MAIN({ "parse_good", parse_good }, { "parse_malformed", parse_malformed },
	  { "parse_truncated", parse_truncated }, { "memory_map", memory_map }, { "plan", plan },
	  { "cmdline_room", cmdline_room }, { "boot_params", boot_params },
	  { "identity_tables", identity_tables })
