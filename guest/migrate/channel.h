/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The byte channel a guest moves through: reliable, in order, both ways with back-pressure. Pure
 * declarations; who carries the bytes (memory, the courier) stands behind a table of operations.
 */
#ifndef GUEST_MIGRATE_CHANNEL_H
#define GUEST_MIGRATE_CHANNEL_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define MIG_DEFAULT_PORT 7000u

struct mig_channel;

/* All are called on the boot CPU in softirq context (control), none waits. */
struct mig_channel_ops {
	/*
	 * send() - hand over up to n bytes; returns how many were taken (0: no room now, wake()
	 * will come), or -EPIPE: this channel carries nothing any more.
	 */
	int (*send)(struct mig_channel *c, const u8 *data, u32 n) MUST_CHECK;
	/*
	 * recv() - take up to n bytes; returns how many came (0: none now, wake() will come), or
	 * -EPIPE: all that came has been taken and no more will.
	 */
	int (*recv)(struct mig_channel *c, u8 *data, u32 n) MUST_CHECK;
	/*
	 * close() - give the channel back, once: no operation and no wake() after it. What send()
	 * took and the peer has not got yet may be lost.
	 */
	void (*close)(struct mig_channel *c);
};

/* Embedded in the carrier's own struct. */
struct mig_channel {
	const struct mig_channel_ops *ops;
	/*
	 * wake() - there is something to receive, room to send again, or an end. Set by the user
	 * (NULL: nobody listens yet). Called by the carrier in any context on any CPU, with any
	 * lock below LOCK_VM held; it only posts work and never calls back into the channel.
	 */
	void (*wake)(void *ctx);
	void *wake_ctx;
	/* NULL, or the carrier's words on how it ended. */
	const char *why;
	/* Bytes on the network for what was sent, as far as the carrier has said so. */
	u64 wire;
};

/* Who makes channels to other hosts; registered once, by the carrier. */
struct mig_carrier {
	/*
	 * connect() - begin a channel to host ("a.b.c.d" or a name, as the operator wrote it) and
	 * port. 0: *out is usable at once (bytes wait until the peer is there; an attempt that
	 * fails shows as -EPIPE), or -E... with the reason in why.
	 */
	int (*connect)(const char *host, u16 port, struct mig_channel **out, char *why,
		       size_t why_size) MUST_CHECK;
};

/** mig_register_carrier() - once, at boot; until then only local moves are possible. */
void mig_register_carrier(const struct mig_carrier *carrier);

/**
 * mig_accept() - a peer has connected: the receiver takes the channel and closes it when it is
 * done with it. 0, or -EBUSY: too many at once, the channel stays the caller's. Boot CPU, softirq.
 */
int MUST_CHECK mig_accept(struct mig_channel *c);

#endif
