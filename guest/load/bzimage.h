/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux kernels: the setup header of a bzImage is checked, memory is planned, the structures of
 * the 64-bit boot protocol are made. Pure: the caller does the copies.
 */
#ifndef GUEST_LOAD_BZIMAGE_H
#define GUEST_LOAD_BZIMAGE_H

#include "guest/load/e820.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* Where the boot structures lie, all of them below E820_LOW_END and free for the kernel later. */
#define BZIMAGE_PARAMS_GPA 0x10000ull /* struct boot_params, one page */
#define BZIMAGE_GDT_GPA 0x11000ull
#define BZIMAGE_TABLES_GPA 0x12000ull
#define BZIMAGE_TABLES 6u /* pages: PML4, PDPT, four page directories */
#define BZIMAGE_CMDLINE_GPA 0x18000ull
#define BZIMAGE_CMDLINE_MAX 0x4000u /* with its NUL */

#define BZIMAGE_ENTRY_64 0x200u /* from the load address */
#define BZIMAGE_CS 0x10u
#define BZIMAGE_DS 0x18u
#define BZIMAGE_GDT_LEN 32u

struct bzimage {
	const u8 *image; /* the caller's */
	u16 version;     /* of the boot protocol, 0x20c and up */
	u32 header_end;  /* file offset behind the setup header */
	u64 kernel_off;  /* file offset and length of what is loaded */
	u64 kernel_len;
	u64 pref_address;
	u64 init_size; /* memory it needs from its load address on */
	u64 alignment; /* power of two */
	bool relocatable;
	u64 initrd_max;  /* highest byte an initrd may occupy */
	u32 cmdline_max; /* without NUL */
};

struct bzimage_plan {
	u64 initrd_len;     /* in; 0: none */
	size_t cmdline_len; /* in; without NUL */
	gpa_t kernel;       /* out */
	gpa_t initrd;       /* out */
};

/** bzimage_probe() - is it a bzImage, or something for another loader? */
bool bzimage_probe(const u8 *image, u64 len);

/**
 * bzimage_parse() - check the setup header. The image must outlive *out. Returns 0; -ENOEXEC, then
 * why names field, offset, value and what is allowed.
 * Manual: Linux Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header".
 */
int MUST_CHECK bzimage_parse(const u8 *image, u64 len, struct bzimage *out, char *why,
			     size_t why_size);

/**
 * bzimage_plan() - choose where kernel and initrd go: the kernel where it prefers or else the
 * lowest aligned place, the initrd as high as it may. Returns 0; -ENOMEM: no room, or the command
 * line is too long; then why says what and how much, and the plan's out fields are untouched.
 */
int MUST_CHECK bzimage_plan(const struct bzimage *k, const struct e820_map *map,
			    struct bzimage_plan *plan, char *why, size_t why_size);

/** bzimage_params() - fill the page at BZIMAGE_PARAMS_GPA ("zero page"). */
void bzimage_params(const struct bzimage *k, const struct bzimage_plan *plan,
		    const struct e820_map *map, u8 *page);

/**
 * bzimage_table() - fill page n (0 .. BZIMAGE_TABLES - 1) of the tables at BZIMAGE_TABLES_GPA: the
 * first 4 GiB one to one, by 2 MiB pages. AMD APM vol. 2 §5.3.4, Intel SDM vol. 3 §4.5.
 */
void bzimage_table(u32 n, u8 *page);

/** bzimage_gdt() - fill the BZIMAGE_GDT_LEN bytes at BZIMAGE_GDT_GPA. */
void bzimage_gdt(u8 *gdt);

#endif
