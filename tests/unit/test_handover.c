/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code of the handover in the world of tests/model/handover.pml: every state that two moves
 * can reach through a network that loses, repeats and delays, and a crash of either side.
 */
#include "guest/migrate/handover.h"
#include "unit.h"

#define MOVES 2
#define MSGS  6 /* enum mig_msg */
#define DEAD  4 /* a state of the source's besides its own */

struct world {
	u8 source, move;
	u8 dest[MOVES];
	bool heard[MOVES]; /* the stream has begun to come */
	bool runs[MOVES], sent[MOVES][MSGS];
	bool source_crashed, dest_crashed;
};

static u8 seen[1u << 24];
static unsigned states;

static u32 pack(const struct world *w)
{
	u32 x = w->source;

	x = x << 2 | w->move;
	for (unsigned i = 0; i < MOVES; i++) {
		x = x << 2 | w->dest[i];
		x = x << 1 | w->heard[i];
		x = x << 1 | w->runs[i];
		for (unsigned m = MIG_MSG_READY; m < MSGS; m++)
			x = x << 1 | w->sent[i][m];
	}
	return x << 2 | (u32)w->source_crashed << 1 | w->dest_crashed;
}

static void send(struct world *w, unsigned i, enum mig_msg m)
{
	w->sent[i][m] |= m != MIG_MSG_NONE;
}

static bool source_runs(const struct world *w)
{
	return w->source == MIG_OWN || w->source == MIG_OFFERED;
}

static void check(const struct world *w)
{
	bool there = w->runs[0] || w->runs[1];

	CHECK(!(source_runs(w) && there));
	CHECK(!(w->runs[0] && w->runs[1]));
	CHECK(w->source != MIG_GONE || there || w->dest_crashed);
}

/* ---- what can happen; false: not now ----------------------------------------------------- */

static bool source_step(struct world *w, unsigned i, enum mig_source_event ev)
{
	u8 state = i == w->move ? w->source : MIG_OWN, before = state;

	if (w->source == DEAD)
		state = MIG_OWN; /* it knows nothing */
	send(w, i, mig_source_step(&state, ev));
	if (i != w->move || w->source == DEAD)
		return true;
	w->source = state;
	w->move += state == MIG_OWN && before != MIG_OWN;
	return true;
}

static bool dest_step(struct world *w, unsigned i, enum mig_dest_event ev)
{
	send(w, i, mig_dest_step(&w->dest[i], ev));
	return true;
}

static bool go(struct world *w, unsigned i, bool works)
{
	if (!w->sent[i][MIG_MSG_GO])
		return false;
	if (!mig_dest_may_start(w->dest[i]))
		return dest_step(w, i, MIG_EV_GO);
	w->runs[i] = works;
	return dest_step(w, i, works ? MIG_EV_STARTED : MIG_EV_START_FAILED);
}

static bool crash(struct world *w, bool source)
{
	if (source ? w->source_crashed || w->source == MIG_GONE : w->dest_crashed)
		return false;
	if (source) {
		w->source_crashed = true;
		w->source = DEAD;
		return true;
	}
	w->dest_crashed = true;
	for (unsigned i = 0; i < MOVES; i++) {
		w->runs[i] = false;
		w->dest[i] = MIG_NOTHING;
	}
	return true;
}

static bool begin(struct world *w)
{
	if (w->source != MIG_OWN || w->move == MOVES || w->heard[w->move])
		return false;
	w->heard[w->move] = true;
	w->dest[w->move] = MIG_LOADING;
	return source_step(w, w->move, MIG_EV_OFFER);
}

#define ACTIONS 15

static bool act(struct world *w, unsigned a)
{
	unsigned i = a & 1;

	switch (a / 2) {
	case 0:
		return w->sent[i][MIG_MSG_READY] && source_step(w, i, MIG_EV_READY);
	case 1:
		return go(w, i, true);
	case 2:
		return w->sent[i][MIG_MSG_TAKEN] && source_step(w, i, MIG_EV_TAKEN);
	case 3:
		return w->sent[i][MIG_MSG_NOT] && source_step(w, i, MIG_EV_NOT);
	case 4:
		return w->sent[i][MIG_MSG_ACK] && dest_step(w, i, MIG_EV_ACK);
	case 5:
		return w->heard[i] && dest_step(w, i, MIG_EV_LOADED);
	case 6:
		return w->source == MIG_GIVEN && i == w->move && source_step(w, i, MIG_EV_RETRY);
	case 7:
		return begin(w); /* from here on: not while all is calm */
	case 8:
		return i == w->move && w->source < DEAD && source_step(w, i, MIG_EV_ABORT);
	case 9:
		return dest_step(w, i, MIG_EV_DROP);
	case 10:
		return go(w, i, false);
	case 11:
		return crash(w, i == 0);
	case 12:
		return i == w->move && w->source == MIG_GIVEN && w->dest[i] == MIG_NOTHING &&
		       !w->runs[i] && source_step(w, i, MIG_EV_FORCE);
	default:
		return false;
	}
}

/* Nothing goes wrong any more: each message comes, who waits in vain gives up what he may. */
static void settle(struct world w)
{
	bool lost = w.source_crashed || w.dest_crashed;

	for (unsigned round = 0; round < 8; round++)
		for (unsigned a = 0; a < 14; a++)
			(void)act(&w, a);
	if (w.source == MIG_OFFERED)
		(void)source_step(&w, w.move, MIG_EV_ABORT);
	for (unsigned i = 0; i < MOVES; i++)
		(void)dest_step(&w, i, MIG_EV_DROP);
	check(&w);
	CHECK(w.source == MIG_OWN || w.source == MIG_GONE || w.source == DEAD);
	CHECK(lost || source_runs(&w) || w.runs[0] || w.runs[1]);
	for (unsigned i = 0; i < MOVES; i++)
		CHECK_EQ(w.dest[i], MIG_NOTHING); /* no record stays behind either */
}

static void explore(const struct world *w)
{
	u32 key = pack(w);

	CHECK(key < sizeof(seen) * 8ull);
	if (seen[key / 8] & 1u << key % 8)
		return;
	seen[key / 8] |= (u8)(1u << key % 8);
	states++;
	check(w);
	settle(*w);
	for (unsigned a = 0; a < ACTIONS * 2; a++) {
		struct world next = *w;

		if (act(&next, a))
			explore(&next);
	}
}

TEST(every_state)
{
	struct world w = { .source = MIG_OWN };

	explore(&w);
	printf("%u states\n", states);
	CHECK(states > 500);
}

TEST(plain_move)
{
	u8 s = MIG_OWN, d = MIG_LOADING;

	CHECK_EQ(mig_source_step(&s, MIG_EV_OFFER), MIG_MSG_NONE);
	CHECK_EQ(mig_dest_step(&d, MIG_EV_LOADED), MIG_MSG_READY);
	CHECK_EQ(mig_source_step(&s, MIG_EV_READY), MIG_MSG_GO);
	CHECK_EQ(s, MIG_GIVEN);
	CHECK_EQ(mig_source_step(&s, MIG_EV_ABORT), MIG_MSG_NONE);
	CHECK_EQ(s, MIG_GIVEN); /* too late to change one's mind */
	CHECK(mig_dest_may_start(d));
	CHECK_EQ(mig_dest_step(&d, MIG_EV_STARTED), MIG_MSG_TAKEN);
	CHECK(!mig_dest_may_start(d));
	CHECK_EQ(mig_dest_step(&d, MIG_EV_DROP), MIG_MSG_NONE);
	CHECK_EQ(mig_dest_step(&d, MIG_EV_GO), MIG_MSG_TAKEN);
	CHECK_EQ(mig_source_step(&s, MIG_EV_TAKEN), MIG_MSG_ACK);
	CHECK_EQ(s, MIG_GONE);
	CHECK_EQ(mig_dest_step(&d, MIG_EV_ACK), MIG_MSG_NONE);
	CHECK_EQ(d, MIG_NOTHING);
}

TEST(dropped_before_go)
{
	u8 s = MIG_OFFERED, d = MIG_READY;

	CHECK_EQ(mig_source_step(&s, MIG_EV_READY), MIG_MSG_GO);
	CHECK_EQ(mig_dest_step(&d, MIG_EV_DROP), MIG_MSG_NONE);
	CHECK(!mig_dest_may_start(d));
	CHECK_EQ(mig_dest_step(&d, MIG_EV_GO), MIG_MSG_NOT);
	CHECK_EQ(mig_source_step(&s, MIG_EV_NOT), MIG_MSG_NONE);
	CHECK_EQ(s, MIG_OWN);
	CHECK_EQ(mig_source_step(&s, MIG_EV_READY), MIG_MSG_NONE); /* late */
	CHECK_EQ(s, MIG_OWN);
}

UNIT_MAIN({ "every_state", every_state }, { "plain_move", plain_move },
	  { "dropped_before_go", dropped_before_go })
