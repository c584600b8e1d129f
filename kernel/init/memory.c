/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lays out physical memory at boot: first page tables from a gap in the map, then the pool
 * over everything that is left.
 */
#include "kernel/init/memory.h"

#include "arch/x86/cpu.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/image.h"
#include "kernel/mm/pool.h"

#define BOOT_MAP_END  SIZE_4G
#define LOW_MEMORY    SIZE_1M
#define EXTRA_RANGES  4 /* image, trampoline, first page tables, metadata */

static struct pool_range usable[BOOT_RANGES];
static struct pool_range reserved[BOOT_RANGES + BOOT_MODULES + EXTRA_RANGES];
static struct pool_layout layout = { .usable = usable, .reserved = reserved };
static hpa_t trampoline;

static void reserve(hpa_t base, u64 len)
{
	reserved[layout.nreserved++] = (struct pool_range){ .base = base, .len = len };
}

static void gather(const struct boot_info *b)
{
	for (u32 i = 0; i < b->ranges; i++) {
		const struct boot_range *r = &b->range[i];

		if (r->type == BOOT_RAM)
			usable[layout.nusable++] = (struct pool_range){ r->base, r->len };
		else
			reserve(r->base, r->len);
	}
	reserve(IMAGE_ADDR(__image_start), IMAGE_ADDR(__image_end) - IMAGE_ADDR(__image_start));
	for (u32 i = 0; i < b->modules; i++)
		reserve(b->module[i].base, b->module[i].len);
}

/* Frames for tables that map all usable memory: one a GiB by 2 MiB pages, and the edges. */
static u64 table_bytes(const struct boot_info *b)
{
	u64 frames = 64;

	for (size_t i = 0; i < layout.nusable; i++)
		frames += usable[i].len / SIZE_1G + 4;
	frames += 4ull * b->modules;
	return frames * PAGE_SIZE;
}

static int map_whole_pages(hpa_t base, u64 len, bool outward)
{
	u64 end = base + len;
	u64 first = outward ? align_down(base, PAGE_SIZE) : align_up(base, PAGE_SIZE);

	end = outward ? align_up(end, PAGE_SIZE) : align_down(end, PAGE_SIZE);
	return end > first ? hostmap_add_ram(first, end - first) : 0;
}

static int build_tables(const struct boot_info *b)
{
	int err = hostmap_begin();

	for (size_t i = 0; i < layout.nusable && !err; i++)
		err = map_whole_pages(usable[i].base, usable[i].len, false);
	for (u32 i = 0; i < b->modules && !err; i++)
		err = map_whole_pages(b->module[i].base, b->module[i].len, true);
	if (!err)
		err = hostmap_seal();
	return err;
}

static void find_trampoline(void)
{
	hpa_t at;

	if (pool_find_space(&layout, PAGE_SIZE, PAGE_SIZE, &at) || at + PAGE_SIZE > LOW_MEMORY)
		return;
	trampoline = at;
	reserve(at, PAGE_SIZE);
}

int memory_init(const struct boot_info *b, char *why, size_t why_size)
{
	u64 bytes;
	hpa_t at, meta;
	int err;

	gather(b);
	find_trampoline();
	bytes = table_bytes(b);
	if (pool_find_space(&layout, bytes, LOW_MEMORY, &at) || at + bytes > BOOT_MAP_END) {
		fmt_snprintf(why, why_size, "no %lu KiB below 4 GiB for page tables", bytes >> 10);
		return -ENOMEM;
	}
	frames_early(at, at + bytes);
	err = build_tables(b);
	if (err) {
		fmt_snprintf(why, why_size, "page tables: %s", err_name(err));
		return err;
	}
	cpu_protect();
	hostmap_load();
	reserve(at, frames_early_used() - at);
	bytes = align_up(pool_meta_bytes(&layout), PAGE_SIZE);
	if (pool_find_space(&layout, bytes, LOW_MEMORY, &meta)) {
		fmt_snprintf(why, why_size, "no %lu KiB for the frame pool's own data",
			     bytes >> 10);
		return -ENOMEM;
	}
	reserve(meta, bytes);
	err = frames_init(&layout, meta);
	if (err)
		fmt_snprintf(why, why_size, "frame pool: %s", err_name(err));
	return err;
}

hpa_t memory_trampoline(void)
{
	return trampoline;
}
