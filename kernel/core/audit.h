/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the live page tables back and checks that memory has the rights it should have.
 */
#ifndef KERNEL_CORE_AUDIT_H
#define KERNEL_CORE_AUDIT_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/**
 * audit_run() - walk the tables CR3 points to and report, one call of line() each: the image's
 * sections, every class of mapping, every fault found, then "audit: ok, N mappings" or
 * "audit: FAILED, N mappings, M faults". Faults: memory writable and executable at once, by
 * one address or by two; a user-accessible page; a mapped null page or guard page; executable
 * memory outside the image's code; protection bits of CR0, CR4, EFER off.
 * line may be NULL. Returns 0 or -EPERM. Context: not interrupt.
 */
int MUST_CHECK audit_run(void (*line)(void *ctx, const char *text), void *ctx);

#endif
