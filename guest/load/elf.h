/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segments and entry point of a statically linked ELF kernel, 32-bit or 64-bit. Pure.
 */
#ifndef GUEST_LOAD_ELF_H
#define GUEST_LOAD_ELF_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define ELF_SEGMENTS 16

/* Bytes [off, off + filesz) of the file go to paddr, zeros follow up to memsz. */
struct elf_segment {
	u64 off, filesz;
	gpa_t paddr;
	u64 memsz; /* > 0, >= filesz */
};

struct elf_image {
	struct elf_segment seg[ELF_SEGMENTS]; /* in the file's order */
	u32 segs;                             /* > 0 */
	gpa_t entry;                          /* physical */
};

/** elf_probe() - does it begin as an ELF file does? */
bool elf_probe(const u8 *image, u64 len);

/**
 * elf_parse() - check headers; segments lie in the file, do not wrap and do not overlap in memory.
 * Returns 0; -ENOEXEC, then why names field, offset, value and what is allowed.
 * Manual: System V ABI, "Object Files" and "Program Loading".
 */
int MUST_CHECK elf_parse(const u8 *image, u64 len, struct elf_image *out, char *why,
			 size_t why_size);

#endif
