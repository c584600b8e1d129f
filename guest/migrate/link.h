/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Either end of a move's connection: records in and out of a byte channel, and the notes that the
 * two write each other. Each direction is a stream of its own (docs/stream.md, "Handover").
 */
#ifndef GUEST_MIGRATE_LINK_H
#define GUEST_MIGRATE_LINK_H

#include "guest/migrate/channel.h"
#include "guest/migrate/stream.h"

#define MIG_NEVER (~0ull)

#define MIG_NOTE_TEXT 128u
/* Neither a byte to nor from the peer for so long: the connection counts as lost. */
#define MIG_SILENCE_NS 10000000000ull

/* Besides enum mig_msg. */
enum mig_note_kind {
	MIG_NOTE_HELLO = 16, /* receiver: here I am; id is the number of a move that begins now */
	MIG_NOTE_ACCEPT,     /* receiver: this VM can come, send its memory */
	MIG_NOTE_REFUSE,     /* receiver: no, for the reason in text */
	MIG_NOTE_TIME,	     /* source: what is the time there? receiver: it is ns */
};

#define MIG_NOTE_PAUSED BIT(0) /* with GO: the operator has paused it, let it stand */

struct mig_note {
	u32 kind; /* enum mig_msg, enum mig_note_kind */
	u32 flags;
	u64 ns; /* of MIG_NOTE_TIME: the receiver's time_ns() */
	u8 id[MIG_NONCE_LEN];
	char text[MIG_NOTE_TEXT];
};

/* What tests want of a connection, once. */
enum mig_fault_kind {
	MIG_FAULT_NONE,
	MIG_FAULT_FLIP, /* one bit of the byte is another */
	MIG_FAULT_CUT,	/* the connection ends before the byte */
	MIG_FAULT_LOSE, /* the byte and all behind it never come, and nobody is told */
};

struct mig_fault {
	u32 kind;  /* enum mig_fault_kind */
	bool back; /* in what is received, not in what is sent */
	u64 at;	   /* offset of the byte */
};

struct mig_link {
	struct mig_channel *ch; /* NULL: closed */
	struct mig_fault fault;
	struct mig_parser in;
	struct mig_sum sum;	/* of what is sent */
	u8 *in_buf, *out;
	u32 out_at, out_len;	/* of out: what is yet to be sent */
	u64 sent, received;	/* bytes */
	u64 wire;		/* of the channel, when something was last sent */
	u64 moved;		/* ns, when a byte last went either way */
};

/**
 * mig_link_open() - over ch, which becomes the link's when it returns 0. nonce: of the stream that
 * comes, as in mig_parse_start(). wake: as in the channel. -ENOMEM.
 */
int MUST_CHECK mig_link_open(struct mig_link *l, struct mig_channel *ch, const u8 *nonce,
			     void (*wake)(void *ctx));

/** mig_link_close() - at once. Does nothing when closed. */
void mig_link_close(struct mig_link *l);

/** mig_link_lost() - for people, why a channel that says -EPIPE has ended. */
static inline const char *mig_link_lost(const struct mig_link *l)
{
	return l->ch && l->ch->why ? l->ch->why : "the connection was lost";
}

/**
 * mig_link_end() - nothing the peer says matters any more: what is still to be sent goes out, and
 * the link closes when the peer has closed, or is silent. Returns as mig_send_step(). Call it until
 * l->ch is NULL.
 */
u64 mig_link_end(struct mig_link *l);

/** mig_link_begin() - the header of our direction; nonce as in mig_header_make(). */
void mig_link_begin(struct mig_link *l, const u8 *nonce);

/** mig_link_note() - to be sent behind what waits already. */
void mig_link_note(struct mig_link *l, const struct mig_note *n);

/** mig_link_push() - send. 1: all is out; 0: the channel is full; -EPIPE. */
int MUST_CHECK mig_link_push(struct mig_link *l);

/** mig_link_pull() - receive. 1: *r is a record; 0: nothing more yet; -EPIPE, -EPROTO with why. */
int MUST_CHECK mig_link_pull(struct mig_link *l, struct mig_record *r, char *why, size_t why_size);

/** mig_note_read() - a record MIG_HANDOVER. -EPROTO. */
int MUST_CHECK mig_note_read(const struct mig_record *r, struct mig_note *n);

#endif
