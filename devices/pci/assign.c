/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assigned functions. Attaching and detaching happen with all vCPUs of the VM parked; interrupts
 * come on the boot CPU, where its softirq hands them to the VM under vm->lock.
 */
#include "devices/pci/assign_priv.h"

#include "devices/pci/assign_dma.h"
#include "devices/platform/pc.h"
#include "devices/sriov/sriov.h"
#include "guest/mem/stage2.h"
#include "guest/vm/vm.h"
#include "iommu/iommu.h"
#include "kernel/base/atomic.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/irq.h"
#include "kernel/core/log.h"
#include "kernel/core/pci.h"
#include "kernel/core/percpu.h"
#include "kernel/core/timer.h"

struct vm_part {
	struct iommu_domain *domain;
	struct assigned *fn[ASSIGN_PER_VM];
	u32 count;
};

static struct vm_part part[VM_MAX];
struct log_limit assign_limit;

static struct vm_part *part_of(const struct vm *vm)
{
	return &part[vm->index];
}

static void physical_command(u16 bdf, u32 clear, u32 set)
{
	pci_write(bdf, PCI_COMMAND, 2, (pci_read(bdf, PCI_COMMAND, 2) & ~clear) | set);
}

/* ---- interrupts ------------------------------------------------------------------------ */

static void irq(void *ctx)
{
	struct source *s = ctx;

	atomic_or(&s->a->pending, 1u << (s - s->a->source));
	softirq_post(SOFTIRQ_ASSIGN);
}

static void deliver(struct assigned *a)
{
	u32 bits = atomic_swap(&a->pending, 0u);

	if (!bits)
		return;
	spin_lock(&a->vm->lock);
	for (; bits; bits &= bits - 1) {
		a->interrupts++;
		/* The guest may have it off: nothing is owed then. */
		(void)vassign_event(&a->v, (u16)__builtin_ctz(bits));
	}
	spin_unlock(&a->vm->lock);
}

static void softirq(void)
{
	for (u32 i = 0; i < VM_MAX; i++)
		for (u32 k = 0; k < part[i].count; k++)
			deliver(part[i].fn[k]);
}

void assign_raise_soon(struct assigned *a, u32 vectors)
{
	atomic_or(&a->pending, vectors);
	atomic_or(&pcpu_get(0)->softirq, SOFTIRQ_ASSIGN);
	cpu_kick(0);
}

bool assign_raise(struct assigned *a, u16 vector)
{
	lock_assert_held(&a->vm->lock);
	return vassign_event(&a->v, vector);
}

static void close_irqs(struct assigned *a)
{
	host_irq_close(&a->irqs);
	for (u32 i = 0; i < HOST_IRQ_MAX; i++) {
		if (a->source[i].vector)
			irq_free(a->source[i].vector);
		a->source[i].vector = 0;
	}
}

static int open_irqs(struct assigned *a, bool msix)
{
	const struct assign_info *f = &a->v.info;
	u16 n = (u16)min_u64(f->msix_vectors, HOST_IRQ_MAX);
	const struct host_irq_place p = { .bdf = f->bdf,
					  .cap = msix ? f->caps.msix : f->caps.msi,
					  .msix = msix,
					  .count = msix ? n : 1,
					  .table = f->bar[f->msix_table_bar].addr + f->msix_table };
	int rc = host_irq_open(&a->irqs, &p);

	for (u16 i = 0; i < p.count && !rc; i++) {
		int vector = irq_alloc(irq, &a->source[i]);

		if (vector < 0)
			return vector;
		a->source[i].vector = (u8)vector;
		rc = host_irq_route(&a->irqs, i, (u8)vector, pcpu_get(0)->apic_id);
	}
	return rc;
}

static void on_irq_mode(void *ctx, enum vassign_irq mode)
{
	struct assigned *a = ctx;
	int rc;

	close_irqs(a);
	if (mode == VASSIGN_IRQ_OFF || !a->backed)
		return;
	rc = open_irqs(a, mode == VASSIGN_IRQ_MSIX);
	if (!rc)
		return;
	close_irqs(a);
	log_limited(&assign_limit, LOG_ERR, "vm %s: " BDF_FMT ": no interrupts: %s", a->vm->name,
		    BDF_ARGS(a->v.info.bdf), err_name(rc));
}

static void on_raise(void *ctx, u16 vector, u64 address, u32 data)
{
	struct assigned *a = ctx;

	(void)vector;
	pc_msi(a->vm, address, data);
}

/* ---- registers ------------------------------------------------------------------------- */

static void on_master(void *ctx, bool on)
{
	struct assigned *a = ctx;

	if (a->backed)
		physical_command(a->v.info.bdf, on ? 0 : PCI_COMMAND_MASTER,
				 on ? PCI_COMMAND_MASTER : 0);
	if (a->ops && a->ops->master)
		a->ops->master(a->ctx, on);
}

/* Its registers are decoded again afterwards, as the guest's view is our affair. */
static int reset_physical(const struct assign_info *info)
{
	int rc = pci_reset_function(pci_cfg_host(), &host_delay, info->bdf, &info->caps);

	if (!rc)
		physical_command(info->bdf, PCI_COMMAND_MASTER, PCI_COMMAND_MEMORY);
	return rc;
}

static int reset_function(struct assigned *a)
{
	int rc = a->backed ? reset_physical(&a->v.info) : 0;

	if (!rc && a->ops && a->ops->reset)
		a->ops->reset(a->ctx);
	return rc;
}

static void on_flr(void *ctx)
{
	struct assigned *a = ctx;

	if (reset_function(a))
		vm_fail(a->vm, NULL, "assigned " BDF_FMT " did not come back from its reset",
			BDF_ARGS(a->v.info.bdf));
}

/* ---- attach and detach ----------------------------------------------------------------- */

void assign_reset(void *state)
{
	struct assigned *a = state;

	vassign_reset(&a->v);
	on_flr(a);
}

static int vdev_resume(void *state)
{
	struct assigned *a = state;

	return a->backed ? 0 : vassign_resume(&a->v); /* hardware went on by itself */
}

/* Saved only where there is no hardware. */
static const struct vmstate_field vdev_fields[] = {
	VMSTATE_ARRAY(struct assigned, v.cfg.value, VMS_U8),
	VMSTATE_ARRAY(struct assigned, small_msix, VMS_U64),
	VMSTATE_ARRAY(struct assigned, small_pba, VMS_U64),
};

static void free_assigned(struct assigned *a)
{
	struct vm *vm = a->vm;
	u32 n = a->v.info.msix_vectors;

	if (n > ASSIGN_SMALL) {
		kfree(&vm->owner, a->tables.msix, VMSIX_TABLE_WORDS(n) * sizeof(u64));
		kfree(&vm->owner, a->tables.pba, VMSIX_PBA_WORDS(n) * sizeof(u64));
	}
	kfree(&vm->owner, a, sizeof(*a));
}

static int alloc_tables(struct assigned *a, u32 vectors)
{
	if (!vectors)
		return 0;
	if (vectors <= ASSIGN_SMALL) {
		a->tables = (struct vassign_tables){ a->small_msix, a->small_pba };
		return 0;
	}
	a->tables.msix = kalloc(&a->vm->owner, VMSIX_TABLE_WORDS(vectors) * sizeof(u64));
	a->tables.pba = kalloc(&a->vm->owner, VMSIX_PBA_WORDS(vectors) * sizeof(u64));
	return a->tables.msix && a->tables.pba ? 0 : -ENOMEM;
}

static int build_virtual(struct assigned *a, const struct assign_request *r)
{
	const struct vassign_env env = { a, assign_range, on_master, on_irq_mode, on_raise,
					 on_flr, assign_mmio };
	int rc = alloc_tables(a, r->info.msix_vectors);

	a->v.info = r->info; /* what free_assigned() needs, whatever happens */
	if (rc)
		return rc;
	vassign_init(&a->v, &r->info, &a->tables, &env);
	if (a->slot)
		vassign_behind_port(&a->v);
	vassign_trap(&a->v, r->trap_bar, r->trap_off, r->trap_len);
	vassign_trap_all(&a->v, r->unbacked);
	for (u32 i = 0; i < HOST_IRQ_MAX; i++)
		a->source[i].a = a;
	return assign_map_bars(a);
}

/* Of the function, or of the port that it is behind. */
static u8 guest_devfn(const struct assigned *a)
{
	return a->slot ? a->slot->fn.devfn : a->fn.devfn;
}

static int get_domain(struct vm *vm, char *why, size_t why_size)
{
	struct vm_part *p = part_of(vm);
	int rc = p->domain ? 0 : assign_dma_create(vm, &p->domain);

	if (rc)
		fmt_snprintf(why, why_size, "no DMA domain for its memory: %s", err_name(rc));
	return rc;
}

/* Into the VM's domain, silent. reset: nobody knows what it did before. */
static int attach(struct assigned *a, const struct assign_info *info, bool reset, char *why,
		  size_t why_size)
{
	u16 bdf = info->bdf;
	int rc = iommu_check(bdf, why, why_size);

	if (!rc && iommu_domain_of(bdf)) {
		fmt_snprintf(why, why_size, "another VM, or the host itself, has it");
		rc = -EBUSY;
	}
	if (!rc)
		rc = get_domain(a->vm, why, why_size);
	if (rc)
		return rc;
	physical_command(bdf, PCI_COMMAND_MASTER, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_OFF);
	rc = reset ? reset_physical(info) : 0;
	if (rc) {
		fmt_snprintf(why, why_size, BDF_FMT " cannot be reset: %s", BDF_ARGS(bdf),
			     err_name(rc));
		return rc;
	}
	rc = iommu_attach(part_of(a->vm)->domain, bdf);
	if (rc)
		fmt_snprintf(why, why_size, BDF_FMT " cannot be attached: %s", BDF_ARGS(bdf),
			     err_name(rc));
	return rc;
}

static int plug(struct assigned *a, char *why, size_t why_size)
{
	static const struct vdev_ops ops = { .reset = assign_reset, .resume = vdev_resume };
	u32 place = 0;
	int rc;

	while (vpci_find(pc_pci(a->vm), 0, VPCI_DEVFN(ASSIGN_FIRST_DEV + place, 0)))
		place++;
	a->fn = (struct vpci_function){ .cfg = &a->v.cfg,
					.devfn = VPCI_DEVFN(ASSIGN_FIRST_DEV + place, 0) };
	if (a->slot) {
		a->fn.bridge = &a->slot->fn;
		a->fn.devfn = 0;
		place = a->slot->fn.devfn;
	}
	a->vdev = (struct vdev){ .name = "assigned", .instance = place, .version = 1, .state = a,
				 .ops = &ops, .fields = vdev_fields,
				 .nfields = ARRAY_SIZE(vdev_fields) };
	rc = vpci_add(pc_pci(a->vm), &a->fn);
	if (rc) {
		fmt_snprintf(why, why_size, "no place on its PCI bus: %s", err_name(rc));
		return rc;
	}
	rc = pc_add_vdev(a->vm, &a->vdev);
	if (rc) {
		vpci_remove(pc_pci(a->vm), &a->fn);
		fmt_snprintf(why, why_size, "it has %u devices already", VM_MAX_VDEVS);
	}
	return rc;
}

/* Stopped, then cut off. The domain must live on until this has happened for all its devices. */
static void detach(struct assigned *a)
{
	u16 bdf = a->v.info.bdf;
	int rc;

	if (!a->backed)
		return;
	a->backed = false;
	physical_command(bdf, PCI_COMMAND_MASTER, 0);
	close_irqs(a);
	rc = reset_physical(&a->v.info);
	if (rc)
		log_err(BDF_FMT ": did not come back from its reset: %s", BDF_ARGS(bdf),
			err_name(rc));
	rc = iommu_detach(bdf);
	if (rc)
		log_err(BDF_FMT ": detaching: %s", BDF_ARGS(bdf), err_name(rc));
}

int assign_add(struct vm *vm, const struct assign_request *r, char *why, size_t why_size)
{
	struct vm_part *p = part_of(vm);
	struct assigned *a;
	int rc;

	if (p->count == ASSIGN_PER_VM) {
		fmt_snprintf(why, why_size, "more than %u assigned functions", ASSIGN_PER_VM);
		return -ENOSPC;
	}
	a = kalloc(&vm->owner, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->vm = vm;
	a->ops = r->ops;
	a->ctx = r->ctx;
	a->slot = r->slot;
	rc = build_virtual(a, r);
	if (rc)
		goto out_free;
	rc = r->unbacked ? 0 : attach(a, &r->info, true, why, why_size);
	a->backed = !rc && !r->unbacked;
	if (!rc && r->ops && r->ops->reset)
		r->ops->reset(r->ctx);
	if (rc)
		goto out_free;
	rc = plug(a, why, why_size);
	if (rc)
		goto out_detach;
	p->fn[p->count++] = a;
	if (a->backed)
		log_info("vm %s: has " BDF_FMT " as 00:%02x.0", vm->name, BDF_ARGS(r->info.bdf),
			 guest_devfn(a) >> 3);
	if (a->slot)
		hotplug_insert(a->slot);
	return 0;
out_detach:
	detach(a);
out_free:
	free_assigned(a);
	return rc;
}

static void drop_domain(struct vm *vm)
{
	struct vm_part *p = part_of(vm);
	int rc = iommu_domain_destroy(p->domain);

	if (rc) { /* a unit did not confirm a detachment: domain and memory stay, blocked */
		log_err("vm %s: its DMA domain is not given back: %s", vm->name, err_name(rc));
		vm->keep_ram = true;
	} else if (p->domain) {
		stage2_dma_end(vm);
	}
	p->domain = NULL;
}

/* Without a function that can reach its memory the VM may be moved again. */
static void drop_unused_domain(struct vm *vm)
{
	struct vm_part *p = part_of(vm);

	for (u32 i = 0; i < p->count; i++)
		if (p->fn[i]->backed)
			return;
	drop_domain(vm);
}

void assign_remove(struct assigned *a)
{
	struct vm *vm = a->vm;
	struct vm_part *p = part_of(vm);
	u32 i = 0;

	while (p->fn[i] != a)
		i++;
	p->fn[i] = p->fn[--p->count];
	vpci_remove(pc_pci(a->vm), &a->fn); /* unmaps its BARs */
	if (a->slot)
		hotplug_remove(a->slot);
	pc_remove_vdev(a->vm, &a->vdev);
	detach(a);
	if (a->ops && a->ops->gone)
		a->ops->gone(a->ctx);
	free_assigned(a);
	drop_unused_domain(vm);
}

bool assign_is_backed(const struct assigned *a)
{
	return a->backed;
}

void assign_open(struct assigned *a)
{
	vassign_trap_all(&a->v, false);
}

void assign_close(struct assigned *a)
{
	vassign_trap_all(&a->v, true);
}

void assign_cut(struct assigned *a, struct assign_left *left)
{
	u16 bdf = a->v.info.bdf;
	int rc;

	spin_lock(&a->vm->lock);
	a->backed = false;
	close_irqs(a);
	spin_unlock(&a->vm->lock);
	*left = (struct assign_left){ .bdf = bdf, .caps = a->v.info.caps };
	left->rc = pci_reset_begin(pci_cfg_host(), &host_delay, bdf, &left->caps, &left->saved);
	left->ready = tsc_read() + ns_to_tsc(PCI_RESET_SETTLE_US * 1000ull);
	rc = iommu_detach(bdf);
	if (rc)
		log_err(BDF_FMT ": detaching: %s", BDF_ARGS(bdf), err_name(rc));
	drop_unused_domain(a->vm);
}

int assign_left_end(struct assign_left *left)
{
	int rc = left->rc;

	if (!left->bdf)
		return 0;
	if (tsc_read() < left->ready)
		return -EBUSY;
	if (!rc)
		rc = pci_reset_end(pci_cfg_host(), &host_delay, left->bdf, &left->caps,
				   &left->saved);
	if (rc)
		log_err(BDF_FMT ": did not come back from its reset: %s", BDF_ARGS(left->bdf),
			err_name(rc));
	left->bdf = 0;
	return rc;
}

/* Shaped like the one that the guest has seen? */
static bool same_shape(const struct assign_info *a, const struct assign_info *b)
{
	bool same = a->msix_vectors == b->msix_vectors && a->msix_table_bar == b->msix_table_bar &&
		    a->msix_pba_bar == b->msix_pba_bar && a->msix_table == b->msix_table &&
		    a->msix_pba == b->msix_pba;

	for (u32 i = 0; i < 6; i++)
		same = same && a->bar[i].size == b->bar[i].size;
	return same;
}

int assign_back(struct assigned *a, const struct assign_info *info, char *why, size_t why_size)
{
	int rc;

	if (!same_shape(&a->v.info, info)) {
		fmt_snprintf(why, why_size, "it is of another kind");
		return -ENOTSUP;
	}
	rc = attach(a, info, false, why, why_size);
	if (rc) {
		drop_unused_domain(a->vm);
		return rc;
	}
	spin_lock(&a->vm->lock);
	a->v.info = *info;
	a->backed = true;
	on_master(a, a->v.mastering);
	on_irq_mode(a, a->v.mode);
	spin_unlock(&a->vm->lock);
	return 0;
}

struct assigned *assign_in_slot(struct vm *vm, const struct hotplug *slot)
{
	struct vm_part *p = part_of(vm);

	for (u32 i = 0; i < p->count; i++)
		if (p->fn[i]->slot == slot)
			return p->fn[i];
	return NULL;
}

struct assigned *assign_at(struct vm *vm, u16 bdf)
{
	struct vm_part *p = part_of(vm);

	for (u32 i = 0; i < p->count; i++)
		if (p->fn[i]->v.info.bdf == bdf)
			return p->fn[i];
	return NULL;
}

struct assigned *assign_find(struct vm *vm, const void *ctx)
{
	struct vm_part *p = part_of(vm);

	for (u32 i = 0; i < p->count; i++)
		if (p->fn[i]->ctx == ctx)
			return p->fn[i];
	return NULL;
}

u32 assign_list(struct assign_stat *out, u32 max)
{
	u32 n = 0;

	for (u32 i = 0; i < VM_MAX; i++) {
		for (u32 k = 0; k < part[i].count; k++) {
			const struct assigned *a = part[i].fn[k];

			if (!a->backed || n++ >= max)
				continue;
			out[n - 1] = (struct assign_stat){ .bdf = a->v.info.bdf,
						       .guest_devfn = guest_devfn(a),
						       .vm = a->vm->name,
						       .interrupts = a->interrupts,
						       .mapped = a->v.cfg.bar[0].mapped };
		}
	}
	return n;
}

static int build(struct vm *vm, char *why, size_t why_size)
{
	(void)vm; /* others call assign_add() for what the configuration says */
	(void)why;
	(void)why_size;
	return 0;
}

static void destroy(struct vm *vm)
{
	struct vm_part *p = part_of(vm);

	while (p->count)
		assign_remove(p->fn[p->count - 1]);
	drop_domain(vm);
}

void assign_init(void)
{
	static const struct pc_part ops = { build, destroy };

	softirq_register(SOFTIRQ_ASSIGN, softirq);
	pc_register_part(&ops);
}
