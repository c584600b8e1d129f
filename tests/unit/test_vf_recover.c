/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings of hardware that went: a driver that posts and cleans as igbvf does works on a model of a
 * VF, which forgets where it was; then the twin goes on.
 */
#include "unit.h"

#include "devices/net/netbe.h"
#include "devices/sriov/vf_twin.h"
#include "vring_driver.h"

#define SLOTS  16u
#define BATCH  4u
#define RX     0x1000u
#define TX     0x2000u
#define RX_BUF 0x10000u
#define TX_BUF 0x40000u
#define LENGTH 100u
#define RX_TAIL 0x2818u
#define TX_TAIL 0x3818u

static struct vd_ram ram;
static struct vf_twin t;
static u32 rx_clean, rx_use, rx_want, tx_clean, tx_use, tx_number;
static u32 sent[4096], nsent, received;
static u32 word_in, random_state;

static u32 *desc(u32 ring, u32 i)
{
	u32 n = 16;

	return (u32 *)(void *)vd_map(&ram, ring + i * 16, &n);
}

static u32 *word_at(u64 gpa)
{
	u32 n = 16;

	return (u32 *)(void *)vd_map(&ram, gpa, &n) + 12 / 4;
}

static u32 any(u32 n)
{
	random_state = random_state * 1103515245u + 12345u;
	return (random_state >> 16) % n;
}

static void on_send(void *ctx, struct frame *f)
{
	(void)ctx;
	CHECK(frame_read(f, 12, (u8 *)&sent[nsent++ % 4096], 4) == 4);
}

static void wr(u32 off, u32 value)
{
	u64 v = value;

	vf_twin_io(&t, off, 4, true, &v);
	while (vf_twin_work(&t))
		;
}

static void refill(void)
{
	while (rx_use != (rx_clean + SLOTS - 1) % SLOTS) {
		const u32 d[4] = { RX_BUF + rx_use * 4096 };

		memcpy(desc(RX, rx_use), d, 16);
		rx_use = (rx_use + 1) % SLOTS;
	}
	wr(RX_TAIL, (rx_use + SLOTS - 1) % SLOTS);
}

static void driver_open(void)
{
	const struct vf_twin_env env = { NULL, on_send };

	if (!ram.page)
		vd_ram_init(&ram, 128, false);
	vf_twin_init(&t, &env, &ram.mem);
	t.open = true;
	t.max_frame = 1522;
	memset(desc(RX, 0), 0, SLOTS * 16);
	memset(desc(TX, 0), 0, SLOTS * 16);
	rx_clean = rx_use = rx_want = tx_clean = tx_use = tx_number = nsent = received = 0;
	word_in = 0;
	for (u32 ring = 0x2800; ring <= 0x3800; ring += 0x1000) {
		wr(ring, ring == 0x2800 ? RX : TX);
		wr(ring + 8, SLOTS * 16);
		wr(ring + 0x28, 0x02000000);
	}
	wr(0x280c, 0x02000002);
	refill();
}

/* The wire has a frame for the driver. */
static enum net_drop arrive(void)
{
	u8 bytes[LENGTH] = { 2 };
	struct virtq_seg seg = { bytes, 0, LENGTH };
	struct frame f = { .seg = &seg, .nseg = 1, .body_len = LENGTH };
	enum net_drop rc;

	memcpy(bytes + 12, &word_in, 4);
	f.body_len -= frame_read(&f, 0, f.head, FRAME_HEAD_IN);
	f.head_len = f.body_off = LENGTH - f.body_len;
	rc = vf_twin_receive(&t, &f);
	word_in += rc == NET_OK;
	return rc;
}

/* The driver takes at most 'most' frames, each the one after the last. */
static void take(u32 most)
{
	for (u32 *d; most-- && ((d = desc(RX, rx_clean))[2] & 1);) {
		CHECK_EQ(*word_at(RX_BUF + rx_clean * 4096), rx_want);
		rx_want++;
		received++;
		d[2] = 0;
		rx_clean = (rx_clean + 1) % SLOTS;
		if ((rx_clean + SLOTS - 1 - rx_use) % SLOTS >= BATCH)
			refill();
	}
}

static void clean(void)
{
	u32 i = tx_clean;

	while (i != tx_use && !(desc(TX, i)[2] >> 27 & 1)) /* contexts and first parts */
		i = (i + 1) % SLOTS;
	if (i == tx_use || !(desc(TX, i)[3] & 1))
		return;
	for (; tx_clean != (i + 1) % SLOTS; tx_clean = (tx_clean + 1) % SLOTS)
		desc(TX, tx_clean)[3] = 0;
}

static void put(u32 buffer, u32 command, u32 options)
{
	const u32 d[4] = { buffer, 0, command, options };

	memcpy(desc(TX, tx_use), d, 16);
	tx_use = (tx_use + 1) % SLOTS;
}

/* A frame of up to three descriptors, if there is room; 'half': the driver is still at it. */
static void put_frame(bool half)
{
	u32 at = TX_BUF + tx_use * 4096;

	if ((tx_clean + SLOTS - 1 - tx_use) % SLOTS < 4)
		return;
	if (any(3) == 0)
		put(14u << 9 | 20, 0x20200000, 0);
	*word_at(at) = tx_number;
	if (any(2))
		put(at, 0x20300000u | 40, LENGTH << 14);
	else
		at -= 40;
	if (half)
		return;
	put(at + 40, 0x29300000u | (at % 4096 ? LENGTH : LENGTH - 40), LENGTH << 14);
	tx_number++;
	wr(TX_TAIL, tx_use);
}

static void some_work(u32 steps)
{
	while (steps--) {
		switch (any(5)) {
		case 0:
			put_frame(false);
			break;
		case 1:
			(void)arrive();
			break;
		case 2:
			take(any(4));
			break;
		default:
			clean();
		}
	}
}

static void forget(void)
{
	t.rx[VF_HEAD] = any(SLOTS);
	t.rx[VF_TAIL] = any(SLOTS);
	t.tx[VF_HEAD] = any(SLOTS);
	t.tx[VF_TAIL] = any(SLOTS);
}

TEST(goes_on)
{
	for (u32 round = 0; round < 3000; round++) {
		u32 head, before, i;

		random_state = round;
		driver_open();
		some_work(any(120));
		t.stopped = true; /* it does nothing any more, the driver goes on */
		for (i = any(6); i; i--)
			put_frame(false);
		if (any(4) == 0)
			take(any(9));
		before = nsent;
		head = t.rx[VF_HEAD];
		forget();
		vf_twin_recover(&t);
		CHECK_EQ(t.lost & VF_LOST_RX, 0);
		CHECK_EQ(t.rx[VF_HEAD], head);
		CHECK_EQ(t.rx[VF_TAIL], (rx_use + SLOTS - 1) % SLOTS);
		t.stopped = false;
		if (!(t.lost & VF_LOST_TX))
			CHECK_EQ(t.tx[VF_HEAD], tx_use);
		CHECK_EQ(nsent, before);
		some_work(200);
		CHECK_EQ(t.lost, 0);
		CHECK(nsent > before && received);
		/* In order, none twice; what waited then is not sent. */
		for (i = 1; i < nsent; i++)
			CHECK(sent[i] > sent[i - 1]);
	}
}

TEST(driver_in_the_middle_of_a_frame)
{
	for (u32 round = 0; round < 200; round++) {
		random_state = round;
		driver_open();
		some_work(any(120));
		put_frame(true);
		forget();
		vf_twin_recover(&t);
		CHECK(t.lost & VF_LOST_TX);
		CHECK_EQ(t.tx[VF_HEAD], t.tx[VF_TAIL]);
	}
}

/* Nothing that says where the driver will look next. */
TEST(unknown)
{
	driver_open();
	for (u32 i = 0; i < SLOTS; i++)
		desc(RX, i)[0] = RX_BUF;
	forget();
	vf_twin_recover(&t);
	CHECK_EQ(t.lost, VF_LOST_RX | VF_LOST_TX);
	CHECK_EQ(arrive(), NET_DROP_STALLED);
	memset(desc(RX, 0), 0xff, SLOTS * 16);
	wr(RX_TAIL, 3);
	CHECK_EQ(t.lost, VF_LOST_RX | VF_LOST_TX);
	wr(TX_TAIL, SLOTS); /* outside of the ring */
	wr(TX_TAIL, 2);
	CHECK_EQ(t.lost, VF_LOST_RX | VF_LOST_TX);
	CHECK_EQ(nsent, 0);
	vf_twin_stop_queues(&t);
	CHECK_EQ(t.lost, 0);
	driver_open();
	t.rx[VF_BAH] = t.tx[VF_BAH] = 1u << 30; /* rings that lie nowhere */
	vf_twin_recover(&t);
	CHECK_EQ(t.lost, VF_LOST_RX | VF_LOST_TX);
	t.rx[VF_LEN] = t.tx[VF_LEN] = 0xfff80;
	vf_twin_recover(&t);
	CHECK_EQ(t.lost, VF_LOST_RX | VF_LOST_TX);
}

UNIT_MAIN({ "goes_on", goes_on },
	  { "driver_in_the_middle_of_a_frame", driver_in_the_middle_of_a_frame },
	  { "unknown", unknown })
