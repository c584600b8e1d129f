/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fixed-width types and address kinds. Included by everything, pure or not.
 */
#ifndef KERNEL_BASE_TYPES_H
#define KERNEL_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;

/* Address kinds: guest-physical, host-physical, device (I/O virtual). */
typedef u64 gpa_t;
typedef u64 hpa_t;
typedef u64 iova_t;

#define PAGE_SHIFT 12
#define PAGE_SIZE  4096ull
#define SIZE_1M    (1ull << 20)
#define SIZE_2M    (2ull << 20)
#define SIZE_1G    (1ull << 30)
#define SIZE_4G    (4ull << 30)

#endif
