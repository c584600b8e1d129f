/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input of a fuzz target as a stream of small numbers, and the check every device state must
 * pass: what a guest can reach, resume() accepts, and saving and loading changes nothing.
 */
#ifndef TESTS_FUZZ_STREAM_H
#define TESTS_FUZZ_STREAM_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/vm/vdev.h"
#include "kernel/base/types.h"

#define FUZZ_CHECK(c)                                                                      \
	do {                                                                               \
		if (!(c)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c);            \
			abort();                                                           \
		}                                                                          \
	} while (0)

struct stream {
	const u8 *p;
	size_t left;
};

/* Numbers past the end of the input are 0. */
static inline u8 take8(struct stream *s)
{
	if (!s->left)
		return 0;
	s->left--;
	return *s->p++;
}

static inline u16 take16(struct stream *s)
{
	u16 low = take8(s);

	return (u16)(low | take8(s) << 8);
}

static inline u32 take32(struct stream *s)
{
	u32 low = take16(s);

	return low | (u32)take16(s) << 16;
}

static inline u64 take64(struct stream *s)
{
	u64 low = take32(s);

	return low | (u64)take32(s) << 32;
}

/* Copy saved fields from one state struct to another: what migration does. */
static inline void move_fields(void *to, const void *from, const struct vmstate_field *f, u32 n)
{
	for (u32 i = 0; i < n; i++)
		memcpy((u8 *)to + f[i].offset, (const u8 *)from + f[i].offset,
		       (size_t)f[i].size * f[i].count);
}

/* Are the saved fields of two state structs equal? */
static inline bool same_fields(const void *a, const void *b, const struct vmstate_field *f, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (memcmp((const u8 *)a + f[i].offset, (const u8 *)b + f[i].offset,
			   (size_t)f[i].size * f[i].count))
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
