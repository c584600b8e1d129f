/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor's own command line: words "key" or "key=value" between blanks.
 */
#ifndef KERNEL_CORE_CMDLINE_H
#define KERNEL_CORE_CMDLINE_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/**
 * cmdline_find() - is the word key (or key=value) in text? The last one wins. The value, or
 * "" when there is none, goes to out (cut to size - 1); out may be NULL with size 0.
 */
bool cmdline_find(const char *text, const char *key, char *out, size_t size);

/**
 * cmdline_find_u64() - numeric value of key. Returns 0, -ENOENT when the word is absent,
 * -EINVAL or -ERANGE when its value is no number.
 */
int MUST_CHECK cmdline_find_u64(const char *text, const char *key, u64 *out);

#endif
