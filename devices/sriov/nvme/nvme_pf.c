/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NVMe physical functions: memory, registers and the VFs' way to guests and back.
 */
#include "devices/sriov/nvme/nvme_pf.h"

#include "arch/x86/io.h"
#include "devices/pci/assign.h"
#include "devices/sriov/nvme/nvme_admin.h"
#include "devices/sriov/sriov.h"
#include "guest/vm/vm.h"
#include "iommu/iommu.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/config_value.h"
#include "kernel/core/frames.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"
#include "kernel/core/timer.h"

#define PFS_MAX	   4u
#define CLASS_NVME 0x010802u
#define REGS_LEN   0x2000u /* registers, and the admin queue's doorbells at any stride */

struct nvme_pf;

struct nvme_vf {
	struct nvme_pf *pf;
	struct vm *vm; /* NULL: free */
	bool host;     /* drives it, for good */
	u16 n, id;
	bool lost; /* it did not go off line: nobody gets it any more */
};

/* Also a VF that the host drives, without VFs of its own. */
struct nvme_pf {
	const struct pci_func *func;
	struct pci_func vf_func;
	volatile u8 *regs;
	struct spinlock lock; /* admin queue */
	struct nvme_admin admin;
	struct nvme_virt virt;
	struct sriov sriov;
	hpa_t block;
	u16 vfs, vq, vi;
	struct nvme_vf vf[NVME_VF_MAX];
};

static struct nvme_pf *pfs[PFS_MAX];
static u32 count;

static u32 reg_rd(void *ctx, u32 off)
{
	return mmio_read32(((struct nvme_pf *)ctx)->regs + off);
}

static void reg_wr(void *ctx, u32 off, u32 value)
{
	mmio_write32(((struct nvme_pf *)ctx)->regs + off, value);
}

static void reg_delay(void *ctx, u32 us)
{
	(void)ctx;
	delay_us(us);
}

/* ---- VFs --------------------------------------------------------------------------------- */

static int take_offline(struct nvme_vf *v)
{
	int rc;

	spin_lock(&v->pf->lock);
	rc = nvme_offline(&v->pf->admin, v->id);
	spin_unlock(&v->pf->lock);
	return rc;
}

static void on_gone(void *ctx)
{
	struct nvme_vf *v = ctx;
	int rc = take_offline(v);

	v->vm = NULL;
	v->lost = rc != 0;
	if (rc)
		log_err("nvme %02x:%02x.%u: VF %u does not go off line: %s, status %#x",
			PCI_BUS(v->pf->func->bdf), PCI_DEV(v->pf->func->bdf),
			PCI_FN(v->pf->func->bdf), v->n, err_name(rc), v->pf->admin.status);
}

static struct nvme_vf *find(u16 bdf)
{
	for (u32 i = 0; i < count; i++)
		for (u16 n = 0; n < pfs[i]->vfs; n++)
			if (sriov_vf_bdf(&pfs[i]->sriov, n) == bdf)
				return &pfs[i]->vf[n];
	return NULL;
}

/* Off line first: resources of an earlier owner come back, and the registers are as new. */
static int bring_online(struct nvme_vf *v, char *why, size_t why_size)
{
	struct nvme_pf *p = v->pf;
	int rc = take_offline(v);

	spin_lock(&p->lock);
	if (!rc)
		rc = nvme_online(&p->admin, v->id, p->vq, p->vi);
	spin_unlock(&p->lock);
	if (rc)
		fmt_snprintf(why, why_size, "the controller does not bring it up: %s, status %#x",
			     err_name(rc), p->admin.status);
	return rc;
}

int nvme_vf_add(struct vm *vm, u16 bdf, char *why, size_t why_size)
{
	static const struct assigned_ops ops = { .gone = on_gone };
	struct nvme_vf *v = find(bdf);
	struct assign_request r = { .ops = &ops, .ctx = v };
	int rc;

	if (!v) {
		fmt_snprintf(why, why_size, "no such function");
		return -ENOENT;
	}
	if (v->vm || v->host || v->lost) {
		fmt_snprintf(why, why_size, "%s",
			     v->vm     ? "another VM has it"
			     : v->host ? "the host has it, for a disk"
				       : "it does not go off line");
		return -EBUSY;
	}
	rc = bring_online(v, why, why_size);
	if (!rc) {
		const struct assign_vf vf = { v->pf->func, &v->pf->sriov, v->n };

		rc = assign_info_vf(pci_cfg_host(), &vf, &r.info, why, why_size);
	}
	if (!rc)
		rc = assign_add(vm, &r, why, why_size);
	if (rc)
		on_gone(v);
	else
		v->vm = vm;
	return rc;
}

/* ---- start --------------------------------------------------------------------------------- */

static int start_admin(struct nvme_pf *p)
{
	const struct nvme_env env = { p, reg_rd, reg_wr, reg_delay };
	const struct pci_func *f = p->func;
	struct nvme_mem mem = { .sq_dma = 0 };
	u8 *base;
	int rc;

	p->regs = hostmap_mmio(f->bar[0].addr, REGS_LEN);
	if (!p->regs)
		return -ENOMEM;
	rc = block_alloc(hv_owner(), &p->block);
	if (rc)
		return rc;
	base = phys_to_virt(p->block);
	memset(base, 0, SIZE_2M);
	if (iommu_present())
		rc = iommu_map(iommu_host(), p->block, p->block, SIZE_2M, PG_R | PG_W);
	if (!rc && iommu_present())
		rc = iommu_attach(iommu_host(), f->bdf);
	if (rc)
		return rc;
	mem = (struct nvme_mem){ .sq = (u32 *)base,
				 .cq = (u64 *)(base + NVME_PAGE),
				 .data = base + 2 * NVME_PAGE,
				 .sq_dma = p->block,
				 .cq_dma = p->block + NVME_PAGE,
				 .data_dma = p->block + 2 * NVME_PAGE };
	pci_write(f->bdf, PCI_COMMAND, 2,
		  pci_read(f->bdf, PCI_COMMAND, 2) | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			  PCI_COMMAND_INTX_OFF);
	return nvme_open(&p->admin, &env, &mem);
}

static int start_vfs(struct nvme_pf *p, char *why, size_t why_size)
{
	u16 total = (u16)pci_read(p->func->bdf, (u16)(p->func->ext_sriov + SRIOV_TOTAL), 2);
	int rc = nvme_read_virt(&p->admin, &p->virt);

	if (rc) {
		fmt_snprintf(why, why_size, "its resources cannot be read: %s", err_name(rc));
		return rc;
	}
	p->vfs = nvme_most(&p->virt, total < NVME_VF_MAX ? total : (u16)NVME_VF_MAX);
	rc = nvme_share(&p->virt, p->vfs, &p->vq, &p->vi);
	if (rc) {
		fmt_snprintf(why, why_size,
			     "%u queue pairs and %u interrupts to share are not enough for a VF",
			     p->virt.vq, p->virt.vi);
		return rc;
	}
	rc = sriov_setup(p->func, p->vfs, &p->sriov, why, why_size);
	for (u32 i = 0; i < p->virt.count && !rc; i++) {
		const struct nvme_secondary *s = &p->virt.secondary[i];

		if (s->vf && s->vf <= p->vfs)
			p->vf[s->vf - 1] =
				(struct nvme_vf){ .pf = p, .n = (u16)(s->vf - 1), .id = s->id };
	}
	return rc;
}

/* A start that failed: memory goes back only when the controller is known to be silent. */
static void abandon(struct nvme_pf *p)
{
	u16 bdf = p->func->bdf;
	int rc = p->admin.env.ctx ? nvme_close(&p->admin) : 0;

	pci_write(bdf, PCI_COMMAND, 2, pci_read(bdf, PCI_COMMAND, 2) & ~PCI_COMMAND_MASTER);
	if (p->block && !rc && iommu_present())
		rc = iommu_unmap(iommu_host(), p->block, SIZE_2M);
	if (rc) {
		log_err("nvme %02x:%02x.%u: its memory is not used again: %s", PCI_BUS(bdf),
			PCI_DEV(bdf), PCI_FN(bdf), err_name(rc));
		return;
	}
	if (p->block)
		block_free(hv_owner(), p->block);
	if (iommu_domain_of(bdf) && iommu_detach(bdf))
		log_err("nvme %02x:%02x.%u: not detached", PCI_BUS(bdf), PCI_DEV(bdf), PCI_FN(bdf));
	kfree(hv_owner(), p, sizeof(*p));
}

static void start(const struct pci_func *f, bool vfs, bool disks)
{
	char why[160] = "";
	struct nvme_pf *p;
	int rc;

	p = count < PFS_MAX ? kalloc(hv_owner(), sizeof(*p)) : NULL;
	if (!p) {
		log_err("nvme %02x:%02x.%u: not used: %s", PCI_BUS(f->bdf), PCI_DEV(f->bdf),
			PCI_FN(f->bdf),
			count < PFS_MAX ? "no memory" : "the host drives 4 already");
		return;
	}
	p->func = f;
	spin_init(&p->lock, LOCK_PF, "nvme");
	rc = start_admin(p);
	if (rc)
		fmt_snprintf(why, sizeof(why), "start failed: %s", err_name(rc));
	else if (vfs)
		rc = start_vfs(p, why, sizeof(why));
	if (rc) {
		log_err("nvme %02x:%02x.%u: no virtual functions or disks: %s", PCI_BUS(f->bdf),
			PCI_DEV(f->bdf), PCI_FN(f->bdf), why);
		abandon(p);
		return;
	}
	pfs[count++] = p;
	if (disks)
		log_info("nvme %02x:%02x.%u: for disks of VMs", PCI_BUS(f->bdf), PCI_DEV(f->bdf),
			 PCI_FN(f->bdf));
	if (vfs)
		log_info("nvme %02x:%02x.%u: %u VFs, %u queue pairs and %u interrupts each",
			 PCI_BUS(f->bdf), PCI_DEV(f->bdf), PCI_FN(f->bdf), p->vfs, p->vq, p->vi);
}

/* A VF becomes a controller of the host's. */
static int host_vf(struct nvme_vf *v, char *why, size_t why_size)
{
	const struct assign_vf vf = { v->pf->func, &v->pf->sriov, v->n };
	struct assign_info info;
	struct nvme_pf *p;
	int rc;

	if (v->vm || v->lost)
		return -EBUSY;
	p = count < PFS_MAX ? kalloc(hv_owner(), sizeof(*p)) : NULL;
	if (!p)
		return -ENOMEM;
	rc = bring_online(v, why, why_size);
	if (!rc)
		rc = assign_info_vf(pci_cfg_host(), &vf, &info, why, why_size);
	if (rc) {
		kfree(hv_owner(), p, sizeof(*p));
		return rc;
	}
	p->vf_func = (struct pci_func){ .bdf = info.bdf,
					.vendor = info.vendor,
					.device = info.device,
					.cap_msix = info.caps.msix };
	memcpy(p->vf_func.bar, info.bar, sizeof(info.bar));
	p->func = &p->vf_func;
	spin_init(&p->lock, LOCK_PF, "nvme vf");
	rc = start_admin(p);
	if (rc) {
		abandon(p);
		return rc;
	}
	v->host = true;
	pfs[count++] = p;
	return 0;
}

static struct nvme_pf *controller(u16 bdf)
{
	for (u32 i = 0; i < count; i++)
		if (pfs[i]->func->bdf == bdf)
			return pfs[i];
	return NULL;
}

int nvme_pf_host(u16 bdf, struct nvme_host *out)
{
	struct nvme_pf *p = controller(bdf);
	struct nvme_vf *v = p ? NULL : find(bdf);
	char why[160] = "";
	int rc = v ? host_vf(v, why, sizeof(why)) : 0;

	if (rc) {
		log_err("nvme %02x:%02x.%u: not for disks: %s %s", PCI_BUS(bdf), PCI_DEV(bdf),
			PCI_FN(bdf), err_name(rc), why);
		return rc;
	}
	p = controller(bdf);
	if (!p)
		return -ENOENT;
	*out = (struct nvme_host){ p->func, &p->admin, &p->lock, p->block };
	return 0;
}

/* Does the configuration name f as the controller of a disk? */
static bool wanted_disk(const struct config *c, const struct pci_func *f)
{
	for (u32 v = 0; v < c->vms; v++) {
		for (u32 i = 0; i < CONFIG_DISKS; i++) {
			const struct config_disk *d = &c->vm[v].disk[i];

			if (d->kind == CONFIG_DISK_NVME && d->pci == f->bdf)
				return true;
		}
	}
	return false;
}

static bool is_vf(const struct sriov *s, u16 bdf)
{
	for (u16 n = 0; n < s->total; n++)
		if (sriov_vf_bdf(s, n) == bdf && !pci_lookup(bdf))
			return true;
	return false;
}

/* Does the configuration name a function that is not there yet and would be a VF of f? */
static bool wanted(const struct config *c, const struct pci_func *f)
{
	const struct pci_cfg *cfg = pci_cfg_host();
	struct sriov s = { .pf = f->bdf,
			   .offset = (u16)pci_read(f->bdf, (u16)(f->ext_sriov + SRIOV_OFFSET), 2),
			   .stride = (u16)pci_read(f->bdf, (u16)(f->ext_sriov + SRIOV_STRIDE), 2),
			   .total = (u16)cfg->read(cfg->ctx, f->bdf,
						   (u16)(f->ext_sriov + SRIOV_TOTAL), 2) };

	for (u32 v = 0; v < c->vms; v++) {
		for (u32 i = 0; i < c->vm[v].npci; i++) {
			const char *name = c->vm[v].pci[i];
			u16 bdf;

			if (value_pci((struct slice){ name, strlen(name) }, &bdf) && is_vf(&s, bdf))
				return true;
		}
		for (u32 i = 0; i < CONFIG_DISKS; i++)
			if (c->vm[v].disk[i].kind == CONFIG_DISK_NVME &&
			    is_vf(&s, c->vm[v].disk[i].pci))
				return true;
	}
	return false;
}

void nvme_pfs_init(const struct config *c)
{
	for (u32 i = 0; i < pci_count(); i++) {
		const struct pci_func *f = pci_func(i);
		bool vfs, disks;

		if (f->class != CLASS_NVME || !f->bar[0].addr || f->bar[0].size < REGS_LEN)
			continue;
		/* Without IOMMU assign_pci.c refuses each VM. */
		vfs = f->ext_sriov && iommu_present() && wanted(c, f);
		disks = wanted_disk(c, f);
		if (vfs || disks)
			start(f, vfs, disks);
	}
}
