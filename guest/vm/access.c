/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an address leads: RAM, the local APIC page, a device, or nothing.
 */
#include "guest/vm/access.h"

#include "guest/mem/walk.h"
#include "guest/vm/cpu_state.h"
#include "guest/vm/exit.h"
#include "guest/vm/vm.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define APIC_TPR 0x80u

HOT void access_mmio(struct vcpu *v, gpa_t gpa, unsigned size, bool write, u64 *value)
{
	gpa_t apic = v->irq_ops->mmio_base(v->lapic);

	if (gpa - apic < PAGE_SIZE) {
		v->irq_ops->mmio(v->lapic, gpa - apic, size, write, value);
		if (!write)
			*value &= size_mask(size);
		else if (gpa - apic == APIC_TPR)
			vcpu_tpr_changed(v);
		return;
	}
	spin_lock(&v->vm->lock);
	(void)io_bus_access(&v->vm->mmio, gpa, size, write, value); /* holes read all-ones */
	spin_unlock(&v->vm->lock);
}

HOT void access_port(struct vcpu *v, u16 port, unsigned size, bool write, u64 *value)
{
	spin_lock(&v->vm->lock);
	(void)io_bus_access(&v->vm->ports, port, size, write, value); /* holes read all-ones */
	spin_unlock(&v->vm->lock);
}

static int translate(struct vcpu *v, u64 linear, bool write, gpa_t *gpa)
{
	struct guest_paging p;
	struct walk w;
	int rc;

	/* The CPU looked at the first byte of a device access only, and at none of INS and OUTS. */
	if (unlikely(!cpu_state_canonical(linear))) {
		(void)vcpu_gp(v); /* it failed the VM if it could not */
		return -EFAULT;
	}
	vcpu_paging(v, &p);
	rc = guest_walk(&v->vm->mem, &p, linear, write ? WALK_WRITE : WALK_READ, &w);
	if (rc == -EFAULT)
		(void)vcpu_page_fault(v, linear, w.pf_error); /* it failed the VM if it could not */
	else if (rc)
		vm_fail(v->vm, v, "page table outside RAM for linear address %#lx", linear);
	else
		*gpa = w.gpa;
	return rc;
}

/* n bytes within one page. */
static void access_page(struct vcpu *v, gpa_t gpa, void *buf, unsigned n, bool write)
{
	u8 *ram = gmap_ptr(&v->vm->mem, gpa);
	u64 value = 0;

	if (ram && write) {
		memcpy(ram, buf, n);
		gmap_mark_dirty(&v->vm->mem, gpa);
	} else if (ram) {
		memcpy(buf, ram, n);
	} else if (n == 1 || n == 2 || n == 4 || n == 8) {
		if (write)
			memcpy(&value, buf, n);
		access_mmio(v, gpa, n, write, &value);
		if (!write)
			memcpy(buf, &value, n);
	} else {
		/* The part of a page-crossing access: devices see bytes. */
		for (unsigned i = 0; i < n; i++)
			access_page(v, gpa + i, (u8 *)buf + i, 1, write);
	}
}

int access_linear(struct vcpu *v, u64 linear, void *buf, unsigned n, bool write)
{
	unsigned first = (unsigned)min_u64(n, PAGE_SIZE - linear % PAGE_SIZE);
	gpa_t a, b = 0;
	int rc = translate(v, linear, write, &a);

	/* Both pages are looked up before either is touched: a fault changes nothing. */
	if (!rc && first < n)
		rc = translate(v, linear + first, write, &b);
	if (rc)
		return rc;
	access_page(v, a, buf, first, write);
	if (first < n)
		access_page(v, b, (u8 *)buf + first, n - first, write);
	return 0;
}

int access_probe_write(struct vcpu *v, u64 linear, unsigned n)
{
	gpa_t gpa;
	int rc = translate(v, linear, true, &gpa);

	if (!rc && linear % PAGE_SIZE + n > PAGE_SIZE)
		rc = translate(v, align_up(linear, PAGE_SIZE), true, &gpa);
	return rc;
}
