/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor's own address space (docs/boot.md): image, direct map, MMIO windows, stacks.
 */
#ifndef KERNEL_CORE_HOSTMAP_H
#define KERNEL_CORE_HOSTMAP_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"
#include "kernel/core/image.h"

/*
 * Windows of the upper half, beside DMAP_BASE (kernel/core/frames.h). A physical address above
 * a window's size cannot be reached.
 */
#define DMAP_SIZE  (1ull << 46)
#define MMIO_BASE  0xffffc00000000000ull /* + physical address, uncached */
#define MMIO_SIZE  (1ull << 45)
#define STACK_BASE 0xffffe00000000000ull /* + CPU slot * STACK_STRIDE */

/*
 * A CPU's stacks: guard, stack, guard, NMI, guard, #DF, guard, #MC, guard.
 */
#define STACK_STRIDE	     (64ull << 10)
#define STACK_OFFSET	     PAGE_SIZE
#define IST_STRIDE	     (IST_SIZE + PAGE_SIZE)
#define IST_OFFSET(i)	     (STACK_OFFSET + STACK_SIZE + PAGE_SIZE + (i) * IST_STRIDE)

struct hostmap_stacks {
	u64 top;
	u64 ist[3]; /* tops, in the order of IST_NMI, IST_DF, IST_MC */
};

/**
 * hostmap_begin() - build the final tables: image with W^X, no null page. Runs on the boot
 * map; frames come from the pool. -ENOMEM.
 */
int MUST_CHECK hostmap_begin(void);

/** hostmap_add_ram() - RAM into the direct map, read-write, with the largest pages. */
int MUST_CHECK hostmap_add_ram(hpa_t pa, u64 len);

/** hostmap_seal() - take the image's code and constants out of the direct map's writable part. */
int MUST_CHECK hostmap_seal(void);

/** hostmap_load() - use the tables on the calling CPU. */
void hostmap_load(void);

/** hostmap_cr3() - physical address of the root, below 4 GiB. */
hpa_t hostmap_cr3(void);

/** hostmap_stacks() - map the stacks of CPU slot n with guards; memory from the pool. -ENOMEM. */
int MUST_CHECK hostmap_stacks(u32 n, struct hostmap_stacks *out);

/**
 * hostmap_mmio() - device registers [pa, pa+len), uncached. NULL when there is no memory for
 * page tables or pa is beyond the window (logged). The mapping stays; asking again is free.
 * Context: not interrupt.
 */
void *hostmap_mmio(hpa_t pa, size_t len) MUST_CHECK;

/**
 * hostmap_firmware() - bytes that firmware left in memory, perhaps outside what it calls RAM
 * (ACPI tables): in the direct map, added read-only when absent. NULL as hostmap_mmio().
 */
const void *hostmap_firmware(hpa_t pa, size_t len) MUST_CHECK;

#endif
