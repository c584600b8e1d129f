/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console with several named ports: byte streams between a guest and the hypervisor, both
 * ways with back-pressure. Pure; the owner's lock is held around every call.
 */
#ifndef DEVICES_VIRTIO_VIRTIO_CONSOLE_H
#define DEVICES_VIRTIO_VIRTIO_CONSOLE_H

#include "devices/virtio/virtio_pci.h"

#define VIRTIO_CONSOLE_PORTS	4u
#define VIRTIO_CONSOLE_NAME_LEN 32u
#define VIRTIO_CONSOLE_BATCH	64u /* chains in one go */

struct virtio_console_env {
	void *ctx;
	/*
	 * take() - the guest sent n bytes. Returns how many were taken: with fewer than n the port
	 * waits for virtio_console_more(). Must not call back.
	 */
	u32 (*take)(void *ctx, unsigned port, const u8 *data, u32 n);
	/* opened() - a program in the guest opened or closed the port. */
	void (*opened)(void *ctx, unsigned port, bool open);
	/* room() - virtio_console_send() takes bytes again, having refused some. */
	void (*room)(void *ctx, unsigned port);
	/* defer() - virtio_console_more() of this port soon. */
	void (*defer)(void *ctx, unsigned port);
};

struct virtio_console {
	struct virtio_dev dev;
	struct virtio_console_env env;
	unsigned ports;
	char name[VIRTIO_CONSOLE_PORTS][VIRTIO_CONSOLE_NAME_LEN];
	struct virtq_chain chain;

	/* The machine's state besides dev's; arrays by port. */
	u8 ready;			 /* the driver knows about ports */
	u8 pending[VIRTIO_CONSOLE_PORTS]; /* control messages to be sent, bit per event */
	u8 host_open[VIRTIO_CONSOLE_PORTS], guest_open[VIRTIO_CONSOLE_PORTS];
	u8 starved[VIRTIO_CONSOLE_PORTS]; /* send() refused bytes */
	u32 taken[VIRTIO_CONSOLE_PORTS];  /* bytes of the chain in front */
};

/** virtio_console_init() - with ports of these names, 1..VIRTIO_CONSOLE_PORTS, all closed. */
void virtio_console_init(struct virtio_console *c, const char *const *names, unsigned ports,
			 const struct virtio_console_env *env, const struct virtq_mem *mem,
			 const struct virtio_env *pci);

/** virtio_console_open() - the hypervisor's end of a port opens or closes. */
void virtio_console_open(struct virtio_console *c, unsigned port, bool open);

/** virtio_console_send() - bytes for the guest; returns how many it had room for. */
u32 virtio_console_send(struct virtio_console *c, unsigned port, const u8 *data, u32 n);

/** virtio_console_more() - take() has room again: go on with what the guest sent. */
void virtio_console_more(struct virtio_console *c, unsigned port);

/** virtio_console_reset() - power-on state; the hypervisor's ends stay as they are. */
void virtio_console_reset(struct virtio_console *c);
/** virtio_console_resume() - check the loaded fields, go on; -EINVAL. */
int MUST_CHECK virtio_console_resume(struct virtio_console *c);

extern const struct vmstate_field virtio_console_fields[];
extern const u32 virtio_console_nfields;

#endif
