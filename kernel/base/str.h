/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few string and memory functions that freestanding code needs. On the
 * host the C library supplies the mem and str functions of the same contract.
 */
#ifndef KERNEL_BASE_STR_H
#define KERNEL_BASE_STR_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* As the C standard has them. */
/* As in the C standard. */
void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);

/** str_copy() - copy at most size-1 characters and terminate; false when it did not fit. */
bool str_copy(char *dst, size_t size, const char *src);

/** str_starts() - does s begin with prefix? */
bool str_starts(const char *s, const char *prefix);

/**
 * str_to_u64() - parse all of s: decimal, or hexadecimal after 0x.
 * Returns 0; -EINVAL when empty or not a number; -ERANGE when above 64 bits.
 */
int MUST_CHECK str_to_u64(const char *s, u64 *out);

/**
 * str_to_size() - like str_to_u64(), with an optional K, M or G suffix (powers of 1024).
 */
int MUST_CHECK str_to_size(const char *s, u64 *out);

#endif
