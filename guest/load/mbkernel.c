/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot1, the boot loader's side.
 */
#include "guest/load/mbkernel.h"

#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

#define MAGIC 0x1badb002u
#define SEARCH 8192u /* the header lies in these first bytes, on a multiple of 4 */
#define HEADER_LEN 12u
#define ADDRESS_LEN 32u               /* header with address fields */
#define FLAGS_KNOWN (BIT(0) | BIT(1)) /* of those that must be understood: 0..15 */
#define FLAG_ADDRESSES BIT(16)

#define INFO_MEM BIT(0)
#define INFO_CMDLINE BIT(2)
#define INFO_MODS BIT(3)
#define INFO_MMAP BIT(6)
#define INFO_LOADER BIT(9)
#define INFO_LEN 120u
#define INFO_MOD_LEN 16u
#define INFO_MAP_LEN 24u
#define LOADER_NAME "Godwit " GODWIT_VERSION

#define FAIL(err, ...) (fmt_snprintf(why, why_size, "multiboot: " __VA_ARGS__), (err))

typedef unsigned long long ull;

/* Offset of the header, or -1. */
static s32 find_header(const u8 *image, u64 len)
{
	u64 end = min_u64(len, SEARCH);

	for (u32 at = 0; at + HEADER_LEN <= end; at += 4) {
		const u8 *h = image + at;

		if (get_le32(h) == MAGIC && MAGIC + get_le32(h + 4) + get_le32(h + 8) == 0)
			return (s32)at;
	}
	return -1;
}

bool mbkernel_probe(const u8 *image, u64 len)
{
	return find_header(image, len) >= 0;
}

struct addresses {
	u32 header, load, load_end, bss_end, entry;
};

/* §3.1.3: the file is one piece of memory; 0 stands for "to the end of the file", "no bss". */
static int use_addresses(const struct addresses *a, u64 header_off, u64 len, struct elf_image *out,
			 char *why, size_t why_size)
{
	u64 back = a->header - a->load, off, filesz, memsz;

	if (a->load > a->header || back > header_off)
		return FAIL(-ENOEXEC, "load_addr %#x is not in the file's reach of header_addr %#x",
			    a->load, a->header);
	off = header_off - back;
	filesz = a->load_end ? (u64)a->load_end - a->load : len - off;
	if (a->load_end && (a->load_end < a->load || filesz > len - off))
		return FAIL(-ENOEXEC, "load_end_addr %#x, from %#x to %#llx", a->load_end, a->load,
			    a->load + (ull)(len - off));
	memsz = a->bss_end ? (u64)a->bss_end - a->load : filesz;
	if (a->bss_end && (a->bss_end < a->load || memsz < filesz))
		return FAIL(-ENOEXEC, "bss_end_addr %#x lies before the data's end %#llx",
			    a->bss_end, a->load + (ull)filesz);
	if (a->entry < a->load || a->entry - a->load >= memsz)
		return FAIL(-ENOEXEC, "entry_addr %#x, from %#x to %#llx", a->entry, a->load,
			    a->load + (ull)memsz);
	out->seg[0] = (struct elf_segment){ off, filesz, a->load, memsz };
	out->segs = 1;
	out->entry = a->entry;
	return 0;
}

int mbkernel_parse(const u8 *image, u64 len, struct elf_image *out, char *why, size_t why_size)
{
	s32 at = find_header(image, len);
	struct reader r;
	struct addresses a;
	u32 flags;

	if (at < 0)
		return FAIL(-ENOEXEC, "no header in the first %u bytes", SEARCH);
	flags = get_le32(image + at + 4);
	if (flags & 0xffff & ~FLAGS_KNOWN)
		return FAIL(-ENOEXEC,
			    "header at %#x wants flags %#x, %#llx can be given (no video)", (u32)at,
			    flags, FLAGS_KNOWN | FLAG_ADDRESSES);
	if (!(flags & FLAG_ADDRESSES))
		return elf_parse(image, len, out, why, why_size);
	if (len - (u64)at < ADDRESS_LEN)
		return FAIL(-ENOEXEC, "header at %#x is cut off by the file's end", (u32)at);
	r = reader_make(image + at + HEADER_LEN, ADDRESS_LEN - HEADER_LEN);
	a.header = reader_u32(&r);
	a.load = reader_u32(&r);
	a.load_end = reader_u32(&r);
	a.bss_end = reader_u32(&r);
	a.entry = reader_u32(&r);
	return use_addresses(&a, (u64)at, len, out, why, why_size);
}

int mbkernel_plan(const struct elf_image *e, const struct e820_map *map,
		  struct mbkernel_modules *mods, char *why, size_t why_size)
{
	u64 ram = map->usable_end - E820_BIOS_END;
	u64 next = E820_BIOS_END;

	for (u32 i = 0; i < e->segs; i++) {
		const struct elf_segment *s = &e->seg[i];

		if (!range_within(s->paddr, s->memsz, E820_BIOS_END, ram))
			return FAIL(-ENOMEM,
				    "segment at %#llx needs %llu bytes, RAM is free from %#llx to "
				    "%#llx",
				    (ull)s->paddr, (ull)s->memsz, (ull)E820_BIOS_END,
				    (ull)map->usable_end);
		next = max_u64(next, s->paddr + s->memsz);
	}
	for (u32 i = 0; i < mods->count; i++) {
		struct mbkernel_module *m = &mods->mod[i];

		next = align_up(next, PAGE_SIZE);
		if (!range_within(next, m->len, E820_BIOS_END, ram))
			return FAIL(-ENOMEM,
				    "module '%s' needs %llu bytes at %#llx, RAM ends at %#llx",
				    m->string, (ull)m->len, (ull)next, (ull)map->usable_end);
		m->at = next;
		next += m->len;
	}
	return 0;
}

/* ---- information structure --------------------------------------------------------- */

/* Grows by reserved pieces; full: one did not fit. */
struct block {
	u8 *buf;
	u32 len;
	bool full;
};

/* Offset of n zeroed bytes. */
static u32 reserve(struct block *b, size_t n)
{
	u32 at = (u32)align_up(b->len, 4);

	if (n > MBKERNEL_INFO_MAX - at) {
		b->full = true;
		return 0;
	}
	memset(b->buf + b->len, 0, at + n - b->len);
	b->len = at + (u32)n;
	return at;
}

/* Guest address of a copy of s. */
static u32 add_text(struct block *b, const char *s)
{
	size_t n = strlen(s) + 1;
	u32 at = reserve(b, n);

	if (!b->full)
		memcpy(b->buf + at, s, n);
	return (u32)MBKERNEL_INFO_GPA + at;
}

static u32 add_modules(struct block *b, const struct mbkernel_modules *mods)
{
	u32 at = reserve(b, mods->count * INFO_MOD_LEN);

	for (u32 i = 0; i < mods->count && !b->full; i++) {
		const struct mbkernel_module *m = &mods->mod[i];
		u32 text = add_text(b, m->string);
		u8 *e = b->buf + at + i * INFO_MOD_LEN;

		put_le32(e, (u32)m->at);
		put_le32(e + 4, (u32)(m->at + m->len));
		put_le32(e + 8, text);
	}
	return (u32)MBKERNEL_INFO_GPA + at;
}

static u32 add_map(struct block *b, const struct e820_map *map)
{
	u32 at = reserve(b, map->count * INFO_MAP_LEN);

	for (u32 i = 0; i < map->count && !b->full; i++) {
		u8 *e = b->buf + at + i * INFO_MAP_LEN;

		put_le32(e, INFO_MAP_LEN - 4); /* size: of what follows it */
		put_le64(e + 4, map->entry[i].base);
		put_le64(e + 12, map->entry[i].len);
		put_le32(e + 20, map->entry[i].type);
	}
	return (u32)MBKERNEL_INFO_GPA + at;
}

int mbkernel_info(const struct e820_map *map, const char *cmdline,
		  const struct mbkernel_modules *mods, u8 *buf, size_t *len)
{
	struct block b = { .buf = buf };
	u32 info = reserve(&b, INFO_LEN);
	u8 *i = buf + info;

	put_le32(i, INFO_MEM | INFO_CMDLINE | INFO_MODS | INFO_MMAP | INFO_LOADER);
	put_le32(i + 4, (u32)(E820_LOW_END >> 10));
	put_le32(i + 8, (u32)((map->usable_end - E820_BIOS_END) >> 10));
	put_le32(i + 16, add_text(&b, cmdline));
	put_le32(i + 20, mods->count);
	put_le32(i + 24, add_modules(&b, mods));
	put_le32(i + 44, map->count * INFO_MAP_LEN);
	put_le32(i + 48, add_map(&b, map));
	put_le32(i + 64, add_text(&b, LOADER_NAME));
	if (b.full)
		return -ENOMEM;
	*len = b.len;
	return 0;
}
