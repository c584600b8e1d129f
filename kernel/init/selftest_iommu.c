/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edu device does DMA of up to 4 KiB between RAM and its buffer, and raises interrupts.
 */
#include "kernel/init/selftest_iommu.h"

#include "arch/x86/cpu.h"
#include "arch/x86/io.h"
#include "arch/x86/lapic.h"
#include "iommu/iommu.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"
#include "kernel/core/timer.h"

#define EDU_VENDOR 0x1234
#define EDU_DEVICE 0x11e8
#define EDU_RAISE 0x60
#define EDU_ACK 0x64
#define EDU_SOURCE 0x80
#define EDU_TARGET 0x88
#define EDU_COUNT 0x90
#define EDU_START 0x98
#define EDU_GO 1
#define EDU_TO_RAM 2
#define EDU_BUFFER 0x40000

#define IOVA 0x5000000ull /* below 256 MiB: the device's default mask */
#define BYTES 4096u
#define PATTERN 0xa5
#define DMA_MS 1000
#define IRQ_MS 100
#define COST_CALLS 512

#define STORM_VECTOR 0x40 /* never delivered */
#define STORM_FAULTS 2000u
#define STORM_SERVED 64u /* in a window, as iommu_boot.c has it */
#define STORM_WINDOW_NS 10000000ull

static struct {
	volatile u8 *regs;
	u16 bdf;
	u8 cap_msi;
	u8 *out, *in; /* pages that it reads and writes */
	struct iommu_domain *domain;
	struct iommu_fault fault;
	u32 faults;
	u32 irqs;
} edu;

static void on_fault(void *ctx, const struct iommu_fault *f)
{
	(void)ctx;
	edu.fault = *f;
	edu.faults++;
}

static void on_irq(void *ctx)
{
	(void)ctx;
	mmio_write32(edu.regs + EDU_ACK, ~0u);
	atomic_add(&edu.irqs, 1);
}

static void report(const char *what, bool yes)
{
	log_info("selftest: iommu: %s %s", what, yes ? "yes" : "no");
}

/* One transfer between its buffer and device address iova, to the end. */
static void dma(iova_t iova, bool to_ram)
{
	mmio_write64(edu.regs + EDU_SOURCE, to_ram ? EDU_BUFFER : iova);
	mmio_write64(edu.regs + EDU_TARGET, to_ram ? iova : EDU_BUFFER);
	mmio_write64(edu.regs + EDU_COUNT, BYTES);
	mmio_write64(edu.regs + EDU_START, EDU_GO | (to_ram ? EDU_TO_RAM : 0));
	for (u32 ms = 0; ms < DMA_MS && mmio_read64(edu.regs + EDU_START) & EDU_GO; ms++)
		delay_us(1000);
	iommu_poll();
}

static bool filled(u8 with)
{
	for (u32 i = 0; i < BYTES; i++)
		if (edu.in[i] != with)
			return false;
	return true;
}

/* Does a write by the device at iova reach the page? */
static bool reaches(iova_t iova)
{
	memset(edu.in, 0, BYTES);
	dma(iova, true);
	return filled(PATTERN);
}

static bool faulted(iova_t iova, bool write)
{
	bool yes = edu.faults && edu.fault.bdf == edu.bdf && edu.fault.addr >> 12 == iova >> 12 &&
		   edu.fault.write == write;

	edu.faults = 0;
	return yes;
}

static void test_dma(void)
{
	hpa_t out = virt_to_phys(edu.out), in = virt_to_phys(edu.in);

	report("unmapped write blocked", !reaches(IOVA) && filled(0));
	report("unmapped write recorded", faulted(IOVA, true));
	report("physical address blocked", !reaches(in) && filled(0));
	edu.faults = 0;
	memset(edu.out, PATTERN, BYTES);
	report("mapped", !iommu_map(edu.domain, IOVA, out, BYTES, PG_R) &&
				 !iommu_map(edu.domain, IOVA + BYTES, in, BYTES, PG_R | PG_W));
	report("write to a read-only page blocked", !reaches(IOVA) && edu.out[0] == PATTERN);
	report("write to a read-only page recorded", faulted(IOVA, true));
	dma(IOVA, false);
	report("mapped page translated", reaches(IOVA + BYTES) && !edu.faults);
	report("unmapped", !iommu_unmap(edu.domain, IOVA + BYTES, BYTES));
	report("page taken away blocked", !reaches(IOVA + BYTES) && filled(0));
	report("page taken away recorded", faulted(IOVA + BYTES, true));
}

static void set_msi(const struct iommu_msi *m)
{
	bool wide = pci_read(edu.bdf, edu.cap_msi + 2, 2) & 0x80;

	pci_write(edu.bdf, edu.cap_msi + 4, 4, (u32)m->address);
	if (wide)
		pci_write(edu.bdf, edu.cap_msi + 8, 4, (u32)(m->address >> 32));
	pci_write(edu.bdf, edu.cap_msi + (wide ? 12 : 8), 2, m->data);
	pci_write(edu.bdf, edu.cap_msi + 2, 2, 1);
}

/* Let it raise one; did the handler run? */
static bool delivered(void)
{
	u32 before = atomic_load_acquire(&edu.irqs);
	u64 flags = irq_save();

	irq_enable();
	mmio_write32(edu.regs + EDU_RAISE, 1);
	for (u32 ms = 0; ms < IRQ_MS && atomic_load_acquire(&edu.irqs) == before; ms++)
		delay_us(1000);
	mmio_write32(edu.regs + EDU_ACK, ~0u);
	if (!(flags & RFLAGS_IF))
		irq_disable();
	iommu_poll();
	return atomic_load_acquire(&edu.irqs) != before;
}

static void test_irqs(void)
{
	struct iommu_irq q;
	struct iommu_msi m;
	int vector = irq_alloc(on_irq, NULL);

	if (vector < 0 || iommu_irq_alloc(edu.bdf, 1, &q) ||
	    iommu_irq_route(&q, 0, (u8)vector, lapic_id(), &m)) {
		report("interrupt routed", false);
		return;
	}
	set_msi(&m);
	report("interrupt delivered", delivered());
	report("interrupt blocked", !iommu_irq_block(&q, 0) && !delivered());
	report("interrupt routed again",
	       !iommu_irq_route(&q, 0, (u8)vector, lapic_id(), &m) && delivered());
	iommu_irq_free(&q);
	report("interrupt freed", !delivered());
	irq_free((u8)vector);
}

/* A message that names an interrupt which is not its own, and one in the unremapped format. */
static void test_forged(void)
{
	struct iommu_msi other = { IOMMU_MSI_BASE | 0x10, 0xff };
	struct iommu_msi plain = { IOMMU_MSI_BASE | lapic_id() << 12, 0 };
	int vector = irq_alloc(on_irq, NULL);

	if (vector < 0)
		return;
	set_msi(&other);
	report("interrupt of another blocked", !delivered());
	plain.data = (u32)vector;
	set_msi(&plain);
	report("compatibility-format interrupt blocked", !delivered());
	irq_free((u8)vector);
}

/* Faults as fast as they can be made, and polled for each time: few of them may be served. */
static void test_storm(void)
{
	struct iommu_unit_info before, after;
	struct iommu_irq q;
	struct iommu_msi m;
	u64 start = time_ns(), windows;

	if (iommu_irq_alloc(edu.bdf, 1, &q) ||
	    iommu_irq_route(&q, 0, STORM_VECTOR, lapic_id(), &m) || iommu_irq_block(&q, 0) ||
	    !iommu_unit_list(&before, 1))
		return;
	set_msi(&m);
	for (u32 i = 0; i < STORM_FAULTS; i++) {
		mmio_write32(edu.regs + EDU_RAISE, 1);
		mmio_write32(edu.regs + EDU_ACK, ~0u);
		iommu_poll();
	}
	windows = (time_ns() - start) / STORM_WINDOW_NS + 2;
	(void)iommu_unit_list(&after, 1); /* there was one before */
	report("fault storm limited", after.faults - before.faults <= windows * STORM_SERVED);
	/* A window that began before has served some already. */
	report("fault storm recorded", after.faults - before.faults >= STORM_SERVED / 2);
	iommu_irq_free(&q);
}

/* Ticks of one of n calls that map or unmap size bytes each, a device being attached. */
static u64 cost(bool map, u64 size, u32 n)
{
	u64 start = tsc_read();

	for (u32 i = 0; i < n; i++) {
		iova_t at = SIZE_4G + i * size;
		int err = map ? iommu_map(edu.domain, at, at, size, PG_R | PG_W)
			      : iommu_unmap(edu.domain, at, size);

		if (err)
			return 0;
	}
	return (tsc_read() - start) / n;
}

static void test_costs(void)
{
	static const struct {
		const char *name;
		u64 size;
	} kinds[] = { { "4k", PAGE_SIZE }, { "2m", SIZE_2M } };

	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
		u64 map = cost(true, kinds[i].size, COST_CALLS);
		u64 unmap = cost(false, kinds[i].size, COST_CALLS);

		log_info("selftest: iommu: cost map_%s %lu unmap_%s %lu ticks", kinds[i].name, map,
			 kinds[i].name, unmap);
	}
}

static int set_up(void)
{
	const struct pci_func *f = NULL;
	struct iommu_client c = { .name = "selftest", .account = hv_owner(), .fault = on_fault };

	for (u32 i = 0; i < pci_count() && !f; i++)
		if (pci_func(i)->vendor == EDU_VENDOR && pci_func(i)->device == EDU_DEVICE)
			f = pci_func(i);
	if (!f || !f->cap_msi)
		return -ENODEV;
	edu.bdf = f->bdf;
	edu.cap_msi = f->cap_msi;
	edu.regs = hostmap_mmio(f->bar[0].addr, 4096);
	edu.out = kalloc(hv_owner(), BYTES);
	edu.in = kalloc(hv_owner(), BYTES);
	if (!edu.regs || !edu.out || !edu.in)
		return -ENOMEM;
	pci_write(edu.bdf, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return iommu_domain_create(&c, &edu.domain);
}

void selftest_iommu_cost(void)
{
	int err = set_up();

	if (!err)
		err = iommu_attach(edu.domain, edu.bdf);
	if (err)
		log_warn("selftest: iommu: cannot run: %s", err_name(err));
	else
		test_costs();
	log_info("selftest: iommu: end");
}

void selftest_iommu(void)
{
	int err = set_up();

	if (err) {
		log_warn("selftest: iommu: cannot run: %s", err_name(err));
		return;
	}
	report("quarantine blocks", !reaches(virt_to_phys(edu.in)) && filled(0));
	err = iommu_attach(edu.domain, edu.bdf);
	if (err) {
		log_warn("selftest: iommu: attach: %s", err_name(err));
		return;
	}
	memset(edu.in, 0, BYTES);
	test_dma();
	test_irqs();
	test_forged();
	test_storm();
	test_costs();
	report("detached", !iommu_detach(edu.bdf) && iommu_domain_destroy(edu.domain) == 0);
	report("detached device blocked", !reaches(IOVA) && filled(0));
	log_info("selftest: iommu: end");
	/* Nobody polls for this one. */
	mmio_write64(edu.regs + EDU_SOURCE, EDU_BUFFER);
	mmio_write64(edu.regs + EDU_TARGET, 0x7777000);
	mmio_write64(edu.regs + EDU_COUNT, BYTES);
	mmio_write64(edu.regs + EDU_START, EDU_GO | EDU_TO_RAM);
}
