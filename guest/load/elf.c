/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF headers.
 */
#include "guest/load/elf.h"

#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"

#define IDENT_LEN 16
#define MAGIC 0x464c457fu /* 7f "ELF" */
#define CLASS_32 1
#define CLASS_64 2
#define LITTLE 1
#define TYPE_EXEC 2
#define MACHINE_386 3
#define MACHINE_X86_64 62
#define PT_LOAD 1
#define PT_INTERP 3

#define EHDR32_LEN 52
#define EHDR64_LEN 64
#define PHDR32_LEN 32
#define PHDR64_LEN 56

#define FAIL(err, ...) (fmt_snprintf(why, why_size, "ELF: " __VA_ARGS__), (err))

typedef unsigned long long ull;

/* The fields of both classes in one shape. */
struct ehdr {
	bool is64;
	u64 entry, phoff;
	u32 phentsize, phnum;
};

struct phdr {
	u32 type;
	u64 offset, vaddr, paddr, filesz, memsz;
};

bool elf_probe(const u8 *image, u64 len)
{
	return len >= IDENT_LEN && get_le32(image) == MAGIC;
}

static int check_ident(const u8 *image, u64 len, char *why, size_t why_size)
{
	u8 class;

	if (!elf_probe(image, len))
		return FAIL(-ENOEXEC, "no magic at 0");
	class = image[4];
	if (class != CLASS_32 && class != CLASS_64)
		return FAIL(-ENOEXEC, "class at 0x4 is %u, 1 (32-bit) or 2 (64-bit)", class);
	if (image[5] != LITTLE)
		return FAIL(-ENOEXEC, "byte order at 0x5 is %u, 1 (little-endian)", image[5]);
	if (len < (class == CLASS_64 ? EHDR64_LEN : EHDR32_LEN))
		return FAIL(-ENOEXEC, "%llu bytes, less than the header", (ull)len);
	if (get_le16(image + 16) != TYPE_EXEC)
		return FAIL(-ENOEXEC, "type at 0x10 is %u, 2 (executable, not relocatable)",
			    get_le16(image + 16));
	if (get_le16(image + 18) != MACHINE_386 && get_le16(image + 18) != MACHINE_X86_64)
		return FAIL(-ENOEXEC, "machine at 0x12 is %u, 3 (80386) or 62 (x86-64)",
			    get_le16(image + 18));
	return 0;
}

static int read_ehdr(const u8 *image, u64 len, struct ehdr *h, char *why, size_t why_size)
{
	u32 want;
	int rc = check_ident(image, len, why, why_size);

	if (rc)
		return rc;
	h->is64 = image[4] == CLASS_64;
	h->entry = h->is64 ? get_le64(image + 24) : get_le32(image + 24);
	h->phoff = h->is64 ? get_le64(image + 32) : get_le32(image + 28);
	h->phentsize = get_le16(image + (h->is64 ? 54 : 42));
	h->phnum = get_le16(image + (h->is64 ? 56 : 44));
	want = h->is64 ? PHDR64_LEN : PHDR32_LEN;
	if (h->phentsize != want)
		return FAIL(-ENOEXEC, "program headers of %u bytes, %u expected", h->phentsize,
			    want);
	if (h->phnum == 0 || !range_within(h->phoff, (u64)h->phnum * want, 0, len))
		return FAIL(-ENOEXEC, "%u program headers at %#llx, the file has %llu bytes",
			    h->phnum, (ull)h->phoff, (ull)len);
	return 0;
}

static struct phdr read_phdr(const u8 *p, bool is64)
{
	if (is64)
		return (struct phdr){ get_le32(p),      get_le64(p + 8),  get_le64(p + 16),
				      get_le64(p + 24), get_le64(p + 32), get_le64(p + 40) };
	return (struct phdr){ get_le32(p),      get_le32(p + 4),  get_le32(p + 8),
			      get_le32(p + 12), get_le32(p + 16), get_le32(p + 20) };
}

static int check_phdr(const struct phdr *p, u32 i, u64 len, char *why, size_t why_size)
{
	u64 end;

	if (p->type == PT_INTERP)
		return FAIL(-ENOEXEC, "program header %u asks for an interpreter", i);
	if (p->type != PT_LOAD)
		return 0;
	if (!range_within(p->offset, p->filesz, 0, len))
		return FAIL(-ENOEXEC,
			    "segment %u: %#llx bytes at %#llx, the file has %llu: truncated", i,
			    (ull)p->filesz, (ull)p->offset, (ull)len);
	if (p->filesz > p->memsz)
		return FAIL(-ENOEXEC, "segment %u: %#llx bytes in the file, %#llx in memory", i,
			    (ull)p->filesz, (ull)p->memsz);
	if (!checked_add(p->paddr, p->memsz, &end) || !checked_add(p->vaddr, p->memsz, &end))
		return FAIL(-ENOEXEC, "segment %u: %#llx bytes at %#llx wrap around", i,
			    (ull)p->memsz, (ull)p->paddr);
	return 0;
}

static int check_overlap(const struct elf_image *e, char *why, size_t why_size)
{
	for (u32 i = 0; i < e->segs; i++) {
		for (u32 j = 0; j < i; j++) {
			const struct elf_segment *a = &e->seg[i], *b = &e->seg[j];

			if (ranges_overlap(a->paddr, a->memsz, b->paddr, b->memsz))
				return FAIL(-ENOEXEC, "segments at %#llx and %#llx overlap",
					    (ull)b->paddr, (ull)a->paddr);
		}
	}
	return 0;
}

int elf_parse(const u8 *image, u64 len, struct elf_image *out, char *why, size_t why_size)
{
	struct elf_image e = { 0 };
	bool entered = false;
	struct ehdr h;
	int rc = read_ehdr(image, len, &h, why, why_size);

	for (u32 i = 0; !rc && i < h.phnum; i++) {
		struct phdr p = read_phdr(image + h.phoff + (u64)i * h.phentsize, h.is64);

		rc = check_phdr(&p, i, len, why, why_size);
		if (rc || p.type != PT_LOAD || p.memsz == 0)
			continue;
		if (e.segs == ELF_SEGMENTS)
			return FAIL(-ENOEXEC, "more than %u segments to load", ELF_SEGMENTS);
		e.seg[e.segs++] = (struct elf_segment){ p.offset, p.filesz, p.paddr, p.memsz };
		/* The entry point is a virtual address; the kernel starts without paging. */
		if (!entered && h.entry >= p.vaddr && h.entry - p.vaddr < p.memsz) {
			e.entry = h.entry - p.vaddr + p.paddr;
			entered = true;
		}
	}
	if (rc)
		return rc;
	if (!entered)
		return FAIL(-ENOEXEC, "entry point %#llx lies in no segment", (ull)h.entry);
	rc = check_overlap(&e, why, why_size);
	if (rc)
		return rc;
	*out = e;
	return 0;
}
