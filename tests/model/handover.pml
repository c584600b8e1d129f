/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns a guest while it moves: model of guest/migrate/handover.c, for spin. docs/migration.md
 * says why it is as it is; the states and messages have the names they have in the code.
 *
 * The network is a set: what was ever sent can arrive at any later time, in any order, any number
 * of times, or never. That is loss, duplication and delay at once, and takes one bit a message. Two
 * moves of the same guest, one after the other, so that what is left of the first meets the second.
 * Either host may crash once, between any two steps, and comes back knowing nothing.
 */
#define MOVES 2

mtype:source = { OWN, OFFERED, GIVEN, GONE, S_DEAD };
mtype:dest = { LOADING, READY, TAKEN, NOTHING };

mtype:source source = OWN;
mtype:dest dest[MOVES];	      /* NOTHING also: dropped, forgotten, never heard of */
bool runs[MOVES];	      /* the copy that came by this move runs at the destination */
byte move;		      /* the present one: a crash or an abort ends it for good */
bool source_crashed, dest_crashed;
bool calm;		      /* no more crashes, timeouts and cancellations, and nothing gets lost */

/* The set of messages. */
bool m_offer[MOVES], m_ready[MOVES], m_go[MOVES], m_taken[MOVES], m_not[MOVES], m_ack[MOVES];

#define S_RUNS (source == OWN || source == OFFERED) /* paused or not: it may be let run */
#define D_RUNS (runs[0] || runs[1])
#define SETTLED ((source == OWN || source == GONE || source == S_DEAD) && \
	dest[0] == NOTHING && dest[1] == NOTHING)

/* At each step: never two, and never none unless the one that had it crashed. */
#define CHECK \
	assert(!(S_RUNS && D_RUNS)); \
	assert(!(runs[0] && runs[1])); \
	assert(source != GONE || D_RUNS || dest_crashed); \
	assert(source != S_DEAD || source_crashed)

/* ---- the source ------------------------------------------------------------------------- */

active proctype offer()
{
end:	do
	:: atomic { source == OWN && move < MOVES && !calm && !m_offer[move] ->
		source = OFFERED; m_offer[move] = true; CHECK }
	od
}

/* Cancelled, connection lost, timeout, guest stopped: all the same to the protocol. */
active proctype source_abort()
{
end:	do
	:: atomic { source == OFFERED && (!calm || !m_ready[move]) ->
		source = OWN; move++; CHECK }
	od
}

active proctype source_ready()
{
end:	do
	:: atomic { source == OFFERED && m_ready[move] -> source = GIVEN; m_go[move] = true; CHECK }
	od
}

/* The answer is missing: GO is sent again for as long as it takes, which the set does already. */

active proctype source_taken()
{
end:	do
	:: atomic { source == GIVEN && m_taken[move] -> source = GONE; m_ack[move] = true; CHECK }
	od
}

active proctype source_not()
{
end:	do
	:: atomic { source == GIVEN && m_not[move] -> source = OWN; move++; CHECK }
	od
}

/* Whoever holds nothing of a move has nothing against its being forgotten. */
active proctype source_late()
{
end:	do
	:: atomic { m_taken[0] && (move > 0 || source == S_DEAD) && !m_ack[0] ->
		m_ack[0] = true; CHECK }
	:: atomic { m_taken[1] && (move > 1 || source == S_DEAD) && !m_ack[1] ->
		m_ack[1] = true; CHECK }
	od
}

/*
 * 'migrate-cancel force=yes': an operator has seen that the destination neither runs the guest nor
 * still receives it. That it was down some time is not enough: this model found that.
 */
active proctype source_force()
{
end:	do
	:: atomic { source == GIVEN && dest[move] == NOTHING && !runs[move] && !calm ->
		source = OWN; move++; CHECK }
	od
}

active proctype source_crash()
{
end:	do
	:: atomic { !source_crashed && !calm && source != GONE ->
		source_crashed = true; source = S_DEAD; CHECK }
	:: calm -> break
	od
}

/* ---- the destination --------------------------------------------------------------------- */

/* All that came is checked and loaded: it could run, and says so. */
proctype dest_loaded(byte i)
{
end:	do
	:: atomic { m_offer[i] && dest[i] == LOADING ->
		dest[i] = READY; m_ready[i] = true; CHECK }
	od
}

/* GO decides, and it is the destination that decides: it takes, or says that it never will. */
proctype dest_go(byte i)
{
end:	do
	:: atomic { m_go[i] && dest[i] == READY ->
		dest[i] = TAKEN; runs[i] = true; m_taken[i] = true; CHECK }
	:: atomic { m_go[i] && dest[i] == READY && !calm -> /* its devices did not start */
		dest[i] = NOTHING; m_not[i] = true; CHECK }
	:: atomic { m_go[i] && dest[i] == NOTHING && !m_not[i] -> m_not[i] = true; CHECK }
	od
}

/* Connection lost, timeout, refusal, cancelled there: until GO came nothing is owed to anyone. */
proctype dest_drop(byte i)
{
end:	do
	:: atomic { (dest[i] == LOADING || dest[i] == READY) && (!calm || !m_go[i]) ->
		dest[i] = NOTHING; CHECK }
	od
}

proctype dest_ack(byte i)
{
end:	do
	:: atomic { m_ack[i] && dest[i] == TAKEN -> dest[i] = NOTHING; CHECK } /* the record only */
	od
}

active proctype dest_crash()
{
end:	do
	:: atomic { !dest_crashed && !calm ->
		dest_crashed = true; runs[0] = false; runs[1] = false;
		/* A move it has heard of is over; a later one may yet begin. */
		if :: m_offer[0] -> dest[0] = NOTHING :: else fi;
		if :: m_offer[1] -> dest[1] = NOTHING :: else fi;
		CHECK }
	:: calm -> break
	od
}

active proctype quiet()
{
	calm = true
}

init {
	atomic {
		dest[0] = LOADING; dest[1] = LOADING;
		run dest_loaded(0); run dest_go(0); run dest_drop(0); run dest_ack(0);
		run dest_loaded(1); run dest_go(1); run dest_drop(1); run dest_ack(1)
	}
}

/* When nothing goes wrong any more it comes to an end: one of them runs it, if its host lived. */
ltl ends { [] (calm -> <> SETTLED) }
ltl one { [] (calm -> <> (S_RUNS || D_RUNS || source_crashed || dest_crashed)) }
