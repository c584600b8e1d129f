/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels to other hosts on the courier's one byte stream: the hypervisor's end of the frames of
 * devices/courier/frame.h. Pure; everything on the boot CPU, the courier's bytes are not trusted.
 */
#ifndef DEVICES_COURIER_MUX_H
#define DEVICES_COURIER_MUX_H

#include "devices/courier/frame.h"
#include "guest/migrate/channel.h"

#define COURIER_CHANNELS 4u

struct courier_env {
	void *ctx;
	/* room() - bytes that send() takes now; less than a frame: courier_mux_room() later. */
	u32 (*room)(void *ctx);
	void (*send)(void *ctx, const u8 *data, u32 n);
	/* accept() - somebody connected; 0: c has a user now, else it is refused. */
	int (*accept)(void *ctx, struct mig_channel *c);
	/* said() - for the log: why a channel ended, in the courier's words; what it did wrong. */
	void (*said)(void *ctx, const char *why);
};

struct courier_channel {
	struct mig_channel ch;
	struct courier_mux *mux;
	bool used; /* somebody holds it */
	bool open; /* the courier knows it */
	bool shut; /* it shall not any more, there was no room to say so */
	u16 id;
	u32 credit;	/* bytes that may be sent */
	u32 owed;	/* bytes taken and not granted again */
	u32 head, tail; /* of ring, free-running */
	char why[COURIER_TEXT_MAX + 1];
	u8 ring[COURIER_WINDOW];
};

struct courier_mux {
	struct courier_env env;
	bool ready;  /* there is a courier */
	bool broken; /* it does not keep to the rules */
	u16 last_id;
	u8 head[COURIER_HEAD];
	u32 have, left; /* of the frame that comes in: bytes of the head, bytes still to come */
	char text[COURIER_TEXT_MAX + 1];
	u32 len;
	struct courier_channel channel[COURIER_CHANNELS];
};

/** courier_mux_init() - without a courier. */
void courier_mux_init(struct courier_mux *m, const struct courier_env *env);

/** courier_mux_reset() - all channels end; up: a courier is there, which knows of none. */
void courier_mux_reset(struct courier_mux *m, bool up);

/** courier_mux_input() - n bytes that the courier sent. */
void courier_mux_input(struct courier_mux *m, const u8 *p, u32 n);

/** courier_mux_room() - env.room() has grown. */
void courier_mux_room(struct courier_mux *m);

/** courier_mux_connect() - mig_carrier's connect(); -ENODEV, -EBUSY, -EINVAL. */
int MUST_CHECK courier_mux_connect(struct courier_mux *m, const char *host, u16 port,
				   struct mig_channel **out, char *why, size_t why_size);

#endif
