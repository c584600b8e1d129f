/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the courier's files know of each other. Everything runs in one loop with interrupts off;
 * each *_poll() does what it can at once and says whether there was something.
 */
#ifndef GUEST_IMAGE_COURIER_COURIER_H
#define GUEST_IMAGE_COURIER_COURIER_H

#include "kernel/base/compiler.h"
#include "kernel/base/types.h"

#define CTL_TCP_PORT 7001u
#define MIG_TCP_PORT 7000u

/* main.c */
void courier_die(const char *why) NORETURN;
u32 courier_random(void);

/* net.c: the interface; what TCP sends leaves at net_flush(). */
void net_init(const char *address);
bool net_poll(void);
void net_flush(void);

/* port.c: the byte streams to the hypervisor, by name. */
enum { PORT_CTL, PORT_MIG, PORTS };

void port_init(void);
bool port_poll(void);
/* port_room() - bytes that port_write() takes. */
u32 port_room(unsigned port);
void port_write(unsigned port, const void *data, u32 n);
/* port_peek() - what has come and lies together; 0: nothing. port_drop(): that was used. */
u32 port_peek(unsigned port, const u8 **p);
void port_drop(unsigned port, u32 n);
/* port_reopen() - the hypervisor forgets who was at the port, and what came from it is gone. */
void port_reopen(unsigned port);
void port_flush(void);

/* tls.c: connections, both ends proved by the key. */
struct conn;

enum conn_state { CONN_FREE, CONN_STARTS, CONN_UP, CONN_DOWN };

/* compress: connections for moves may be compressed, if the other end agrees. */
void tls_init(const u8 *key, u32 len, bool compress);
/* tls_listen() - connections to TCP port; conn_next() lists those that are up. */
void tls_listen(u16 port);
struct conn *conn_connect(const char *host_port);
/* conn_next() - the i-th connection that came to port; NULL: no more. */
struct conn *conn_next(u16 port, u32 *i);
enum conn_state conn_state(const struct conn *c);
const char *conn_peer(const struct conn *c);
const char *conn_error(const struct conn *c);
void **conn_user(struct conn *c);
/* conn_read() - bytes, 0: none now (or down). conn_room() - what conn_write() takes at once. */
u32 conn_read(struct conn *c, void *buf, u32 n);
u32 conn_room(struct conn *c);
void conn_write(struct conn *c, const void *data, u32 n);
/* conn_packed() - both ends agreed to compress. conn_fail() - c is down, for that reason. */
bool conn_packed(const struct conn *c);
void conn_fail(struct conn *c, const char *why);
/* conn_close() - c is gone; what was written still goes out. */
void conn_close(struct conn *c);
bool tls_poll(void);

/* pack.c: compressed blocks of a connection. */
#define PACK_HEAD 4u
#define PACK_MAX  16380u /* bytes that a block stands for; with its head one record of TLS */

struct pack {
	u32 have; /* bytes of a block that came, of buf */
	u64 wire; /* bytes written */
	u8 buf[PACK_HEAD + PACK_MAX];
};

/* pack_write() - bytes of data that were taken. pack_read() - a block when it has come and fits
 * into room, 0: not now. */
u32 pack_write(struct pack *p, struct conn *c, const u8 *data, u32 n);
u32 pack_read(struct pack *p, struct conn *c, u8 *out, u32 room);

/* ctl.c and mig.c: what the two ports are for. */
void ctl_init(void);
bool ctl_poll(void);
void mig_init(void);
bool mig_poll(void);

#endif
