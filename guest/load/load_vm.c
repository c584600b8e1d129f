/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From boot modules to a VM that is ready to run: the effects of the pure loaders.
 */
#include "guest/load/load_vm.h"

#include "guest/load/acpi_build.h"
#include "guest/load/bzimage.h"
#include "guest/load/load_priv.h"
#include "guest/load/mbkernel.h"
#include "guest/mem/gmem.h"
#include "guest/vm/cpu_state.h"
#include "kernel/base/assert.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"

/* ---- shared ------------------------------------------------------------------------ */

int load_module(const struct load *l, const char *what, const char *name,
		const struct bootmod **out)
{
	const struct bootmod *m = bootmod_find(vm_modules(), name);

	if (!m) {
		fmt_snprintf(l->why, l->why_size, "%s: there is no boot module '%s'", what, name);
		return -ENOENT;
	}
	*out = m;
	return 0;
}

int load_write(const struct load *l, const char *what, gpa_t gpa, const void *src, u64 len)
{
	if (gmem_write(&l->vm->mem, gpa, src, len) == 0)
		return 0;
	fmt_snprintf(l->why, l->why_size, "%s: %lu bytes at %#lx are not RAM", what, len, gpa);
	return -ENOMEM;
}

u8 *load_page(const struct load *l, gpa_t gpa)
{
	u8 *p = gmap_ptr(&l->vm->mem, gpa);

	ASSERT(p && is_aligned(gpa, PAGE_SIZE));
	gmap_mark_dirty(&l->vm->mem, gpa);
	return p;
}

void load_segments(const struct load *l, u16 cs, u16 ds, u16 code_attr)
{
	const struct hvm_ops *ops = l->vm->ops;
	struct hvm_vcpu *hv = l->vm->vcpu[0]->hv;
	const struct hvm_segment code = { .limit = 0xffffffff, .sel = cs, .attr = code_attr };
	const struct hvm_segment data = { .limit = 0xffffffff, .sel = ds, .attr = SEG_DATA };
	/* 64-bit mode needs a TSS of its kind to be called busy (Intel SDM vol. 3 §26.3.1.2). */
	const struct hvm_segment tss = { .limit = 0x67, .attr = SEG_TSS };
	static const enum hvm_seg all[] = { HVM_ES, HVM_SS, HVM_DS, HVM_FS, HVM_GS };

	ops->set_seg(hv, HVM_CS, &code);
	for (u32 i = 0; i < ARRAY_SIZE(all); i++)
		ops->set_seg(hv, all[i], &data);
	ops->set_seg(hv, HVM_TR, &tss);
}

/* ---- ACPI -------------------------------------------------------------------------- */

static int write_acpi(const struct load *l, const struct acpi_blob *blob)
{
	int rc = load_write(l, "RSDP", E820_RSDP, blob->rsdp, sizeof(blob->rsdp));

	if (!rc)
		rc = load_write(l, "ACPI tables", l->map.acpi, blob->tables, blob->tables_len);
	if (!rc)
		rc = load_write(l, "FACS", l->map.facs, blob->facs, sizeof(blob->facs));
	return rc;
}

static int load_acpi(const struct load *l)
{
	u32 apic_id[VM_MAX_VCPUS];
	const struct acpi_build b = {
		.apic_id = apic_id, .cpus = l->vm->vcpus, .tables = l->map.acpi, .facs = l->map.facs
	};
	struct acpi_blob *blob = kalloc(&l->vm->owner, sizeof(*blob));
	int rc;

	STATIC_ASSERT(VM_MAX_VCPUS <= ACPI_CPUS_MAX, "all of them fit the MADT");
	STATIC_ASSERT(ACPI_TABLES_MAX <= E820_ACPI_LEN, "tables fit their place");
	if (!blob) {
		str_copy(l->why, l->why_size, "no memory for building ACPI tables");
		return -ENOMEM;
	}
	for (u32 i = 0; i < l->vm->vcpus; i++)
		apic_id[i] = l->vm->vcpu[i]->id;
	rc = acpi_build(&b, blob);
	if (rc)
		fmt_snprintf(l->why, l->why_size, "ACPI tables: %s", err_name(rc));
	else
		rc = write_acpi(l, blob);
	kfree(&l->vm->owner, blob, sizeof(*blob));
	return rc;
}

/* ---- Linux ------------------------------------------------------------------------- */

static void bzimage_enter(const struct load *l, gpa_t kernel)
{
	const struct hvm_ops *ops = l->vm->ops;
	struct vcpu *v = l->vm->vcpu[0];
	const struct hvm_dtable gdt = { .base = BZIMAGE_GDT_GPA, .limit = BZIMAGE_GDT_LEN - 1 };
	const struct hvm_dtable idt = { 0 };

	load_segments(l, BZIMAGE_CS, BZIMAGE_DS, SEG_CODE64);
	ops->set_dtable(v->hv, false, &gdt);
	ops->set_dtable(v->hv, true, &idt);
	ops->set_sys(v->hv, HVM_CR3, BZIMAGE_TABLES_GPA);
	ops->set_sys(v->hv, HVM_CR4, CR4_PAE);
	ops->set_sys(v->hv, HVM_EFER, EFER_LME | EFER_LMA);
	ops->set_sys(v->hv, HVM_CR0, CR0_PG | CR0_NE | CR0_ET | CR0_PE);
	memset(v->regs.gpr, 0, sizeof(v->regs.gpr));
	v->regs.gpr[HVM_RSI] = BZIMAGE_PARAMS_GPA;
	v->regs.rip = kernel + BZIMAGE_ENTRY_64;
	v->regs.rflags = RFLAGS_FIXED;
}

static int bzimage_copy(const struct load *l, const struct bzimage *k, const struct bzimage_plan *p,
			const struct bootmod *initrd)
{
	const char *cmdline = l->vm->config->cmdline;
	int rc = load_write(l, "kernel", p->kernel, k->image + k->kernel_off, k->kernel_len);

	if (!rc && initrd)
		rc = load_write(l, "initrd", p->initrd, initrd->data, initrd->len);
	if (!rc)
		rc = load_write(l, "command line", BZIMAGE_CMDLINE_GPA, cmdline,
				p->cmdline_len + 1);
	if (rc)
		return rc;
	bzimage_params(k, p, &l->map, load_page(l, BZIMAGE_PARAMS_GPA));
	for (u32 n = 0; n < BZIMAGE_TABLES; n++)
		bzimage_table(n, load_page(l, BZIMAGE_TABLES_GPA + n * PAGE_SIZE));
	bzimage_gdt(load_page(l, BZIMAGE_GDT_GPA));
	return 0;
}

static int bzimage_load(const struct load *l)
{
	const struct config_vm *c = l->vm->config;
	const struct bootmod *initrd = NULL;
	struct bzimage_plan p = { .cmdline_len = strlen(c->cmdline) };
	struct bzimage k;
	int rc = 0;

	if (c->nmodules) {
		str_copy(l->why, l->why_size, "module: a bzImage takes none, only an initrd");
		return -ENOEXEC;
	}
	if (c->initrd[0])
		rc = load_module(l, "initrd", c->initrd, &initrd);
	if (!rc)
		rc = bzimage_parse(l->kernel->data, l->kernel->len, &k, l->why, l->why_size);
	p.initrd_len = initrd ? initrd->len : 0;
	if (!rc)
		rc = bzimage_plan(&k, &l->map, &p, l->why, l->why_size);
	if (!rc)
		rc = bzimage_copy(l, &k, &p, initrd);
	if (rc)
		return rc;
	bzimage_enter(l, p.kernel);
	log_info("vm %s: Linux %s, boot protocol %u.%u, at %#lx, initrd %lu KiB at %#lx",
		 l->vm->name, c->kernel, k.version >> 8, k.version & 255u, p.kernel,
		 p.initrd_len >> 10, p.initrd);
	return 0;
}

/* ---- choice of a loader ------------------------------------------------------------ */

static const struct loader {
	bool (*probe)(const u8 *image, u64 len);
	int (*load)(const struct load *l) MUST_CHECK;
} loaders[] = {
	{ bzimage_probe, bzimage_load },
	{ mbkernel_probe, load_multiboot },
};

static int load_kernel(const struct load *l)
{
	const struct bootmod *k = l->kernel;

	for (u32 i = 0; i < ARRAY_SIZE(loaders); i++)
		if (loaders[i].probe(k->data, k->len))
			return loaders[i].load(l);
	fmt_snprintf(l->why, l->why_size,
		     "kernel: '%s' (%lu bytes) is neither a bzImage nor a multiboot1 kernel",
		     k->name, k->len);
	return -ENOEXEC;
}

int load_vm_kernel(struct vm *vm, char *why, size_t why_size)
{
	struct load l = { .vm = vm, .why = why, .why_size = why_size };
	int rc = e820_build(vm->mem.blocks * SIZE_2M, &l.map);

	if (rc) {
		fmt_snprintf(why, why_size, "memory: %lu MiB cannot be laid out",
			     vm->mem.blocks * 2);
		return -ENOMEM;
	}
	rc = load_module(&l, "kernel", vm->config->kernel, &l.kernel);
	if (!rc)
		rc = load_acpi(&l);
	if (!rc)
		rc = load_kernel(&l);
	return rc;
}
