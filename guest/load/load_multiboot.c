/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The effects of loading a multiboot1 kernel: copies, information structure, registers.
 */
#include "guest/load/load_priv.h"
#include "guest/load/mbkernel.h"
#include "guest/mem/gmem.h"
#include "guest/vm/cpu_state.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"

/* Selectors the kernel is entered with; it must load a GDT of its own before it uses any. */
#define ENTRY_CS 0x10
#define ENTRY_DS 0x18

static int add_module(const struct load *l, const char *what, const char *name,
		      const char *string, struct mbkernel_modules *mods)
{
	const struct bootmod *m;
	int rc = load_module(l, what, name, &m);

	if (!rc)
		mods->mod[mods->count++] = (struct mbkernel_module){ .string = string,
								     .data = m->data,
								     .len = m->len };
	return rc;
}

/* psk: room for what the courier is told, its address with its key. */
static int find_modules(const struct load *l, struct mbkernel_modules *mods, char *psk, size_t size)
{
	const struct config_vm *c = l->vm->config;
	int rc = 0;

	STATIC_ASSERT(CONFIG_MAX_MODULES < MBKERNEL_MODULES, "the configuration's limit");
	if (c->initrd[0]) {
		str_copy(l->why, l->why_size, "initrd: a multiboot kernel takes 'module'");
		return -ENOEXEC;
	}
	for (u32 i = 0; i < c->nmodules && !rc; i++)
		rc = add_module(l, "module", c->modules[i], c->modules[i], mods);
	fmt_snprintf(psk, size, "psk ip=%s", c->ip);
	if (!rc && c->courier)
		rc = add_module(l, "psk", c->psk, psk, mods);
	return rc;
}

static int write_segments(const struct load *l, const struct elf_image *e)
{
	for (u32 i = 0; i < e->segs; i++) {
		const struct elf_segment *s = &e->seg[i];
		int rc = load_write(l, "kernel", s->paddr, l->kernel->data + s->off, s->filesz);

		if (rc)
			return rc;
		if (gmem_fill(&l->vm->mem, s->paddr + s->filesz, 0, s->memsz - s->filesz)) {
			fmt_snprintf(l->why, l->why_size, "kernel: its bss at %#lx is not RAM",
				     s->paddr + s->filesz);
			return -ENOMEM;
		}
	}
	return 0;
}

static int write_info(const struct load *l, const struct mbkernel_modules *mods)
{
	u8 *buf = kalloc(&l->vm->owner, MBKERNEL_INFO_MAX);
	size_t len;
	int rc;

	if (!buf) {
		str_copy(l->why, l->why_size, "no memory for the multiboot information");
		return -ENOMEM;
	}
	rc = mbkernel_info(&l->map, l->vm->config->cmdline, mods, buf, &len);
	if (rc)
		fmt_snprintf(l->why, l->why_size, "multiboot information exceeds %u bytes",
			     MBKERNEL_INFO_MAX);
	else
		rc = load_write(l, "multiboot information", MBKERNEL_INFO_GPA, buf, len);
	kfree(&l->vm->owner, buf, MBKERNEL_INFO_MAX);
	return rc;
}

/* 32-bit protected mode without paging (Multiboot 0.6.96 §3.2). */
static void enter(const struct load *l, gpa_t entry)
{
	const struct hvm_ops *ops = l->vm->ops;
	struct vcpu *v = l->vm->vcpu[0];
	const struct hvm_dtable none = { 0 };

	load_segments(l, ENTRY_CS, ENTRY_DS, SEG_CODE32);
	ops->set_dtable(v->hv, false, &none);
	ops->set_dtable(v->hv, true, &none);
	ops->set_sys(v->hv, HVM_CR0, CR0_NE | CR0_ET | CR0_PE);
	memset(v->regs.gpr, 0, sizeof(v->regs.gpr));
	v->regs.gpr[HVM_RAX] = MBKERNEL_LOADED;
	v->regs.gpr[HVM_RBX] = MBKERNEL_INFO_GPA;
	v->regs.rip = entry;
	v->regs.rflags = RFLAGS_FIXED;
}

int load_multiboot(const struct load *l)
{
	struct mbkernel_modules mods = { .count = 0 };
	char psk[CONFIG_NAME_LEN + 8];
	struct elf_image e;
	int rc = find_modules(l, &mods, psk, sizeof(psk));

	if (!rc)
		rc = mbkernel_parse(l->kernel->data, l->kernel->len, &e, l->why, l->why_size);
	if (!rc)
		rc = mbkernel_plan(&e, &l->map, &mods, l->why, l->why_size);
	if (!rc)
		rc = write_segments(l, &e);
	for (u32 i = 0; i < mods.count && !rc; i++)
		rc = load_write(l, "module", mods.mod[i].at, mods.mod[i].data, mods.mod[i].len);
	if (!rc)
		rc = write_info(l, &mods);
	if (rc)
		return rc;
	enter(l, e.entry);
	log_info("vm %s: multiboot kernel %s, entry %#lx, %u modules", l->vm->name,
		 l->vm->config->kernel, e.entry, mods.count);
	return 0;
}
