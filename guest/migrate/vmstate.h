/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State structs to bytes and back, by tables of named fields (guest/vm/vdev.h). Pure; the encoding
 * is docs/stream.md, "Fields".
 */
#ifndef GUEST_MIGRATE_VMSTATE_H
#define GUEST_MIGRATE_VMSTATE_H

#include "guest/vm/vdev.h"
#include "kernel/base/bytes.h"

#define VMSTATE_MAX_FIELDS 64u
/* A sender's mark: who does not know the field may leave it. */
#define VMSTATE_MAY_SKIP 0x80u

/**
 * vmstate_save() - n fields of state into out. Returns the bytes that they take, also when that is
 * more than size and out holds nothing of use.
 */
u32 vmstate_save(u8 *out, u32 size, const void *state, const struct vmstate_field *f, u32 n);

/**
 * vmstate_load() - fields from r into state: each of the n exactly once, as long as it should be, a
 * VMS_BOOL 0 or 1; what the values mean is the owner's to check. 0; -EPROTO with what is wrong, by
 * name, in why, and state untouched.
 */
int MUST_CHECK vmstate_load(struct reader *r, void *state, const struct vmstate_field *f, u32 n,
			    char *why, size_t why_size);

#endif
