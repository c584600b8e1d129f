/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Senders and receivers, for guest/migrate only.
 */
#ifndef GUEST_MIGRATE_MIG_PRIV_H
#define GUEST_MIGRATE_MIG_PRIV_H

#include "guest/migrate/handover.h"
#include "guest/migrate/machine_state.h"
#include "guest/migrate/migrate.h"
#include "guest/migrate/pages.h"

#define MIG_WHY	  160

enum mig_phase {
	MIG_PHASE_NONE,	   /* the slot is free */
	MIG_PHASE_UNPLUG,  /* the guest lets go of what cannot leave with it */
	MIG_PHASE_CONNECT, /* wait for HELLO */
	MIG_PHASE_INTRO,   /* configuration and host out, wait for ACCEPT */
	MIG_PHASE_COPY,	   /* passes, the guest runs */
	MIG_PHASE_LAST,	   /* the last pass, it stands */
	MIG_PHASE_MACHINE,
	MIG_PHASE_WAIT,	   /* READY is to come, or the answer to GO */
	MIG_PHASE_DONE,
	MIG_PHASE_FAILED,
};

struct mig_send {
	u64 number;
	u32 phase; /* enum mig_phase */
	u8 owner;  /* enum mig_source_state */
	bool stopped, was_paused, logging;
	struct vm *vm; /* NULL when the move is over */
	char name[CONFIG_NAME_LEN];
	struct mig_request rq;
	struct mig_link link;
	u8 id[MIG_NONCE_LEN];
	u32 step; /* of mig_save_...() */
	struct mig_pages pages;
	struct mig_pages_stats stats; /* when they are over */
	struct mig_pass pass;
	u64 pass_sent; /* link.sent when it began */
	u32 slow;
	struct mig_verdict verdict;
	struct mig_leave leave;
	u32 functions, held_us; /* how many in software, and how long it was held for that */
	u64 began, ended, stopped_at, resumed_at; /* ns */
	u64 last_ns; /* the last pass: when it began, then how long it took */
	/* ns: MIG_NOTE_TIME went out, shortest way there and back, their clock less ours. */
	u64 asked, rtt, ahead;
	u32 asks;
	u64 not_before; /* ns: rate limit; the next try to get an answer */
	u64 sent, received, wire; /* by links that are closed */
	char why[MIG_WHY];
};

struct mig_recv {
	bool used;
	bool over;     /* only what is to be sent keeps it */
	u8 owner;      /* enum mig_dest_state */
	bool accepted;
	struct vm *vm; /* NULL: none yet, or it runs and is no more ours */
	struct vm *source; /* of a local move */
	struct mig_link link;
	struct mig_machine machine;
	u8 id[MIG_NONCE_LEN];
	char name[CONFIG_NAME_LEN]; /* that it will have */
	bool arrived; /* it runs here; its functions are yet to go into hardware */
	u64 began; /* ns */
};

/** mig_send_step(), mig_recv_step() - a bounded piece of work. Return the time (ns) when there may
 * be more of it without a wake-up: 0 at once, MIG_NEVER. */
u64 mig_send_step(struct mig_send *s);
u64 mig_recv_step(struct mig_recv *r);

/** mig_send_begin() - s->rq, s->vm and s->name are set. */
int MUST_CHECK mig_send_begin(struct mig_send *s, char *why, size_t why_size);
/** mig_send_cancel() - as mig_cancel(). */
int MUST_CHECK mig_send_cancel(struct mig_send *s, bool force, char *why, size_t why_size);

/** mig_recv_begin() - on ch; source: the VM of a local move. */
int MUST_CHECK mig_recv_begin(struct mig_recv *r, struct mig_channel *ch, struct vm *source);
/** mig_recv_drop() - end it, with the reason for the peer; what was taken stays. */
void mig_recv_drop(struct mig_recv *r, const char *why);
/** mig_recv_forget() - drop the copy that came by move id, unless it is taken already. */
void mig_recv_forget(const u8 *id, const struct mig_recv *but);

/** mig_connect() - a channel to where rq says; for a local move its other end gets a receiver. */
int MUST_CHECK mig_connect(const struct mig_request *rq, struct vm *vm, struct mig_channel **out,
			   char *why, size_t why_size);

/** mig_send_at(), mig_recv_at() - slot i of MIG_MOVES, in use or not; NULL: no more. */
struct mig_send *mig_send_at(u32 i);
struct mig_recv *mig_recv_at(u32 i);

/**
 * mig_leave_of() - vm is about to leave, nothing is done yet. mig_functions_back() - it has come:
 * its functions as its configuration wants them. Control context.
 */
struct mig_leave mig_leave_of(struct vm *vm);
void mig_functions_back(struct vm *vm);

/** mig_wake() - there is work; any context. */
void mig_wake(void *ctx);

#endif
