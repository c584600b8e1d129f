/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames on the port godwit.mig, by which the hypervisor and the courier share one byte stream
 * among channels to other hosts. docs/courier.md is the manual; the courier is built with this too.
 */
#ifndef DEVICES_COURIER_FRAME_H
#define DEVICES_COURIER_FRAME_H

/* Little-endian: u8 type, u8 0, u16 channel, u32 bytes that follow. */
#define COURIER_HEAD 8u

/*
 * Channels have even numbers when the hypervisor opened them, odd ones when the courier did. Each
 * side may send COURIER_WINDOW bytes of data unasked, and then what the other grants.
 */
enum courier_frame {
	COURIER_OPEN = 1,   /* "HOST:PORT": connect (from the hypervisor), connected (to it) */
	COURIER_DATA = 2,   /* at most COURIER_DATA_MAX bytes */
	COURIER_GRANT = 3,  /* u32: as many bytes of data more; from the courier also u64: bytes
			       that went onto the network for the data so far */
	COURIER_CLOSE = 4,  /* nothing goes either way any more; text: why, empty: in order */
};

#define COURIER_WINDOW	 65536u
#define COURIER_DATA_MAX 16384u
#define COURIER_GRANT_MAX 12u
#define COURIER_TEXT_MAX 96u

#endif
