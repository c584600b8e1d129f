/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM in 2 MiB blocks, each cleared and mapped when it is first touched; the log of writes to it.
 */
#include "guest/mem/stage2.h"

#include "guest/mem/dirtylog.h"
#include "guest/vm/machine.h"
#include "guest/vm/vm.h"
#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/lock.h"
#include "kernel/core/log.h"

#define VGA_BASE  0xa0000ull
#define VGA_LEN	  0x20000ull
#define RAW_BYTES(blocks) (((blocks) + 63) / 64 * sizeof(u64))
#define LOG_BYTES(blocks) ((blocks) * GMAP_DIRTY_WORDS * sizeof(u64))
/* Tables that logging may need: one a block, those above them, some for device memory. */
#define SPARE_PAGES(blocks) ((blocks) + (blocks) / 512 + 32)

static int table_alloc(void *ctx, hpa_t *out)
{
	struct vm *vm = ctx;
	u64 *page;

	if (!vm->spare)
		return frame_alloc(&vm->owner, out);
	*out = vm->spare;
	page = phys_to_virt(vm->spare);
	vm->spare = page[0];
	page[0] = 0;
	return 0;
}

static void table_free(void *ctx, hpa_t page)
{
	struct vm *vm = ctx;

	frame_free(&vm->owner, page);
}

static u64 *table_map(void *ctx, hpa_t page)
{
	(void)ctx;
	return phys_to_virt(page);
}

static int map_piece(struct vm *vm, gpa_t gpa, hpa_t hpa, u64 len)
{
	const struct pgtable_map piece = { .va = gpa, .hpa = hpa, .len = len,
					   .attrs = vm->mem.dirty ? dirtylog_closed(vm->stage2.fmt)
								  : DIRTYLOG_OPEN };
	struct pgtable_change c = { 0 };
	int rc;

	/* The CPU logs a leaf, whatever its size. */
	vm->stage2.max_leaf = piece.attrs & PG_LOG ? PAGE_SIZE : ~0ull;
	rc = pgtable_map(&vm->stage2, &piece, &c);
	vm->stage2.max_leaf = ~0ull;
	pgtable_release(&vm->stage2, &c);
	return rc;
}

/* The first block has the hole where a PC has its VGA memory: nothing is mapped there. */
static int map_block(struct vm *vm, u64 i)
{
	hpa_t hpa = virt_to_phys(vm->mem.block[i]);
	int rc;

	if (i)
		return map_piece(vm, gmap_gpa(&vm->mem, i * SIZE_2M), hpa, SIZE_2M);
	rc = map_piece(vm, 0, hpa, VGA_BASE);
	if (rc)
		return rc;
	return map_piece(vm, VGA_BASE + VGA_LEN, hpa + VGA_BASE + VGA_LEN,
			 SIZE_2M - VGA_BASE - VGA_LEN);
}

/* ---- RAM on first touch --------------------------------------------------------------------- */

/* A large guest starts at once, and pages that it never uses cost nothing. */
static void clear_block_locked(struct vm *vm, u64 i)
{
	struct gmap *m = &vm->mem;

	lock_assert_held(&vm->ram_lock);
	if (!gmap_is_raw(m, i))
		return;
	memset(m->block[i], 0, SIZE_2M);
	/* Partner: gmap_is_raw(). */
	atomic_and(&m->raw[i / 64], ~BIT(i % 64));
}

static void clear_block(void *ctx, u64 i)
{
	struct vm *vm = ctx;

	spin_lock(&vm->ram_lock);
	clear_block_locked(vm, i);
	spin_unlock(&vm->ram_lock);
}

int stage2_dma_begin(struct vm *vm)
{
	bool busy;

	spin_lock(&vm->ram_lock);
	busy = vm->mem.dirty != NULL;
	vm->mem.dma = !busy;
	spin_unlock(&vm->ram_lock);
	if (busy)
		return -EBUSY;
	for (u64 i = 0; i < vm->mem.blocks; i++)
		clear_block(vm, i);
	return 0;
}

void stage2_dma_end(struct vm *vm)
{
	vm->mem.dma = false;
}

int stage2_touch(struct vcpu *v, gpa_t gpa, bool write)
{
	struct pgtable_change c = { 0 };
	struct vm *vm = v->vm;
	struct gmap *m = &vm->mem;
	u64 i = gmap_ram_offset(m, gpa) / SIZE_2M;
	int rc;

	spin_lock(&vm->ram_lock);
	clear_block_locked(vm, i);
	rc = map_block(vm, i);
	if (rc == -EEXIST) /* it lacks a right only, or another vCPU was first */
		rc = 0;
	if (!rc && write && m->dirty)
		rc = dirtylog_open(m, &vm->stage2, gpa, &c);
	spin_unlock(&vm->ram_lock);
	/* A wider right needs no flush. A leaf that was split does; so does it when the fault came
	 * of an old translation and there was nothing to change. */
	if (c.flush || !c.added)
		vm->ops->tlb_flush(v->hv);
	return rc;
}

static int alloc_ram(struct vm *vm, char *why, size_t why_size)
{
	struct gmap *m = &vm->mem;
	u64 want = vm->config->memory / SIZE_2M;
	hpa_t *hpa;
	int rc;

	STATIC_ASSERT(sizeof(*hpa) == sizeof(*m->block), "one array serves for both");
	hpa = kalloc(&vm->owner, want * sizeof(*hpa));
	if (!hpa) {
		str_copy(why, why_size, "no memory for the table of RAM blocks");
		return -ENOMEM;
	}
	rc = blocks_alloc(&vm->owner, want, hpa);
	if (rc) {
		kfree(&vm->owner, hpa, want * sizeof(*hpa));
		fmt_snprintf(why, why_size, "memory: %lu MiB are not free; 'mem' shows what is",
			     want * 2);
		return rc;
	}
	m->block = (u8 **)hpa;
	m->blocks = want;
	m->low_blocks = min_u64(want, MACHINE_PCI_HOLE_BASE / SIZE_2M);
	m->vga_base = VGA_BASE;
	m->vga_len = VGA_LEN;
	for (u64 i = 0; i < want; i++)
		m->block[i] = phys_to_virt(hpa[i]);
	m->raw = kalloc(&vm->owner, RAW_BYTES(want));
	if (!m->raw) {
		str_copy(why, why_size, "no memory for the map of untouched RAM");
		return -ENOMEM;
	}
	memset(m->raw, 0xff, RAW_BYTES(want));
	m->clear = clear_block;
	m->ctx = vm;
	clear_block(vm, 0);
	return 0;
}

/* ---- device memory --------------------------------------------------------------------- */

static bool in_window(gpa_t gpa, u64 len)
{
	return range_within(gpa, len, MACHINE_PCI_MEM_BASE,
			    MACHINE_PCI_MEM_END - MACHINE_PCI_MEM_BASE) ||
	       range_within(gpa, len, MACHINE_PCI_MEM64_BASE, MACHINE_PCI_MEM64_SIZE);
}

/* Retired tables are free once every vCPU has been out of the guest since they were unhooked. */
static void release_stale(struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpus; i++)
		if (vm->vcpu[i] && (atomic_load_acquire(&vm->vcpu[i]->requests) & VCPU_REQ_FLUSH))
			return;
	pgtable_release(&vm->stage2, &vm->stale);
}

static void flush_all(struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpus; i++)
		vcpu_request(vm->vcpu[i], VCPU_REQ_FLUSH);
}

/* No leaf is cut, so no page is needed. The flush is asked for before anybody else can release. */
static void unmap_locked(struct vm *vm, gpa_t gpa, u64 len)
{
	lock_assert_held(&vm->ram_lock);
	release_stale(vm);
	ASSERT(pgtable_unmap(&vm->stage2, gpa, len, &vm->stale) == 0);
	flush_all(vm);
}

int stage2_map_mmio(struct vm *vm, gpa_t gpa, hpa_t hpa, u64 len)
{
	const struct pgtable_map piece = { .va = gpa, .hpa = hpa, .len = len,
					   .attrs = PG_R | PG_W | PG_UC };
	int rc;

	if (!in_window(gpa, len))
		return -EINVAL;
	spin_lock(&vm->ram_lock);
	release_stale(vm);
	/* Walkers keep no absent entries, so that nothing must be flushed. */
	rc = pgtable_map(&vm->stage2, &piece, &vm->stale);
	spin_unlock(&vm->ram_lock);
	return rc;
}

void stage2_unmap_mmio(struct vm *vm, gpa_t gpa, u64 len)
{
	spin_lock(&vm->ram_lock);
	unmap_locked(vm, gpa, len);
	spin_unlock(&vm->ram_lock);
}

/* ---- log of writes ---------------------------------------------------------------------- */

/* Blocks come back at their next touch: closed when there is a log, else huge. */
static void unmap_ram_locked(struct vm *vm)
{
	u64 low = vm->mem.low_blocks * SIZE_2M, size = vm->mem.blocks * SIZE_2M;

	unmap_locked(vm, 0, low);
	if (size > low)
		unmap_locked(vm, SIZE_4G, size - low);
}

static void free_spare(struct vm *vm)
{
	hpa_t page;

	for (; vm->spare; frame_free(&vm->owner, page))
		(void)table_alloc(vm, &page); /* takes one of them: cannot fail */
}

/* A guest must not die because there is no page for a table while it is being watched. */
static int fill_spare(struct vm *vm)
{
	hpa_t page, chain = 0;
	int rc = 0;

	for (u64 n = SPARE_PAGES(vm->mem.blocks); n && !rc; n--) {
		rc = frame_alloc(&vm->owner, &page);
		if (rc)
			break;
		*(u64 *)phys_to_virt(page) = chain;
		chain = page;
	}
	spin_lock(&vm->ram_lock);
	vm->spare = chain;
	if (rc)
		free_spare(vm);
	spin_unlock(&vm->ram_lock);
	return rc;
}

int stage2_log_start(struct vm *vm, const void *user, char *why, size_t why_size)
{
	struct gmap *m = &vm->mem;
	bool dma;

	if (!m->block || m->dirty) {
		fmt_snprintf(why, why_size, m->dirty ? "writes of vm %s are being logged already"
						     : "vm %s is off", vm->name);
		return -EBUSY;
	}
	spin_lock(&vm->ram_lock);
	release_stale(vm); /* of a log before this one */
	spin_unlock(&vm->ram_lock);
	if (!vm->log)
		vm->log = kalloc(&vm->owner, LOG_BYTES(m->blocks));
	if (!vm->log || fill_spare(vm)) {
		str_copy(why, why_size, "no memory for the log of written pages");
		return -ENOMEM;
	}
	memset(vm->log, 0, LOG_BYTES(m->blocks));
	spin_lock(&vm->ram_lock);
	dma = m->dma;
	if (dma) {
		free_spare(vm);
	} else {
		atomic_store_release(&m->dirty, vm->log);
		unmap_ram_locked(vm);
	}
	spin_unlock(&vm->ram_lock);
	if (dma) {
		str_copy(why, why_size, "a passed-through device writes the VM's memory unseen");
		return -ENOTSUP;
	}
	vm->log_user = user;
	return 0;
}

u64 stage2_log_take(struct vm *vm, u64 *pages)
{
	/* One that is to be held up has to fault at each page. */
	u64 closed = vm->page_ns ? DIRTYLOG_PROTECTED : dirtylog_closed(vm->stage2.fmt);
	struct pgtable_change c = { 0 };
	u64 n = 0;

	for (u64 i = 0; i < vm->mem.blocks * GMAP_DIRTY_WORDS; i++) {
		/* For 64 pages at a time, so that faults of vCPUs do not wait long. */
		if (atomic_load_relaxed(&vm->mem.dirty[i])) {
			spin_lock(&vm->ram_lock);
			pages[i] |= dirtylog_take(&vm->mem, &vm->stage2, i, closed, &c);
			spin_unlock(&vm->ram_lock);
		}
		n += bits_count(pages[i]);
	}
	flush_all(vm);
	return n;
}

bool stage2_log_settled(const struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpus; i++)
		if ((atomic_load_acquire(&vm->vcpu[i]->requests) & VCPU_REQ_FLUSH) &&
		    sched_elsewhere(&vm->vcpu[i]->sched))
			return false;
	return true;
}

void stage2_log_stop(struct vm *vm, const void *user)
{
	if (vm->log_user != user)
		return;
	vm->log_user = NULL;
	spin_lock(&vm->ram_lock);
	/* The bitmap itself stays until no device can hold its address any more. */
	atomic_store_release(&vm->mem.dirty, NULL);
	unmap_ram_locked(vm);
	free_spare(vm);
	spin_unlock(&vm->ram_lock);
}

int stage2_create(struct vm *vm, char *why, size_t why_size)
{
	const struct pgtable_env env = { .ctx = vm, .alloc = table_alloc, .free = table_free,
					 .map = table_map };
	int rc = alloc_ram(vm, why, why_size);

	if (rc)
		goto out_ram;
	str_copy(why, why_size, "out of memory for second-stage tables");
	rc = pgtable_init(&vm->stage2, vm->ops->stage2_fmt, &env, 0);
	if (rc)
		goto out_ram;
	rc = map_block(vm, 0);
	if (rc)
		goto out_ram;
	return 0;
out_ram:
	stage2_destroy(vm);
	return rc;
}

void stage2_destroy(struct vm *vm)
{
	struct gmap *m = &vm->mem;

	if (vm->stage2.root) {
		pgtable_release(&vm->stage2, &vm->stale);
		pgtable_destroy(&vm->stage2);
		vm->stage2.root = 0;
	}
	free_spare(vm);
	m->dirty = NULL;
	vm->log_user = NULL;
	m->dma = false;
	kfree(&vm->owner, vm->log, LOG_BYTES(m->blocks));
	vm->log = NULL;
	if (!m->block)
		return;
	if (vm->keep_ram)
		log_err("vm %s: %llu MiB are lost: a device may still reach them", vm->name,
			m->blocks * SIZE_2M >> 20);
	for (u64 i = 0; i < m->blocks && !vm->keep_ram; i++)
		block_free(&vm->owner, virt_to_phys(m->block[i]));
	kfree(&vm->owner, m->raw, RAW_BYTES(m->blocks));
	m->raw = NULL;
	kfree(&vm->owner, m->block, m->blocks * sizeof(*m->block));
	m->block = NULL;
	m->blocks = 0;
	vm->keep_ram = false;
}
