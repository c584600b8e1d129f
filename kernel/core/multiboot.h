/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the boot loader says, from multiboot1 or multiboot2, as one neutral record.
 * Pure: physical memory is reached by a callback, everything needed later is copied.
 */
#ifndef KERNEL_CORE_MULTIBOOT_H
#define KERNEL_CORE_MULTIBOOT_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define MULTIBOOT1_LOADED 0x2badb002u /* in EAX at entry */
#define MULTIBOOT2_LOADED 0x36d76289u

#define BOOT_RANGES 512
#define BOOT_MODULES 64
#define BOOT_STRING_LEN 256
#define BOOT_CMDLINE_LEN 1024

enum boot_range_type { BOOT_RAM, BOOT_RESERVED, BOOT_ACPI, BOOT_NVS, BOOT_BAD };

struct boot_range {
	hpa_t base;
	u64 len;
	u32 type; /* enum boot_range_type */
};

struct boot_module {
	hpa_t base;
	u64 len;
	char string[BOOT_STRING_LEN]; /* as the loader gave it */
};

struct boot_info {
	u32 protocol; /* 1 or 2: multiboot1, multiboot2 */
	char loader[64];
	char cmdline[BOOT_CMDLINE_LEN];
	/* In the loader's order; a range that continues the one before it is joined to it. */
	struct boot_range range[BOOT_RANGES];
	u32 ranges;
	bool efi_map; /* the ranges come from the EFI memory map */
	struct boot_module module[BOOT_MODULES];
	u32 modules;
	u8 rsdp[36];          /* the loader's copy of the RSDP, the newest revision it has */
	u32 rsdp_len;         /* 0: none, look for it in low memory */
	u64 efi_system_table; /* 0: not booted by 64-bit EFI */
	/* What was left out, for the log. */
	u32 ranges_dropped;  /* more than BOOT_RANGES, or end beyond 2^64 */
	u32 modules_dropped; /* more than BOOT_MODULES, or end before start */
	bool text_cut;       /* the command line or a module's string was too long */
};

struct boot_env {
	void *ctx;
	/* phys() - len bytes (at most to the end of a 4 KiB page, or all of a structure that the
	 * loader laid out in one piece) at pa; NULL when they are not reachable. */
	const void *(*phys)(void *ctx, hpa_t pa, size_t len);
};

/**
 * multiboot_parse() - magic and info as in EAX and EBX at entry. Returns 0; -EPROTO when the magic
 * or the structure is wrong or there is no memory map, -EFAULT when it points to where
 * phys() does not reach; then why says what and where, and *out is not to be used.
 * Manual: Multiboot 0.6.96 §3.3, Multiboot 2.0 §3.6.
 */
int MUST_CHECK multiboot_parse(u32 magic, hpa_t info, const struct boot_env *env,
			       struct boot_info *out, char *why, size_t why_size);

/** boot_module_name() - what a configuration calls it: the first word, behind its last '/'. */
void boot_module_name(const struct boot_module *m, char *out, size_t size);

/** boot_module_find() - the first module of that name; NULL: none. */
const struct boot_module *boot_module_find(const struct boot_info *b, const char *name);

#endif
