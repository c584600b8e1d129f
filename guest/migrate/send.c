/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest leaves: what it is, its memory while it runs, the rest while it stands, the handover.
 * Whatever fails before the destination has taken it, it goes on here.
 */
#include "guest/migrate/mig_priv.h"
#include "guest/vm/vm.h"
#include "kernel/base/assert.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/log.h"
#include "kernel/core/timer.h"

#define RETRY_NS 1000000000ull
#define TIME_ASKS 16
#define UNPLUG_LOOK_NS 50000000ull

/* ---- ends ------------------------------------------------------------------------------ */

static void hang_up(struct mig_send *s)
{
	s->sent += s->link.sent;
	s->received += s->link.received;
	s->wire += s->link.wire;
	mig_link_close(&s->link);
	s->link.sent = s->link.received = s->link.wire = 0;
}

static void over(struct mig_send *s, u32 phase)
{
	s->phase = phase;
	s->ended = time_ns();
	s->vm = NULL;
}

static void end_logging(struct mig_send *s)
{
	if (!s->logging)
		return;
	s->stats = s->pages.stats;
	mig_pages_stop(&s->pages);
	s->logging = false;
}

/* The guest stood for a while and its clock with it: time went on. */
static void go_on(struct mig_send *s)
{
	char why[MIG_WHY];

	if (!s->stopped || s->was_paused || s->vm->state != VM_PAUSED)
		return;
	s->vm->clock_runs = true;
	if (vm_resume(s->vm, why, sizeof(why)))
		log_err("vm %s: %s", s->name, why);
	s->resumed_at = time_ns();
}

/* It stays: s->owner is MIG_OWN. */
static void stay(struct mig_send *s, const char *why)
{
	str_copy(s->why, sizeof(s->why), why);
	s->vm->migrating = false;
	end_logging(s);
	go_on(s);
	mig_leave_stay(&s->leave);
	log_warn("vm %s: not moved to %s, goes on here: %s", s->name, s->rq.host, s->why);
	hang_up(s);
	over(s, MIG_PHASE_FAILED);
}

static u64 fail(struct mig_send *s, const char *why)
{
	(void)mig_source_step(&s->owner, MIG_EV_ABORT); /* it says nothing: the link ends */
	ASSERT(s->owner == MIG_OWN); /* or there may be two */
	stay(s, why);
	return MIG_NEVER;
}

/* What stops have cost besides their pages, of late: to other hosts, and to this one. */
static u64 *fixed_ns(const struct mig_send *s)
{
	static u64 fixed[2];

	return &fixed[strcmp(s->rq.host, "local") == 0];
}

static void gone(struct mig_send *s)
{
	u64 *fixed = fixed_ns(s);
	char why[MIG_WHY];

	s->resumed_at = time_ns();
	if (!s->was_paused && s->phase == MIG_PHASE_WAIT) {
		u64 this = s->resumed_at - s->stopped_at - s->last_ns;

		*fixed = *fixed ? (3 * *fixed + this) / 4 : this;
	}
	(void)mig_link_end(&s->link); /* out with the ACK, before the work; called again later */
	end_logging(s);
	s->vm->migrating = false;
	log_info("vm %s: moved to %s: %lu ms, stood %lu us, %lu passes", s->name, s->rq.host,
		 (s->resumed_at - s->began) / 1000000, (s->resumed_at - s->stopped_at) / 1000,
		 s->stats.passes);
	if (vm_delete(s->vm, why, sizeof(why)))
		log_err("vm %s: what is left of it here stays: %s", s->name, why);
	over(s, MIG_PHASE_DONE);
}

/* ---- what the receiver says ---------------------------------------------------------------- */

static void say(struct mig_send *s, enum mig_msg msg)
{
	struct mig_note n = { .kind = msg, .flags = s->was_paused ? MIG_NOTE_PAUSED : 0 };

	memcpy(n.id, s->id, sizeof(n.id));
	if (msg != MIG_MSG_NONE)
		mig_link_note(&s->link, &n);
}

static u64 hello(struct mig_send *s, const struct mig_note *n)
{
	mig_link_begin(&s->link, n->id);
	if (s->owner == MIG_GIVEN) { /* a new connection about an old question */
		say(s, mig_source_step(&s->owner, MIG_EV_RETRY));
		s->phase = MIG_PHASE_WAIT;
		return 0;
	}
	memcpy(s->id, n->id, sizeof(s->id));
	(void)mig_source_step(&s->owner, MIG_EV_OFFER); /* the stream is the offer */
	s->phase = MIG_PHASE_INTRO;
	return 0;
}

static u64 accepted(struct mig_send *s)
{
	char why[MIG_WHY];
	int rc;

	/* What a function in hardware writes nobody sees: from here on there is none. */
	rc = mig_leave_aside(&s->leave, &s->held_us, why, sizeof(why));
	if (rc < 0)
		return fail(s, why);
	s->functions = (u32)rc;
	if (mig_pages_start(&s->pages, s->vm, why, sizeof(why)))
		return fail(s, why);
	s->logging = true;
	s->phase = MIG_PHASE_COPY;
	s->pass = (struct mig_pass){ .pass = 1, .before = s->pages.left, .vcpus = s->vm->vcpus };
	s->pass.ns = time_ns();
	s->pass_sent = s->link.sent;
	return 0;
}

/*
 * What the time is there, while no data delays the answer: the one that comes soonest is wrong by
 * half of its way at most, and for as long as both directions take alike not at all.
 */
static u64 ask_time(struct mig_send *s)
{
	struct mig_note n = { .kind = MIG_NOTE_TIME };

	s->asks++;
	s->asked = time_ns();
	mig_link_note(&s->link, &n);
	return 0;
}

static u64 time_told(struct mig_send *s, u64 theirs)
{
	u64 rtt = time_ns() - s->asked;

	if (rtt < s->rtt) {
		s->rtt = rtt;
		s->ahead = theirs - (s->asked + rtt / 2);
	}
	return s->asks < TIME_ASKS ? ask_time(s) : accepted(s);
}

static u64 answer(struct mig_send *s, const struct mig_note *n)
{
	if (memcmp(n->id, s->id, sizeof(s->id)) != 0)
		return 0;
	switch (n->kind) {
	case MIG_MSG_READY:
		if (s->phase == MIG_PHASE_WAIT)
			say(s, mig_source_step(&s->owner, MIG_EV_READY));
		return 0;
	case MIG_MSG_TAKEN:
		say(s, mig_source_step(&s->owner, MIG_EV_TAKEN));
		if (s->owner == MIG_GONE)
			gone(s);
		return MIG_NEVER;
	case MIG_MSG_NOT:
		(void)mig_source_step(&s->owner, MIG_EV_NOT); /* it says nothing */
		if (s->owner == MIG_OWN)
			stay(s, n->text[0] ? n->text : "the destination has dropped it");
		return MIG_NEVER;
	default:
		return 0;
	}
}

static u64 lost(struct mig_send *s, const char *why);

static u64 note(struct mig_send *s, const struct mig_note *n)
{
	if (n->kind == MIG_NOTE_HELLO && s->phase == MIG_PHASE_CONNECT)
		return hello(s, n);
	if (n->kind == MIG_NOTE_ACCEPT && s->phase == MIG_PHASE_INTRO && !s->asks) {
		s->rtt = ~0ull;
		return ask_time(s);
	}
	if (n->kind == MIG_NOTE_TIME && s->phase == MIG_PHASE_INTRO && s->asks)
		return time_told(s, n->ns);
	if (n->kind == MIG_NOTE_REFUSE)
		return lost(s, n->text);
	return answer(s, n);
}

/* ---- what is sent ---------------------------------------------------------------------------- */

static int stop(struct mig_send *s)
{
	struct vm *vm = s->vm;
	int rc = s->was_paused ? 0 : vm_pause(vm, s->why, sizeof(s->why));

	if (rc)
		return rc;
	if (s->was_paused) {
		spin_lock(&vm->lock);
		vm_quiesce(vm); /* again: it was not leaving then */
		spin_unlock(&vm->lock);
	}
	s->stopped = true;
	s->stopped_at = s->was_paused ? time_ns() : time_ns_at(vm->paused_at - vm->tsc_offset);
	/* What it asked for in its last moment is served here, not there. */
	if (atomic_load_acquire(&vm->pending)) {
		str_copy(s->why, sizeof(s->why), "it powers off, resets or has failed");
		return -EBUSY;
	}
	(void)mig_pages_harvest(&s->pages); /* final now; the clock record goes before it */
	s->step = 0;
	s->link.out_len = mig_save_machine(vm, s->stopped_at + s->ahead, &s->step, &s->link.sum,
					   s->link.out);
	s->phase = MIG_PHASE_LAST;
	s->last_ns = time_ns();
	return 1;
}

static int pass_over(struct mig_send *s)
{
	u64 now = time_ns();

	if (s->phase == MIG_PHASE_LAST) {
		s->last_ns = now - s->last_ns;
		s->phase = MIG_PHASE_MACHINE;
		return 1;
	}
	s->pass.ns = now - s->pass.ns;
	s->pass.bytes = s->link.sent - s->pass_sent;
	s->pass.left = mig_pages_harvest(&s->pages);
	s->pass.fixed_ns = *fixed_ns(s);
	s->pass.rtt_ns = s->rtt;
	s->verdict = mig_policy(&s->rq.limits, &s->pass, &s->slow);
	s->vm->page_ns = s->verdict.page_ns;
	if (s->verdict.step == MIG_STOP)
		return stop(s);
	if (s->verdict.step == MIG_ABORT) {
		fmt_snprintf(s->why, sizeof(s->why),
			     "it writes too fast for the link: a pause of %lu ms after %u passes",
			     s->verdict.downtime_ns / 1000000, s->pass.pass);
		return -ECANCELED;
	}
	s->pass.pass++;
	s->pass.before = s->pass.left;
	s->pass.ns = now;
	s->pass_sent = s->link.sent;
	return 1;
}

static int pages(struct mig_send *s)
{
	int n = mig_pages_next(&s->pages, s->link.out + MIG_RECORD_HEAD, MIG_RECORD_MAX);

	if (n == -EBUSY)
		return 1; /* the time of a look */
	if (n < 0) {
		str_copy(s->why, sizeof(s->why), "it is off");
		return n;
	}
	if (!n)
		return pass_over(s);
	s->link.out_len = mig_record_seal(&s->link.sum, MIG_PAGES, s->link.out, (u32)n);
	return 1;
}

/* All is out: what comes next. 1: there is more, 0: an answer must come first, -E...: s->why. */
static int produce(struct mig_send *s)
{
	switch (s->phase) {
	case MIG_PHASE_INTRO:
		s->link.out_len = mig_save_intro(s->vm, &s->step, &s->link.sum, s->link.out);
		return s->link.out_len != 0;
	case MIG_PHASE_COPY:
	case MIG_PHASE_LAST:
		return pages(s);
	case MIG_PHASE_MACHINE:
		s->link.out_len = mig_save_machine(s->vm, 0, &s->step, &s->link.sum, s->link.out);
		if (!s->link.out_len) {
			s->link.out_len = mig_end_make(&s->link.sum, s->link.out);
			s->phase = MIG_PHASE_WAIT;
		}
		return 1;
	default:
		return 0;
	}
}

/* ---- steps ------------------------------------------------------------------------------- */

/* Who holds a guest that the destination may run asks until there is an answer. */
static u64 ask_again(struct mig_send *s)
{
	struct mig_channel *ch;
	char why[MIG_WHY];

	if (s->link.ch)
		hang_up(s);
	if (time_ns() < s->not_before)
		return s->not_before;
	s->not_before = time_ns() + RETRY_NS;
	if (mig_connect(&s->rq, s->vm, &ch, why, sizeof(why)))
		return s->not_before;
	if (mig_link_open(&s->link, ch, NULL, mig_wake)) {
		ch->ops->close(ch);
		return s->not_before;
	}
	s->phase = MIG_PHASE_CONNECT;
	return 0;
}

static u64 lost(struct mig_send *s, const char *why)
{
	if (s->owner != MIG_GIVEN)
		return fail(s, why);
	if (s->link.ch)
		log_warn("vm %s: stands: whether %s has it is not known (%s); asking again",
			 s->name, s->rq.host, why);
	return ask_again(s);
}

static bool still_there(const struct mig_send *s)
{
	u32 want = s->stopped || s->was_paused ? VM_PAUSED : VM_RUNNING;

	return s->vm->state == want;
}

/* Up to the rate limit: when may the next record go? */
static void hold_back(struct mig_send *s)
{
	u64 rate = s->rq.limits.bytes_per_s;

	if (rate && s->phase == MIG_PHASE_COPY)
		s->not_before = max_u64(s->not_before, time_ns() - 10000000) +
				s->link.out_len * 1000000000ull / rate;
}

static u64 listen(struct mig_send *s)
{
	struct mig_record r;
	struct mig_note n;
	char why[MIG_WHY];
	int rc = mig_link_pull(&s->link, &r, why, sizeof(why));

	if (rc < 0)
		return lost(s, why);
	if (!rc)
		return MIG_NEVER;
	if (r.type != MIG_HANDOVER || mig_note_read(&r, &n))
		return lost(s, "the destination sent what is no answer");
	return note(s, &n);
}

static u64 await(struct mig_send *s)
{
	u64 until = s->link.moved + MIG_SILENCE_NS;

	return time_ns() < until ? until : lost(s, "no sign from the destination for 10 s");
}

/* Out with what waits, and with what comes next. */
static u64 talk(struct mig_send *s)
{
	int rc = mig_link_push(&s->link);

	if (rc < 0)
		return lost(s, mig_link_lost(&s->link));
	if (rc == 0)
		return await(s);
	if (s->phase == MIG_PHASE_COPY && time_ns() < s->not_before)
		return s->not_before;
	rc = produce(s);
	if (rc < 0)
		return fail(s, s->why);
	hold_back(s);
	return rc ? 0 : await(s);
}

static int connect(struct mig_send *s, char *why, size_t why_size)
{
	struct mig_channel *ch;
	int rc = mig_connect(&s->rq, s->vm, &ch, why, why_size);

	if (rc)
		return rc;
	rc = mig_link_open(&s->link, ch, NULL, mig_wake);
	if (rc) {
		ch->ops->close(ch);
		str_copy(why, why_size, "no memory for the stream's buffers");
		return rc;
	}
	s->link.fault = s->rq.fault;
	s->phase = MIG_PHASE_CONNECT;
	return 0;
}

/* Nothing is said to the destination before: it would take the silence for a loss. */
static u64 unplug(struct mig_send *s)
{
	char why[MIG_WHY] = "";
	int rc = mig_leave_unplug(&s->leave, time_ns(), why, sizeof(why));

	if (rc > 0)
		return time_ns() + UNPLUG_LOOK_NS;
	if (!rc)
		rc = connect(s, why, sizeof(why));
	return rc ? fail(s, why) : 0;
}

u64 mig_send_step(struct mig_send *s)
{
	u64 next;

	if (!s->vm)
		return s->link.ch ? mig_link_end(&s->link) : MIG_NEVER;
	if (s->phase == MIG_PHASE_UNPLUG)
		return still_there(s) ? unplug(s) : fail(s, "it is off, or has failed");
	if (!s->link.ch)
		return ask_again(s);
	if (s->owner != MIG_GIVEN && !still_there(s))
		return fail(s, "it is no more what it was when the move began");
	if (s->rq.cancel_at && s->owner != MIG_GIVEN && s->sent + s->link.sent >= s->rq.cancel_at)
		return fail(s, "cancelled");
	next = listen(s);
	if (next == 0 || !s->vm || !s->link.ch)
		return next;
	return talk(s);
}

int mig_send_begin(struct mig_send *s, char *why, size_t why_size)
{
	int rc = mig_can_move(s->vm, why, why_size);

	s->leave = mig_leave_of(s->vm);
	if (!rc)
		rc = mig_leave_unplug(&s->leave, time_ns(), why, why_size);
	if (rc > 0)
		s->phase = MIG_PHASE_UNPLUG;
	else if (!rc)
		rc = connect(s, why, why_size);
	if (rc < 0) {
		mig_leave_stay(&s->leave);
		return rc;
	}
	s->was_paused = s->vm->state == VM_PAUSED;
	s->began = time_ns();
	s->vm->migrating = true;
	return 0;
}

int mig_send_cancel(struct mig_send *s, bool force, char *why, size_t why_size)
{
	if (s->owner != MIG_GIVEN) {
		(void)fail(s, "cancelled");
		return 0;
	}
	if (!force) {
		fmt_snprintf(why, why_size,
			     "%s may run %s already; if you know that it neither runs nor "
			     "receives it: force=yes", s->rq.host, s->name);
		return -EBUSY;
	}
	(void)mig_source_step(&s->owner, MIG_EV_FORCE); /* it says nothing */
	stay(s, "cancelled by force");
	return 0;
}
