/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects smaller than a frame, 64-byte aligned, out of 4 KiB frames. Pure; one struct slab
 * serves one owner, so that every frame is on exactly one account.
 */
#ifndef KERNEL_MM_SLAB_H
#define KERNEL_MM_SLAB_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define SLAB_CLASSES	9
#define SLAB_MAX_OBJECT 1984 /* larger: whole frames */

struct slab_frame;

/* All zero is an empty slab. */
struct slab {
	struct slab_frame *partial[SLAB_CLASSES]; /* frames with room */
	u32 frames;				  /* in use, full ones included */
};

struct slab_env {
	void *ctx;
	/* alloc() - address of a frame; NULL: no memory. */
	void *(*alloc)(void *ctx);
	void (*free)(void *ctx, void *frame);
};

/** slab_alloc() - bytes (1..SLAB_MAX_OBJECT) zeroed; NULL: no memory. */
void *slab_alloc(struct slab *s, const struct slab_env *env, size_t bytes) MUST_CHECK;

/** slab_free() - p came from slab_alloc() of the same slab with the same bytes. */
void slab_free(struct slab *s, const struct slab_env *env, void *p, size_t bytes);

#endif
