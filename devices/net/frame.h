/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An Ethernet frame on its way through the switch, with the work its sender left undone
 * (checksum, segmentation). Pure; the bytes behind the head stay where the sender has them.
 */
#ifndef DEVICES_NET_FRAME_H
#define DEVICES_NET_FRAME_H

#include "devices/virtio/virtq.h"
#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

/*
 * The head is copied once: what filters looked at is what arrives, whatever the sender's memory
 * says by then. Room for all headers that offloads have to change, and a VLAN tag.
 */
#define FRAME_HEAD     192u
#define FRAME_HEAD_IN  160u /* copied from a sender at most */
#define FRAME_MAX      (65535u + 14u + 4u)
#define ETH_HEADER     14u
#define VLAN_TAG       4u

#define FRAME_CSUM  0x01u /* sum from csum_start on must still be stored at csum_offset */
#define FRAME_VALID 0x02u /* checksums were verified by hardware */
#define FRAME_ECN   0x04u /* segmented TCP carries CWR */

/* Same values as in the virtio header (Virtio 1.2 §5.1.6). */
enum frame_gso { FRAME_NO_GSO = 0, FRAME_TCP4 = 1, FRAME_TCP6 = 4, FRAME_UDP = 5 };

/*
 * Whose memory the bytes behind the head are. Who goes on reading them after the call adds to uses
 * during it, and calls done(ctx, token) as often later, with the switch's lock held.
 */
struct frame_owner {
	void (*done)(void *ctx, u32 token);
	void *ctx;
	u32 token, uses;
};

struct frame {
	u8 head[FRAME_HEAD];
	u32 head_len;
	/* The rest: body_len bytes, body_off bytes behind the beginning of seg[]. */
	const struct virtq_seg *seg;
	u32 nseg;
	u32 body_off, body_len;
	u8 flags, gso; /* FRAME_, enum frame_gso */
	u16 gso_size;
	u16 csum_start, csum_offset; /* from the beginning of the frame; from csum_start */
	u16 vlan; /* 0: untagged; in the bytes is a tag only where it leaves by a trunk */
	u8 priority;
	struct frame_owner *owner; /* NULL: the bytes are valid during the call only */
};

static inline u32 frame_len(const struct frame *f)
{
	return f->head_len + f->body_len;
}

/** frame_read() - copy n bytes at off; returns how many there were. */
u32 frame_read(const struct frame *f, u32 off, void *dst, u32 n);

static inline bool mac_is_group(const u8 *mac)
{
	return (mac[0] & 1) != 0;
}

#endif
