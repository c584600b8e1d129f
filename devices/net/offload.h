/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksums and segmentation in software, for receivers that want finished frames. Pure.
 */
#ifndef DEVICES_NET_OFFLOAD_H
#define DEVICES_NET_OFFLOAD_H

#include "devices/net/frame.h"

/** offload_check() - does the metadata fit the frame? To be asked before anything else. */
bool offload_check(const struct frame *f);

/** offload_checksum() - store the checksum that FRAME_CSUM asks for and clear the flag. */
void offload_checksum(struct frame *f);

/**
 * offload_segment() - cut a frame with f->gso into frames of at most gso_size bytes of payload,
 * checksums done, each handed to emit(). Returns false, and nothing was emitted, when the headers
 * are not what f->gso says. f passed offload_check(). Bounded: FRAME_MAX / 1 segments at worst is
 * refused, gso_size below OFFLOAD_MIN_SEGMENT counts as malformed.
 */
bool offload_segment(const struct frame *f, void (*emit)(void *ctx, const struct frame *part),
		     void *ctx);

/**
 * offload_complete() - fill in the lengths and sums of headers that its sender left to the NIC:
 * then f is as offload_segment() and other receivers expect it. False: headers are not what
 * f->gso says.
 */
bool offload_complete(struct frame *f);

#define OFFLOAD_MIN_SEGMENT 64u

/* Where the headers of a frame with FRAME_CSUM are, checked against what its sender says. */
struct offload_layout {
	u32 ip, l4, hdr; /* offsets of the IP and the transport header; bytes of all headers */
	bool v6, udp;
};

/** offload_layout() - false: not TCP or UDP on IP, or the metadata does not fit the headers. */
bool offload_layout(const struct frame *f, struct offload_layout *l);

/**
 * offload_for_nic() - a frame to be cut as hardware wants it (Intel 82576 data sheet §7.2.4): no
 * lengths and no checksum in the IP header, a pseudo header's sum without length.
 */
void offload_for_nic(struct frame *f, const struct offload_layout *l);

/** offload_sum() - one's complement sum of n bytes, added to sum; parity: bytes summed before. */
u32 offload_sum(u32 sum, const u8 *p, u32 n, u32 parity);

#endif
