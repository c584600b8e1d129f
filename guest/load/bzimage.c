/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux boot protocol, 64-bit entry.
 */
#include "guest/load/bzimage.h"

#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"

/* The setup header: offsets in the file, which are those in boot_params too. */
#define HDR_SETUP_SECTS 0x1f1
#define HDR_SYSSIZE 0x1f4
#define HDR_BOOT_FLAG 0x1fe
#define HDR_JUMP_LEN 0x201
#define HDR_MAGIC 0x202
#define HDR_VERSION 0x206
#define HDR_LOADER 0x210
#define HDR_LOADFLAGS 0x211
#define HDR_RAMDISK 0x218
#define HDR_RAMDISK_SIZE 0x21c
#define HDR_CMDLINE 0x228
#define HDR_INITRD_MAX 0x22c
#define HDR_ALIGNMENT 0x230
#define HDR_RELOCATABLE 0x234
#define HDR_XLOADFLAGS 0x236
#define HDR_CMDLINE_SIZE 0x238
#define HDR_SETUP_DATA 0x250
#define HDR_PREF_ADDRESS 0x258
#define HDR_INIT_SIZE 0x260
#define HDR_MIN_END 0x264 /* behind the last field needed */
#define HDR_MAX_END 0x290 /* boot_params has room up to here */

#define BOOT_FLAG 0xaa55u
#define MAGIC 0x53726448u /* "HdrS" */
#define MIN_VERSION 0x20cu
#define LOADED_HIGH BIT(0)
#define XLF_KERNEL_64 BIT(0)
#define LOADER_OTHER 0xffu

/* boot_params only */
#define PARAMS_RSDP 0x070
#define PARAMS_EXT_RAMDISK 0x0c0
#define PARAMS_EXT_RAMDISK_LEN 0x0c4
#define PARAMS_EXT_CMDLINE 0x0c8
#define PARAMS_E820_COUNT 0x1e8
#define PARAMS_E820 0x2d0
#define PARAMS_E820_SIZE 20

#define SECTOR 512u

#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_PS BIT(7)

#define FAIL(err, ...) (fmt_snprintf(why, why_size, "bzImage: " __VA_ARGS__), (err))

typedef unsigned long long ull;

bool bzimage_probe(const u8 *image, u64 len)
{
	return len >= HDR_MAGIC + 4 && get_le32(image + HDR_MAGIC) == MAGIC;
}

/* Fields that only say whether this loader can boot it at all. */
static int check_kind(const u8 *h, u64 len, char *why, size_t why_size)
{
	if (len < HDR_MIN_END)
		return FAIL(-ENOEXEC, "%llu bytes, the setup header ends at %#x", (ull)len,
			    HDR_MIN_END);
	if (get_le16(h + HDR_BOOT_FLAG) != BOOT_FLAG)
		return FAIL(-ENOEXEC, "boot_flag at %#x is %#x, not %#x", HDR_BOOT_FLAG,
			    get_le16(h + HDR_BOOT_FLAG), BOOT_FLAG);
	if (get_le32(h + HDR_MAGIC) != MAGIC)
		return FAIL(-ENOEXEC, "magic at %#x is %#x, not %#x", HDR_MAGIC,
			    get_le32(h + HDR_MAGIC), MAGIC);
	if (get_le16(h + HDR_VERSION) < MIN_VERSION)
		return FAIL(-ENOEXEC, "boot protocol at %#x is %#x, at least %#x", HDR_VERSION,
			    get_le16(h + HDR_VERSION), MIN_VERSION);
	if (!(h[HDR_LOADFLAGS] & LOADED_HIGH))
		return FAIL(-ENOEXEC, "loadflags at %#x are %#x: not a kernel for 1 MiB and up",
			    HDR_LOADFLAGS, h[HDR_LOADFLAGS]);
	if (!(get_le16(h + HDR_XLOADFLAGS) & XLF_KERNEL_64))
		return FAIL(-ENOEXEC, "xloadflags at %#x are %#x: no 64-bit entry", HDR_XLOADFLAGS,
			    get_le16(h + HDR_XLOADFLAGS));
	return 0;
}

static int check_sizes(const struct bzimage *k, u64 len, char *why, size_t why_size)
{
	if (k->header_end < HDR_MIN_END || k->header_end > HDR_MAX_END || k->header_end > len)
		return FAIL(-ENOEXEC, "setup header ends at %#x (byte %#x), %#x to %#x",
			    k->header_end, HDR_JUMP_LEN, HDR_MIN_END, HDR_MAX_END);
	if (k->kernel_len <= BZIMAGE_ENTRY_64 ||
	    !range_within(k->kernel_off, k->kernel_len, 0, len))
		return FAIL(-ENOEXEC,
			    "kernel of %llu bytes (syssize at %#x) from %#llx on, file has %llu: "
			    "truncated",
			    (ull)k->kernel_len, HDR_SYSSIZE, (ull)k->kernel_off, (ull)len);
	if (k->alignment < PAGE_SIZE || (k->alignment & (k->alignment - 1)))
		return FAIL(-ENOEXEC,
			    "kernel_alignment at %#x is %#llx, a power of two from 0x1000 on",
			    HDR_ALIGNMENT, (ull)k->alignment);
	if (k->init_size < k->kernel_len)
		return FAIL(-ENOEXEC, "init_size at %#x is %#llx, less than the kernel's %#llx",
			    HDR_INIT_SIZE, (ull)k->init_size, (ull)k->kernel_len);
	return 0;
}

int bzimage_parse(const u8 *image, u64 len, struct bzimage *out, char *why, size_t why_size)
{
	struct bzimage k = { .image = image };
	u32 sectors;
	int rc = check_kind(image, len, why, why_size);

	if (rc)
		return rc;
	/* 0 stands for 4, from times before the field (boot.rst, "setup_sects"). */
	sectors = image[HDR_SETUP_SECTS] ? image[HDR_SETUP_SECTS] : 4;
	k.version = get_le16(image + HDR_VERSION);
	k.header_end = HDR_MAGIC + image[HDR_JUMP_LEN];
	k.kernel_off = (u64)(sectors + 1) * SECTOR;
	k.kernel_len = (u64)get_le32(image + HDR_SYSSIZE) * 16;
	k.pref_address = get_le64(image + HDR_PREF_ADDRESS);
	k.init_size = get_le32(image + HDR_INIT_SIZE);
	k.alignment = get_le32(image + HDR_ALIGNMENT);
	k.relocatable = image[HDR_RELOCATABLE] != 0;
	k.initrd_max = get_le32(image + HDR_INITRD_MAX);
	k.cmdline_max = get_le32(image + HDR_CMDLINE_SIZE);
	rc = check_sizes(&k, len, why, why_size);
	if (rc)
		return rc;
	*out = k;
	return 0;
}

static bool kernel_fits(const struct bzimage *k, const struct e820_map *map, gpa_t at)
{
	return at >= E820_BIOS_END && at <= map->usable_end && k->init_size <= map->usable_end - at;
}

/* The first place that will do, or where it was last tried. */
static gpa_t place_kernel(const struct bzimage *k, const struct e820_map *map)
{
	if (kernel_fits(k, map, k->pref_address) || !k->relocatable)
		return k->pref_address;
	return align_up(E820_BIOS_END, k->alignment);
}

int bzimage_plan(const struct bzimage *k, const struct e820_map *map, struct bzimage_plan *plan,
		 char *why, size_t why_size)
{
	u64 max = min_u64(k->cmdline_max, BZIMAGE_CMDLINE_MAX - 1);
	u64 end = min_u64(map->usable_end, k->initrd_max + 1);
	u64 len = plan->initrd_len;
	gpa_t kernel = place_kernel(k, map), floor, initrd = 0;

	if (plan->cmdline_len > max)
		return FAIL(-ENOMEM, "command line has %zu characters, the kernel takes %llu",
			    plan->cmdline_len, (ull)max);
	if (!kernel_fits(k, map, kernel))
		return FAIL(-ENOMEM,
			    "kernel needs %llu KiB at %#llx, RAM is free from %#llx to %#llx",
			    (ull)k->init_size >> 10, (ull)kernel, (ull)E820_BIOS_END,
			    (ull)map->usable_end);
	/* The initrd as high as possible: a kernel that moves itself up knows of it. */
	floor = kernel + k->init_size;
	if (len) {
		if (floor > end || len > end - floor || align_down(end - len, PAGE_SIZE) < floor)
			return FAIL(
				-ENOMEM,
				"initrd needs %llu KiB between the kernel's end %#llx and %#llx",
				(ull)(len >> 10), (ull)floor, (ull)end);
		initrd = align_down(end - len, PAGE_SIZE);
	}
	plan->kernel = kernel;
	plan->initrd = initrd;
	return 0;
}

void bzimage_params(const struct bzimage *k, const struct bzimage_plan *plan,
		    const struct e820_map *map, u8 *page)
{
	memset(page, 0, PAGE_SIZE);
	memcpy(page + HDR_SETUP_SECTS, k->image + HDR_SETUP_SECTS, k->header_end - HDR_SETUP_SECTS);
	page[HDR_LOADER] = LOADER_OTHER;
	put_le32(page + HDR_RAMDISK, (u32)plan->initrd);
	put_le32(page + HDR_RAMDISK_SIZE, (u32)plan->initrd_len);
	put_le32(page + PARAMS_EXT_RAMDISK, (u32)(plan->initrd >> 32));
	put_le32(page + PARAMS_EXT_RAMDISK_LEN, (u32)(plan->initrd_len >> 32));
	put_le32(page + HDR_CMDLINE, (u32)BZIMAGE_CMDLINE_GPA);
	put_le32(page + PARAMS_EXT_CMDLINE, (u32)(BZIMAGE_CMDLINE_GPA >> 32));
	put_le64(page + HDR_SETUP_DATA, 0);
	put_le64(page + PARAMS_RSDP, E820_RSDP);
	page[PARAMS_E820_COUNT] = (u8)map->count;
	for (u32 i = 0; i < map->count; i++) {
		u8 *e = page + PARAMS_E820 + i * PARAMS_E820_SIZE;

		put_le64(e, map->entry[i].base);
		put_le64(e + 8, map->entry[i].len);
		put_le32(e + 16, map->entry[i].type);
	}
}

void bzimage_table(u32 n, u8 *page)
{
	memset(page, 0, PAGE_SIZE);
	if (n == 0) {
		put_le64(page, (BZIMAGE_TABLES_GPA + PAGE_SIZE) | PTE_P | PTE_W);
		return;
	}
	for (u32 i = 0; i < (n == 1 ? 4u : 512u); i++) {
		u64 pte = n == 1 ? BZIMAGE_TABLES_GPA + (2 + i) * PAGE_SIZE
				 : (n - 2) * SIZE_1G + i * SIZE_2M + PTE_PS;

		put_le64(page + i * 8, pte | PTE_P | PTE_W);
	}
}

void bzimage_gdt(u8 *gdt)
{
	memset(gdt, 0, BZIMAGE_GDT_LEN);
	put_le64(gdt + BZIMAGE_CS, 0x00af9b000000ffffull); /* code, 64-bit, accessed */
	put_le64(gdt + BZIMAGE_DS, 0x00cf93000000ffffull); /* data, accessed */
}
