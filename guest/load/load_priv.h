/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loaders of the kernel formats share.
 */
#ifndef GUEST_LOAD_LOAD_PRIV_H
#define GUEST_LOAD_LOAD_PRIV_H

#include "guest/load/e820.h"
#include "guest/vm/vm.h"

/* Flat segments, attributes as in struct hvm_segment. */
#define SEG_CODE64 0xa9bu
#define SEG_CODE32 0xc9bu
#define SEG_DATA 0xc93u
#define SEG_TSS 0x08bu /* busy */

#define RFLAGS_FIXED BIT(1)

struct load {
	struct vm *vm;
	struct e820_map map;
	const struct bootmod *kernel;
	char *why;
	size_t why_size;
};

/** load_module() - the boot module of that name; what: the key that names it. -ENOENT. */
int MUST_CHECK load_module(const struct load *l, const char *what, const char *name,
			   const struct bootmod **out);

/** load_write() - copy to guest memory; what: for the reason. -ENOMEM when it is no RAM. */
int MUST_CHECK load_write(const struct load *l, const char *what, gpa_t gpa, const void *src,
			  u64 len);

/** load_page() - a page of guest RAM below 2 MiB, to be written now. */
u8 *load_page(const struct load *l, gpa_t gpa);

/** load_multiboot() - the loader of multiboot1 kernels. Errors of load_vm_kernel(). */
int MUST_CHECK load_multiboot(const struct load *l);

/** load_segments() - flat code and data segments with these selectors, of vCPU 0. */
void load_segments(const struct load *l, u16 cs, u16 ds, u16 code_attr);

#endif
