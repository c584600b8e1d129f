/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MSR bitmaps: four of 1 KiB, read and write of the low and the high range. Pure. SDM vol. 3
 * §25.6.9.
 */
#ifndef ARCH_VMX_VMX_PERM_H
#define ARCH_VMX_VMX_PERM_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VMX_MSR_BITMAP_SIZE 4096u

/** vmx_bitmap_set() - whether reads and writes of msr exit. -EINVAL: the map has no bits for it,
 * it always exits. */
int MUST_CHECK vmx_bitmap_set(u8 *map, u32 msr, bool read, bool write);

#endif
