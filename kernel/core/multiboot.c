/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot1 information and multiboot2 tags.
 */
#include "kernel/core/multiboot.h"

#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

/* Multiboot1: flags of the information structure, and its size up to the loader's name. */
#define MB1_CMDLINE BIT(2)
#define MB1_MODULES BIT(3)
#define MB1_MMAP BIT(6)
#define MB1_LOADER BIT(9)
#define MB1_INFO_SIZE 68
#define MB1_MMAP_MAX 65536
#define MB1_MODS_MAX 1024

/* Multiboot2 */
#define MB2_INFO_MAX (4ull << 20)
enum mb2_tag {
	MB2_END = 0,
	MB2_CMDLINE = 1,
	MB2_LOADER = 2,
	MB2_MODULE = 3,
	MB2_MMAP = 6,
	MB2_EFI64 = 12,
	MB2_RSDP_OLD = 14,
	MB2_RSDP_NEW = 15,
	MB2_EFI_MMAP = 17,
};

struct parse {
	const struct boot_env *env;
	struct boot_info *out;
	char *why;
	size_t why_size;
};

#define FAIL(p, err, ...) (fmt_snprintf((p)->why, (p)->why_size, __VA_ARGS__), (err))

/* ---- the neutral record ------------------------------------------------------------ */

static void add_range(struct boot_info *b, hpa_t base, u64 len, enum boot_range_type type)
{
	struct boot_range *last = b->ranges ? &b->range[b->ranges - 1] : NULL;
	u64 end;

	if (len == 0)
		return;
	if (!checked_add(base, len, &end)) {
		b->ranges_dropped++;
		return;
	}
	if (last && last->type == type && last->base + last->len == base) {
		last->len += len;
		return;
	}
	if (b->ranges == BOOT_RANGES) {
		b->ranges_dropped++;
		return;
	}
	b->range[b->ranges++] = (struct boot_range){ base, len, type };
}

/* Types of multiboot's maps, which are those of INT 15h E820h (ACPI 6.4 §15). */
static enum boot_range_type e820_type(u32 type)
{
	switch (type) {
	case 1:
		return BOOT_RAM;
	case 3:
		return BOOT_ACPI;
	case 4:
		return BOOT_NVS;
	case 5:
		return BOOT_BAD;
	default:
		return BOOT_RESERVED;
	}
}

/* UEFI 2.9 §7.2: after ExitBootServices() the loader's and boot-time memory is free. */
static enum boot_range_type efi_type(u32 type)
{
	switch (type) {
	case 1: /* loader code, data */
	case 2:
	case 3: /* boot services code, data */
	case 4:
	case 7: /* conventional */
		return BOOT_RAM;
	case 8:
		return BOOT_BAD;
	case 9:
		return BOOT_ACPI;
	case 10:
		return BOOT_NVS;
	default:
		return BOOT_RESERVED;
	}
}

/* Copy text of at most len bytes, up to its NUL. */
static void take_text(struct boot_info *b, char *dst, size_t size, const u8 *src, size_t len)
{
	size_t n = 0;

	while (n < len && src[n])
		n++;
	if (n >= size) {
		b->text_cut = true;
		n = size - 1;
	}
	memcpy(dst, src, n);
	dst[n] = '\0';
}

static struct boot_module *add_module(struct boot_info *b, u64 start, u64 end)
{
	struct boot_module *m;

	if (end < start || b->modules == BOOT_MODULES) {
		b->modules_dropped++;
		return NULL;
	}
	m = &b->module[b->modules++];
	m->base = start;
	m->len = end - start;
	return m;
}

/* ---- multiboot1 -------------------------------------------------------------------- */

/* Text anywhere in memory: its length is unknown, so page by page. */
static int phys_text(const struct parse *p, u32 pa, char *dst, size_t size)
{
	hpa_t pos = pa;
	size_t n = 0;

	dst[0] = '\0';
	for (;;) {
		size_t chunk = (size_t)(PAGE_SIZE - pos % PAGE_SIZE);
		const u8 *s = p->env->phys(p->env->ctx, pos, chunk);

		if (!s)
			return FAIL(p, -EFAULT, "multiboot1: text at %#llx is out of reach",
				    (unsigned long long)pos);
		for (size_t i = 0; i < chunk; i++) {
			dst[n] = (char)s[i];
			if (s[i] == 0)
				return 0;
			if (n + 1 == size) {
				dst[n] = '\0';
				p->out->text_cut = true;
				return 0;
			}
			n++;
		}
		pos += chunk;
	}
}

static int mb1_mmap(const struct parse *p, u32 addr, u32 len)
{
	struct reader r;
	const void *bytes;

	if (len > MB1_MMAP_MAX)
		return FAIL(p, -EPROTO, "multiboot1: memory map of %u bytes, at most %u", len,
			    MB1_MMAP_MAX);
	bytes = p->env->phys(p->env->ctx, addr, len);
	if (!bytes)
		return FAIL(p, -EFAULT, "multiboot1: memory map at %#x, %u bytes, is out of reach",
			    addr, len);
	r = reader_make(bytes, len);
	while (reader_left(&r) > 0) {
		size_t at = r.pos;
		u32 size = reader_u32(&r); /* of the rest of the entry */
		const u8 *rest = reader_bytes(&r, size);

		if (!rest || size < 20)
			return FAIL(p, -EPROTO,
				    "multiboot1: memory map entry at byte %zu has %u bytes", at,
				    size);
		add_range(p->out, get_le64(rest), get_le64(rest + 8),
			  e820_type(get_le32(rest + 16)));
	}
	return 0;
}

static int mb1_modules(const struct parse *p, u32 addr, u32 count)
{
	const u8 *bytes;

	if (count > MB1_MODS_MAX)
		return FAIL(p, -EPROTO, "multiboot1: %u modules, at most %u", count, MB1_MODS_MAX);
	if (count == 0)
		return 0;
	bytes = p->env->phys(p->env->ctx, addr, count * 16);
	if (!bytes)
		return FAIL(p, -EFAULT, "multiboot1: %u modules at %#x are out of reach", count,
			    addr);
	for (u32 i = 0; i < count; i++) {
		struct reader r = reader_make(bytes + i * 16, 16);
		u32 start = reader_u32(&r), end = reader_u32(&r), text = reader_u32(&r);
		struct boot_module *m = add_module(p->out, start, end);
		int err = m && text ? phys_text(p, text, m->string, sizeof(m->string)) : 0;

		if (err)
			return err;
	}
	return 0;
}

static int mb1_parse(const struct parse *p, hpa_t info)
{
	const u8 *b = p->env->phys(p->env->ctx, info, MB1_INFO_SIZE);
	u32 flags;
	int err = 0;

	if (!b)
		return FAIL(p, -EFAULT, "multiboot1: information at %#llx is out of reach",
			    (unsigned long long)info);
	flags = get_le32(b);
	p->out->protocol = 1;
	if (flags & MB1_CMDLINE)
		err = phys_text(p, get_le32(b + 16), p->out->cmdline, sizeof(p->out->cmdline));
	if (!err && (flags & MB1_LOADER))
		err = phys_text(p, get_le32(b + 64), p->out->loader, sizeof(p->out->loader));
	if (!err && (flags & MB1_MODULES))
		err = mb1_modules(p, get_le32(b + 24), get_le32(b + 20));
	if (!err && (flags & MB1_MMAP))
		err = mb1_mmap(p, get_le32(b + 48), get_le32(b + 44));
	return err;
}

/* ---- multiboot2 -------------------------------------------------------------------- */

/* A map of equal entries, both kinds: size of an entry, then its version, then entries. */
static int mb2_map(const struct parse *p, struct reader *r, bool efi)
{
	u32 size = reader_u32(r);
	u32 need = efi ? 32 : 20;

	(void)reader_u32(r); /* version: entries only ever grow */
	if (r->overrun || size < need)
		return FAIL(p, -EPROTO, "multiboot2: %s map entries of %u bytes, at least %u",
			    efi ? "EFI" : "memory", size, need);
	while (reader_left(r) >= size) {
		struct reader e = reader_make(reader_bytes(r, size), size);
		u32 type;
		u64 base, len;

		if (efi) {
			type = reader_u32(&e);
			(void)reader_u32(&e);
			base = reader_u64(&e);
			(void)reader_u64(&e); /* virtual address */
			if (!checked_mul(reader_u64(&e), PAGE_SIZE, &len))
				len = ~0ull;
			add_range(p->out, base, len, efi_type(type));
		} else {
			base = reader_u64(&e);
			len = reader_u64(&e);
			add_range(p->out, base, len, e820_type(reader_u32(&e)));
		}
	}
	p->out->efi_map = efi;
	return 0;
}

static void mb2_module(const struct parse *p, struct reader *r)
{
	u32 start = reader_u32(r), end = reader_u32(r);
	struct boot_module *m = add_module(p->out, start, end);
	size_t n = reader_left(r);

	if (m)
		take_text(p->out, m->string, sizeof(m->string), reader_bytes(r, n), n);
}

/* The newer tag holds the whole structure of 36 bytes, the older one its first 20. */
static void mb2_rsdp(struct boot_info *b, struct reader *r)
{
	u32 n = (u32)min_u64(reader_left(r), sizeof(b->rsdp));
	const u8 *rsdp = reader_bytes(r, n);

	if (!rsdp || n < 20 || n <= b->rsdp_len)
		return;
	memcpy(b->rsdp, rsdp, n);
	b->rsdp_len = n;
}

static int mb2_tag(const struct parse *p, u32 type, struct reader *r)
{
	struct boot_info *b = p->out;
	size_t n = reader_left(r);

	switch (type) {
	case MB2_CMDLINE:
		take_text(b, b->cmdline, sizeof(b->cmdline), reader_bytes(r, n), n);
		return 0;
	case MB2_LOADER:
		take_text(b, b->loader, sizeof(b->loader), reader_bytes(r, n), n);
		return 0;
	case MB2_MODULE:
		if (n < 8)
			return FAIL(p, -EPROTO, "multiboot2: module tag of %zu bytes", n);
		mb2_module(p, r);
		return 0;
	case MB2_MMAP:
		return mb2_map(p, r, false);
	case MB2_EFI64:
		b->efi_system_table = reader_u64(r);
		return 0;
	case MB2_RSDP_OLD:
	case MB2_RSDP_NEW:
		mb2_rsdp(b, r);
		return 0;
	default:
		return 0;
	}
}

/* All tags but the EFI map, or it alone. */
static int mb2_tags(const struct parse *p, struct reader r, bool efi_map)
{
	for (;;) {
		size_t at = r.pos;
		u32 type = reader_u32(&r), size = reader_u32(&r);
		struct reader tag;
		const u8 *body = size >= 8 ? reader_bytes(&r, size - 8) : NULL;
		int err = 0;

		if (r.overrun || !body)
			return FAIL(p, -EPROTO,
				    "multiboot2: tag %u at byte %zu has %u bytes, %zu are left",
				    type, at, size, r.len - at);
		if (type == MB2_END)
			return 0;
		tag = reader_make(body, size - 8);
		if (efi_map && type == MB2_EFI_MMAP)
			err = mb2_map(p, &tag, true);
		else if (!efi_map)
			err = mb2_tag(p, type, &tag);
		if (err)
			return err;
		/* Tags start at multiples of 8. */
		(void)reader_bytes(&r, min_u64(reader_left(&r), -r.pos & 7));
	}
}

static int mb2_parse(const struct parse *p, hpa_t info)
{
	const u8 *head = p->env->phys(p->env->ctx, info, 8);
	const u8 *b;
	u32 size;
	int err;

	if (!head)
		return FAIL(p, -EFAULT, "multiboot2: information at %#llx is out of reach",
			    (unsigned long long)info);
	size = get_le32(head);
	if (size < 16 || size > MB2_INFO_MAX)
		return FAIL(p, -EPROTO, "multiboot2: information of %u bytes, 16 to %llu", size,
			    MB2_INFO_MAX);
	b = p->env->phys(p->env->ctx, info, size);
	if (!b)
		return FAIL(p, -EFAULT, "multiboot2: %u bytes at %#llx are out of reach", size,
			    (unsigned long long)info);
	p->out->protocol = 2;
	err = mb2_tags(p, reader_make(b + 8, size - 8), false);
	/* The loader's own map is already made from EFI's; that one is the fallback. */
	if (!err && p->out->ranges == 0)
		err = mb2_tags(p, reader_make(b + 8, size - 8), true);
	return err;
}

/* ---- public ------------------------------------------------------------------------ */

int multiboot_parse(u32 magic, hpa_t info, const struct boot_env *env, struct boot_info *out,
		    char *why, size_t why_size)
{
	struct parse p = { .env = env, .out = out, .why = why, .why_size = why_size };
	int err;

	memset(out, 0, sizeof(*out));
	if (magic == MULTIBOOT1_LOADED)
		err = mb1_parse(&p, info);
	else if (magic == MULTIBOOT2_LOADED)
		err = mb2_parse(&p, info);
	else
		return FAIL(&p, -EPROTO, "not started by a multiboot loader (magic %#x)", magic);
	if (!err && out->ranges == 0)
		err = FAIL(&p, -EPROTO, "multiboot%u: no memory map", out->protocol);
	return err;
}

void boot_module_name(const struct boot_module *m, char *out, size_t size)
{
	const char *s = m->string;
	size_t start = 0, end = 0, n;

	while (s[end] && s[end] != ' ' && s[end] != '\t') {
		if (s[end] == '/')
			start = end + 1;
		end++;
	}
	n = (size_t)min_u64(end - start, size - 1);
	memcpy(out, s + start, n);
	out[n] = '\0';
}

const struct boot_module *boot_module_find(const struct boot_info *b, const char *name)
{
	for (u32 i = 0; i < b->modules; i++) {
		char have[BOOT_STRING_LEN];

		boot_module_name(&b->module[i], have, sizeof(have));
		if (strcmp(have, name) == 0)
			return &b->module[i];
	}
	return NULL;
}
