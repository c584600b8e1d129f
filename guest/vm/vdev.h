/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtual device as the VM sees it: name, reset, and the fields that make up its state.
 * Reset and migration walk the VM's list of these; pure declarations.
 */
#ifndef GUEST_VM_VDEV_H
#define GUEST_VM_VDEV_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

enum vmstate_type { VMS_U8, VMS_U16, VMS_U32, VMS_U64, VMS_BOOL, VMS_BYTES };

/* One saved field: machine state only, nothing of the implementation. Save and load walk it. */
struct vmstate_field {
	const char *name;
	u32 offset; /* in the state struct */
	u32 size;   /* bytes of one element */
	u32 count;  /* elements, 1 for a scalar */
	u32 type;   /* enum vmstate_type */
};

#define VMSTATE(t, f, ty)                                                                  \
	{ #f, offsetof(t, f), sizeof(((t *)0)->f), 1, (ty) }
#define VMSTATE_ARRAY(t, f, ty)                                                            \
	{ #f, offsetof(t, f), sizeof(((t *)0)->f[0]), ARRAY_SIZE(((t *)0)->f), (ty) }

/* Called with all vCPUs parked and vm->lock held: timers and input may still come. */
struct vdev_ops {
	void (*reset)(void *state);
	/* quiesce() - all vCPUs parked: make the fields true (timers to remaining time, ...). */
	void (*quiesce)(void *state);
	/* resume() - after load or pause: re-arm timers, re-raise lines. Must check every field. */
	int (*resume)(void *state) MUST_CHECK;
};

struct vdev {
	const char *name;
	u32 instance;
	u32 version;
	void *state;
	const struct vdev_ops *ops;
	const struct vmstate_field *fields;
	u32 nfields;
};

#endif
