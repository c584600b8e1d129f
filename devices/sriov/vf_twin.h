/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Software twin of an 82576 virtual function: the registers of pages 1 to 3 of its BAR 0
 * (interrupts, receive and transmit queue 0) and the queues behind them, as a stock driver uses
 * them. Pure; one lock of the owner is held around every call. Intel 82576 data sheet §7, §9.
 */
#ifndef DEVICES_SRIOV_VF_TWIN_H
#define DEVICES_SRIOV_VF_TWIN_H

#include "devices/net/netbe.h"
#include "guest/vm/vdev.h"
#include "kernel/base/bits.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define VF_TWIN_VECTORS 3u
#define VF_TWIN_RING	16u  /* registers of a ring: 4 bytes each from its base on */
#define VF_TWIN_DESCS	64u  /* of one frame to send; more stop the queue */
#define VF_TWIN_SEGS	80u  /* pieces that they may lie in */
#define VF_TWIN_BUDGET	256u /* descriptors that one doorbell or vf_twin_work() sends */

/* Registers by their place in a ring's block. */
enum vf_twin_reg {
	VF_BAL = 0,
	VF_BAH = 1,
	VF_LEN = 2,
	VF_SRRCTL = 3,
	VF_HEAD = 4,
	VF_DCA = 5,
	VF_TAIL = 6,
	VF_DCTL = 10,
	VF_WBAL = 14,
	VF_WBAH = 15,
};

/* Interrupt registers; their places in VF_TWIN_INT_OFF. */
enum vf_twin_int {
	VF_EIMS, /* the mask itself */
	VF_EIAC,
	VF_EIAM,
	VF_EICR, /* causes that wait */
	VF_EITR, /* three */
	VF_IVAR = VF_EITR + 3,
	VF_IVAR_MISC,
	VF_TWIN_INTS,
};

struct vf_twin_env {
	void *ctx;
	/* send() - the driver sends f; its bytes are valid during the call. */
	void (*send)(void *ctx, struct frame *f);
};

#define VF_LOST_RX BIT(0)
#define VF_LOST_TX BIT(1)

/* Counters by what page 0 shows. */
struct vf_twin_count {
	u32 rx_packets, tx_packets, rx_multicast;
	u32 rx_bytes, tx_bytes;
	u64 malformed; /* frames whose descriptors made no sense */
};

struct vf_twin {
	struct vf_twin_env env;
	const struct virtq_mem *mem;
	bool open;	/* the driver has reset the VF and is known: queues may run */
	bool multicast; /* group addresses besides the broadcast are wanted */
	bool stopped;	/* nothing of the guest's is touched: paused, or hardware does it */
	bool received;	/* since vf_twin_flush() */
	bool hold;	/* sending waits when it comes to the ring's beginning */
	u8 lost;	/* VF_LOST_*: that ring's places are not known until its driver rings */
	u16 max_frame;	/* to receive, with CRC as the mailbox counts */
	u32 told;	/* causes that the guest knows of */
	/* Moderation, by vector: when its interval ends (ns), causes in it; a stream goes on. */
	u64 quiet[VF_TWIN_VECTORS];
	u32 causes[VF_TWIN_VECTORS];
	bool stream[VF_TWIN_VECTORS];
	struct vf_twin_count count;
	/* The machine's state. */
	u32 rx[VF_TWIN_RING], tx[VF_TWIN_RING];
	u32 irq[VF_TWIN_INTS];
	u32 context[8]; /* two of the transmit queue, four words each */
	/* Of the frame that is being sent. */
	struct virtq_seg seg[VF_TWIN_SEGS];
};

/** vf_twin_init() - as after power-on; *mem stays the owner's. */
void vf_twin_init(struct vf_twin *t, const struct vf_twin_env *env, const struct virtq_mem *mem);

/** vf_twin_reset() - power-on (function-level reset). The driver's own reset stops queues only. */
void vf_twin_reset(struct vf_twin *t);
void vf_twin_stop_queues(struct vf_twin *t);

/** vf_twin_io() - access to BAR 0 behind page 0: off from its beginning, any size. */
void vf_twin_io(struct vf_twin *t, u32 off, unsigned size, bool write, u64 *value);

/** vf_twin_work() - go on sending; true: call it again. */
bool vf_twin_work(struct vf_twin *t);

/** vf_twin_receive() - f into the guest's buffers; its interrupt waits for vf_twin_flush(). */
enum net_drop vf_twin_receive(struct vf_twin *t, const struct frame *f);
void vf_twin_flush(struct vf_twin *t);

/** vf_twin_recheck() - all that hardware may have left undone: raise both queues' vectors. */
void vf_twin_recheck(struct vf_twin *t);

/** vf_twin_at_start() - each queue is off or at the beginning of its ring. */
bool vf_twin_at_start(const struct vf_twin *t);

/**
 * vf_twin_irqs() - vectors to raise at the time now (ns), a bit each; they count as raised.
 * vf_twin_wait() - in how many ns the next one may be that moderation (EITR) puts off; ~0: none.
 */
u32 vf_twin_irqs(struct vf_twin *t, u64 now);
u64 vf_twin_wait(const struct vf_twin *t, u64 now);

/**
 * vf_twin_recover() - hardware that does not answer left the registers as they are here, but for
 * the rings' places: these are found in the guest's memory. What was to be sent may have been: it
 * is given back unsent. What cannot be found is 'lost'. vf_twin_recover_tail() - the driver has
 * rung such a ring.
 */
void vf_twin_recover(struct vf_twin *t);
void vf_twin_recover_tail(struct vf_twin *t, bool tx);

/** vf_twin_desc() - descriptor i of a ring; false: it lies nowhere. */
bool MUST_CHECK vf_twin_desc(struct vf_twin *t, const u32 *ring, u32 i, u32 d[4]);
/** vf_twin_drop() - descriptors from 'from' to 'to' are the driver's again, as if sent. */
void vf_twin_drop(struct vf_twin *t, u32 from, u32 to);

/** vf_twin_resume() - the machine's state was loaded: -EINVAL, or it goes on. */
int MUST_CHECK vf_twin_resume(struct vf_twin *t);

/* What is saved of member m of struct s. */
#define VF_TWIN_VMSTATE(s, m)                                                                  \
	VMSTATE_ARRAY(s, m.rx, VMS_U32), VMSTATE_ARRAY(s, m.tx, VMS_U32),                      \
	VMSTATE_ARRAY(s, m.irq, VMS_U32), VMSTATE_ARRAY(s, m.context, VMS_U32),                \
	VMSTATE(s, m.count.rx_packets, VMS_U32), VMSTATE(s, m.count.tx_packets, VMS_U32),      \
	VMSTATE(s, m.count.rx_multicast, VMS_U32), VMSTATE(s, m.count.rx_bytes, VMS_U32),      \
	VMSTATE(s, m.count.tx_bytes, VMS_U32)

#endif
