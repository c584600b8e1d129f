/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A unit that caches translations and may stop answering, and the hypervisor below the IOMMU layer,
 * whose source is part of the program: reach() says what a device gets at.
 */
#ifndef TESTS_UNIT_IOMMU_MODEL_H
#define TESTS_UNIT_IOMMU_MODEL_H

#include "iommu/iommu.c"
#include "iommu/iommu_irq.c"
#include "iommu/vtd/vtd_fmt.h"
#include "unit.h"

#include <stdarg.h>

/* ---- the hypervisor below ------------------------------------------------------------------- */

static struct pool_owner account;
#define FRAMES 512
static u8 frame[FRAMES][4096] ALIGNED(4096);
static bool frame_used[FRAMES];
static long frames_out;
static bool held;
static u16 command[65536]; /* PCI command registers */
static struct pci_func bridges[2];
static u32 nbridges;
#define SRIOV_AT 0x160

struct pool_owner *hv_owner(void)
{
	return &account;
}

/* Such that phys_to_virt() gives the page back. */
int frame_alloc(struct pool_owner *owner, hpa_t *out)
{
	CHECK(owner == &account);
	for (u32 i = 0; i < FRAMES; i++) {
		if (frame_used[i])
			continue;
		frame_used[i] = true;
		frames_out++;
		memset(frame[i], 0, 4096);
		*out = (hpa_t)(uintptr_t)frame[i] - DMAP_BASE;
		return 0;
	}
	return -ENOMEM;
}

void frame_free(struct pool_owner *owner, hpa_t pa)
{
	size_t i = (size_t)((u8 *)phys_to_virt(pa) - frame[0]) / 4096;

	(void)owner;
	CHECK(i < FRAMES && frame_used[i]);
	frame_used[i] = false;
	frames_out--;
	memset(frame[i], 0xee, 4096); /* whoever still walks it gets nonsense */
}

void spin_lock(struct spinlock *l)
{
	(void)l;
	CHECK(!held);
	held = true;
}

void spin_unlock(struct spinlock *l)
{
	(void)l;
	CHECK(held);
	held = false;
}

void lock_assert_held(const struct spinlock *l)
{
	(void)l;
	CHECK(held);
}

void log_printf(enum log_level level, const char *f, ...)
{
	(void)level;
	(void)f;
}

u64 ns_to_tsc(u64 ns)
{
	return ns;
}

u32 pci_count(void)
{
	return nbridges;
}

const struct pci_func *pci_func(u32 i)
{
	return &bridges[i];
}

u32 pci_read(u16 bdf, u16 off, u8 size)
{
	CHECK(size == 2);
	/* 20:01.0 has eight virtual functions, 20:11.0 and every other from there. */
	if (off == SRIOV_AT + SRIOV_TOTAL)
		return 8;
	if (off == SRIOV_AT + SRIOV_OFFSET)
		return 0x80;
	if (off == SRIOV_AT + SRIOV_STRIDE)
		return 2;
	CHECK(off == PCI_COMMAND);
	return command[bdf];
}

void pci_write(u16 bdf, u16 off, u8 size, u32 v)
{
	CHECK(off == PCI_COMMAND && size == 2);
	command[bdf] = (u16)v;
}

/* ---- a unit --------------------------------------------------------------------------------- */

#define UNITS 2
#define CACHE 64

struct cached {
	bool valid;
	u16 domain;
	u64 page;
	hpa_t hpa;
	bool write;
};

static struct iommu_unit units[UNITS];
static struct {
	struct iommu_table table; /* id 0: blocked */
} devtab[65536];
static struct cached cache[UNITS][CACHE];
static bool dead[UNITS]; /* does not answer any more */
static u8 irq_vector[UNITS][256];
static bool irq_taken[UNITS][256];

static struct iommu_unit *m_unit(u32 i)
{
	return &units[i];
}

/* Buses 0-15 unit 0, 16-31 unit 1, above nobody, but for one function. */
static int m_unit_of(u16 bdf, u16 *alias)
{
	*alias = bdf;
	return bdf >> 12 < UNITS || bdf == 0x2008 ? bdf >> 12 & 1 : -ENODEV;
}

static int m_flush(u32 unit, u16 domain, u64 first, u64 last)
{
	CHECK(held);
	if (dead[unit])
		return -ETIMEDOUT;
	for (u32 i = 0; i < CACHE; i++) {
		struct cached *c = &cache[unit][i];

		if (c->domain == domain && c->page >= first >> 12 && c->page <= last >> 12)
			c->valid = false;
	}
	return 0;
}

static int m_set(u32 unit, u16 bdf, const struct iommu_table *t, u16 old)
{
	CHECK(held);
	devtab[bdf].table = t ? *t : (struct iommu_table){ 0 };
	return m_flush(unit, old, 0, ~0ull);
}

static int m_irq_reserve(u32 unit, u16 bdf, u16 count)
{
	(void)bdf;
	for (u32 i = 0; i + count <= 256; i += count) {
		bool taken = false;

		for (u32 k = 0; k < count; k++)
			taken |= irq_taken[unit][i + k];
		if (taken)
			continue;
		memset(&irq_taken[unit][i], 1, count);
		return (int)i;
	}
	return -ENOSPC;
}

static int m_irq_set(u32 unit, u16 bdf, u16 index, u8 vector, u32 dest)
{
	(void)bdf;
	(void)dest;
	irq_vector[unit][index] = vector;
	return dead[unit] ? -ETIMEDOUT : 0;
}

static void m_irq_release(u32 unit, u16 bdf, u16 index, u16 count)
{
	(void)bdf;
	memset(&irq_taken[unit][index], 0, count);
	memset(&irq_vector[unit][index], 0, count);
}

static void m_irq_drop(u32 unit, u16 bdf)
{
	m_irq_release(unit, bdf, 0, 256);
}

static struct iommu_msi m_irq_message(u16 first, u16 i)
{
	return (struct iommu_msi){ IOMMU_MSI_BASE | 0x10, (u32)first + i };
}

static u32 m_irq_dest_max(void)
{
	return 0xfe;
}

static const struct iommu_driver model = {
	.name = "model",
	.unit = m_unit,
	.unit_of = m_unit_of,
	.set = m_set,
	.flush = m_flush,
	.irq_reserve = m_irq_reserve,
	.irq_set = m_irq_set,
	.irq_release = m_irq_release,
	.irq_drop = m_irq_drop,
	.irq_message = m_irq_message,
	.irq_dest_max = m_irq_dest_max,
};

/* What a device's access gives: through the cache, as hardware does. */
static bool reach(u16 bdf, u64 iova, bool write, hpa_t *hpa)
{
	u32 unit = bdf >> 12;
	struct iommu_table t = devtab[bdf].table;
	struct cached *c = &cache[unit][(iova >> 12 ^ t.id) % CACHE];
	struct pgtable_leaf leaf;
	struct pgtable pt;

	if (!t.id || !(command[bdf] & PCI_COMMAND_MASTER))
		return false;
	if (!c->valid || c->domain != t.id || c->page != iova >> 12) {
		pt = iommu.domain[t.id].pt;
		pt.root = t.root;
		if (pgtable_lookup(&pt, iova, &leaf))
			return false;
		*c = (struct cached){ true, t.id, iova >> 12,
				      leaf.hpa + ((iova & ~0xfffull) - leaf.va),
				      (leaf.attrs & PG_W) != 0 };
	}
	if (write && !c->write)
		return false;
	*hpa = c->hpa;
	return true;
}

static u16 broken_bdf[8];
static u32 nbroken;

static void on_broken(void *ctx, u16 bdf)
{
	(void)ctx;
	CHECK(!held);
	broken_bdf[nbroken++] = bdf;
}

static void begin(void)
{
	struct iommu_client c = { .name = "x", .account = &account };

	memset(&iommu, 0, sizeof(iommu));
	memset(units, 0, sizeof(units));
	memset(devtab, 0, sizeof(devtab));
	memset(cache, 0, sizeof(cache));
	memset(dead, 0, sizeof(dead));
	memset(command, 0, sizeof(command));
	memset(frame_used, 0, sizeof(frame_used));
	frames_out = 0;
	nbroken = 0;
	nbridges = 0;
	iommu.driver = &model;
	iommu.common = (struct iommu_common){ .fmt = &vtd_fmt3,
					      .max_leaf = SIZE_2M,
					      .bits = 39,
					      .domain_ids = 16,
					      .coherent = true,
					      .irqs = true,
					      .units = UNITS };
	spin_lock(&iommu.lock);
	CHECK_EQ(iommu_domain_open_locked(DOMAIN_EMPTY, &c), 0);
	CHECK_EQ(iommu_domain_open_locked(DOMAIN_HOST, &c), 0);
	spin_unlock(&iommu.lock);
}

static struct iommu_domain *domain(const char *name)
{
	struct iommu_client c = { .name = name, .account = &account, .broken = on_broken };
	struct iommu_domain *d;

	CHECK_EQ(iommu_domain_create(&c, &d), 0);
	return d;
}

static void attach(struct iommu_domain *d, u16 bdf)
{
	CHECK_EQ(iommu_attach(d, bdf), 0);
	iommu_master(bdf, true);
}

#endif
