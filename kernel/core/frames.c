/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool and the slabs under one lock, and the frames handed out before there is a pool.
 */
#include "kernel/core/frames.h"

#include "kernel/base/assert.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/image.h"
#include "kernel/core/lock.h"
#include "kernel/core/panic.h"
#include "kernel/mm/slab.h"

static struct pool pool;
static struct pool_owner hv;
static struct slab slabs[POOL_OWNERS]; /* by owner id */
static struct spinlock lock = SPINLOCK_INIT(LOCK_POOL, "pool");
static u64 fail_in; /* allocations; 0: none fails on purpose */
static bool ready;

/* Frames for the first page tables: from early_next up to early_end. */
static hpa_t early_start, early_next, early_end;

hpa_t virt_to_phys(const void *va)
{
	u64 a = (u64)(uintptr_t)va;

	if (a >= DMAP_BASE && a < MMIO_BASE)
		return a - DMAP_BASE;
	ASSERT(a >= IMAGE_ADDR(__image_start) && a < IMAGE_ADDR(__image_end));
	return a;
}

struct pool_owner *hv_owner(void)
{
	return &hv;
}

void frames_early(hpa_t start, hpa_t end)
{
	early_start = early_next = start;
	early_end = end;
}

hpa_t frames_early_used(void)
{
	early_end = early_next; /* the rest is the pool's */
	return early_next;
}

static void *map_frame(void *ctx, hpa_t pa)
{
	(void)ctx;
	return phys_to_virt(pa);
}

int frames_init(const struct pool_layout *l, hpa_t meta)
{
	static const struct pool_env env = { .map = map_frame };
	int err = pool_init(&pool, &env, l, phys_to_virt(meta), pool_meta_bytes(l));

	if (!err)
		err = pool_owner_add(&pool, &hv, "hypervisor", POOL_NO_QUOTA);
	ready = !err;
	return err;
}

static int early_alloc(hpa_t *out)
{
	if (early_next == early_end)
		return -ENOMEM;
	*out = early_next;
	early_next += PAGE_SIZE;
	memset(phys_to_virt(*out), 0, PAGE_SIZE);
	return 0;
}

/* For tests: the allocation that is to fail is this one. */
static bool starved(void)
{
	lock_assert_held(&lock);
	return fail_in && !--fail_in;
}

u64 frames_fail(const u64 *n)
{
	u64 left;

	spin_lock(&lock);
	left = fail_in;
	if (n)
		fail_in = *n;
	spin_unlock(&lock);
	return left;
}

static int alloc_locked(struct pool_owner *o, u32 n, hpa_t *out)
{
	if (starved())
		return -ENOMEM;
	return pool_alloc_frames(&pool, o, n, out);
}

static void free_locked(struct pool_owner *o, hpa_t pa, u32 n)
{
	int err = pool_free_frames(&pool, o, pa, n);

	if (err)
		panic("%u frames at %#lx freed on the account of %s: %s", n, pa, o->name,
		      err_name(err));
}

int frame_alloc(struct pool_owner *owner, hpa_t *out)
{
	int err;

	if (!ready)
		return early_alloc(out);
	spin_lock(&lock);
	err = alloc_locked(owner, 1, out);
	spin_unlock(&lock);
	return err;
}

void frame_free(struct pool_owner *owner, hpa_t pa)
{
	/* A table page from before the pool: it stays the image's. */
	if (pa >= early_start && pa < early_end)
		return;
	spin_lock(&lock);
	free_locked(owner, pa, 1);
	spin_unlock(&lock);
}

int block_alloc(struct pool_owner *owner, hpa_t *out)
{
	return blocks_alloc(owner, 1, out);
}

int blocks_alloc(struct pool_owner *owner, u64 n, hpa_t *out)
{
	int err;

	spin_lock(&lock);
	err = starved() ? -ENOMEM : pool_alloc_blocks(&pool, owner, n, out);
	spin_unlock(&lock);
	return err;
}

void block_free(struct pool_owner *owner, hpa_t pa)
{
	int err;

	spin_lock(&lock);
	err = pool_free_block(&pool, owner, pa);
	spin_unlock(&lock);
	if (err)
		panic("block %#lx freed on the account of %s: %s", pa, owner->name, err_name(err));
}

static void *slab_frame_alloc(void *ctx)
{
	hpa_t pa;

	return alloc_locked(ctx, 1, &pa) ? NULL : phys_to_virt(pa);
}

static void slab_frame_free(void *ctx, void *frame)
{
	free_locked(ctx, virt_to_phys(frame), 1);
}

static struct slab_env slab_env_of(struct pool_owner *owner)
{
	return (struct slab_env){
		.ctx = owner,
		.alloc = slab_frame_alloc,
		.free = slab_frame_free,
	};
}

static u32 frames_in(size_t bytes)
{
	return (u32)((bytes + PAGE_SIZE - 1) / PAGE_SIZE);
}

void *kalloc(struct pool_owner *owner, size_t bytes)
{
	struct slab_env env = slab_env_of(owner);
	void *p = NULL;
	hpa_t pa;

	if (!bytes || bytes > SIZE_2M)
		return NULL;
	spin_lock(&lock);
	if (bytes <= SLAB_MAX_OBJECT)
		p = starved() ? NULL : slab_alloc(&slabs[owner->id], &env, bytes);
	else if (!alloc_locked(owner, frames_in(bytes), &pa))
		p = phys_to_virt(pa);
	spin_unlock(&lock);
	return p;
}

void kfree(struct pool_owner *owner, void *p, size_t bytes)
{
	struct slab_env env = slab_env_of(owner);

	if (!p)
		return;
	spin_lock(&lock);
	if (bytes <= SLAB_MAX_OBJECT)
		slab_free(&slabs[owner->id], &env, p, bytes);
	else
		free_locked(owner, virt_to_phys(p), frames_in(bytes));
	spin_unlock(&lock);
}

int owner_add(struct pool_owner *o, const char *name, u64 quota)
{
	int err;

	spin_lock(&lock);
	err = pool_owner_add(&pool, o, name, quota);
	spin_unlock(&lock);
	return err;
}

int owner_remove(struct pool_owner *o)
{
	int err;

	spin_lock(&lock);
	err = pool_owner_remove(&pool, o);
	spin_unlock(&lock);
	return err;
}

void frames_stats(struct pool_stats *out)
{
	spin_lock(&lock);
	pool_stats(&pool, out);
	spin_unlock(&lock);
}

bool frames_audit(void)
{
	bool ok;

	spin_lock(&lock);
	ok = pool_audit(&pool);
	spin_unlock(&lock);
	return ok;
}

u32 owner_list(struct pool_owner_info *out, u32 max)
{
	u32 n = 0;

	spin_lock(&lock);
	for (u32 i = 0; i < POOL_OWNERS && n < max; i++) {
		const struct pool_owner *o = pool.owner[i];

		if (!o)
			continue;
		memcpy(out[n].name, o->name, sizeof(out[n].name));
		out[n].quota = o->quota;
		out[n].used = o->used;
		out[n].peak = o->peak;
		n++;
	}
	spin_unlock(&lock);
	return n;
}
