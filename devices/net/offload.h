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

/** offload_sum() - one's complement sum of n bytes, added to sum; parity: bytes summed before. */
u32 offload_sum(u32 sum, const u8 *p, u32 n, u32 parity);

#endif
