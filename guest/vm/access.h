/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory and port accesses on a guest's behalf, by physical or linear address.
 */
#ifndef GUEST_VM_ACCESS_H
#define GUEST_VM_ACCESS_H

#include "guest/vm/vcpu.h"

/**
 * access_mmio() - one access of 1, 2, 4 or 8 bytes to guest-physical space that is not RAM: the
 * local APIC page of this vCPU, else the VM's MMIO bus. Takes the VM lock.
 */
void access_mmio(struct vcpu *v, gpa_t gpa, unsigned size, bool write, u64 *value);

/** access_port() - one port access of 1, 2 or 4 bytes. Takes the VM lock. */
void access_port(struct vcpu *v, u16 port, unsigned size, bool write, u64 *value);

/**
 * access_linear() - read or write n (1 to 8) bytes at a linear address through the guest's own
 * page tables, RAM or not. Returns 0; -EFAULT: a #PF or #GP was queued and nothing was changed;
 * -EIO: a page table outside RAM, the VM was failed.
 */
int MUST_CHECK access_linear(struct vcpu *v, u64 linear, void *buf, unsigned n, bool write);

/** access_probe_write() - would writing n bytes at linear succeed? Errors as access_linear(). */
int MUST_CHECK access_probe_write(struct vcpu *v, u64 linear, unsigned n);

#endif
