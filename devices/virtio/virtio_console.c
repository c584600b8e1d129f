/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console (Virtio 1.2 §5.3). What has to be said about a port is kept as a bit until the
 * driver has a buffer for it, so nothing is lost and nothing piles up.
 */
#include "devices/virtio/virtio_console.h"

#include "kernel/base/assert.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "kernel/base/str.h"

#define F_MULTIPORT 1u

#define CONFIG_LEN 12u
#define CONTROL_LEN 8u

#define QUEUE_CONTROL_RX 2u
#define QUEUE_CONTROL_TX 3u

enum event {
	DEVICE_READY = 0,
	PORT_ADD = 1,
	PORT_READY = 3,
	PORT_OPEN = 6,
	PORT_NAME = 7,
};

static unsigned rx_queue(unsigned port)
{
	return port ? port * 2 + 2 : 0;
}

static unsigned tx_queue(unsigned port)
{
	return rx_queue(port) + 1;
}

static struct virtio_console *of(struct virtio_dev *d)
{
	return container_of(d, struct virtio_console, dev);
}

/* ---- control -------------------------------------------------------------------------------- */

static bool tell(struct virtio_console *c, unsigned port, enum event event)
{
	u8 msg[CONTROL_LEN + VIRTIO_CONSOLE_NAME_LEN];
	struct virtq *q = &c->dev.vq[QUEUE_CONTROL_RX];
	u32 n = CONTROL_LEN, name = 0;

	if (!virtio_pop(&c->dev, QUEUE_CONTROL_RX, &c->chain))
		return false;
	put_le32(msg, port);
	put_le16(msg + 4, (u16)event);
	put_le16(msg + 6, event == PORT_OPEN ? c->host_open[port] : 1);
	while (event == PORT_NAME && c->name[port][name])
		msg[n++] = (u8)c->name[port][name++];
	virtq_push(q, c->chain.id, c->chain.slots, virtq_write(q, &c->chain, 0, msg, n));
	return true;
}

/* In this order: a port exists, has a name, is open. */
static void tell_all(struct virtio_console *c)
{
	static const u8 order[] = { PORT_ADD, PORT_NAME, PORT_OPEN };

	for (unsigned port = 0; port < c->ports; port++)
		for (unsigned i = 0; i < ARRAY_SIZE(order); i++) {
			u8 bit = (u8)(1u << order[i]);

			if (!(c->pending[port] & bit))
				continue;
			if (!tell(c, port, (enum event)order[i]))
				goto out;
			c->pending[port] &= (u8)~bit;
		}
out:
	virtio_flush(&c->dev, QUEUE_CONTROL_RX);
	if (c->dev.vq[QUEUE_CONTROL_RX].running)
		(void)virtq_kicks_on(&c->dev.vq[QUEUE_CONTROL_RX]);
}

static void heard(struct virtio_console *c, const u8 *msg)
{
	u32 port = get_le32(msg);
	u16 event = get_le16(msg + 4), value = get_le16(msg + 6);

	if (event == DEVICE_READY) {
		c->ready = value == 1;
		for (unsigned i = 0; i < c->ports && c->ready; i++)
			c->pending[i] |= 1u << PORT_ADD;
		return;
	}
	if (port >= c->ports)
		return;
	if (event == PORT_READY && value == 1) {
		c->pending[port] |= 1u << PORT_NAME;
		if (c->host_open[port])
			c->pending[port] |= 1u << PORT_OPEN;
	} else if (event == PORT_OPEN) {
		c->guest_open[port] = value != 0;
		c->env.opened(c->env.ctx, port, value != 0);
	}
}

static void control(struct virtio_console *c)
{
	struct virtq *q = &c->dev.vq[QUEUE_CONTROL_TX];
	unsigned done = 0;

	do {
		while (done < VIRTIO_CONSOLE_BATCH &&
		       virtio_pop(&c->dev, QUEUE_CONTROL_TX, &c->chain)) {
			u8 msg[CONTROL_LEN];

			if (virtq_read(&c->chain, 0, msg, sizeof(msg)) == sizeof(msg))
				heard(c, msg);
			virtq_push(q, c->chain.id, c->chain.slots, 0);
			done++;
		}
		virtio_flush(&c->dev, QUEUE_CONTROL_TX);
	} while (virtq_kicks_on(q) && done < VIRTIO_CONSOLE_BATCH);
	tell_all(c);
}

/* ---- data ----------------------------------------------------------------------------------- */

/* All of the chain behind what was taken before; true: taken to its end. */
static bool take(struct virtio_console *c, unsigned port)
{
	u32 skip = c->taken[port];

	for (u32 i = 0; i < c->chain.nout; i++) {
		const struct virtq_seg *s = &c->chain.seg[i];
		u32 n;

		if (skip >= s->len) {
			skip -= s->len;
			continue;
		}
		n = c->env.take(c->env.ctx, port, s->p + skip, s->len - skip);
		c->taken[port] += n;
		if (n < s->len - skip)
			return false;
		skip = 0;
	}
	c->taken[port] = 0;
	return true;
}

void virtio_console_more(struct virtio_console *c, unsigned port)
{
	unsigned queue = tx_queue(port), done = 0;
	struct virtq *q = &c->dev.vq[queue];
	bool again = true;

	if (!q->running || !virtio_live(&c->dev))
		return;
	virtq_kicks_off(q);
	while (again && done < VIRTIO_CONSOLE_BATCH) {
		struct virtq_pos pos = q->pos;

		if (!virtio_pop(&c->dev, queue, &c->chain)) {
			again = virtq_kicks_on(q);
			continue;
		}
		if (take(c, port)) {
			virtq_push(q, c->chain.id, c->chain.slots, 0);
			done++;
		} else {
			virtq_rewind(q, &pos);
			again = false;
		}
	}
	virtio_flush(&c->dev, queue);
	if (again)
		c->env.defer(c->env.ctx, port);
}

u32 virtio_console_send(struct virtio_console *c, unsigned port, const u8 *data, u32 n)
{
	unsigned queue = rx_queue(port);
	struct virtq *q = &c->dev.vq[queue];
	u32 done = 0;

	/* A driver that knows ports drops what comes for one that nobody has open. */
	if (virtio_has(&c->dev, F_MULTIPORT) && !c->guest_open[port])
		return 0;
	while (done < n && q->running) {
		u32 part;

		if (!virtio_pop(&c->dev, queue, &c->chain)) {
			if (virtio_live(&c->dev) && virtq_kicks_on(q))
				continue;
			break;
		}
		part = virtq_write(q, &c->chain, 0, data + done, n - done);
		virtq_push(q, c->chain.id, c->chain.slots, part);
		done += part;
		if (!part) {
			virtio_break(&c->dev, queue, "receive buffer without room");
			break;
		}
	}
	virtio_flush(&c->dev, queue);
	c->starved[port] = done < n;
	return done;
}

void virtio_console_open(struct virtio_console *c, unsigned port, bool open)
{
	if (c->host_open[port] == open)
		return;
	c->host_open[port] = open;
	if (!c->ready || !virtio_has(&c->dev, F_MULTIPORT))
		return;
	c->pending[port] |= 1u << PORT_OPEN;
	tell_all(c);
}

static void kick(struct virtio_dev *d, unsigned queue)
{
	struct virtio_console *c = of(d);
	unsigned port = queue < 2 ? 0 : queue / 2 - 1;

	if (queue == QUEUE_CONTROL_TX) {
		control(c);
	} else if (queue == QUEUE_CONTROL_RX) {
		tell_all(c);
	} else if (queue % 2) {
		virtio_console_more(c, port);
	} else if (c->starved[port]) {
		c->starved[port] = 0;
		c->env.room(c->env.ctx, port);
	}
}

/* ---- life ----------------------------------------------------------------------------------- */

static void config(struct virtio_dev *d, u32 off, unsigned size, bool write, u64 *value)
{
	u8 regs[CONFIG_LEN] = { 80, 0, 25, 0 };

	if (write)
		return;
	put_le32(regs + 4, of(d)->ports);
	memcpy(value, regs + off, size);
}

static void stopped(struct virtio_dev *d, unsigned queue)
{
	if (queue % 2 && queue != QUEUE_CONTROL_TX)
		of(d)->taken[queue < 2 ? 0 : queue / 2 - 1] = 0;
}

static void on_reset(struct virtio_dev *d)
{
	struct virtio_console *c = of(d);

	c->ready = 0;
	for (unsigned i = 0; i < c->ports; i++) {
		if (c->guest_open[i])
			c->env.opened(c->env.ctx, i, false);
		c->guest_open[i] = c->pending[i] = c->starved[i] = 0;
		c->taken[i] = 0;
	}
}

void virtio_console_init(struct virtio_console *c, const char *const *names, unsigned ports,
			 const struct virtio_console_env *env, const struct virtq_mem *mem,
			 const struct virtio_env *pci)
{
	static const struct virtio_ops ops = { .type = VIRTIO_ID_CONSOLE,
					       .class_code = 0x078000,
					       .config_len = CONFIG_LEN,
					       .stopped = stopped,
					       .kick = kick,
					       .reset = on_reset,
					       .config = config };

	ASSERT(ports && ports <= VIRTIO_CONSOLE_PORTS);
	memset(c, 0, sizeof(*c));
	c->env = *env;
	c->ports = ports;
	for (unsigned i = 0; i < ports; i++)
		for (unsigned k = 0; k < VIRTIO_CONSOLE_NAME_LEN - 1 && names[i][k]; k++)
			c->name[i][k] = names[i][k];
	virtio_pci_init(&c->dev, &ops, BIT(F_MULTIPORT), (u16)(ports * 2 + 2), mem, pci);
}

void virtio_console_reset(struct virtio_console *c)
{
	virtio_pci_reset(&c->dev);
}

int virtio_console_resume(struct virtio_console *c)
{
	for (unsigned i = 0; i < c->ports; i++)
		if (c->host_open[i] > 1 || c->guest_open[i] > 1)
			return -EINVAL;
	return virtio_pci_resume(&c->dev);
}

const struct vmstate_field virtio_console_fields[] = {
	VIRTIO_VMSTATE(struct virtio_console, dev),
	VMSTATE(struct virtio_console, ready, VMS_U8),
	VMSTATE_ARRAY(struct virtio_console, pending, VMS_U8),
	VMSTATE_ARRAY(struct virtio_console, host_open, VMS_U8),
	VMSTATE_ARRAY(struct virtio_console, guest_open, VMS_U8),
	VMSTATE_ARRAY(struct virtio_console, starved, VMS_U8),
	VMSTATE_ARRAY(struct virtio_console, taken, VMS_U32),
};
const u32 virtio_console_nfields = ARRAY_SIZE(virtio_console_fields);
