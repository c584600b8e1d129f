/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Multiboot1 kernels as guests: header, plan of memory, and the information structure they find
 * at their entry. Pure; the hypervisor's own start by multiboot is kernel/core/multiboot.h.
 */
#ifndef GUEST_LOAD_MBKERNEL_H
#define GUEST_LOAD_MBKERNEL_H

#include "guest/load/e820.h"
#include "guest/load/elf.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define MBKERNEL_MODULES 9
#define MBKERNEL_LOADED 0x2badb002u  /* in EAX at entry */
#define MBKERNEL_INFO_GPA 0x10000ull /* the structure, in EBX, and all it points to */
#define MBKERNEL_INFO_MAX 0x4000u

/* A module's bytes and its string, the caller's. */
struct mbkernel_module {
	const char *string;
	const u8 *data;
	u64 len;
	gpa_t at; /* out: page-aligned */
};

struct mbkernel_modules {
	struct mbkernel_module mod[MBKERNEL_MODULES];
	u32 count;
};

/** mbkernel_probe() - is there a multiboot1 header in the first 8 KiB? */
bool mbkernel_probe(const u8 *image, u64 len);

/**
 * mbkernel_parse() - header and segments: by its address fields if it has them (flag 16), else by
 * ELF's. Returns 0; -ENOEXEC with the reason in why.
 * Manual: Multiboot 0.6.96 §3.1.
 */
int MUST_CHECK mbkernel_parse(const u8 *image, u64 len, struct elf_image *out, char *why,
			      size_t why_size);

/**
 * mbkernel_plan() - segments must lie in RAM between 1 MiB and map->usable_end; modules get pages
 * behind the last segment, in order. Returns 0; -ENOMEM with the reason in why.
 */
int MUST_CHECK mbkernel_plan(const struct elf_image *e, const struct e820_map *map,
			     struct mbkernel_modules *mods, char *why, size_t why_size);

/**
 * mbkernel_info() - make the MBKERNEL_INFO_MAX or fewer bytes at MBKERNEL_INFO_GPA: memory sizes,
 * command line, modules, memory map, loader's name. *len: how many. Returns 0; -ENOMEM: no room.
 * Manual: Multiboot 0.6.96 §3.3.
 */
int MUST_CHECK mbkernel_info(const struct e820_map *map, const char *cmdline,
			     const struct mbkernel_modules *mods, u8 *buf, size_t *len);

#endif
