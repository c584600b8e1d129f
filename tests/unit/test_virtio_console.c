/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named ports between a model driver and a consumer: handshake, bytes both ways in order, neither
 * side faster than the other can take.
 */
#include "unit.h"

#include "devices/virtio/virtio_console.h"
#include "kernel/base/bits.h"
#include "kernel/base/bytes.h"
#include "kernel/base/err.h"
#include "virtio_driver.h"

#define V1	  BIT(VIRTIO_F_VERSION_1)
#define MULTIPORT BIT(1)

static struct vd_ram ram;
static struct vp p;
static struct virtio_console c;
static gpa_t rx_at[VIRTIO_MAX_QUEUES][VD_MAX], tx_at;
static u8 got[200000], sent[200000];
static u32 got_len, room, rooms, defers, seed = 5;
static bool opened[2];

static u32 rnd(u32 n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static u32 take(void *ctx, unsigned port, const u8 *data, u32 n)
{
	(void)ctx;
	CHECK_EQ(port, 1);
	if (n > room)
		n = room;
	memcpy(got + got_len, data, n);
	got_len += n;
	room -= n;
	return n;
}

static void on_opened(void *ctx, unsigned port, bool open)
{
	(void)ctx;
	opened[port] = open;
}

static void on_room(void *ctx, unsigned port)
{
	(void)ctx, (void)port;
	rooms++;
}

static void defer(void *ctx, unsigned port)
{
	(void)ctx, (void)port;
	defers++;
}

static void give(unsigned queue, u32 len)
{
	struct vd_buf b = { vp_alloc(&p, len), len, true };
	int id = vd_add(&p.vd[queue], &b, 1, 0);

	CHECK(id >= 0);
	rx_at[queue][id] = b.gpa;
	vp_kick(&p, queue);
}

/* The next thing received on a queue: its length, -1: nothing. Its buffer goes back. */
static int next(unsigned queue, u8 *buf, u32 size)
{
	struct vd_buf b;
	u32 len;
	int id = vd_get(&p.vd[queue], &len), again;

	if (id < 0)
		return -1;
	vd_peek(&ram, rx_at[queue][id], buf, len);
	b = (struct vd_buf){ rx_at[queue][id], size, true };
	again = vd_add(&p.vd[queue], &b, 1, 0);
	CHECK(again >= 0);
	rx_at[queue][again] = b.gpa;
	vp_kick(&p, queue);
	return (int)len;
}

static void say(u32 port, u16 event, u16 value)
{
	u8 msg[8];
	struct vd_buf b = { tx_at, 8, false };
	u32 len;

	put_le32(msg, port);
	put_le16(msg + 4, event);
	put_le16(msg + 6, value);
	vd_poke(&ram, tx_at, msg, 8);
	CHECK(vd_add(&p.vd[3], &b, 1, 0) >= 0);
	vp_kick(&p, 3);
	CHECK(vd_get(&p.vd[3], &len) >= 0);
}

static void hear(u32 port, u16 event, u16 value, const char *name)
{
	u8 msg[64] = { 0 };
	int n = next(2, msg, 64);

	CHECK_EQ(n, 8 + (int)strlen(name));
	CHECK_EQ(get_le32(msg), port);
	CHECK_EQ(get_le16(msg + 4), event);
	CHECK_EQ(get_le16(msg + 6), value);
	CHECK(!memcmp(msg + 8, name, strlen(name)));
}

static void setup(u64 ring)
{
	static const char *const names[] = { "godwit.ctl", "godwit.mig" };
	const struct virtio_console_env env = { NULL, take, on_opened, on_room, defer };
	struct virtio_env pci = vp_env(&p);

	memset(&p, 0, sizeof(p));
	got_len = rooms = defers = 0;
	room = sizeof(got);
	opened[0] = opened[1] = false;
	p.msix = true;
	vd_ram_init(&ram, 256, true);
	virtio_console_init(&c, names, 2, &env, &ram.mem, &pci);
	vp_probe(&p, &c.dev, &ram);
	CHECK_EQ(vp_read(&p, p.device + 4, 4), 2);
	CHECK(vp_negotiate(&p, V1 | MULTIPORT | ring));
	for (unsigned i = 0; i < 6; i++)
		vp_queue(&p, i, 16);
	tx_at = vp_alloc(&p, 8192);
	vp_ready(&p);
	virtio_console_open(&c, 1, true);
}

/* Until both ports are known, and port 1 is open on both sides. */
static void handshake(void)
{
	say(0, 0, 1);
	give(2, 64);
	hear(0, 1, 1, "");
	hear(1, 1, 1, "");
	say(0, 3, 1);
	hear(0, 7, 1, "godwit.ctl");
	say(1, 3, 1);
	hear(1, 7, 1, "godwit.mig");
	hear(1, 6, 1, "");
	say(1, 6, 1);
	CHECK(opened[1] && !opened[0]);
}

TEST(handshakes)
{
	u8 b[64];

	setup(0);
	handshake();
	virtio_console_open(&c, 1, false);
	hear(1, 6, 0, "");
	virtio_console_open(&c, 0, true);
	hear(0, 6, 1, "");
	CHECK_EQ(next(2, b, 64), -1);
	say(7, 6, 1); /* no such port, no such event: nothing */
	say(0, 99, 1);
	CHECK_EQ(next(2, b, 64), -1);
	vp_write(&p, p.common + 0x14, 1, 0);
	CHECK(!opened[1]);
	vd_ram_free(&ram);
}

TEST(to_guest)
{
	u32 len = 0, at = 0, tries = 0;
	u8 b[100];

	setup(BIT(VIRTIO_F_EVENT_IDX) | BIT(VIRTIO_F_RING_PACKED));
	CHECK_EQ(virtio_console_send(&c, 1, sent, 10), 0); /* nobody has it open */
	handshake();
	for (u32 i = 0; i < sizeof(sent); i++)
		sent[i] = (u8)rnd(256);
	for (u32 i = 0; i < 5; i++)
		give(4, 100);
	while (len < 100000) {
		u32 n = 1 + rnd(900);

		at += virtio_console_send(&c, 1, sent + at, n);
		for (int k = (int)rnd(6); k > 0; k--) {
			int part = next(4, b, 100);

			if (part < 0)
				break;
			CHECK(!memcmp(b, sent + len, (size_t)part));
			len += (u32)part;
		}
		CHECK(tries++ < 100000);
	}
	CHECK(rooms > 10);
	CHECK_EQ(p.breaks, 0);
	vd_ram_free(&ram);
}

TEST(from_guest)
{
	u32 at = 0, used;

	for (int packed = 0; packed < 2; packed++) {
		setup(BIT(VIRTIO_F_EVENT_IDX) | (packed ? BIT(VIRTIO_F_RING_PACKED) : 0));
		handshake();
		for (u32 i = 0; i < sizeof(sent); i++)
			sent[i] = (u8)rnd(256);
		at = 0;
		room = 0;
		while (got_len < 100000) {
			u32 n = 1 + rnd(3000);
			struct vd_buf b[2] = { { tx_at, n / 2 + 1, false },
					       { tx_at + n / 2 + 1, n - n / 2, false } };
			u32 all = n + 1;

			/* One chain in flight at a time: its bytes stay until it comes back. */
			vd_poke(&ram, tx_at, sent + at, all);
			CHECK(vd_add(&p.vd[5], b, 2, 0) >= 0);
			vp_kick(&p, 5);
			while (vd_get(&p.vd[5], &used) < 0) {
				room = 1 + rnd(700);
				virtio_console_more(&c, 1);
			}
			at += all;
			CHECK_EQ(got_len, at);
		}
		CHECK(!memcmp(got, sent, got_len));
		/* More chains than one go takes: the rest is asked for. */
		room = 100000;
		vd_ram_free(&ram);
	}
}

TEST(moves)
{
	static u8 was[sizeof(struct virtio_console)];
	static const char *const names[] = { "godwit.ctl", "godwit.mig" };
	const struct virtio_console_env env = { NULL, take, on_opened, on_room, defer };
	struct virtio_env pci = vp_env(&p);
	struct vd_buf b = { 0, 1000, false };
	u32 used;

	setup(0);
	handshake();
	b.gpa = tx_at;
	for (u32 i = 0; i < 1000; i++)
		sent[i] = (u8)i;
	vd_poke(&ram, tx_at, sent, 1000);
	room = 300;
	CHECK(vd_add(&p.vd[5], &b, 1, 0) >= 0);
	vp_kick(&p, 5);
	CHECK_EQ(got_len, 300);
	/* In the middle of a chain. */
	virtio_pci_quiesce(&c.dev);
	memcpy(was, &c, sizeof(was));
	virtio_console_init(&c, names, 2, &env, &ram.mem, &pci);
	for (u32 k = 0; k < virtio_console_nfields; k++)
		memcpy((u8 *)&c + virtio_console_fields[k].offset,
		       was + virtio_console_fields[k].offset,
		       virtio_console_fields[k].size * virtio_console_fields[k].count);
	room = 5000;
	CHECK_EQ(virtio_console_resume(&c), 0);
	CHECK(vd_get(&p.vd[5], &used) >= 0);
	CHECK_EQ(got_len, 1000);
	CHECK(!memcmp(got, sent, 1000));
	c.guest_open[1] = 2;
	CHECK_EQ(virtio_console_resume(&c), -EINVAL);
	vd_ram_free(&ram);
}

UNIT_MAIN({ "handshakes", handshakes }, { "to_guest", to_guest }, { "from_guest", from_guest },
	  { "moves", moves })
