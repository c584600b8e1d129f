/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Domain of a VM.
 */
#include "devices/pci/assign_dma.h"

#include "guest/mem/stage2.h"
#include "guest/vm/vm.h"
#include "iommu/iommu.h"
#include "kernel/base/err.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"

static void on_broken(void *ctx, u16 bdf)
{
	struct vm *vm = ctx;

	vm_fail(vm, NULL, "assigned function %02x:%02x.%u does not obey the IOMMU", bdf >> 8,
		bdf >> 3 & 31, bdf & 7);
}

/* The first block has the hole where a PC has its VGA memory, as in the second stage. */
static int map_first(const struct gmap *m, struct iommu_domain *d)
{
	u64 hole_end = m->vga_base + m->vga_len;
	hpa_t hpa = virt_to_phys(m->block[0]);
	int rc = iommu_map(d, 0, hpa, m->vga_base, PG_R | PG_W);

	if (rc)
		return rc;
	return iommu_map(d, hole_end, hpa + hole_end, SIZE_2M - hole_end, PG_R | PG_W);
}

static int map_ram(const struct gmap *m, struct iommu_domain *d)
{
	int rc = map_first(m, d);

	for (u64 i = 1, n; i < m->blocks && !rc; i += n) {
		for (n = 1; i + n < m->blocks && i + n != m->low_blocks; n++)
			if (m->block[i + n] != m->block[i] + n * SIZE_2M)
				break;
		rc = iommu_map(d, gmap_gpa(m, i * SIZE_2M), virt_to_phys(m->block[i]), n * SIZE_2M,
			       PG_R | PG_W);
	}
	return rc;
}

int assign_dma_create(struct vm *vm, struct iommu_domain **out)
{
	const struct iommu_client c = { .name = vm->name,
					.account = &vm->owner,
					.ctx = vm,
					.broken = on_broken };
	struct iommu_domain *d;
	int rc = iommu_domain_create(&c, &d), late;

	if (rc)
		return rc;
	rc = stage2_dma_begin(vm);
	if (!rc)
		rc = map_ram(&vm->mem, d);
	if (!rc) {
		*out = d;
		return 0;
	}
	late = iommu_domain_destroy(d); /* nothing is attached to it */
	if (late)
		log_err("vm %s: DMA domain: %s", vm->name, err_name(late));
	return rc;
}
