/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's memory: RAM blocks from the frame pool and the second-stage table over them.
 */
#ifndef GUEST_MEM_STAGE2_H
#define GUEST_MEM_STAGE2_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

struct vcpu;
struct vm;

/**
 * stage2_create() - allocate vm->config->memory bytes of RAM on the VM's account, fill
 * vm->mem and build vm->stage2, to which RAM is added as it is touched. Returns 0; -ENOMEM with the
 * reason in why; nothing is kept then. Context: control.
 */
int MUST_CHECK stage2_create(struct vm *vm, char *why, size_t why_size);

/** stage2_destroy() - give everything back. No vCPU uses the table any more. */
void stage2_destroy(struct vm *vm);

/**
 * stage2_touch() - the guest faulted at a RAM address that stage2 does not map, or not for writes:
 * clear its block if nobody has used it, map it; a write is logged. Returns 0; -ENOMEM: no page for
 * a table (never while there is a log). Context: v's own loop.
 */
int MUST_CHECK stage2_touch(struct vcpu *v, gpa_t gpa, bool write);

/**
 * stage2_dma_begin() - a device will reach RAM by itself: clear what is left of it; no log of
 * writes can be kept from then on. -EBUSY: there is one. Context: control.
 */
int MUST_CHECK stage2_dma_begin(struct vm *vm);

/** stage2_dma_end() - no device reaches RAM by itself any more. */
void stage2_dma_end(struct vm *vm);

/**
 * stage2_map_mmio() - let the guest reach device registers [hpa, hpa+len) at gpa, uncached.
 * Returns 0; -EINVAL (not inside the windows for PCI BARs), -EEXIST (something else is mapped
 * there), -ENOMEM. Locks: vm->lock, or all vCPUs parked.
 */
int MUST_CHECK stage2_map_mmio(struct vm *vm, gpa_t gpa, hpa_t hpa, u64 len);

/**
 * stage2_unmap_mmio() - take such a mapping away again, the same range. vCPUs that run now may use
 * it until they leave the guest, which they are made to do: before the registers get another owner
 * all of them must have been parked. Locks: as above.
 */
void stage2_unmap_mmio(struct vm *vm, gpa_t gpa, u64 len);

/**
 * stage2_log_start() - log every write to RAM from here on (guest/mem/dirtylog.h), until 'user'
 * stops it or the VM goes off: then vm->log_user is no longer 'user'. Tables for 4 KiB pages are
 * set aside on the VM's account. Returns 0; -EBUSY (there is a log, or the VM is off),
 * -ENOTSUP (a device reaches RAM by itself), -ENOMEM, with the reason in why. Context: control.
 */
int MUST_CHECK stage2_log_start(struct vm *vm, const void *user, char *why, size_t why_size);

/**
 * stage2_log_take() - add what was written since the log was started or last taken to a bitmap of
 * pages by RAM offset; returns how many are set in it now. None of them may be read before
 * stage2_log_settled(). Context: control.
 */
u64 stage2_log_take(struct vm *vm, u64 *pages);

/** stage2_log_settled() - has every vCPU that may be in the guest dropped its old translations? */
bool stage2_log_settled(const struct vm *vm);

/** stage2_log_stop() - no more log: RAM comes back huge. Nothing, when the log is not user's. */
void stage2_log_stop(struct vm *vm, const void *user);

#endif
