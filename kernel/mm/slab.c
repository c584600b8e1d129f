/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first 64 bytes of each frame say what is free in it; empty frames go back at once.
 */
#include "kernel/mm/slab.h"

#include "kernel/base/assert.h"
#include "kernel/base/bits.h"
#include "kernel/base/str.h"

#define SLAB_ALIGN 64u
#define SLAB_MAGIC 0x62616c73u

struct slab_frame {
	u32 magic;
	u32 class;
	const struct slab *home;
	u64 free; /* bit per object */
	struct slab_frame *next, *prev;
};

STATIC_ASSERT(sizeof(struct slab_frame) <= SLAB_ALIGN, "header is one unit");

/* As many objects as fit behind the header, in sizes that leave little over. */
static const u16 class_size[SLAB_CLASSES] = { 64, 128, 192, 256, 384, 576, 768, 1344, 1984 };

STATIC_ASSERT(SLAB_MAX_OBJECT == 1984, "last class");

static u32 class_of(size_t bytes)
{
	u32 c = 0;

	ASSERT(bytes && bytes <= SLAB_MAX_OBJECT);
	while (class_size[c] < bytes)
		c++;
	return c;
}

static u64 all_free(u32 class)
{
	u32 n = ((u32)PAGE_SIZE - SLAB_ALIGN) / class_size[class];

	return MASK(n - 1, 0);
}

static void link_frame(struct slab *s, struct slab_frame *f)
{
	f->prev = NULL;
	f->next = s->partial[f->class];
	if (f->next)
		f->next->prev = f;
	s->partial[f->class] = f;
}

static void unlink_frame(struct slab *s, struct slab_frame *f)
{
	if (f->prev)
		f->prev->next = f->next;
	else
		s->partial[f->class] = f->next;
	if (f->next)
		f->next->prev = f->prev;
}

void *slab_alloc(struct slab *s, const struct slab_env *env, size_t bytes)
{
	u32 class = class_of(bytes), i;
	struct slab_frame *f = s->partial[class];
	u8 *object;

	if (!f) {
		f = env->alloc(env->ctx);
		if (!f)
			return NULL;
		*f = (struct slab_frame){
			.magic = SLAB_MAGIC,
			.class = class,
			.home = s,
			.free = all_free(class),
		};
		link_frame(s, f);
		s->frames++;
	}
	i = (u32)__builtin_ctzll(f->free);
	f->free &= f->free - 1;
	if (!f->free)
		unlink_frame(s, f);
	object = (u8 *)f + SLAB_ALIGN + (size_t)i * class_size[class];
	memset(object, 0, class_size[class]);
	return object;
}

void slab_free(struct slab *s, const struct slab_env *env, void *p, size_t bytes)
{
	uintptr_t addr = (uintptr_t)p;
	size_t offset = addr & (PAGE_SIZE - 1);
	struct slab_frame *f = (struct slab_frame *)(addr - offset);
	u32 class = class_of(bytes), i;

	ASSERT(offset >= SLAB_ALIGN && f->magic == SLAB_MAGIC && f->home == s &&
	       f->class == class);
	i = (u32)((offset - SLAB_ALIGN) / class_size[class]);
	ASSERT((offset - SLAB_ALIGN) % class_size[class] == 0);
	ASSERT(!(f->free & BIT(i)));
	if (!f->free)
		link_frame(s, f);
	f->free |= BIT(i);
	if (f->free == all_free(class)) {
		unlink_frame(s, f);
		f->magic = 0;
		s->frames--;
		env->free(env->ctx, f);
	}
}
