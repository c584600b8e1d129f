/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds and extends the hypervisor's page tables. Nothing is ever unmapped after boot, so no
 * other CPU has to be told.
 */
#include "kernel/core/hostmap.h"

#include "arch/x86/cpu.h"
#include "arch/x86/pg64_fmt.h"
#include "kernel/base/assert.h"
#include "kernel/base/err.h"
#include "kernel/core/frames.h"
#include "kernel/core/lock.h"
#include "kernel/core/log.h"
#include "kernel/mm/pgtable.h"

static struct pgtable table;
static struct spinlock lock = SPINLOCK_INIT(LOCK_HOSTMAP, "hostmap");
static bool live; /* the final tables are in CR3 */

static int table_alloc(void *ctx, hpa_t *out)
{
	(void)ctx;
	return frame_alloc(hv_owner(), out);
}

static void table_free(void *ctx, hpa_t pa)
{
	(void)ctx;
	frame_free(hv_owner(), pa);
}

static u64 *table_map(void *ctx, hpa_t pa)
{
	(void)ctx;
	return phys_to_virt(pa);
}

/* Flush what a change asks for on this CPU, then free what it retired. */
static void finish(struct pgtable_change *c)
{
	if (live && c->flush)
		cr3_write(cr3_read());
	pgtable_release(&table, c);
}

static int map(u64 va, hpa_t pa, u64 len, u64 attrs)
{
	struct pgtable_map m = { .va = va, .hpa = pa, .len = len, .attrs = attrs };
	struct pgtable_change c = { 0 };
	int err = len ? pgtable_map(&table, &m, &c) : 0;

	finish(&c);
	return err;
}

static int map_image(const u8 *start, const u8 *end, u64 attrs)
{
	return map(IMAGE_ADDR(start), IMAGE_ADDR(start), IMAGE_ADDR(end) - IMAGE_ADDR(start),
		   attrs);
}

int hostmap_begin(void)
{
	static const struct pgtable_env env = {
		.alloc = table_alloc,
		.free = table_free,
		.map = table_map,
	};
	int err = pgtable_init(&table, &pg64_fmt, &env, cpu_features()->page_1g ? 0 : SIZE_2M);

	if (!err)
		err = map_image(__text_start, __text_end, PG_R | PG_X);
	if (!err)
		err = map_image(__rodata_start, __rodata_end, PG_R);
	if (!err)
		err = map_image(__data_start, boot_stack_guard, PG_R | PG_W);
	if (!err)
		err = map_image(boot_stack_guard + PAGE_SIZE, __data_end, PG_R | PG_W);
	return err;
}

int hostmap_add_ram(hpa_t pa, u64 len)
{
	struct pgtable_map m = {
		.va = DMAP_BASE + pa, .hpa = pa, .len = len, .attrs = PG_R | PG_W
	};
	struct pgtable_change c = { 0 };
	int err;

	if (!range_within(pa, len, 0, DMAP_SIZE))
		return -ERANGE;
	/* Firmware's ranges may overlap: over what is there. */
	err = pgtable_remap(&table, &m, &c);
	finish(&c);
	return err;
}

int hostmap_seal(void)
{
	struct pgtable_change c = { 0 };
	u64 start = IMAGE_ADDR(__text_start);
	int err = pgtable_protect(&table, DMAP_BASE + start, IMAGE_ADDR(__rodata_end) - start,
				  PG_R, &c);

	finish(&c);
	return err;
}

void hostmap_load(void)
{
	live = true;
	cr3_write(table.root);
}

hpa_t hostmap_cr3(void)
{
	return table.root;
}

/* Back [va, va+len) with frames of its own. */
static int map_fresh(u64 va, u64 len)
{
	for (u64 at = 0; at < len; at += PAGE_SIZE) {
		hpa_t pa;
		int err = frame_alloc(hv_owner(), &pa);

		if (err)
			return err;
		err = map(va + at, pa, PAGE_SIZE, PG_R | PG_W);
		if (err) {
			frame_free(hv_owner(), pa);
			return err;
		}
	}
	return 0;
}

int hostmap_stacks(u32 n, struct hostmap_stacks *out)
{
	u64 base = STACK_BASE + n * STACK_STRIDE;
	int err = map_fresh(base + STACK_OFFSET, STACK_SIZE);

	out->top = base + STACK_OFFSET + STACK_SIZE;
	for (u32 i = 0; !err && i < ARRAY_SIZE(out->ist); i++) {
		err = map_fresh(base + IST_OFFSET(i), IST_SIZE);
		out->ist[i] = base + IST_OFFSET(i) + IST_SIZE;
	}
	return err;
}

static bool mapped(u64 va)
{
	struct pgtable_leaf leaf;

	return pgtable_lookup(&table, va, &leaf) == 0;
}

/* Map what is not yet mapped of the pages holding [pa, pa+len) at window + pa. */
static bool map_missing(u64 window, hpa_t pa, size_t len, u64 attrs)
{
	u64 first = align_down(pa, PAGE_SIZE), last, at;
	bool ok = true;

	if (!len || !range_within(pa, len, 0, MMIO_SIZE))
		return false;
	last = align_up(pa + len, PAGE_SIZE);
	spin_lock(&lock);
	for (at = first; at < last && !mapped(window + at); at += PAGE_SIZE)
		;
	if (at == last) {
		ok = map(window + first, first, last - first, attrs) == 0;
		goto out;
	}
	for (at = first; ok && at < last; at += PAGE_SIZE)
		if (!mapped(window + at))
			ok = map(window + at, at, PAGE_SIZE, attrs) == 0;
out:
	spin_unlock(&lock);
	return ok;
}

void *hostmap_mmio(hpa_t pa, size_t len)
{
	if (!map_missing(MMIO_BASE, pa, len, PG_R | PG_W | PG_UC)) {
		log_err("cannot map device registers at %#lx, %#zx bytes", pa, len);
		return NULL;
	}
	return (void *)(uintptr_t)(MMIO_BASE + pa);
}

const void *hostmap_firmware(hpa_t pa, size_t len)
{
	if (!map_missing(DMAP_BASE, pa, len, PG_R)) {
		log_err("cannot map firmware memory at %#lx, %#zx bytes", pa, len);
		return NULL;
	}
	return phys_to_virt(pa);
}
