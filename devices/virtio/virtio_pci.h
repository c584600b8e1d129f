/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio 1.x device on PCI: registers, feature negotiation, queues, interrupts. What kind of
 * device it is comes as a table of operations. Pure; the owner's lock is held around every call.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_PCI_H
#define DEVICES_VIRTIO_VIRTIO_PCI_H

#include "devices/pci/vcfg.h"
#include "devices/pci/vmsix.h"
#include "devices/virtio/virtq.h"
#include "guest/vm/vdev.h"

#define VIRTIO_MAX_QUEUES 10u

#define VIRTIO_ID_NET	  1u
#define VIRTIO_ID_BLOCK	  2u
#define VIRTIO_ID_CONSOLE 3u

/* Bits that mean the same for each kind of device (Virtio 1.2 §6). */
#define VIRTIO_F_INDIRECT_DESC	   28u
#define VIRTIO_F_EVENT_IDX	   29u
#define VIRTIO_F_VERSION_1	   32u
#define VIRTIO_F_RING_PACKED	   34u
#define VIRTIO_F_IN_ORDER	   35u
#define VIRTIO_F_RING_RESET	   40u

#define VIRTIO_STATUS_DRIVER_OK	  0x04u
#define VIRTIO_STATUS_FEATURES_OK 0x08u
#define VIRTIO_STATUS_NEEDS_RESET 0x40u

#define VIRTIO_NO_VECTOR 0xffffu

/*
 * The one memory BAR: a page each for the common registers, ISR, device registers, doorbells,
 * MSI-X table, its pending bits.
 */
#define VIRTIO_BAR	0u
#define VIRTIO_BAR_SIZE 0x8000u

/* One for each queue, one for changes of the configuration. */
#define VIRTIO_VECTORS (VIRTIO_MAX_QUEUES + 1u)

struct virtio_dev;

struct virtio_ops {
	u16 type; /* VIRTIO_ID_ */
	u32 class_code;
	u32 config_len; /* bytes of device registers */
	/* features_ok() - NULL, or are these (a subset of what is offered) usable together? */
	bool (*features_ok)(struct virtio_dev *d, u64 features);
	/* started(), stopped() - a queue may be used from now on, no longer. */
	void (*started)(struct virtio_dev *d, unsigned queue);
	void (*stopped)(struct virtio_dev *d, unsigned queue);
	/* kick() - the driver added to a queue that runs. */
	void (*kick)(struct virtio_dev *d, unsigned queue);
	/* halted() - NULL, or: bus mastering is off, nothing of the guest's is to be touched. */
	void (*halted)(struct virtio_dev *d);
	/* reset() - back to the power-on state of what is particular to the kind. */
	void (*reset)(struct virtio_dev *d);
	/* config() - one access inside config_len; a write of what is read-only does nothing. */
	void (*config)(struct virtio_dev *d, u32 off, unsigned size, bool write, u64 *value);
};

struct virtio_env {
	void *ctx;
	void (*bar_map)(void *ctx, unsigned bar, u64 base, u64 size);
	void (*bar_unmap)(void *ctx, unsigned bar, u64 base, u64 size);
	/* enter(), leave() - NULL, or called around what reaches the device by configuration space:
	 * the bus has a lock of its own. */
	void (*enter)(void *ctx);
	void (*leave)(void *ctx);
	void (*msi)(void *ctx, u64 address, u32 data);
	void (*intx)(void *ctx, bool level);
	/* broken() - the device stopped for what its driver did; for the log. */
	void (*broken)(void *ctx, unsigned queue, const char *why);
};

struct virtio_dev {
	const struct virtio_ops *ops;
	struct virtio_env env;
	const struct virtq_mem *mem;
	struct vcfg cfg;
	u8 access_cap; /* offset of the capability to reach the BAR by configuration space */
	u64 offered;
	u16 nqueues;
	struct virtq vq[VIRTIO_MAX_QUEUES];
	struct vmsix msix;

	/* The machine's state from here on. */
	u64 features;	/* what the driver takes */
	u32 feature_sel, driver_feature_sel;
	u16 queue_sel;
	u16 config_vector;
	u8 status, generation, isr;
	u16 size[VIRTIO_MAX_QUEUES], vector[VIRTIO_MAX_QUEUES];
	u8 enabled[VIRTIO_MAX_QUEUES];
	u64 part[VIRTIO_MAX_QUEUES * VIRTQ_PARTS];
	/* Written by virtio_pci_quiesce() only. */
	u16 pos_avail[VIRTIO_MAX_QUEUES], pos_used[VIRTIO_MAX_QUEUES];
	u8 pos_wrap[VIRTIO_MAX_QUEUES];
	u64 msix_table[VMSIX_TABLE_WORDS(VIRTIO_VECTORS)];
	u64 msix_pba[VMSIX_PBA_WORDS(VIRTIO_VECTORS)];
};

/**
 * virtio_pci_init() - a device with nqueues queues, offering features besides those of the ring.
 * mem outlives it.
 */
void virtio_pci_init(struct virtio_dev *d, const struct virtio_ops *ops, u64 features, u16 nqueues,
		     const struct virtq_mem *mem, const struct virtio_env *env);

/** virtio_pci_bar() - io_fn of the memory BAR; ctx: the device. */
void virtio_pci_bar(void *ctx, u64 off, unsigned size, bool write, u64 *value);

/** virtio_pci_reset() - the whole function to power-on state. */
void virtio_pci_reset(struct virtio_dev *d);

/** virtio_has() - was this feature bit negotiated? */
static inline bool virtio_has(const struct virtio_dev *d, unsigned bit)
{
	return (d->features >> bit & 1) != 0;
}

/** virtio_live() - may the device touch its queues: driver ready, not broken, bus master? */
bool virtio_live(const struct virtio_dev *d);

/**
 * virtio_pop() - virtq_pop() that stops the device for a malformed ring. Returns whether there is
 * a chain.
 */
bool virtio_pop(struct virtio_dev *d, unsigned queue, struct virtq_chain *c);

/** virtio_flush() - publish used chains, interrupt the driver when it wants that. */
void virtio_flush(struct virtio_dev *d, unsigned queue);

/** virtio_config_changed() - the driver should read the device registers again. */
void virtio_config_changed(struct virtio_dev *d);

/** virtio_break() - the driver cannot be understood: NEEDS_RESET until it resets the device. */
void virtio_break(struct virtio_dev *d, unsigned queue, const char *why);

/** virtio_pci_quiesce() - make the saved fields true. */
void virtio_pci_quiesce(struct virtio_dev *d);

/**
 * virtio_pci_resume() - the fields were loaded: check them, start the queues where they were, map
 * BARs. -EINVAL.
 */
int MUST_CHECK virtio_pci_resume(struct virtio_dev *d);

/* The saved fields, as an initializer list for a struct t that holds the device in member m. */
#define VIRTIO_VMSTATE(t, m)                                                               \
	VMSTATE_ARRAY(t, m.cfg.value, VMS_U8), VMSTATE(t, m.features, VMS_U64),            \
	VMSTATE(t, m.feature_sel, VMS_U32), VMSTATE(t, m.driver_feature_sel, VMS_U32),     \
	VMSTATE(t, m.queue_sel, VMS_U16), VMSTATE(t, m.config_vector, VMS_U16),            \
	VMSTATE(t, m.status, VMS_U8), VMSTATE(t, m.generation, VMS_U8),                    \
	VMSTATE(t, m.isr, VMS_U8), VMSTATE_ARRAY(t, m.size, VMS_U16),                      \
	VMSTATE_ARRAY(t, m.vector, VMS_U16), VMSTATE_ARRAY(t, m.enabled, VMS_U8),          \
	VMSTATE_ARRAY(t, m.part, VMS_U64), VMSTATE_ARRAY(t, m.pos_avail, VMS_U16),         \
	VMSTATE_ARRAY(t, m.pos_used, VMS_U16), VMSTATE_ARRAY(t, m.pos_wrap, VMS_U8),     \
	VMSTATE_ARRAY(t, m.msix_table, VMS_U64), VMSTATE_ARRAY(t, m.msix_pba, VMS_U64)

#endif
