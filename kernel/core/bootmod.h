/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Boot modules by name: what the boot loader put into memory beside the image. Pure: an array
 * and the rule for names.
 */
#ifndef KERNEL_CORE_BOOTMOD_H
#define KERNEL_CORE_BOOTMOD_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define BOOTMOD_MAX	 32
#define BOOTMOD_NAME_LEN 64

struct bootmod {
	char name[BOOTMOD_NAME_LEN];
	const u8 *data;
	u64 len;
};

struct bootmods {
	struct bootmod mod[BOOTMOD_MAX];
	u32 count;
};

/**
 * bootmod_add() - enter a module under its name: the value of a 'name=' word in the loader's
 * string, else the last path component of its first word.
 * Returns 0; -EINVAL (no name, or too long); -EEXIST (name taken); -ENOSPC (table full).
 */
int MUST_CHECK bootmod_add(struct bootmods *m, const char *string, const u8 *data, u64 len);

/** bootmod_find() - NULL when there is none of that name. */
const struct bootmod *bootmod_find(const struct bootmods *m, const char *name);

#endif
