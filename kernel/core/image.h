/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Section bounds of the image (linker.ld) and sizes fixed by boot.S.
 */
#ifndef KERNEL_CORE_IMAGE_H
#define KERNEL_CORE_IMAGE_H

#include "kernel/base/types.h"

extern const u8 __image_start[], __image_end[];
extern const u8 __text_start[], __text_end[];
extern const u8 __rodata_start[], __rodata_end[];
extern const u8 __data_start[], __data_end[];
extern const u8 __ksyms_start[], __ksyms_end[];
extern const u8 boot_stack_guard[], boot_stack_top[];

/* Address of a linker symbol. */
#define IMAGE_ADDR(sym) ((u64)(uintptr_t)(sym))

#define STACK_SIZE (16ull << 10) /* of every CPU */
#define IST_SIZE   (8ull << 10)  /* of each interrupt stack */

#endif
