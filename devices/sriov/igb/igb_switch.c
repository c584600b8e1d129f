/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ways from a VF to its twin and back while the guest's driver stays as it is. All that takes
 * time (cleaning, resetting, attaching) happens while the guest runs; it stands still for some
 * fifty register accesses.
 */
#include "arch/x86/io.h"
#include "devices/net/net.h"
#include "devices/sriov/igb/igb_guest_priv.h"
#include "devices/sriov/igb/igb_vfregs.h"
#include "devices/sriov/nics.h"
#include "kernel/base/bits.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/hostmap.h"
#include "kernel/core/log.h"

#define SENT_US	 100u
#define STEP_US	 5u
#define HOOK_US	 20000u
#define HOOK_RESET 10u

/* One change to hardware. */
struct move {
	enum igb_head how;
	volatile u8 *bar;
	struct assign_info info;
};

struct reason {
	char *text;
	size_t size;
};

/* What the driver asked for by its mailbox goes along with the policy. */
static void copy_learned(struct igb_vf *to, const struct igb_vf *from)
{
	to->cts = from->cts;
	to->all_multi = from->all_multi;
	to->max_frame = from->max_frame;
	to->hashes = from->hashes;
	memcpy(to->hash, from->hash, sizeof(to->hash));
}

/* Where a test lets things happen: to the twin 1 to 5, to hardware 6 to 9; 10 more: g is reset. */
static void hook(const struct igb_guest *v, const struct igb *g, u8 point)
{
	if (v->hook == point)
		delay_us(HOOK_US);
	else if (v->hook == point + HOOK_RESET)
		igb_kill(g);
}

static volatile u8 *vf_bar(const struct igb *g, u8 n)
{
	const struct pci_bar *b = &g->sriov.bar[0];

	return hostmap_mmio(b->addr + n * b->size, b->size);
}

static u32 bar_rd(void *ctx, u32 off)
{
	return mmio_read32((volatile u8 *)ctx + off);
}

static void bar_wr(void *ctx, u32 off, u32 value)
{
	mmio_write32((volatile u8 *)ctx + off, value);
}

static void bar_delay(void *ctx, u32 us)
{
	(void)ctx;
	delay_us(us);
}

static struct igb_env bar_env(volatile u8 *bar)
{
	return (struct igb_env){ (void *)(uintptr_t)bar, bar_rd, bar_wr, bar_delay };
}

/* What the host's queue has goes where it belongs. Locks: the switch's. Returns how many frames. */
static u32 serve_locked(void)
{
	u32 n = nics_uplink() ? igb_serve_locked(nics_uplink()) : 0;

	if (n)
		vswitch_flush(net_locked());
	return n;
}

static u32 serve(void)
{
	u32 n;

	(void)net_lock();
	n = serve_locked();
	net_unlock();
	return n;
}

static void divert(struct igb *g, u8 n, bool on)
{
	int rc;

	spin_lock(&g->lock);
	rc = igb_vf_divert(&g->hw, n, on, g == nics_uplink());
	spin_unlock(&g->lock);
	if (rc)
		log_err("nic %s: VF %u: its filter: %s", g->name, n, err_name(rc));
}

/* ---- to the twin -------------------------------------------------------------------------- */

/* False: it did not answer all the time, nothing was read. */
static bool read_state(struct igb_guest *v, volatile u8 *bar)
{
	const struct igb_env e = bar_env(bar);
	struct igb_vfregs r;

	igb_vfregs_read(&e, &r);
	/* The VF's own copy may say what was written last; the physical function's is the mask. */
	r.irq[VF_EIMS] = mmio_read32(v->g->regs + IGB_EIMS) >> IGB_VF_EITR(v->n) & 7;
	if (!igb_answers(v->g))
		return false;
	memcpy(v->twin.rx, r.rx, sizeof(r.rx));
	memcpy(v->twin.tx, r.tx, sizeof(r.tx));
	memcpy(v->twin.irq, r.irq, sizeof(r.irq));
	return true;
}

void igb_switch_look(struct igb *g)
{
	for (u8 n = 0; n < g->vfs; n++) {
		struct igb_guest *v = g->slot[n].guest;
		volatile u8 *bar = vf_bar(g, n);

		if (!bar || !v || !v->a || v->g != g)
			continue;
		spin_lock(&v->vm->lock); /* a reset by its driver is before or behind it */
		(void)read_state(v, bar); /* of one that does not answer the last is good */
		spin_unlock(&v->vm->lock);
	}
}

/* What its registers say, with its queues stopped; false: it does not answer. */
static bool stop_and_read(struct igb_guest *v, struct igb *g, volatile u8 *bar)
{
	u32 rx = mmio_read32(bar + IGB_VF_RX + 4 * VF_DCTL);
	u32 tx = mmio_read32(bar + IGB_VF_TX + 4 * VF_DCTL);
	const struct igb_env e = bar_env(bar);

	if (!igb_answers(g))
		return false;
	if (igb_vfregs_stop(&e, g->mbps != 0)) /* without link it never drains */
		log_err("nic %s: VF %u did not stop, it is cut off", g->name, v->n);
	hook(v, g, 3);
	if (!read_state(v, bar))
		return false;
	v->twin.rx[VF_DCTL] = rx;
	v->twin.tx[VF_DCTL] = tx;
	return true;
}

/* The hardware's part of it ends here. All vCPUs parked, pages trapped. */
static void take_over(struct igb_guest *v, struct igb *g, volatile u8 *bar)
{
	if (!stop_and_read(v, g, bar)) {
		assign_cut(v->a, &g->slot[v->n].left); /* it writes nothing any more */
		vf_twin_recover(&v->twin);
	}
	copy_learned(&v->soft.vf[0], &g->hw.vf[v->n]);
	igb_vf0_freeze_stats(&v->page);
	v->g = NULL;
	igb_vf0_thaw_stats(&v->page);
	igb_twin_sync(v);
}

/* Would the switch take it? Nobody else adds ports meanwhile. */
static int try_port(struct igb_guest *v, char *why, size_t size)
{
	int rc;

	(void)net_lock();
	rc = igb_twin_add_port(v);
	if (!rc)
		vswitch_remove(net_locked(), v->port);
	v->has_port = false;
	net_unlock();
	if (rc)
		fmt_snprintf(why, size, "the switch does not take it: %s", err_name(rc));
	return rc;
}

static int direct_to_twin(struct igb_guest *v, char *why, size_t size)
{
	struct igb *g = v->g;
	volatile u8 *bar = vf_bar(g, v->n);
	u64 stood;
	int rc = bar ? igb_twin_policy(v, &g->hw.vf[v->n]) : -ENOMEM;

	if (!rc)
		rc = try_port(v, why, size);
	stood = time_ns();
	if (!rc)
		rc = vm_hold(v->vm, why, size);
	if (rc)
		return rc;
	assign_close(v->a);
	/* Group frames that the VF has got do not go to the twin, its own from here on do. */
	hook(v, g, 1);
	v->last.frames = serve();
	divert(g, v->n, true);
	hook(v, g, 2);
	take_over(v, g, bar);
	hook(v, g, 4);
	(void)net_lock();
	if (igb_twin_add_port(v))
		log_err("vm %s: net%u: no port at the switch", v->vm->name, v->net);
	v->twin.stopped = false;
	v->last.frames += serve_locked(); /* before what comes by the switch from now on */
	net_unlock();
	igb_twin_recheck(v);
	vm_let_go(v->vm);
	v->last.stopped_us = (u32)((time_ns() - stood) / 1000);
	hook(v, g, 5);
	igb_twin_listen(v);
	igb_guest_take(g, v->n);
	if (assign_is_backed(v->a))
		assign_cut(v->a, &g->slot[v->n].left);
	if (v->twin.lost)
		log_warn("vm %s: net%u: its driver has to ring before a queue's place is known",
			 v->vm->name, v->net);
	return 0;
}

/* ---- to hardware -------------------------------------------------------------------------- */

static int write_state(struct igb_guest *v, volatile u8 *bar, bool placed)
{
	const struct igb_env e = bar_env(bar);

	if (!igb_vfregs_write(&e, &v->twin, placed))
		return -ENOTSUP;
	if (v->g->hw.vf[v->n].cts) {
		spin_lock(&v->g->lock);
		igb_vf_open(&v->g->hw, v->n);
		spin_unlock(&v->g->lock);
	}
	if (!igb_answers(v->g)) /* up to here it has done nothing */
		return -EIO;
	igb_vfregs_go(&e, &v->twin);
	return 0;
}

/* The twin's frames are on their way before the VF sends. */
static void wait_sent(struct igb *g)
{
	for (u32 us = 0; g && g->mbps && us < SENT_US; us += STEP_US) {
		u32 room;

		(void)net_lock();
		room = igb_tx_reclaim(&g->tx);
		net_unlock();
		if (room == IGB_RING - 1)
			return;
		delay_us(STEP_US);
	}
}

/* Whose the queues are, with counters that go on from where they were. */
static void set_owner(struct igb_guest *v, struct igb *g, u8 n)
{
	(void)net_lock();
	v->last.frames = g && !v->next ? serve_locked() : 0; /* one that waits may not move on */
	igb_vf0_freeze_stats(&v->page);
	v->twin.stopped = g != NULL;
	v->g = g;
	v->n = n;
	net_unlock();
	igb_vf0_thaw_stats(&v->page);
}

/* A clean VF of g with v's rights and the driver's wishes, whose frames go to the host's queue. */
static int prepare(struct igb_guest *v, struct igb *g, u8 n)
{
	int rc = igb_guest_clean(g, n);

	if (rc)
		return rc;
	spin_lock(&g->lock);
	rc = igb_vf_give(&g->hw, n, &v->soft.vf[0]);
	if (!rc)
		rc = igb_vf_divert(&g->hw, n, true, g == nics_uplink());
	if (!rc) {
		copy_learned(&g->hw.vf[n], &v->soft.vf[0]);
		g->slot[n].guest = v;
	}
	spin_unlock(&g->lock);
	return rc;
}

/* What is left to do of the dummies; into the VM's domain. */
static int place_heads(struct igb_guest *v, struct igb *g, u8 n, const struct move *m)
{
	char why[120] = "";
	int rc, err;

	igb_vf0_freeze_stats(&v->page); /* they count, too */
	rc = igb_dummy_advance(v, g, n, m->bar);
	igb_vf0_thaw_stats(&v->page);
	err = igb_dummy_end(v, g, n);
	rc = rc ? rc : err;
	if (!rc)
		rc = assign_back(v->a, &m->info, why, sizeof(why));
	if (why[0])
		log_err("nic %s: VF %u: %s", g->name, n, why);
	return rc;
}

/* All vCPUs parked. */
static int hand_over(struct igb_guest *v, struct igb *g, u8 n, const struct move *m)
{
	bool dummy = m->how == IGB_HEAD_DUMMY;
	int rc;

	set_owner(v, g, n);
	/* The driver may have asked for more, or reset it, since prepare(). */
	copy_learned(&g->hw.vf[n], &v->soft.vf[0]);
	wait_sent(nics_uplink());
	hook(v, g, 7);
	if (m->how == IGB_HEAD_WRAP && !vf_twin_at_start(&v->twin))
		rc = -EBUSY; /* it went on until it was held */
	else
		rc = dummy ? place_heads(v, g, n, m) : 0;
	if (!rc)
		rc = write_state(v, m->bar, dummy);
	if (rc) {
		set_owner(v, NULL, 0);
		return rc;
	}
	hook(v, g, 8);
	divert(g, n, false);
	hook(v, g, 9);
	v->last.frames += serve(); /* what came until then: be_send() knows */
	igb_twin_stop(v);
	assign_open(v->a);
	return 0;
}

/* What the NIC is found not to do, it is not asked for again. */
static void note_failure(struct igb_guest *v, struct igb *g, const struct move *m, int rc)
{
	if (v->head != IGB_HEAD_PROBED || rc == -EBUSY || m->how == IGB_HEAD_WRAP || g->dead)
		return;
	g->head = m->how == IGB_HEAD_WRITE ? IGB_HEAD_DUMMY : IGB_HEAD_WRAP;
	log_warn("nic %s: rings are taken over by %s from now on", g->name,
		 g->head == IGB_HEAD_DUMMY ? "dummy descriptors" : "waiting for their beginning");
}

void igb_switch_give_up(struct igb_guest *v, struct igb *g, u8 n)
{
	igb_guest_take(g, n);
	if (assign_is_backed(v->a))
		assign_cut(v->a, &g->slot[n].left);
	igb_twin_recheck(v);
}

static int begin_direct(struct igb_guest *v, struct igb *g, u8 n, struct move *m, struct reason why)
{
	int rc = m->bar ? igb_guest_info(g, n, &m->info, why.text, why.size) : -ENOMEM, err;

	if (rc)
		return rc;
	rc = prepare(v, g, n);
	if (rc) {
		fmt_snprintf(why.text, why.size, "VF %u cannot be had: %s", n, err_name(rc));
		return rc;
	}
	if (m->how != IGB_HEAD_DUMMY) {
		rc = assign_back(v->a, &m->info, why.text, why.size);
	} else {
		rc = igb_dummy_begin(v, g, n, m->bar);
		if (!rc)
			rc = igb_dummy_advance(v, g, n, m->bar);
		err = rc ? igb_dummy_end(v, g, n) : 0;
		if (rc)
			fmt_snprintf(why.text, why.size, "VF %u does not come to its places: %s%s",
				     n, err_name(rc), err ? ", nor back" : "");
	}
	if (rc)
		igb_switch_give_up(v, g, n);
	return rc;
}

static int end_direct(struct igb_guest *v, struct igb *g, u8 n, const struct move *m,
		      struct reason why)
{
	u64 stood;
	int rc;

	hook(v, g, 6);
	if (m->how != IGB_HEAD_WRAP)
		(void)serve();
	stood = time_ns();
	rc = vm_hold(v->vm, why.text, why.size);
	if (rc) {
		if (m->how == IGB_HEAD_DUMMY && igb_dummy_end(v, g, n))
			log_err("nic %s: VF %u was not detached", g->name, n);
		igb_switch_give_up(v, g, n);
		return rc;
	}
	rc = hand_over(v, g, n, m);
	vm_let_go(v->vm);
	v->last.stopped_us = (u32)((time_ns() - stood) / 1000);
	if (!rc || (rc == -EBUSY && m->how == IGB_HEAD_WRAP))
		return rc;
	fmt_snprintf(why.text, why.size, "this hardware %s: %s",
		     g->dead ? g->dead : "does not go on in the middle of a ring", err_name(rc));
	note_failure(v, g, m, rc);
	igb_switch_give_up(v, g, n);
	return rc;
}

/* nic: the hardware that it has, or had. */
static void done(struct igb_guest *v, const struct igb *nic, u64 start)
{
	v->last.us = (u32)((time_ns() - start) / 1000);
	log_info("vm %s: net%u: to %s in %u us, it stood %u us, %u frames", v->vm->name, v->net,
		 v->g ? nic->name : "its twin", v->last.us, v->last.stopped_us, v->last.frames);
	if (nic != nics_uplink())
		igb_twin_show(v);
}

static void done_direct(struct igb_guest *v, u64 start)
{
	struct config_net *net = &v->vm->own_config.net[v->net];

	net->twin = false; /* also at its next start */
	str_copy(net->nic, sizeof(net->nic), v->g->name);
	done(v, v->g, start);
}

int igb_switch_finish(struct igb_guest *v, char *why, size_t size)
{
	const struct move m = { .how = IGB_HEAD_WRAP, .bar = vf_bar(v->next, v->next_n) };
	u64 start = time_ns();
	int rc = end_direct(v, v->next, v->next_n, &m, (struct reason){ why, size });

	if (!rc)
		done_direct(v, start);
	return rc;
}

/* ---- what control calls ------------------------------------------------------------------ */

static struct igb_guest *find(struct vm *vm, u8 index, bool twin, char *why, size_t size)
{
	struct igb_guest *v = igb_guest_of(vm, index);

	if (v && v->a && (v->g == NULL) == twin && !v->twin.lost)
		return v;
	str_copy(why, size, !v		   ? "it has no such VF"
			    : v->twin.lost ? "where its rings stand is not known yet"
			    : twin	   ? "it is direct"
					   : "it is the twin");
	return NULL;
}

int igb_guest_twin(struct vm *vm, u8 index, char *why, size_t why_size)
{
	struct igb_guest *v = igb_guest_of(vm, index);
	const struct igb *nic = v ? v->g : NULL;
	u64 start = time_ns();
	int rc;

	if (v && v->next) {
		igb_switch_cancel(v);
		return 0;
	}
	v = find(vm, index, false, why, why_size);
	rc = v ? direct_to_twin(v, why, why_size) : -EBUSY;
	if (rc)
		return rc;
	vm->own_config.net[index].twin = true; /* also at its next start */
	done(v, nic, start);
	return 0;
}

int igb_guest_direct(struct vm *vm, u8 index, const char *nic, char *why, size_t why_size)
{
	struct igb_guest *v = find(vm, index, true, why, why_size);
	struct move m = { .how = IGB_HEAD_WRITE };
	u64 start = time_ns();
	struct igb *g;
	u32 i = 0;
	u8 n = 0;
	int rc;

	if (!v)
		return -EBUSY;
	igb_switch_cancel(v);
	while ((g = nics_at(i)) != NULL &&
	       ((nic && strcmp(nic, g->name) != 0) || !igb_guest_free(g, &n)))
		i++;
	if (!g) {
		fmt_snprintf(why, why_size, "no VF is free%s%s", nic ? " at " : "", nic ? nic : "");
		return -ENOENT;
	}
	m.how = v->head != IGB_HEAD_PROBED ? v->head : g->head;
	m.bar = vf_bar(g, n);
	rc = begin_direct(v, g, n, &m, (struct reason){ why, why_size });
	if (!rc && m.how == IGB_HEAD_WRAP)
		return igb_switch_wait(v, g, n);
	if (!rc)
		rc = end_direct(v, g, n, &m, (struct reason){ why, why_size });
	if (!rc)
		done_direct(v, start);
	return rc;
}

struct igb_switch_stat igb_guest_switched(const struct vm *vm, u8 index)
{
	const struct igb_guest *v = igb_guest_of(vm, index);

	return v ? v->last : (struct igb_switch_stat){ .us = 0 };
}
