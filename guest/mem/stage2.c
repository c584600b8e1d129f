/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RAM in 2 MiB blocks, each cleared and mapped when it is first touched.
 */
#include "guest/mem/stage2.h"

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
#define RAM_RIGHTS (PG_R | PG_W | PG_X)
#define RAW_BYTES(blocks) (((blocks) + 63) / 64 * sizeof(u64))

static int table_alloc(void *ctx, hpa_t *out)
{
	struct vm *vm = ctx;

	return frame_alloc(&vm->owner, out);
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

static gpa_t block_gpa(const struct gmap *m, u64 i)
{
	return i < m->low_blocks ? i * SIZE_2M : SIZE_4G + (i - m->low_blocks) * SIZE_2M;
}

static int map_piece(struct vm *vm, gpa_t gpa, hpa_t hpa, u64 len)
{
	const struct pgtable_map piece = { .va = gpa, .hpa = hpa, .len = len, .attrs = RAM_RIGHTS };
	struct pgtable_change c = { 0 };
	int rc = pgtable_map(&vm->stage2, &piece, &c);

	pgtable_release(&vm->stage2, &c);
	return rc;
}

/* The first block has the hole where a PC has its VGA memory: nothing is mapped there. */
static int map_first(struct vm *vm)
{
	hpa_t hpa = virt_to_phys(vm->mem.block[0]);
	int rc = map_piece(vm, 0, hpa, VGA_BASE);

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

void stage2_clear_all(struct vm *vm)
{
	for (u64 i = 0; i < vm->mem.blocks; i++)
		clear_block(vm, i);
}

int stage2_touch(struct vm *vm, gpa_t gpa)
{
	struct gmap *m = &vm->mem;
	u64 i = gmap_ram_offset(m, gpa) / SIZE_2M;
	int rc;

	spin_lock(&vm->ram_lock);
	clear_block_locked(vm, i);
	rc = map_piece(vm, block_gpa(m, i), virt_to_phys(m->block[i]), SIZE_2M);
	spin_unlock(&vm->ram_lock);
	return rc == -EEXIST ? 0 : rc; /* another vCPU was first */
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
	int rc;

	spin_lock(&vm->ram_lock);
	release_stale(vm);
	/* The same range as it was mapped: no leaf is cut, so no page is needed. */
	rc = pgtable_unmap(&vm->stage2, gpa, len, &vm->stale);
	spin_unlock(&vm->ram_lock);
	ASSERT(!rc);
	for (u32 i = 0; i < vm->vcpus; i++)
		vcpu_request(vm->vcpu[i], VCPU_REQ_FLUSH);
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
	rc = map_first(vm);
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
