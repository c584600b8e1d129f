/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of the configuration file: text pieces to numbers, sizes, addresses and lists.
 * Nothing here reports; the caller knows line, key and allowed range.
 */
#ifndef KERNEL_CORE_CONFIG_VALUE_H
#define KERNEL_CORE_CONFIG_VALUE_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/* A piece of the file's text; not terminated. */
struct slice {
	const char *p;
	size_t n;
};

/** slice_trim() - without blanks at both ends. */
struct slice slice_trim(struct slice s);

/** slice_is() - is s exactly the terminated word? */
bool slice_is(struct slice s, const char *word);

/** slice_copy() - terminated copy in dst; false (dst untouched) when it does not fit. */
bool slice_copy(char *dst, size_t size, struct slice s);

/** slice_word() - the next word of *s between blanks and commas, removed from *s; false: none. */
bool slice_word(struct slice *s, struct slice *word);

/** slice_cut() - split s at the first c: left part in *head, the rest in *tail; false: no c. */
bool slice_cut(struct slice s, char c, struct slice *head, struct slice *tail);

/**
 * value_name() - a name: 1..CONFIG_NAME_LEN-1 of letters, digits, '-', '_', '.', no '-' or '.'
 * first.
 */
bool value_name(struct slice s);

/** value_u64() - decimal number within [min, max]. */
bool value_u64(struct slice s, u64 min, u64 max, u64 *out);

/** value_scaled() - decimal number with an optional K, M, G or T, powers of unit (1000 or 1024). */
bool value_scaled(struct slice s, u64 unit, u64 *out);

/** value_bool() - yes, no, on, off, true, false. */
bool value_bool(struct slice s, bool *out);

/** value_mac() - six hexadecimal bytes between colons; not multicast, not all zero. */
bool value_mac(struct slice s, u8 out[6]);

/** value_pci() - "bb:dd.f", hexadecimal, segment 0 ("0000:" may lead); bus<<8 | dev<<3 | fn. */
bool value_pci(struct slice s, u16 *rid);

/** value_pci_id() - "vvvv:dddd", hexadecimal. */
bool value_pci_id(struct slice s, u16 *vendor, u16 *device);

/** value_cpu_list() - "0-3,6": a bit per CPU, each below 64. */
bool value_cpu_list(struct slice s, u64 *mask);

/** value_ipv4_net() - "a.b.c.d/bits", bits 1..31. */
bool value_ipv4_net(struct slice s);

#endif
