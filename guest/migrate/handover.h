/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns a guest while it moves: the two state machines of tests/model/handover.pml, which spin
 * has searched through. Pure; docs/migration.md says why they are as they are.
 */
#ifndef GUEST_MIGRATE_HANDOVER_H
#define GUEST_MIGRATE_HANDOVER_H

#include "kernel/base/types.h"

/* What the two say to each other, each with the number of the move. */
enum mig_msg {
	MIG_MSG_NONE,
	MIG_MSG_READY, /* destination: all came and is loaded, I could run it */
	MIG_MSG_GO,    /* source: it is yours if you take it; repeated until answered */
	MIG_MSG_TAKEN, /* destination: I run it */
	MIG_MSG_NOT,   /* destination: I have nothing of this move and never will */
	MIG_MSG_ACK,   /* source: I hold nothing of this move, forget it */
};

/*
 *  OWN --OFFER--> OFFERED --READY--> GIVEN --TAKEN--> GONE
 *   ^                |                 |
 *   +-----ABORT------+----NOT, FORCE---+
 */
enum mig_source_state {
	MIG_OWN,     /* the guest is here */
	MIG_OFFERED, /* and is being copied, running or stopped */
	MIG_GIVEN,   /* stopped, held: whether the destination runs it is not known yet */
	MIG_GONE,    /* it runs there, nothing is held here */
};

enum mig_source_event {
	MIG_EV_OFFER,
	MIG_EV_ABORT, /* cancelled, connection lost, timeout, refused: not after GIVEN */
	MIG_EV_READY,
	MIG_EV_RETRY, /* no answer yet */
	MIG_EV_TAKEN,
	MIG_EV_NOT,
	MIG_EV_FORCE, /* an operator has seen that the destination has no copy */
};

/*
 *  LOADING --LOADED--> READY --STARTED--> TAKEN --ACK--> NOTHING
 *     |                  |
 *     +------DROP--------+--DROP, START_FAILED--> NOTHING
 */
enum mig_dest_state {
	MIG_NOTHING, /* dropped, forgotten, never heard of */
	MIG_LOADING,
	MIG_READY,
	MIG_TAKEN, /* the guest is here, and the source may not know it yet */
};

enum mig_dest_event {
	MIG_EV_LOADED,
	MIG_EV_DROP, /* connection lost, timeout, bad stream, cancelled: not after TAKEN */
	MIG_EV_GO,   /* when mig_dest_may_start() says no */
	MIG_EV_STARTED,
	MIG_EV_START_FAILED,
	MIG_EV_ACK,
};

/** mig_source_step() - *state after the event; what to send then. What does not fit is ignored. */
enum mig_msg mig_source_step(u8 *state, enum mig_source_event ev);

/** mig_dest_may_start() - GO came: is this what was waited for, so that the copy starts now? */
static inline bool mig_dest_may_start(u8 state)
{
	return state == MIG_READY;
}

/** mig_dest_step() - *state after the event; what to send then. What does not fit is ignored. */
enum mig_msg mig_dest_step(u8 *state, enum mig_dest_event ev);

#endif
