/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VF changes into its twin and back under a driver that sleeps between interrupts and does not
 * look again before it does, while frames come, wait and are answered: each has a number, none may
 * be lost, come twice or out of order.
 */
#include "unit.h"

#include "devices/pci/vmsix.h"
#include "kernel/base/err.h"
#include "vf_driver.h"
#include "vf_model.h"

#define PAGES  128u
#define WINDOW 10u /* numbers on their way */
#define PHASES 6u

static struct vd_ram ram;
static struct vf_twin t;
static struct vf_model m;
static struct vf_driver d;
static struct igb_env env;
static bool twin, diverted, held;
static u32 phase; /* of the change that goes on; 0: none */
/* The host's queue: what is the VF's and is not delivered to it. */
static u32 pf[256], npf;
static u32 sent, echoed;		  /* by the peer, numbers from 1; last one back */
static u32 got, answered, irqs, spurious; /* the driver's */
static u32 state;

static u32 any(u32 n)
{
	state = state * 1664525u + 1013904223u;
	return (state >> 8) % n;
}

/* ---- around it ---------------------------------------------------------------------------- */

static void on_wire(u32 number)
{
	CHECK_EQ(number, echoed + 1);
	echoed = number;
}

static void twin_sends(void *ctx, struct frame *f)
{
	u32 number = 0;

	(void)ctx;
	CHECK_EQ(frame_read(f, MODEL_AT, &number, 4), 4);
	on_wire(number);
}

static void collect(void)
{
	irqs |= twin ? vf_twin_irqs(&t, 0) : 0;
	irqs |= m.raised;
	m.raised = 0;
}

static void io(void *dev, u32 off, bool write, u64 *value)
{
	(void)dev;
	if (twin) {
		vf_twin_io(&t, off, 4, write, value);
		while (vf_twin_work(&t))
			;
	} else if (write) {
		model_wr(&m, off, (u32)*value);
	} else {
		*value = model_rd(&m, off);
	}
	collect();
}

/* What the host's queue has is for the twin, if it is at work. */
static void serve(void)
{
	u8 bytes[MODEL_LEN] = { 0x52 };
	struct virtq_seg seg = { bytes, 0, sizeof(bytes) };

	for (u32 i = 0; i < npf; i++) {
		struct frame f = { .seg = &seg, .nseg = 1, .body_len = sizeof(bytes) };

		memcpy(bytes + MODEL_AT, &pf[i], 4);
		f.head_len = f.body_off = frame_read(&f, 0, f.head, FRAME_HEAD_IN);
		f.body_len = 0;
		m.dropped += vf_twin_receive(&t, &f) != NET_OK;
	}
	npf = 0;
	vf_twin_flush(&t);
	collect();
}

static void peer_sends(void)
{
	sent++;
	if (diverted)
		pf[npf++] = sent;
	else
		model_wire(&m, sent);
}

/* ---- the driver: its reception is as NAPI ------------------------------------------------- */

static void answer(void)
{
	(void)vfd_clean(&d);
	while (answered < got && (d.tx_tail + 1) % VFD_SLOTS != d.tx_clean) {
		u32 buf = VFD_TX_BUF + d.tx_tail * 4096;

		answered++;
		memset(vfd_ptr(&d, buf), 0x52, MODEL_LEN);
		memcpy((u8 *)vfd_ptr(&d, buf) + MODEL_AT, &answered, 4);
		vfd_put_frame(&d, buf, MODEL_LEN, 0, 0, 0);
		vfd_kick(&d);
	}
}

static u32 polls; /* vectors whose handler has begun */

static void driver_polls(void)
{
	static u8 f[65536];
	u32 number, before = got;

	polls |= irqs;
	irqs = 0;
	while ((polls & 2) && vfd_receive(&d, f)) {
		memcpy(&number, f + MODEL_AT, 4);
		CHECK_EQ(number, got + 1);
		got = number;
	}
	spurious += (polls & 2) && got == before;
	if (polls)
		answer();
}

/* Whatever came since the poll: only an interrupt tells. */
static void driver_sleeps(void)
{
	u32 done = polls;

	polls = 0;
	if (done)
		vfd_wr(&d, 0x1524, done);
}

/* ---- changes, in the order of igb_switch.c ------------------------------------------------ */

static void to_twin(u32 step)
{
	struct igb_vfregs r;
	u32 rx, tx;

	switch (step) {
	case 1: /* vCPUs parked, pages trapped */
		held = true;
		break;
	case 2:
		diverted = true;
		break;
	case 3:
		rx = model_rd(&m, IGB_VF_RX + 4 * VF_DCTL);
		tx = model_rd(&m, IGB_VF_TX + 4 * VF_DCTL);
		CHECK_EQ(igb_vfregs_stop(&env, m.link), 0);
		igb_vfregs_read(&env, &r);
		memcpy(t.rx, r.rx, sizeof(t.rx));
		memcpy(t.tx, r.tx, sizeof(t.tx));
		memcpy(t.irq, r.irq, sizeof(t.irq));
		t.rx[VF_DCTL] = rx;
		t.tx[VF_DCTL] = tx;
		t.irq[VF_EIMS] = m.eims;
		break;
	case 4:
		collect();
		twin = true;
		t.stopped = false;
		serve();
		break;
	case 5:
		vf_twin_recheck(&t);
		while (vf_twin_work(&t))
			;
		collect();
		model_reset(&m);
		break;
	default:
		held = false;
	}
}

static void to_hardware(u32 step)
{
	switch (step) {
	case 1:
		model_reset(&m);
		break;
	case 2:
		held = true;
		break;
	case 3:
		serve();
		t.stopped = true;
		break;
	case 4:
		CHECK(igb_vfregs_write(&env, &t, false));
		twin = false;
		igb_vfregs_go(&env, &t);
		collect();
		break;
	case 5:
		diverted = false;
		for (u32 i = 0; i < npf; i++) /* through the NIC's own switch */
			model_wire(&m, pf[i]);
		npf = 0;
		break;
	default:
		held = false;
	}
}

/* The next step of the change under way, or the first of one. */
static void change(void)
{
	static bool back;

	back = phase ? back : twin;
	phase++;
	if (back)
		to_hardware(phase);
	else
		to_twin(phase);
	phase %= PHASES;
}

static void change_all(void)
{
	do
		change();
	while (phase);
}

static void settle(void)
{
	for (u32 i = 0; i < 1000; i++) {
		while (model_step(&m))
			;
		collect();
		if (twin)
			serve();
		driver_polls();
		driver_sleeps();
	}
}

/* All that was sent has come back. */
static void complete(void)
{
	settle();
	CHECK_EQ(got, sent - m.dropped);
	CHECK_EQ(echoed, got);
	CHECK_EQ(t.count.malformed, 0);
}

static void start(bool as_twin)
{
	const struct vf_twin_env e = { NULL, twin_sends };

	if (!ram.page)
		vd_ram_init(&ram, PAGES, false);
	env = (struct igb_env){ &m, model_rd, model_wr, model_delay };
	m = (struct vf_model){ .ram = &ram, .link = true, .sent = on_wire };
	model_reset(&m);
	vf_twin_init(&t, &e, &ram.mem);
	t.open = true;
	t.max_frame = 1522;
	t.stopped = !as_twin;
	twin = diverted = as_twin;
	held = false;
	phase = npf = sent = echoed = got = answered = irqs = polls = spurious = 0;
	d = (struct vf_driver){ .ram = &ram, .io = io };
	vfd_open(&d, 0x82000002);
}

/* ---- all races at once -------------------------------------------------------------------- */

static void tick(void)
{
	switch (any(6)) {
	case 0:
		if (sent - echoed < WINDOW)
			peer_sends();
		break;
	case 1:
		(void)model_step(&m);
		collect();
		break;
	case 2:
		if (twin && !t.stopped)
			serve();
		break;
	case 3:
		if (!held)
			driver_polls();
		break;
	case 4:
		if (!held)
			driver_sleeps();
		break;
	default:
		if (!any(4))
			change();
	}
}

TEST(any_order)
{
	for (u32 seed = 1; seed <= 200; seed++) {
		start(seed & 1);
		state = seed;
		for (u32 i = 0; i < 3000; i++)
			tick();
		while (phase)
			change();
		CHECK_EQ(m.dropped, 0);
		CHECK(sent > 50);
		complete();
	}
}

/* ---- one by one, igb-vf's list ------------------------------------------------------------ */

/* The driver rings while its pages go: hardware still sees it, its tails are read behind that. */
TEST(doorbell_before_all_stand_still)
{
	start(false);
	peer_sends();
	while (model_step(&m))
		;
	collect();
	change();
	driver_polls(); /* refills, sends */
	while (phase)
		change();
	CHECK_EQ(t.rx[VF_TAIL], d.rx_tail);
	CHECK_EQ(t.tx[VF_TAIL], d.tx_tail);
	complete();
}

/* Descriptors are what they are when the twin comes to them. */
TEST(doorbell_behind_the_change)
{
	start(false);
	got = 1;
	m.dropped = (u32)-1; /* which the driver made up */
	vfd_put_frame(&d, ~0xfffull, MODEL_LEN, 0, 0, 0);
	change_all();
	d.tx_tail = 0;
	answer();
	complete();
	CHECK_EQ(echoed, 1);
}

/* Frames that are the VF's already come before those that go to the host's queue. */
TEST(frames_on_their_way_when_the_filter_goes)
{
	start(false);
	for (u32 i = 0; i < 4; i++)
		peer_sends();
	change(), change();
	for (u32 i = 0; i < 4; i++)
		peer_sends();
	CHECK_EQ(m.nfifo, 4);
	CHECK_EQ(npf, 4);
	while (phase)
		change();
	complete();
	CHECK_EQ(echoed, 8);
}

/* The head is ahead of what is in memory. */
TEST(descriptors_written_back_late)
{
	start(false);
	for (u32 i = 0; i < 4; i++) {
		peer_sends();
		(void)model_step(&m);
	}
	CHECK_EQ(model_rd(&m, IGB_VF_RX + 4 * VF_HEAD), 4);
	CHECK_EQ(vfd_desc(&d, VFD_RX, 0)[2] & 1, 0);
	change(), change(), change();
	CHECK_EQ(vfd_desc(&d, VFD_RX, 3)[2] & 1, 1);
	while (phase)
		change();
	complete();
}

/* Causes that hardware knows of and has not told: masked, or put off by its timer. */
TEST(owed_interrupts)
{
	for (u32 i = 0; i < 4; i++) {
		start(false);
		if (i & 1)
			m.moderates = true;
		else
			vfd_wr(&d, 0x1528, 7);
		peer_sends();
		while (model_step(&m))
			;
		collect();
		CHECK_EQ(irqs, 0);
		CHECK(m.eicr & 2);
		change_all();
		if (i & 2) { /* and back before anybody looks */
			CHECK(i & 1 || !irqs);
			change_all();
		}
		if (!(i & 1))
			vfd_wr(&d, 0x1524, 7);
		CHECK_EQ(irqs & 2, 2);
		driver_polls();
		driver_sleeps();
		CHECK_EQ(got, 1);
		complete();
		CHECK(spurious <= 2);
	}
}

/* Of causes that the twin holds back likewise. */
TEST(owed_by_the_twin)
{
	start(true);
	vfd_wr(&d, 0x1528, 7);
	peer_sends();
	serve();
	change_all();
	CHECK_EQ(irqs, 0);
	vfd_wr(&d, 0x1524, 7);
	CHECK_EQ(irqs & 2, 2);
	complete();
}

static u32 messages;

static void on_message(void *ctx, u16 vector, u64 address, u32 data)
{
	(void)ctx, (void)vector, (void)address, (void)data;
	messages++;
}

/* The table's mask bit is set when the hardware's interrupt comes, and cleared after the change. */
TEST(mask_of_the_table)
{
	const struct vmsix_env e = { .raise = on_message };
	u64 table[6] = { 0 }, pba[1] = { 0 }, on = BIT(32);
	struct vmsix x;

	start(false);
	messages = 0;
	vmsix_init(&x, 3, table, pba, &e);
	x.control = MSIX_CONTROL_ON;
	vmsix_table_io(&x, 16 + 8, 8, true, &on);
	peer_sends();
	while (model_step(&m))
		;
	collect();
	CHECK_EQ(irqs, 2);
	CHECK(vmsix_notify(&x, 1));
	irqs = 0;
	vfd_wr(&d, 0x1524, 2);
	change_all();
	CHECK_EQ(irqs & 2, 2);
	CHECK(vmsix_notify(&x, 1));
	CHECK_EQ(messages, 0);
	on = 0;
	vmsix_table_io(&x, 16 + 8, 8, true, &on);
	CHECK_EQ(messages, 1);
	complete();
}

/* No buffer is posted: the places are equal, and stay so; frames are dropped, as everywhere. */
TEST(no_receive_buffer)
{
	start(false);
	for (u32 i = 0; i < VFD_SLOTS + 3; i++)
		peer_sends();
	while (model_step(&m))
		;
	CHECK_EQ(m.dropped, 4);
	sent = VFD_SLOTS - 1;
	change_all();
	CHECK_EQ(t.rx[VF_HEAD], t.rx[VF_TAIL]);
	change_all();
	change_all();
	m.dropped = 0;
	collect();
	complete();
	CHECK_EQ(got, VFD_SLOTS - 1);
	peer_sends();
	complete();
}

/* A full ring that no link empties: what hardware did not send the twin sends, and the reverse. */
TEST(full_ring_and_no_link)
{
	start(false);
	m.link = false;
	got = VFD_SLOTS + 5;
	m.dropped = (u32)-got;
	answer();
	CHECK_EQ(answered, VFD_SLOTS - 1);
	while (model_step(&m))
		;
	change_all();
	CHECK_EQ(echoed, VFD_SLOTS - 1);
	m.link = true;
	complete();
	CHECK_EQ(echoed, VFD_SLOTS + 5);
	t.hold = true; /* half of it stays for the hardware */
	got += VFD_SLOTS - 1;
	m.dropped = (u32)-got;
	answer();
	change_all();
	t.hold = false;
	complete();
}

/* The driver resets the VF between the steps of a change: its rings are off, and stay so. */
TEST(reset_in_the_middle)
{
	for (u32 i = 1; i < PHASES; i++) {
		start(true);
		peer_sends();
		settle();
		for (u32 k = 0; k < i; k++)
			change();
		if (twin) {
			vf_twin_stop_queues(&t);
		} else {
			*model_reg(&m, IGB_VF_RX, VF_DCTL) &= ~(u32)MODEL_ON;
			*model_reg(&m, IGB_VF_TX, VF_DCTL) &= ~(u32)MODEL_ON;
		}
		while (phase)
			change();
		peer_sends(); /* nobody wants it */
		settle();
		CHECK_EQ(m.dropped, 1);
		CHECK_EQ(got, 1);
		sent = got;
		t.open = true;
		change_all();
		vfd_open(&d, 0x82000002);
		m.dropped = 0;
		peer_sends();
		complete();
		change_all();
		peer_sends();
		complete();
	}
}

/* The interface is closed, heads are written while the queues are off, and it opens again. */
TEST(close_and_open_on_both_sides)
{
	start(false);
	for (u32 i = 0; i < 6; i++) {
		peer_sends();
		peer_sends();
		complete();
		vfd_wr(&d, 0x2828, 0);
		vfd_wr(&d, 0x3828, 0);
		while (model_step(&m))
			;
		(void)vfd_rd(&d, 0x2828);
		vfd_wr(&d, 0x2810, 0);
		vfd_wr(&d, 0x3810, 0);
		if (i & 1)
			change_all();
		CHECK_EQ(vfd_rd(&d, 0x2810) | vfd_rd(&d, 0x3810), 0);
		CHECK_EQ((vfd_rd(&d, 0x2828) | vfd_rd(&d, 0x3828)) & MODEL_ON, 0);
		vfd_open(&d, 0x82000002);
	}
}

UNIT_MAIN({ "any_order", any_order },
	  { "doorbell_before_all_stand_still", doorbell_before_all_stand_still },
	  { "doorbell_behind_the_change", doorbell_behind_the_change },
	  { "frames_on_their_way_when_the_filter_goes", frames_on_their_way_when_the_filter_goes },
	  { "descriptors_written_back_late", descriptors_written_back_late },
	  { "owed_interrupts", owed_interrupts }, { "owed_by_the_twin", owed_by_the_twin },
	  { "mask_of_the_table", mask_of_the_table }, { "no_receive_buffer", no_receive_buffer },
	  { "full_ring_and_no_link", full_ring_and_no_link },
	  { "reset_in_the_middle", reset_in_the_middle },
	  { "close_and_open_on_both_sides", close_and_open_on_both_sides })
