/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The named ports of virtio-console (Virtio 1.2 §5.3). What is written is gathered in the slot in
 * front until port_flush().
 */
#include "guest/image/courier/courier.h"
#include "guest/image/courier/virtio.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/str.h"

#define F_MULTIPORT (1u << 1)

#define CONTROL_LEN 64u
#define SLOTS 16u
#define SLOT_LEN 16384u

enum event { DEVICE_READY = 0, PORT_ADD = 1, PORT_READY = 3, PORT_OPEN = 6, PORT_NAME = 7 };

struct port {
	struct queue rx, tx;
	int in, out; /* slots in use, -1: none */
	u32 in_at, in_len, out_len;
};

static struct virtio dev;
static struct queue control_rx, control_tx;
static struct port ports[PORTS];     /* by their numbers */
static struct port *named[PORTS];    /* NULL: not announced yet */

static void say(u32 id, enum event event, u16 value)
{
	int slot = queue_slot(&control_tx);
	u8 *msg;

	if (slot < 0)
		courier_die("the control queue is stuck");
	msg = queue_buf(&control_tx, slot);
	put_le32(msg, id);
	put_le16(msg + 4, (u16)event);
	put_le16(msg + 6, value);
	queue_give(&control_tx, slot, 8);
	queue_flush(&control_tx);
}

static void heard(const u8 *msg, u32 len)
{
	static const char *const names[PORTS] = { "godwit.ctl", "godwit.mig" };
	u32 id = get_le32(msg);

	if (len < 8 || id >= PORTS)
		return;
	if (get_le16(msg + 4) == PORT_ADD)
		say(id, PORT_READY, 1);
	if (get_le16(msg + 4) != PORT_NAME)
		return;
	for (u32 i = 0; i < PORTS; i++)
		if (len - 8 == strlen(names[i]) && !memcmp(msg + 8, names[i], len - 8)) {
			named[i] = &ports[id];
			say(id, PORT_OPEN, 1);
		}
}

bool port_poll(void)
{
	bool some = false;
	u32 len;

	for (int slot; (slot = queue_take(&control_rx, &len)) >= 0; some = true) {
		heard(queue_buf(&control_rx, slot), len);
		queue_give(&control_rx, slot, CONTROL_LEN);
	}
	queue_flush(&control_rx);
	return some;
}

u32 port_room(unsigned port)
{
	struct port *p = named[port];

	if (!p)
		return 0;
	return queue_vacancies(&p->tx) * SLOT_LEN + (p->out >= 0 ? SLOT_LEN - p->out_len : 0);
}

static void give(struct port *p)
{
	if (p->out >= 0 && p->out_len) {
		queue_give(&p->tx, p->out, p->out_len);
		p->out = -1;
	}
}

void port_write(unsigned port, const void *data, u32 n)
{
	struct port *p = named[port];

	for (u32 done = 0, part; done < n; done += part) {
		if (p->out < 0) {
			p->out = queue_slot(&p->tx);
			p->out_len = 0;
		}
		if (p->out < 0)
			courier_die("more written than there was room for");
		part = (u32)min_u64(n - done, SLOT_LEN - p->out_len);
		memcpy(queue_buf(&p->tx, p->out) + p->out_len, (const u8 *)data + done, part);
		p->out_len += part;
		if (p->out_len == SLOT_LEN)
			give(p);
	}
}

u32 port_peek(unsigned port, const u8 **data)
{
	struct port *p = named[port];

	if (!p)
		return 0;
	if (p->in < 0) {
		p->in = queue_take(&p->rx, &p->in_len);
		p->in_at = 0;
	}
	if (p->in < 0)
		return 0;
	*data = queue_buf(&p->rx, p->in) + p->in_at;
	return p->in_len - p->in_at;
}

void port_drop(unsigned port, u32 n)
{
	struct port *p = named[port];

	p->in_at += n;
	if (p->in_at < p->in_len)
		return;
	queue_give(&p->rx, p->in, SLOT_LEN);
	p->in = -1;
}

void port_reopen(unsigned port)
{
	struct port *p = named[port];
	const u8 *data;
	u32 n;

	p->out_len = 0;
	say((u32)(p - ports), PORT_OPEN, 0); /* when this returns, it has been heard */
	while ((n = port_peek(port, &data)))
		port_drop(port, n);
	say((u32)(p - ports), PORT_OPEN, 1);
}

void port_flush(void)
{
	for (u32 i = 0; i < PORTS; i++) {
		give(&ports[i]);
		queue_flush(&ports[i].tx);
		queue_flush(&ports[i].rx);
	}
}

void port_init(void)
{
	if (!virtio_probe(&dev, VIRTIO_CONSOLE, F_MULTIPORT))
		courier_die("no ports to the hypervisor: this VM is not its courier");
	for (u32 i = 0; i < PORTS; i++) {
		u16 first = (u16)(i ? i * 2 + 2 : 0);

		virtio_queue(&dev, &ports[i].rx, first, SLOTS, SLOT_LEN, false);
		virtio_queue(&dev, &ports[i].tx, first + 1, SLOTS, SLOT_LEN, true);
		ports[i].in = ports[i].out = -1;
	}
	virtio_queue(&dev, &control_rx, 2, SLOTS, CONTROL_LEN, false);
	virtio_queue(&dev, &control_tx, 3, SLOTS, CONTROL_LEN, true);
	virtio_ready(&dev);
	queue_flush(&control_rx);
	port_flush();
	say(0, DEVICE_READY, 1);
}
