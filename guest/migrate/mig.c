/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The moves of this host: an entity of the scheduler that carries all of them on, so that they
 * get their share of the boot CPU and no more.
 */
#include "guest/migrate/local.h"
#include "guest/migrate/mig_priv.h"

#include "guest/vm/vm.h"
#include "kernel/base/atomic.h"
#include "kernel/base/err.h"
#include "kernel/base/fmt.h"
#include "kernel/base/str.h"
#include "kernel/core/frames.h"
#include "kernel/core/log.h"
#include "kernel/core/sched.h"
#include "kernel/core/timer.h"

#define WEIGHT	    100
#define WEIGHT_STOP 1000 /* while a guest stands still for it */

static struct mig_send *sends; /* MIG_MOVES of each */
static struct mig_recv *recvs;
static struct sched_entity mover;
static struct timer timer;
static const struct mig_carrier *carrier;
static const struct mig_functions *functions;

void mig_wake(void *ctx)
{
	(void)ctx; /* one entity for all moves */
	sched_wake(&mover);
}

static enum sched_result run(struct sched_entity *e)
{
	u64 next = MIG_NEVER, now;
	u32 weight = WEIGHT;

	for (u32 i = 0; i < MIG_MOVES; i++) {
		next = min_u64(next, mig_send_step(&sends[i]));
		next = min_u64(next, mig_recv_step(&recvs[i]));
		if (sends[i].vm && sends[i].stopped)
			weight = WEIGHT_STOP;
	}
	e->weight = weight;
	now = time_ns();
	if (next <= now)
		return SCHED_YIELD;
	if (next != MIG_NEVER && timer_arm(&timer, tsc_read() + ns_to_tsc(next - now)))
		return SCHED_YIELD; /* no timer free: look all the time */
	return SCHED_BLOCK;
}

static void leave(struct sched_entity *e)
{
	(void)e; /* it has nothing in the CPU's registers */
}

/* ---- channels ----------------------------------------------------------------------------- */

void mig_register_carrier(const struct mig_carrier *c)
{
	carrier = c;
}

static int receive(struct mig_channel *c, struct vm *source)
{
	for (u32 i = 0; i < MIG_MOVES; i++)
		if (!recvs[i].used) {
			int rc = mig_recv_begin(&recvs[i], c, source);

			if (!rc)
				mig_wake(NULL);
			return rc;
		}
	log_warn("a move to here is refused: %u are going on", MIG_MOVES);
	return -EBUSY;
}

int mig_accept(struct mig_channel *c)
{
	return receive(c, NULL);
}

int mig_connect(const struct mig_request *rq, struct vm *vm, struct mig_channel **out, char *why,
		size_t why_size)
{
	struct mig_channel *end[2];
	int rc;

	if (strcmp(rq->host, "local") != 0) {
		if (carrier)
			return carrier->connect(rq->host, rq->port, out, why, why_size);
		str_copy(why, why_size, "nothing here carries streams to other hosts");
		return -ENODEV;
	}
	str_copy(why, why_size, "no memory for a channel, or too many moves at once");
	rc = mig_local_pair(end);
	if (rc)
		return rc;
	rc = receive(end[1], vm);
	if (rc) {
		end[0]->ops->close(end[0]);
		end[1]->ops->close(end[1]);
		return rc;
	}
	*out = end[0];
	return 0;
}

void mig_recv_forget(const u8 *id, const struct mig_recv *but)
{
	for (u32 i = 0; i < MIG_MOVES; i++)
		if (recvs[i].used && &recvs[i] != but &&
		    memcmp(recvs[i].id, id, MIG_NONCE_LEN) == 0)
			mig_recv_drop(&recvs[i], "the source asks on another connection");
}

/* ---- functions in hardware ----------------------------------------------------------------- */

void mig_register_functions(const struct mig_functions *f)
{
	functions = f;
}

struct mig_leave mig_leave_of(struct vm *vm)
{
	return (struct mig_leave){ .f = functions, .vm = vm };
}

void mig_functions_back(struct vm *vm)
{
	if (functions)
		functions->back(vm);
}

/* ---- control ------------------------------------------------------------------------------- */

int mig_begin(struct vm *vm, const struct mig_request *rq, char *why, size_t why_size)
{
	static u64 count;
	struct mig_send *s = NULL;
	int rc;

	if (vm->migrating) {
		fmt_snprintf(why, why_size, "vm %s is being moved already", vm->name);
		return -EBUSY;
	}
	/* The one whose end is longest ago, a free one first. */
	for (u32 i = 0; i < MIG_MOVES; i++)
		if (!sends[i].vm && (!s || sends[i].ended < s->ended))
			s = &sends[i];
	if (!s) {
		fmt_snprintf(why, why_size, "%u moves are going on, no more at once", MIG_MOVES);
		return -EBUSY;
	}
	mig_link_close(&s->link);
	*s = (struct mig_send){ .number = ++count, .vm = vm, .rq = *rq };
	str_copy(s->name, sizeof(s->name), vm->name);
	rc = mig_send_begin(s, why, why_size);
	if (rc)
		*s = (struct mig_send){ 0 };
	else
		mig_wake(NULL);
	return rc;
}

int mig_cancel(const char *name, bool force, char *why, size_t why_size)
{
	for (u32 i = 0; i < MIG_MOVES; i++)
		if (sends[i].vm && strcmp(sends[i].name, name) == 0)
			return mig_send_cancel(&sends[i], force, why, why_size);
	for (u32 i = 0; i < MIG_MOVES; i++)
		if (recvs[i].used && recvs[i].vm && strcmp(recvs[i].name, name) == 0) {
			mig_recv_drop(&recvs[i], "cancelled at the destination");
			return 0;
		}
	fmt_snprintf(why, why_size, "%s is not being moved", name);
	return -ENOENT;
}

struct mig_send *mig_send_at(u32 i)
{
	return i < MIG_MOVES ? &sends[i] : NULL;
}

struct mig_recv *mig_recv_at(u32 i)
{
	return i < MIG_MOVES ? &recvs[i] : NULL;
}

int mig_init(void)
{
	int rc;

	sends = kalloc(hv_owner(), MIG_MOVES * sizeof(*sends));
	recvs = kalloc(hv_owner(), MIG_MOVES * sizeof(*recvs));
	if (!sends || !recvs)
		return -ENOMEM;
	timer_init(&timer, mig_wake, NULL);
	mover.run = run;
	mover.leave = leave;
	mover.weight = WEIGHT;
	mover.pin = BIT(0);
	rc = sched_add(&mover);
	if (!rc)
		sched_unpark(&mover);
	return rc;
}
